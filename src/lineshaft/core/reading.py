"""What a point said: a value, its time, and whether it can be trusted."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

Value = bool | int | float | str
"""What a point can say. A float may be infinite or NaN only with quality BAD."""


class Quality(StrEnum):
    """Whether a value can be trusted (the three severities of IEC 62541-8, 6.3)."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Status(NamedTuple):
    """A quality and, unless it is good, the reason in words."""

    quality: Quality
    reason: str = ""


GOOD = Status(Quality.GOOD)


def bad(reason: str) -> Status:
    """Return the status of a value that must not be used."""
    return Status(Quality.BAD, reason)


def uncertain(reason: str) -> Status:
    """Return the status of a value that may be used with care."""
    return Status(Quality.UNCERTAIN, reason)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading, for people and the API. What flows in bulk is a `Frame`."""

    name: str
    value: Value | None
    status: Status
    time_us: int
    """Source time, microseconds since 1970 UTC."""
    unit: str = ""

    @property
    def time(self) -> datetime:
        """Return the source time as an aware datetime in UTC."""
        return from_us(self.time_us)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_us(time_us: int) -> datetime:
    """Return microseconds since 1970 as an aware datetime in UTC."""
    seconds, micro = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micro)


def to_us(time: datetime) -> int:
    """Return an aware datetime as microseconds since 1970, exactly."""
    passed = time - _EPOCH
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds


def iso(time_us: int) -> str:
    """Return the time as RFC 3339 text in UTC with microseconds."""
    return from_us(time_us).isoformat(timespec="microseconds").replace("+00:00", "Z")
