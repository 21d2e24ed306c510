"""Deciding who may: deny by default, denials first, tenants apart, reasons always."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.name import matches
from lineshaft.core.reading import to_us
from lineshaft.security.access import policy as deciding
from lineshaft.security.access.document import (
    Approval,
    Denial,
    Document,
    Grant,
    Subject,
)
from lineshaft.security.access.policy import Outcome, Policy, Reason
from lineshaft.security.access.roles import ACTIONS_OF, Action, Role
from lineshaft.security.access.why import why
from lineshaft.security.tree import Tree

MARCH, APRIL, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (3, 4, 5))
NOW = to_us(APRIL)
SPEED = "acme/osaka/press/1/speed"
DOCUMENT = Document(
    subjects={
        "anna": Subject(tenant="acme"),
        "ben": Subject(tenant="acme", until=APRIL),
        "mallory": Subject(tenant="rival"),
        "idle": Subject(tenant="acme"),
    },
    groups={"shift": ("anna", "ben")},
    grant=(
        Grant(name="shift", who=("shift",), role=Role.OPERATOR, on=("acme/osaka/**",)),
        Grant(name="all", who=("mallory",), role=Role.VIEWER, on=("**",)),
        Grant(
            name="old",
            who=("anna",),
            may=(Action.EXPORT,),
            on=("acme/**",),
            since=MARCH,
            until=APRIL,
        ),
    ),
    deny=(
        Denial(
            name="lock", who=("*",), may_not=(Action.WRITE,), on=("acme/*/furnace/**",)
        ),
    ),
    approval=(
        Approval(name="two", on=(SPEED,), needed_to=(Action.WRITE,), by=("ben",)),
    ),
)


def decide(who: str, action: Action, name: str, at_us: int = NOW) -> tuple[str, str]:
    decision = Policy(DOCUMENT).decide(who, action, name, at_us)
    return str(decision.outcome), decision.rule or str(decision.reason)


@pytest.mark.parametrize(
    ("who", "action", "name", "expected"),
    [
        ("anna", Action.READ, SPEED, ("allow", "shift")),
        ("anna", Action.WRITE, SPEED, ("approval", "two")),
        ("anna", Action.WRITE, "acme/osaka/press/1/x", ("allow", "shift")),
        ("anna", Action.WRITE, "acme/osaka/furnace/t", ("deny", "lock")),
        ("anna", Action.READ, "acme/kyoto/x", ("deny", "no grant")),
        ("anna", Action.CONFIGURE, SPEED, ("deny", "no grant")),
        ("idle", Action.READ, SPEED, ("deny", "no grant")),
        ("mallory", Action.READ, SPEED, ("deny", "another tenant")),
        ("mallory", Action.READ, "rival/x/y", ("allow", "all")),
        ("nobody", Action.READ, SPEED, ("deny", "unknown subject")),
        ("anna", Action.READ, "acme/osaka//x", ("deny", "not a name")),
        ("anna", Action.READ, "acme/osaka/*", ("deny", "not a name")),
        ("anna", Action.READ, "acme/osaka/../x", ("deny", "not a name")),
        ("anna", Action.READ, "acme/osaka/x\n", ("deny", "not a name")),
    ],
)
def test_who_may_what(
    who: str, action: Action, name: str, expected: tuple[str, str]
) -> None:
    assert decide(who, action, name) == expected


def test_a_policy_without_rules_allows_nothing() -> None:
    empty = Policy(Document(subjects={"anna": Subject(tenant="acme")}))
    for action in Action:
        assert not empty.decide("anna", action, SPEED, NOW).is_allowed


def test_a_subject_and_a_grant_count_until_their_end_and_not_in_it() -> None:
    policy = Policy(DOCUMENT)
    for action, who in ((Action.READ, "ben"), (Action.EXPORT, "anna")):
        said = [
            policy.decide(who, action, SPEED, at_us).outcome
            for at_us in (NOW - 1, NOW, NOW - 1)  # a clock may also be set back
        ]
        assert said == [Outcome.ALLOW, Outcome.DENY, Outcome.ALLOW]


def test_what_is_remembered_is_forgotten_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deciding, "MOST_KEPT", 3)
    policy = Policy(DOCUMENT)
    names = [f"acme/osaka/press/{number}" for number in range(10)]
    assert all(policy.decide("anna", Action.READ, n, NOW).is_allowed for n in names)
    assert len(policy._kept) <= 3


def test_who_manages_accounts_moves_no_machine_and_who_audits_changes_nothing() -> None:
    moves = {Action.WRITE, Action.COMMAND, Action.PUBLISH}
    assert not moves & ACTIONS_OF[Role.ADMINISTRATOR]
    assert ACTIONS_OF[Role.AUDITOR] == {Action.READ, Action.AUDIT_READ}
    assert Action.AUDIT_READ not in ACTIONS_OF[Role.ADMINISTRATOR]


@pytest.mark.parametrize(
    ("who", "action", "name", "words", "nearest"),
    [
        ("anna", Action.READ, SPEED, "anna may read", ""),
        ("anna", Action.WRITE, SPEED, "once a second person agrees", ""),
        ("anna", Action.WRITE, "acme/osaka/furnace/t", "'lock' denies it", ""),
        ("anna", Action.CONFIGURE, SPEED, "acknowledge, command, read", "shift"),
        ("anna", Action.EXPORT, SPEED, "has not counted since 2026-04-01", "old"),
        ("anna", Action.READ, "acme/kyoto/x", "read, write acme/osaka/**", "shift"),
        ("ben", Action.READ, SPEED, "ben has not counted since 2026-04-01", ""),
        ("idle", Action.READ, SPEED, "no grant names idle", ""),
        ("mallory", Action.READ, SPEED, "belongs to the tenant 'rival'", ""),
        ("ana", Action.READ, SPEED, "did you mean 'anna'?", ""),
        ("anna", Action.READ, "acme//x", "is not the name", ""),
    ],
)
def test_every_decision_has_a_reason_in_words(
    who: str, action: Action, name: str, words: str, nearest: str
) -> None:
    policy = Policy(DOCUMENT)
    told = why(policy, policy.decide(who, action, name, NOW), NOW)
    assert words in told.sentence
    if nearest == "shift":
        assert told.nearest in ("shift", "old")
    else:
        assert told.nearest == nearest


def test_every_kind_of_reason_is_told() -> None:
    policy = Policy(DOCUMENT)
    asked = [
        ("anna", Action.READ, SPEED),
        ("anna", Action.WRITE, SPEED),
        ("anna", Action.WRITE, "acme/osaka/furnace/t"),
        ("idle", Action.READ, SPEED),
        ("mallory", Action.READ, SPEED),
        ("ben", Action.READ, SPEED),
        ("nobody", Action.READ, SPEED),
        ("anna", Action.READ, ""),
    ]
    # Whoever runs the plant, and tokens, are known to the web room alone.
    beyond = {Reason.OWNER, Reason.NOT_IN_SCOPE}
    assert {policy.decide(*each, NOW).reason for each in asked} == set(Reason) - beyond


segment = st.sampled_from(["a", "b", "ab", "aab", "1"])
wild = st.sampled_from(["a", "b", "ab", "*", "a*", "*b", "a*b", "*a*", "**"])


@given(
    patterns=st.lists(st.lists(wild, min_size=1, max_size=6), max_size=8),
    name=st.lists(segment, min_size=1, max_size=7),
)
def test_the_tree_finds_what_the_patterns_mean(
    patterns: list[list[str]], name: list[str]
) -> None:
    tree: Tree[str] = Tree()
    written = ["/".join(each) for each in patterns]
    for each in written:
        tree.add(each, each)
    expected = {each for each in written if matches(each, "/".join(name))}
    assert set(tree.find(name)) == expected
