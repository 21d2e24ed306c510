"""Our policies as Cedar text, decided by Cedar's own engine: an independent oracle.

Nothing of how we decide is used here: a pattern becomes conditions on the segments of
the resource, and what follows from several rules is left to Cedar.
"""

import json
from collections.abc import Iterator, Sequence

import cedarpy

from lineshaft.core.reading import to_us
from lineshaft.security.access.document import (
    EVERYONE,
    Approval,
    Document,
    Grant,
    Lasting,
)

MOST = 8
Asked = tuple[str, str, str, int]
"""Subject, action, name, moment."""


def decide(document: Document, asked: Sequence[Asked]) -> list[str]:
    """Return what Cedar says to each: allow, deny or approval."""
    may = _ask(list(_rules(document)), document, asked)
    second = _ask(list(_approvals(document.approval)), document, asked)
    return [
        "deny" if not allowed else "approval" if needed else "allow"
        for allowed, needed in zip(may, second, strict=True)
    ]


def _ask(rules: list[str], document: Document, asked: Sequence[Asked]) -> list[bool]:
    names = {name for _, _, name, _ in asked}
    entities = [*_subjects(document), *(_resource(name) for name in names)]
    requests = [
        {
            "principal": {"type": "Subject", "id": subject},
            "action": {"type": "Action", "id": action},
            "resource": {"type": "Place", "id": name},
            "context": {"now": now},
        }
        for subject, action, name, now in asked
    ]
    results = cedarpy.is_authorized_batch(
        requests,
        cedarpy.PolicySet.from_str("\n".join(rules)),
        cedarpy.Entities.from_json_str(json.dumps(entities)),
    )
    for result in results:
        assert not result.diagnostics.errors, result.diagnostics.errors
    return [result.allowed for result in results]


def _subjects(document: Document) -> Iterator[dict[str, object]]:
    for name, subject in document.subjects.items():
        groups = [g for g, members in document.groups.items() if name in members]
        yield {
            "uid": {"type": "Subject", "id": name},
            "attrs": {"tenant": subject.tenant},
            "parents": [{"type": "Group", "id": group} for group in groups],
        }
    for group in document.groups:
        yield {"uid": {"type": "Group", "id": group}, "attrs": {}, "parents": []}


def _resource(name: str) -> dict[str, object]:
    segments = name.split("/")
    attributes: dict[str, object] = {"depth": len(segments)}
    attributes |= {f"s{n}": segment for n, segment in enumerate(segments, 1)}
    uid = {"type": "Place", "id": name}
    return {"uid": uid, "attrs": attributes, "parents": []}


def _rules(document: Document) -> Iterator[str]:
    yield (
        "forbid (principal, action, resource) "
        "unless { resource.s1 == principal.tenant };"
    )
    for name, subject in document.subjects.items():
        during = _during(subject)
        yield (
            f'forbid (principal == Subject::"{name}", action, resource) '
            f"unless {{ {during} }};"
        )
    for _, _, rule in document.rules:
        if isinstance(rule, Approval):
            continue
        effect = "permit" if isinstance(rule, Grant) else "forbid"
        where = f"({_places(rule.on)}) && {_during(rule)}"
        for holder in rule.who:
            head = f"principal{_is(document, holder)}, {_actions(rule.actions)}"
            yield f"{effect} ({head}, resource) when {{ {where} }};"


def _approvals(rules: Sequence[Approval]) -> Iterator[str]:
    for rule in rules:
        head = f"principal, {_actions(rule.actions)}, resource"
        yield f"permit ({head}) when {{ {_places(rule.on)} }};"


def _is(document: Document, holder: str) -> str:
    if holder == EVERYONE:
        return ""
    if holder in document.groups:
        return f' in Group::"{holder}"'
    return f' == Subject::"{holder}"'


def _actions(actions: frozenset[str]) -> str:
    named = ", ".join(f'Action::"{action}"' for action in sorted(actions))
    return f"action in [{named}]"


def _during(lasting: Lasting) -> str:
    parts = ["true"]
    if lasting.since:
        parts.append(f"context.now >= {to_us(lasting.since)}")
    if lasting.until:
        parts.append(f"context.now < {to_us(lasting.until)}")
    return " && ".join(parts)


def _places(patterns: Sequence[str]) -> str:
    return " || ".join(f"({_place(p.split('/'))})" for p in patterns)


def _place(pattern: list[str]) -> str:
    """Write out every length that a pattern can have."""
    ways = [f"({_exactly(way)})" for way in _lengths(pattern)]
    return " || ".join(ways) or "false"


def _lengths(pattern: list[str]) -> Iterator[list[str]]:
    if "**" not in pattern:
        if len(pattern) <= MOST:
            yield pattern
        return
    at = pattern.index("**")
    fewest = 1 if at == len(pattern) - 1 else 0
    for count in range(fewest, MOST + 1):
        longer = [*pattern[:at], *["*"] * count, *pattern[at + 1 :]]
        if len([each for each in longer if each != "**"]) <= MOST:
            yield from _lengths(longer)


def _exactly(segments: list[str]) -> str:
    parts = [f"resource.depth == {len(segments)}"]
    for number, segment in enumerate(segments, 1):
        if segment == "*":
            continue
        if "*" in segment:
            parts.append(f'resource.s{number} like "{segment}"')
        else:
            parts.append(f'resource.s{number} == "{segment}"')
    return " && ".join(parts)
