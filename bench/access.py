"""How many decisions about who may are made in a second, in one process.

    python bench/access.py

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`. The policy
has 30,000 grants for 2,000 subjects in 200 groups; each question asks for another
subject, action and point. The first pass also grows the trees of all subjects and
groups, once for a policy; the next ones are what goes on all day: the same pages and
programs ask for the same points.
"""

import random
import time

from lineshaft.security.access.document import Approval, Document, Grant, Subject
from lineshaft.security.access.policy import Policy
from lineshaft.security.access.roles import Action, Role

Row = dict[str, object]
SUBJECTS, GROUPS, GRANTS, QUESTIONS = 2_000, 200, 30_000, 150_000
BAR = 200_000
TENANTS = 20


def _document(chance: random.Random) -> Document:
    names = [f"user{number}" for number in range(SUBJECTS)]
    members = {f"group{n}": tuple(chance.sample(names, 20)) for n in range(GROUPS)}
    grants = tuple(
        Grant(
            name=f"grant{number}",
            who=(chance.choice(names) if number % 2 else f"group{number % GROUPS}",),
            role=chance.choice(list(Role)),
            on=(f"{_place(chance)}/**",),
        )
        for number in range(GRANTS)
    )
    second = Approval(
        name="two", on=("*/site1/**",), needed_to=(Action.WRITE,), by=("group1",)
    )
    return Document(
        subjects={
            name: Subject(tenant=f"e{number % TENANTS}")
            for number, name in enumerate(names)
        },
        groups=members,
        grant=grants,
        approval=(second,),
    )


def _place(chance: random.Random) -> str:
    tenant, site = chance.randrange(TENANTS), chance.randrange(5)
    return f"e{tenant}/site{site}/line{chance.randrange(50)}"


def _question(chance: random.Random) -> tuple[str, Action, str]:
    number = chance.randrange(SUBJECTS)
    _, _, place = _place(chance).partition("/")
    name = f"e{number % TENANTS}/{place}/cell{chance.randrange(9)}/point"
    return f"user{number}", chance.choice(list(Action)), f"{name}{chance.randrange(99)}"


def _per_second(policy: Policy, asked: list[tuple[str, Action, str]]) -> float:
    now_us = int(time.time() * 1e6)
    began = time.perf_counter()
    for subject, action, name in asked:
        policy.decide(subject, action, name, now_us)
    return len(asked) / (time.perf_counter() - began)


def rows() -> list[Row]:
    """Return decisions in a second: each asked for the first time, and again."""
    chance = random.Random(7)
    policy = Policy(_document(chance))
    asked = [_question(chance) for _ in range(QUESTIONS)]
    first = _per_second(policy, asked)
    again = max(_per_second(policy, asked) for _ in range(3))
    unit = "decisions/s"
    return [
        {
            "name": f"access: {GRANTS:,} grants, asked again",
            "value": round(again),
            "unit": unit,
            "bar": BAR,
            "ok": again >= BAR,
        },
        {
            "name": f"access: {GRANTS:,} grants, each new, trees grown",
            "value": round(first),
            "unit": unit,
            "bar": None,
            "ok": True,
        },
    ]


if __name__ == "__main__":
    for row in rows():
        print(row)
