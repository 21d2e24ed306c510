"""Whether somebody may: the decision, made often and quickly.

Everything is denied unless a grant allows it; one denial outweighs all grants; nobody
sees another tenant, whatever a pattern would mean there.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from operator import itemgetter

import msgspec

from lineshaft.core.name import LONGEST, MOST_SEGMENTS
from lineshaft.core.reading import to_us
from lineshaft.security.access.document import (
    EVERYONE,
    AnyRule,
    Approval,
    Denial,
    Document,
    Grant,
    Lasting,
)
from lineshaft.security.access.roles import Action
from lineshaft.security.tree import Tree

ALWAYS, NEVER = -(1 << 62), 1 << 62
MOST_KEPT = 200_000
"""Decisions that are remembered; beyond them all are forgotten and made again."""
_TARGET = re.compile(rf"[\w-]+(?:/[\w-]+){{0,{MOST_SEGMENTS - 1}}}")


class Outcome(StrEnum):
    """What a decision is."""

    ALLOW = "allow"
    DENY = "deny"
    APPROVAL = "approval"
    """Allowed once a second person agrees."""


class Reason(StrEnum):
    """Why a decision is what it is."""

    GRANTED = "granted"
    NEEDS_APPROVAL = "needs approval"
    DENIED = "denied by a rule"
    NO_GRANT = "no grant"
    OTHER_TENANT = "another tenant"
    NOT_NOW = "the subject does not count at this time"
    UNKNOWN = "unknown subject"
    NO_NAME = "not a name"
    OWNER = "runs the plant"
    NOT_IN_SCOPE = "the token is not for that"


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What was asked, what was decided, and by which rule."""

    subject: str
    action: Action
    name: str
    outcome: Outcome
    reason: Reason
    rule: str = ""
    """The grant, denial or approval that decided; empty if none did."""

    @property
    def is_allowed(self) -> bool:
        """Whether it may be done at once."""
        return self.outcome is Outcome.ALLOW


class Ruling(msgspec.Struct, frozen=True, gc=False):
    """A grant or a denial, as far as deciding needs it."""

    number: int
    """The place in the file, among all rules."""
    name: str
    denies: bool
    bounds: tuple[int, ...] = ()
    """Counts from the first to the second, microseconds; empty: always."""


class _Known(msgspec.Struct, frozen=True):
    tenant: str
    bounds: tuple[int, ...]
    holders: tuple[str, ...]
    """The subject itself, its groups, and everyone: whose rules count for it."""


class _Kept(msgspec.Struct, frozen=True, gc=False):
    decision: Decision
    since_us: int
    until_us: int


