"""What a policy file says, as its author writes it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, Field, model_validator

from lineshaft.core.errors import NotFound
from lineshaft.core.name import MOST_SEGMENTS, compile_pattern, did_you_mean
from lineshaft.security.access.roles import ACTIONS_OF, Action, Role

EVERYONE = "*"
Problem = tuple[tuple[str | int, ...], str]
"""The keys that lead to what is wrong, and what is wrong with it."""


class Lasting(BaseModel, frozen=True, extra="forbid"):
    """What counts for a time only."""

    since: AwareDatetime | None = Field(
        default=None, description="Counts from then on, like 2026-01-31T08:00:00Z."
    )
    until: AwareDatetime | None = Field(
        default=None, description="Does not count from then on."
    )

    def counts_at(self, moment: datetime) -> bool:
        """Whether it counts at that moment."""
        begun = self.since is None or self.since <= moment
        return begun and (self.until is None or moment < self.until)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since and self.until and self.since >= self.until:
            raise ValueError("since is not before until, so it would never count")
        return self


class Subject(Lasting, frozen=True, extra="forbid"):
    """The table `[subjects.NAME]`: someone or something that acts."""

    tenant: str = Field(
        pattern=r"^[\w-]+$",
        description="The enterprise, the first segment of names; nothing else is seen.",
    )
    kind: Literal["person", "app", "device", "gateway"] = Field(
        default="person", description="What it is."
    )


class Rule(Lasting, frozen=True, extra="forbid"):
    """What grants and denials have in common."""

    name: str = Field(
        min_length=1, max_length=100, description="Unique; reasons cite it."
    )
    who: tuple[str, ...] = Field(
        min_length=1, description="Subjects and groups; `*` is everyone."
    )
    on: tuple[str, ...] = Field(
        min_length=1, description="Patterns: `*` is one level, `**` any number."
    )
    note: str = Field(default="", description="Why there is this rule.")


class Grant(Rule, frozen=True, extra="forbid"):
    """A table `[[grant]]`: what somebody may do somewhere."""

    role: Role | None = Field(default=None, description="A usual set of actions.")
    may: tuple[Action, ...] = Field(
        default=(), description="Actions, beside or instead of a role."
    )

    @model_validator(mode="after")
    def _grants_something(self) -> Self:
        if self.role is None and not self.may:
            raise ValueError("add `role` or `may`, it grants nothing without")
        return self

    @property
    def actions(self) -> frozenset[Action]:
        """All actions that it grants."""
        return frozenset(self.may) | (ACTIONS_OF[self.role] if self.role else set())


class Denial(Rule, frozen=True, extra="forbid"):
    """A table `[[deny]]`: what nobody named may do there, whatever grants say."""

    may_not: tuple[Action, ...] = Field(min_length=1, description="Actions.")

    @property
    def actions(self) -> frozenset[Action]:
        """All actions that it denies."""
        return frozenset(self.may_not)


class Approval(BaseModel, frozen=True, extra="forbid"):
    """A table `[[approval]]`: where a second person must agree."""

    name: str = Field(
        min_length=1, max_length=100, description="Unique; reasons cite it."
    )
    on: tuple[str, ...] = Field(min_length=1, description="Patterns, as in a grant.")
    needed_to: tuple[Action, ...] = Field(min_length=1, description="Actions.")
    by: tuple[str, ...] = Field(
        min_length=1, description="Subjects and groups who may agree."
    )
    within_s: float = Field(
        default=600.0, gt=0, le=86_400, description="How long a request stays open."
    )
    note: str = Field(default="", description="Why there is this rule.")

    @property
    def actions(self) -> frozenset[Action]:
        """All actions that need a second person."""
        return frozenset(self.needed_to)


AnyRule = Grant | Denial | Approval


class Trial(BaseModel, frozen=True, extra="forbid"):
    """A table `[[test]]`: what the policy must say."""

    who: str = Field(description="A subject.")
    may: Action = Field(description="The action that is tried.")
    on: str = Field(description="The name or place that it is tried on.")
    expect: Literal["allow", "deny", "approval"] = Field(description="The decision.")
    at: AwareDatetime | None = Field(
        default=None, description="When it is tried; left out, now."
    )


class Document(BaseModel, frozen=True, extra="forbid"):
    """The whole of policy.toml."""

    subjects: dict[str, Subject] = Field(
        default={}, description="Who acts, one table [subjects.NAME] each."
    )
    groups: dict[str, tuple[str, ...]] = Field(
        default={}, description="Names for several subjects."
    )
    grant: tuple[Grant, ...] = Field(default=(), description="Who may do what.")
    deny: tuple[Denial, ...] = Field(default=(), description="Stronger than grants.")
    approval: tuple[Approval, ...] = Field(
        default=(), description="Where two people are needed."
    )
    test: tuple[Trial, ...] = Field(default=(), description="What must hold.")

    @property
    def rules(self) -> Iterator[tuple[str, int, AnyRule]]:
        """Every rule with its table and its number there; denials come first."""
        for number, denial in enumerate(self.deny):
            yield "deny", number, denial
        for number, grant in enumerate(self.grant):
            yield "grant", number, grant
        for number, approval in enumerate(self.approval):
            yield "approval", number, approval

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the document as a whole."""
        yield from self._people()
        seen: dict[str, str] = {}
        for table, number, rule in self.rules:
            if rule.name in seen:
                taken = f"{rule.name!r} is the name of another rule already"
                yield (table, number, "name"), f"{taken}, in [[{seen[rule.name]}]]"
            seen.setdefault(rule.name, table)
            yield from self._places_and_people(table, number, rule)
        for number, trial in enumerate(self.test):
            if trial.who not in self.subjects:
                said = f"there is no subject {trial.who!r}"
                near = did_you_mean(trial.who, list(self.subjects))
                yield ("test", number, "who"), said + near

    def _places_and_people(
        self, table: str, number: int, rule: AnyRule
    ) -> Iterator[Problem]:
        for pattern in rule.on:
            if said := _fault_of(pattern):
                yield (table, number, "on"), said
        key, names = (
            ("by", rule.by) if isinstance(rule, Approval) else ("who", rule.who)
        )
        for name in names:
            if said := self._unknown(name):
                yield (table, number, key), said

    def _people(self) -> Iterator[Problem]:
        for name in self.subjects:
            if not _is_word(name):
                said = f"{name!r} has other letters than letters, digits, _ - . and @"
                yield ("subjects", name), said
        for group, members in self.groups.items():
            if group in self.subjects:
                yield ("groups", group), f"{group!r} is the name of a subject already"
            if not _is_word(group):
                said = f"{group!r} has other letters than letters, digits, _ - . and @"
                yield ("groups", group), said
            for member in members:
                if member not in self.subjects:
                    said = f"there is no subject {member!r}"
                    near = did_you_mean(member, list(self.subjects))
                    yield ("groups", group), said + near

    def _unknown(self, name: str) -> str:
        known = [*self.subjects, *self.groups]
        if name == EVERYONE or name in known:
            return ""
        return f"there is no subject or group {name!r}{did_you_mean(name, known)}"


def _is_word(name: str) -> bool:
    return bool(name) and all(letter.isalnum() or letter in "_@.-" for letter in name)


def _fault_of(pattern: str) -> str:
    try:
        compile_pattern(pattern)
    except NotFound as error:
        return str(error)
    if pattern.count("/") >= MOST_SEGMENTS:
        return f"{pattern!r} has more than {MOST_SEGMENTS} segments and means no name"
    if pattern != pattern.strip("/"):
        return f"{pattern!r} begins or ends with a slash; leave it out"
    return ""
