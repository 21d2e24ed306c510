"""The one gate that data pass at each stage of their life.

The table below is by grade and stage. Sources are articles of the measures for data
security in industry and information technology (MIIT 2022/166, in force since
2023-01-01), of the guide for the classification of industrial data (MIIT 2020/6), or a
rule of ours where we know of none. What is marked "not verified" was not compared with
the text of the article.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from lineshaft.core.errors import Denied
from lineshaft.core.name import matches
from lineshaft.security.data.labels import Grade
from lineshaft.security.data.settings import ApprovalSettings, Settings


class Stage(StrEnum):
    """What becomes of data."""

    COLLECT = "collect"
    STORE = "store"
    PROCESS = "process"
    TRANSFER = "transfer"
    """To another place of the same enterprise."""
    PROVIDE = "provide"
    """To somebody else."""
    PUBLISH = "publish"
    DESTROY = "destroy"
    LEAVE = "leave"
    """Out of the country."""


class Outcome(StrEnum):
    """What the gate says."""

    ALLOW = "allow"
    ASK = "ask"
    """Only with an approval in writing."""
    REFUSE = "refuse"


class Ruling(msgspec.Struct, frozen=True):
    """What holds for a grade at a stage."""

    outcome: Outcome
    reason: str
    source: str


class Passage(msgspec.Struct, frozen=True):
    """What the gate decided, and why."""

    stage: Stage
    outcome: Outcome
    label: str
    """As files carry it; empty if there is none."""
    reason: str
    source: str
    approval: str = ""
    """The approval that it passed by."""

    @property
    def sentence(self) -> str:
        """Return it for people."""
        said = {
            Outcome.ALLOW: "may",
            Outcome.ASK: "may not without an approval in writing",
            Outcome.REFUSE: "may not",
        }[self.outcome]
        deed = _DEEDS[self.stage]
        return f"data labelled {self.label or 'nothing'} {said} {deed}: {self.reason}"


_DEEDS: Mapping[Stage, str] = {
    Stage.COLLECT: "be collected",
    Stage.STORE: "be stored",
    Stage.PROCESS: "be processed",
    Stage.TRANSFER: "be moved to another place of ours",
    Stage.PROVIDE: "be given away",
    Stage.PUBLISH: "be published",
    Stage.DESTROY: "be destroyed",
    Stage.LEAVE: "leave the country",
}
_OURS = "rule of Lineshaft"
_ART_8, _ART_21 = "MIIT 2022/166 art. 8", "MIIT 2022/166 art. 21"
_GUIDE = "MIIT 2020/6 art. 12-17 (not verified)"


def _art(number: int) -> str:
    return f"MIIT 2022/166 art. {number} (not verified)"


_ALLOW, _ASK, _REFUSE = Outcome.ALLOW, Outcome.ASK, Outcome.REFUSE
_INSIDE = Ruling(_ALLOW, "it stays where the plant is", _OURS)
_NO_LABEL = Ruling(_REFUSE, "what has no label is not handed out", _OURS)
_CAREFUL = Ruling(_ASK, "nobody alone moves or destroys what has no label", _OURS)

RULINGS: Mapping[tuple[Stage, Grade | None], Ruling] = {
    **{
        (stage, grade): _INSIDE
        for stage in (Stage.COLLECT, Stage.STORE, Stage.PROCESS)
        for grade in (None, *Grade)
    },
    (Stage.TRANSFER, None): _CAREFUL,
    (Stage.PROVIDE, None): _NO_LABEL,
    (Stage.PUBLISH, None): _NO_LABEL,
    (Stage.DESTROY, None): _CAREFUL,
    (Stage.LEAVE, None): _NO_LABEL,
    (Stage.TRANSFER, Grade.GENERAL): Ruling(
        _ALLOW, "general data are moved freely", _ART_8
    ),
    (Stage.PROVIDE, Grade.GENERAL): Ruling(
        _ALLOW, "general data are shared freely", _GUIDE
    ),
    (Stage.PUBLISH, Grade.GENERAL): Ruling(
        _ASK, "nobody publishes alone what cannot be taken back", _OURS
    ),
    (Stage.DESTROY, Grade.GENERAL): Ruling(
        _ALLOW, "general data end with their retention", _ART_8
    ),
    (Stage.LEAVE, Grade.GENERAL): Ruling(
        _ALLOW, "what was not announced as important needs no declaration", _ART_21
    ),
    (Stage.TRANSFER, Grade.IMPORTANT): Ruling(
        _ALLOW, "over a secure channel", _art(16)
    ),
    (Stage.PROVIDE, Grade.IMPORTANT): Ruling(
        _ASK, "it takes an agreement, and who gets them is assessed", _GUIDE
    ),
    (Stage.PUBLISH, Grade.IMPORTANT): Ruling(
        _REFUSE, "important data are not for everyone", _OURS
    ),
    (Stage.DESTROY, Grade.IMPORTANT): Ruling(
        _ASK, "it cannot be undone and is recorded", _art(20)
    ),
    (Stage.LEAVE, Grade.IMPORTANT): Ruling(
        _ASK, "it takes a security assessment", _ART_21
    ),
    (Stage.TRANSFER, Grade.CORE): Ruling(
        _ASK, "core data are moved only when somebody has weighed it", _art(16)
    ),
    (Stage.PROVIDE, Grade.CORE): Ruling(
        _REFUSE, "core data are in principle not shared", _GUIDE
    ),
    (Stage.PUBLISH, Grade.CORE): Ruling(_REFUSE, "core data are not shared", _GUIDE),
    (Stage.DESTROY, Grade.CORE): Ruling(
        _ASK, "it cannot be undone and is recorded", _art(20)
    ),
    (Stage.LEAVE, Grade.CORE): Ruling(
        _REFUSE, "core data stay in the country", _ART_21
    ),
}
"""By stage and grade; the grade None is that of data without a label."""


Decided = Callable[[Passage, Sequence[str]], None]
"""Told of a decision, and of the points that it was about."""


class Gate:
    """Decides for a plant whose data are labelled."""

    def __init__(self, settings: Settings, decided: Decided | None = None) -> None:
        """`decided` is told each decision that `pass_on` and `label_export` make."""
        self._settings = settings
        self._labels = settings.labels
        self._decided = decided

    def decide(
        self, stage: Stage, names: Sequence[str], region: str, now: datetime
    ) -> Passage:
        """Return whether these points may pass together, towards `region`.

        What is given to another region leaves the country; empty is our own region.
        """
        ours = self._settings.region
        region = region or ours
        if region != ours and stage is not Stage.DESTROY:
            stage = Stage.LEAVE
        label = self._labels.together(names)
        ruling = RULINGS[stage, label.grade if label else None]
        approval = ""
        outcome, reason, source = ruling.outcome, ruling.reason, ruling.source
        if label is None:
            bare = [name for name in names if self._labels.of(name) is None]
            more = f", and {len(bare) - 1} more" if len(bare) > 1 else ""
            reason += f" ({bare[0]}{more}); label it under [data]" if bare else ""
        if outcome is Outcome.ASK:
            found = self._approval(stage, names, region, now)
            if found is not None:
                outcome, approval = Outcome.ALLOW, found.id
                reason = f"{found.by} agreed ({found.id})"
        told = str(label) if label else ""
        return Passage(stage, outcome, told, reason, source, approval)

    def label_export(self, names: Sequence[str], region: str, now: datetime) -> str:
        """Return the label that a file of these points carries to somebody.

        `Denied` if it may not be handed out.
        """
        if not names:
            return ""  # a file of nothing
        return self.pass_on(Stage.PROVIDE, names, region, now).label

    def pass_on(
        self, stage: Stage, names: Sequence[str], region: str, now: datetime
    ) -> Passage:
        """Return by what right these points pass; `Denied` if they may not."""
        passage = self.decide(stage, names, region, now)
        if self._decided is not None:
            self._decided(passage, names)
        if passage.outcome is not Outcome.ALLOW:
            raise Denied(f"{passage.sentence} [{passage.source}]")
        return passage

    def sift(self, stage: Stage, names: Sequence[str], now: datetime) -> set[str]:
        """Return those points that may pass by themselves, as to an output of ours.

        Points of one label share a decision, and a record.
        """
        alike: dict[tuple[Outcome, str, str], tuple[Passage, list[str]]] = {}
        for name in names:
            passage = self.decide(stage, [name], "", now)
            key = (passage.outcome, passage.label, passage.approval)
            alike.setdefault(key, (passage, []))[1].append(name)
        passed: set[str] = set()
        for passage, those in alike.values():
            if self._decided is not None:
                self._decided(passage, those)
            if passage.outcome is Outcome.ALLOW:
                passed.update(those)
        return passed

    def _approval(
        self, stage: Stage, names: Sequence[str], region: str, now: datetime
    ) -> ApprovalSettings | None:
        """Return an approval for all of these; several are not put together."""
        for each in self._settings.approval:
            there = (each.region or self._settings.region) == region
            counts = each.stage == stage and there and each.counts(now)
            if counts and all(_is_meant(each.on, name) for name in names):
                return each
        return None


def _is_meant(patterns: Sequence[str], name: str) -> bool:
    return any(matches(p, name) or matches(f"{p}/**", name) for p in patterns)
