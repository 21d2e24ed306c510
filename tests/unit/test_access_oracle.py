"""Cedar, which was not written here, decides as we do."""

import random

import pytest

from lineshaft.core.reading import to_us
from lineshaft.security.access.document import Document
from lineshaft.security.access.policy import Policy
from lineshaft.security.access.roles import Action
from support import cedar, policies

POLICIES, CASES_EACH = 50, 200
HOUR_US = 3_600_000_000


def asked(chance: random.Random, document: Document) -> list[cedar.Asked]:
    noon = to_us(policies.NOON)
    return [
        (
            chance.choice(list(document.subjects)),
            str(chance.choice(list(Action))),
            policies.name(chance),
            noon + chance.randint(-4, 9) * HOUR_US,
        )
        for _ in range(CASES_EACH)
    ]


def ours(document: Document, cases: list[cedar.Asked]) -> list[str]:
    policy = Policy(document)
    return [
        str(policy.decide(subject, Action(action), name, at).outcome)
        for subject, action, name, at in cases
    ]


@pytest.mark.timeout(300)
def test_cedar_agrees_on_ten_thousand_decisions() -> None:
    seen = dict.fromkeys(("allow", "deny", "approval"), 0)
    for seed in range(POLICIES):
        chance = random.Random(seed)
        document = policies.policy(chance)
        cases = asked(chance, document)
        expected = cedar.decide(document, cases)
        for case, theirs, mine in zip(
            cases, expected, ours(document, cases), strict=True
        ):
            assert mine == theirs, (seed, case)
            seen[mine] += 1
    assert sum(seen.values()) == 10_000
    assert min(seen.values()) > 100, f"hardly a comparison: {seen}"


@pytest.mark.parametrize("part", ["grant", "deny", "approval", "groups"])
def test_cedar_disagrees_when_a_part_of_the_policy_is_lost(part: str) -> None:
    found = 0
    for seed in range(10):
        chance = random.Random(seed)
        document = policies.policy(chance)
        cases = asked(chance, document)
        nothing = dict.fromkeys(document.groups, ()) if part == "groups" else ()
        lost = document.model_copy(update={part: nothing})
        found += ours(lost, cases) != cedar.decide(document, cases)
    assert found > 3
