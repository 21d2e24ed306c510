"""Four eyes: another person agrees, in time, to exactly this, and it is done once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lineshaft.core.errors import Denied, NotFound, Refused
from lineshaft.core.reading import to_us
from lineshaft.security.access.approvals import Request, Requests, State, open_requests
from lineshaft.security.access.policy import Policy
from lineshaft.security.access.roles import Action
from lineshaft.settings.policy import parse_policy

TEXT = """
[subjects]
anna = { tenant = "acme" }
ben = { tenant = "acme" }
old = { tenant = "acme", until = 2026-01-01T00:00:00Z }
eve = { tenant = "acme" }
mallory = { tenant = "rival" }

[groups]
shift = ["anna", "ben", "mallory", "old"]

[[grant]]
name = "shift"
who = ["shift"]
role = "operator"
on = ["acme/press/**"]

[[approval]]
name = "two"
on = ["acme/press/speed"]
needed_to = ["write"]
by = ["shift"]
within_s = 60
"""
POLICY = Policy(parse_policy(TEXT, Path("policy.toml")))
NOW = to_us(datetime(2026, 3, 1, tzinfo=UTC))
SECOND = 1_000_000
WRITE = ("anna", Action.WRITE, "acme/press/speed")


@pytest.fixture
def requests(tmp_path: Path) -> Iterator[Requests]:
    with open_requests(tmp_path / "policy" / "requests.sqlite") as opened:
        yield opened


@pytest.fixture
def asked(requests: Requests) -> Request:
    return requests.ask(POLICY, WRITE, "7.5", NOW)


def test_another_person_agrees_and_it_is_done_once(
    requests: Requests, asked: Request
) -> None:
    assert requests.open(NOW) == [asked]
    approved = requests.approve(POLICY, asked.id, "ben", NOW + 5)
    assert (approved.state, approved.decided_by) == (State.APPROVED, "ben")
    assert requests.open(NOW + 5) == []
    done = requests.use(POLICY, asked.id, (*WRITE, "7.5"), NOW + 6)
    assert done.state is State.DONE
    with pytest.raises(Refused, match="is done, not approved"):
        requests.use(POLICY, asked.id, (*WRITE, "7.5"), NOW + 7)
    assert requests.get(asked.id) == done


@pytest.mark.parametrize("by", ["anna", "eve", "old", "mallory", "nobody"])
def test_nobody_else_may_agree(requests: Requests, asked: Request, by: str) -> None:
    for decide in (requests.approve, requests.refuse):
        with pytest.raises(Denied):
            decide(POLICY, asked.id, by, NOW)
    assert requests.get(asked.id) == asked


def test_what_was_not_approved_is_not_done(requests: Requests, asked: Request) -> None:
    with pytest.raises(Refused, match="is open, not approved"):
        requests.use(POLICY, asked.id, (*WRITE, "7.5"), NOW)
    requests.refuse(POLICY, asked.id, "ben", NOW)
    for again in (requests.approve, requests.refuse):
        with pytest.raises(Refused, match="is refused, not open"):
            again(POLICY, asked.id, "ben", NOW)
    with pytest.raises(NotFound):
        requests.approve(POLICY, "0", "ben", NOW)


@pytest.mark.parametrize(
    "wish",
    [
        ("anna", Action.WRITE, "acme/press/speed", "7.6"),
        ("ben", Action.WRITE, "acme/press/speed", "7.5"),
        ("anna", Action.WRITE, "acme/press/force", "7.5"),
        ("anna", Action.COMMAND, "acme/press/speed", "7.5"),
    ],
)
def test_an_approval_is_for_exactly_what_was_asked(
    requests: Requests, asked: Request, wish: tuple[str, Action, str, str]
) -> None:
    requests.approve(POLICY, asked.id, "ben", NOW)
    with pytest.raises(Refused, match="something else"):
        requests.use(POLICY, asked.id, wish, NOW)


def test_a_request_ends_in_time(requests: Requests) -> None:
    late = NOW + 60 * SECOND
    first = requests.ask(POLICY, WRITE, "1", NOW)
    second = requests.ask(POLICY, WRITE, "2", NOW)
    requests.approve(POLICY, first.id, "ben", late - 1)
    with pytest.raises(Refused, match="ended"):
        requests.use(POLICY, first.id, (*WRITE, "1"), late)
    with pytest.raises(Refused, match="ended"):
        requests.approve(POLICY, second.id, "ben", late)
    assert requests.open(late) == []


def test_what_the_policy_takes_away_ends_what_was_approved(
    requests: Requests, asked: Request
) -> None:
    requests.approve(POLICY, asked.id, "ben", NOW)
    without = parse_policy(TEXT.replace('["anna", "ben",', '["ben",'), Path("p"))
    with pytest.raises(Denied, match="anna may not write"):
        requests.use(Policy(without), asked.id, (*WRITE, "7.5"), NOW)
    without = parse_policy(TEXT.replace('"ben",', ""), Path("p"))
    with pytest.raises(Denied, match="ben may not decide"):
        requests.use(Policy(without), asked.id, (*WRITE, "7.5"), NOW)
    assert requests.get(asked.id).state is State.APPROVED


def test_who_may_not_cannot_ask_and_who_may_need_not(requests: Requests) -> None:
    with pytest.raises(Denied, match="no grant"):
        requests.ask(POLICY, ("eve", Action.WRITE, "acme/press/speed"), "1", NOW)
    with pytest.raises(Refused, match="without anybody else"):
        requests.ask(POLICY, ("anna", Action.READ, "acme/press/speed"), "", NOW)
    assert requests.open(NOW) == []


def test_requests_outlive_the_process_and_two_cannot_use_one(tmp_path: Path) -> None:
    file = tmp_path / "requests.sqlite"
    with open_requests(file) as first:
        asked = first.ask(POLICY, WRITE, "7.5", NOW)
    assert file.stat().st_mode & 0o077 == 0
    with open_requests(file) as first, open_requests(file) as second:
        first.approve(POLICY, asked.id, "ben", NOW)
        second.use(POLICY, asked.id, (*WRITE, "7.5"), NOW)
        with pytest.raises(Refused):
            first.use(POLICY, asked.id, (*WRITE, "7.5"), NOW)


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "requests.sqlite"
    file.write_bytes(b"not a database, but longer than a header is" * 20)
    with pytest.raises(Refused, match="cannot be used"), open_requests(file):
        pass
