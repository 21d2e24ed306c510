"""The table `[data]`: what the data are worth, and what was approved."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from lineshaft.core.errors import NotFound
from lineshaft.core.name import compile_pattern
from lineshaft.security.data.labels import Class, Grade, Label, Labels

Problem = tuple[tuple[str | int, ...], str]
"""The keys that lead to a setting, and what is wrong with it."""
Patterns = tuple[str, ...]


class LabelSettings(BaseModel, frozen=True, extra="forbid"):
    """A table `[[data.label]]`: the label of a part of the plant."""

    on: Patterns = Field(
        min_length=1,
        description="Places, points or patterns; what is below inherits it.",
    )
    class_: Class = Field(alias="class", description="What the data are about.")
    grade: Literal["general", "important", "core"] = Field(
        description="What harm comes of it; of several labels the highest counts."
    )

    @property
    def label(self) -> Label:
        """The label that it gives."""
        return Label(frozenset({self.class_}), Grade[self.grade.upper()])


class ApprovalSettings(BaseModel, frozen=True, extra="forbid"):
    """A table `[[data.approval]]`: what somebody has agreed to, in writing."""

    id: str = Field(
        min_length=1, description="The number of the contract or the assessment."
    )
    by: str = Field(min_length=1, description="Who agreed.")
    stage: Literal["transfer", "provide", "publish", "destroy", "leave"] = Field(
        description="What may be done."
    )
    on: Patterns = Field(min_length=1, description="With which data, as in a label.")
    region: str = Field(default="", description="To which region; left out, our own.")
    until: AwareDatetime = Field(description="From then on it does not count.")

    def counts(self, now: datetime) -> bool:
        """Whether it has not ended."""
        return now < self.until


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[data]` of lineshaft.toml. Without it no data are labelled."""

    region: str = Field(
        default="", pattern=r"^[\w-]*$", description="Where this plant is, like `cn`."
    )
    label: tuple[LabelSettings, ...] = Field(
        default=(), description="Labels of parts of the plant, [[data.label]] each."
    )
    approval: tuple[ApprovalSettings, ...] = Field(
        default=(), description="What was agreed to, [[data.approval]] each."
    )

    @property
    def labels(self) -> Labels:
        """Return all labels."""
        return Labels((p, each.label) for each in self.label for p in each.on)

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with patterns."""
        for table in ("label", "approval"):
            for number, entry in enumerate(getattr(self, table)):
                for pattern in entry.on:
                    try:
                        compile_pattern(pattern)
                    except NotFound as error:
                        yield ("data", table, number, "on"), str(error)
