"""The self-assessment: each requirement both ways, and a report that claims nothing."""

import msgspec
import pytest

from lineshaft.security.assess.report import assess, html, judge, missing
from lineshaft.security.assess.seen import (
    Audit,
    Identity,
    People,
    Policy,
    Seen,
    Status,
)

GOOD_PEOPLE = People(
    accounts=3, with_second_factor=3, sessions=2, loopback="login",
    second_factor="required", password_days=365, has_banner=True,
)  # fmt: skip
GOOD = Seen(
    people=GOOD_PEOPLE,
    policy=Policy(version=2, subjects=3, roles=("viewer",), approvals=1, tests=4),
    audit=Audit(entries=9, kinds=("login.password", "access.write"), has_witness=True),
    identity=Identity(
        exists=True, valid=4, has_passphrase=True, is_root_here=False, listens=True
    ),
    is_tls=True,
    is_labelled=True,
    data_keys=2,
    is_running=True,
    health="ok",
    refuses_nonsense=True,
    hides_internals=True,
    refuses_strangers=True,
    backups=1,
    points_writable=1,
    points_limited=1,
    version="1.0",
)


def people(**more: object) -> Seen:
    return msgspec.structs.replace(
        GOOD,
        people=msgspec.structs.replace(GOOD_PEOPLE, **more),
    )


def but(**more: object) -> Seen:
    return msgspec.structs.replace(GOOD, **more)


BAD_LOG = Audit(entries=9, problems=("entry 3",), trouble="the disk is full")
WORSE = {
    "SR 1.1": people(loopback="owner"),
    "SR 1.2": but(has_open_mqtt=True),
    "SR 1.3": people(unknown_to_policy=("otto",)),
    "SR 1.4": people(accounts=0),
    "SR 1.5": but(open_to_others=("authority/root.key",)),
    "SR 1.7": people(password_days=None),
    "SR 1.8": but(identity=Identity(exists=True, expired=1)),
    "SR 1.9": but(identity=Identity(exists=True)),
    "SR 1.10": but(refuses_strangers=False),
    "SR 1.11": but(audit=Audit(entries=1)),
    "SR 1.12": people(has_banner=False),
    "SR 1.13": but(is_loopback_only=False),
    "SR 2.1": but(policy=Policy(version=2, failing=1)),
    "SR 2.4": but(is_from_source=True),
    "SR 2.6": but(is_running=False),
    "SR 2.8": but(audit=None),
    "SR 2.9": but(audit=BAD_LOG),
    "SR 2.10": but(audit=BAD_LOG),
    "SR 3.3": but(policy=Policy(version=2, tests=4, failing=1)),
    "SR 3.4": but(changed_files=2),
    "SR 3.5": but(refuses_nonsense=False),
    "SR 3.7": but(hides_internals=False),
    "SR 3.8": but(is_tls=False, is_loopback_only=False),
    "SR 3.9": but(audit=BAD_LOG),
    "SR 4.3": but(is_tls=False, is_loopback_only=False),
    "SR 5.2": but(is_loopback_only=False),
    "SR 5.4": but(is_bus_own=False),
    "SR 6.1": but(audit=None),
    "SR 7.2": but(is_running=False),
    "SR 7.6": but(policy=Policy(version=2, is_file_accepted=False)),
    "SR 7.7": but(undeclared=("0.0.0.0:23 is open to others",)),
    "SR 7.8": but(version=""),
}
PARTLY_AT_BEST = {
    "SR 2.11": but(audit=None),
    "SR 2.12": but(audit=BAD_LOG),
    "SR 3.1": but(is_tls=False, is_loopback_only=False),
    "SR 4.1": but(is_tls=False, is_loopback_only=False),
    "SR 6.2": but(is_running=False),
    "SR 7.3": but(backups=0),
    "SR 7.4": but(backups=0),
}


@pytest.mark.parametrize("number", WORSE)
def test_a_requirement_is_met_and_no_more_when_what_it_rests_on_is_gone(
    number: str,
) -> None:
    assert judge(number)(GOOD).status is Status.MET
    worse = judge(number)(WORSE[number])
    assert worse.status in (Status.PARTLY, Status.NOT)
    assert worse.evidence != judge(number)(GOOD).evidence


@pytest.mark.parametrize("number", PARTLY_AT_BEST)
def test_what_we_meet_in_part_only_is_never_called_met(number: str) -> None:
    assert judge(number)(GOOD).status is Status.PARTLY
    assert judge(number)(PARTLY_AT_BEST[number]).status is Status.NOT


def test_there_are_51_requirements_each_once_in_the_order_of_the_standard() -> None:
    found = assess(Seen())
    numbers = [tuple(map(int, each.id[3:].split("."))) for each in found]
    assert len(numbers) == 51
    assert numbers == sorted(set(numbers))
    assert all(each.name and each.evidence for each in found)


def test_an_installation_of_which_nothing_is_seen_meets_hardly_anything() -> None:
    found = assess(Seen())
    met = {each.id for each in found if each.status is Status.MET}
    assert met <= {
        "SR 1.5", "SR 1.13", "SR 2.4", "SR 2.5", "SR 2.7", "SR 3.4", "SR 3.6",
        "SR 3.8", "SR 5.2", "SR 5.3", "SR 5.4", "SR 7.6",
    }  # fmt: skip
    assert missing(found, 1)


def test_the_page_claims_no_level_and_lets_nothing_break_out() -> None:
    page = html(assess(GOOD), "<script>alert(1)</script>", "now")
    assert "<script>" not in page
    assert "no security level is claimed" in page
    assert page.count("<tr>") == 52