class Policy:
    """A policy that decides. It does not change; a new version is a new object."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._known = dict(_known(document))
        self._rules: dict[str, list[tuple[Ruling, Grant | Denial]]] = defaultdict(list)
        for number, (_, _, rule) in enumerate(document.rules):
            if isinstance(rule, Approval):
                continue
            ruling = Ruling(
                number,
                rule.name,
                isinstance(rule, Denial),
                _bounds(rule),
            )
            for holder in dict.fromkeys(rule.who):
                self._rules[holder].append((ruling, rule))
        self._trees_of: dict[tuple[str, Action], tuple[Tree[Ruling], ...]] = {}
        self._grown: dict[str, dict[Action, Tree[Ruling]]] = {}
        self._approvals: dict[Action, Tree[tuple[int, Approval]]] = {}
        self._kept: dict[tuple[str, Action, str], _Kept] = {}

    def decide(self, subject: str, action: Action, name: str, at_us: int) -> Decision:
        """Return whether `subject` may do this to the point or place `name`.

        `at_us` is the moment, in microseconds since 1970 UTC, for which it is asked.
        """
        key = (subject, action, name)
        kept = self._kept.get(key)
        if kept is None or not kept.since_us <= at_us < kept.until_us:
            kept = self._decide(subject, action, name, at_us)
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = kept
        return kept.decision

    def rule(self, name: str) -> AnyRule | None:
        """Return the rule of that name."""
        return next((r for _, _, r in self.document.rules if r.name == name), None)

    def holders_of(self, subject: str) -> tuple[str, ...]:
        """Return whose rules count for a subject: its own, its groups', everyone's."""
        known = self._known.get(subject)
        return known.holders if known else ()

    def counts(self, subject: str, name: str, at_us: int) -> Reason | None:
        """Return why a subject can do nothing at all here and now; None if it can."""
        known = self._known.get(subject)
        if known is None:
            return Reason.UNKNOWN
        if len(name) > LONGEST or not _TARGET.fullmatch(name):
            return Reason.NO_NAME
        if name.partition("/")[0] != known.tenant:
            return Reason.OTHER_TENANT
        if known.bounds and not _is_within(known.bounds, at_us):
            return Reason.NOT_NOW
        return None

    def _decide(self, subject: str, action: Action, name: str, at_us: int) -> _Kept:
        asked = (subject, action, name)
        known = self._known.get(subject)
        reason = self.counts(subject, name, at_us)
        if known is None or reason is not None:
            denied = Decision(*asked, Outcome.DENY, reason or Reason.UNKNOWN)
            return _keep(denied, at_us, known.bounds if known else ())
        segments = name.split("/")
        first: Ruling | None = None
        bounds = known.bounds
        for tree in self._trees_for(subject, action):
            for ruling in tree.find(segments):
                if ruling.bounds:
                    bounds += ruling.bounds
                    if not _is_within(ruling.bounds, at_us):
                        continue
                if first is None or ruling.number < first.number:
                    first = ruling
        return _keep(self._judge(asked, first), at_us, bounds)

    def _judge(self, asked: tuple[str, Action, str], first: Ruling | None) -> Decision:
        """Decide by the first rule that counts; denials come before all grants."""
        if first is None:
            return Decision(*asked, Outcome.DENY, Reason.NO_GRANT)
        if first.denies:
            return Decision(*asked, Outcome.DENY, Reason.DENIED, first.name)
        _, action, name = asked
        needed = self.approval(action, name)
        if needed is not None:
            reason = Reason.NEEDS_APPROVAL
            return Decision(*asked, Outcome.APPROVAL, reason, needed.name)
        return Decision(*asked, Outcome.ALLOW, Reason.GRANTED, first.name)

    def approval(self, action: Action, name: str) -> Approval | None:
        """Return the first rule that wants a second person for this, if any does."""
        tree = self._approvals.get(action)
        if tree is None:
            tree = self._approvals[action] = Tree()
            for number, rule in enumerate(self.document.approval):
                for pattern in rule.on if action in rule.actions else ():
                    tree.add(pattern, (number, rule))
        found = tree.find(name.split("/"))
        return min(found, key=itemgetter(0))[1] if found else None

    def _trees_for(self, subject: str, action: Action) -> tuple[Tree[Ruling], ...]:
        key = (subject, action)
        trees = self._trees_of.get(key)
        if trees is None:
            holders = [self._trees_by(holder) for holder in self.holders_of(subject)]
            trees = tuple(trees[action] for trees in holders if action in trees)
            self._trees_of[key] = trees
        return trees

    def _trees_by(self, holder: str) -> dict[Action, Tree[Ruling]]:
        trees = self._grown.get(holder)
        if trees is None:
            trees = self._grown[holder] = _grow(self._rules.get(holder, ()))
        return trees


def _grow(
    rules: Sequence[tuple[Ruling, Grant | Denial]],
) -> dict[Action, Tree[Ruling]]:
    trees: dict[Action, Tree[Ruling]] = defaultdict(Tree)
    for ruling, rule in rules:
        for action in rule.actions:
            for pattern in rule.on:
                trees[action].add(pattern, ruling)
    return dict(trees)


def _keep(decision: Decision, at_us: int, bounds: Iterable[int]) -> _Kept:
    """Say how long a decision stands: until the next rule begins or ends to count."""
    since_us, until_us = ALWAYS, NEVER
    for bound in bounds:
        if since_us < bound <= at_us:
            since_us = bound
        elif at_us < bound < until_us:
            until_us = bound
    return _Kept(decision, since_us, until_us)


def _known(document: Document) -> Iterable[tuple[str, _Known]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for group, members in document.groups.items():
        for member in members:
            groups[member].append(group)
    for name, subject in document.subjects.items():
        holders = (name, *dict.fromkeys(groups[name]), EVERYONE)
        yield name, _Known(subject.tenant, _bounds(subject), holders)


def _bounds(lasting: Lasting) -> tuple[int, ...]:
    if lasting.since is None and lasting.until is None:
        return ()
    since_us = ALWAYS if lasting.since is None else to_us(lasting.since)
    until_us = NEVER if lasting.until is None else to_us(lasting.until)
    return since_us, until_us


def _is_within(bounds: tuple[int, ...], at_us: int) -> bool:
    return bounds[0] <= at_us < bounds[1]
