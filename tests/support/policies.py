"""Policies by chance, and small ones by hand."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from lineshaft.security.access.document import (
    Approval,
    Denial,
    Document,
    Grant,
    Subject,
)
from lineshaft.security.access.roles import Action, Role

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = ("osaka", "press", "speed", "p1", "p2")
HARDLY = ("p*", "*1", "s*e*d", "*", "*")


def name(chance: random.Random) -> str:
    """Return a name; few words, so that names and patterns often meet."""
    tenant = chance.choice(("acme", "acme", "rival"))
    rest = [chance.choice(WORDS) for _ in range(chance.randint(0, 5))]
    return "/".join([tenant, *rest])


def pattern(chance: random.Random) -> str:
    """Return a pattern made of a name: with `*`, `p*` and `**` here and there."""
    segments = [
        chance.choice(HARDLY) if chance.random() < 0.4 else segment
        for segment in name(chance).split("/")
    ]
    if chance.random() < 0.3:
        segments.insert(chance.randint(0, len(segments)), "**")
    if chance.random() < 0.6:
        segments = [*segments[: chance.randint(0, 2)], "**"]
    return "/".join(segments)


def lasting(chance: random.Random) -> dict[str, Any]:
    """Return since and until, or one, or none, around `NOON`."""
    bounds: dict[str, Any] = {}  # Any: what a model takes
    if chance.random() < 0.2:
        bounds["since"] = NOON + timedelta(hours=chance.randint(-3, 3))
    if chance.random() < 0.2:
        bounds["until"] = NOON + timedelta(hours=chance.randint(4, 8))
    return bounds


def policy(chance: random.Random) -> Document:
    """Return a policy in which every rule of deciding comes up."""
    people = [f"user{number}" for number in range(6)]
    groups = {f"group{n}": tuple(chance.sample(people, 3)) for n in range(3)}
    holders = [*people, *groups, *groups, "*"]
    actions = list(Action)

    def some() -> tuple[str, ...]:
        return tuple(chance.sample(holders, chance.randint(1, 2)))

    def places() -> tuple[str, ...]:
        return tuple(pattern(chance) for _ in range(chance.randint(1, 3)))

    grants = tuple(
        Grant(
            name=f"grant{number}",
            who=some(),
            on=places(),
            role=chance.choice(list(Role)),
            may=tuple(chance.sample(actions, chance.randint(0, 2))),
            **lasting(chance),
        )
        for number in range(20)
    )
    denials = tuple(
        Denial(
            name=f"deny{number}",
            who=some(),
            on=places(),
            may_not=tuple(chance.sample(actions, 2)),
            **lasting(chance),
        )
        for number in range(3)
    )
    approvals = tuple(
        Approval(name=f"two{n}", on=places(), needed_to=(Action.WRITE,), by=("*",))
        for n in range(2)
    )
    subjects = {
        person: Subject(tenant=chance.choice(("acme", "rival")), **lasting(chance))
        for person in people
    }
    return Document(
        subjects=subjects,
        groups=groups,
        grant=grants,
        deny=denials,
        approval=approvals,
    )
