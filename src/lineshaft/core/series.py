"""What the historian answers with: the past of points, as columns."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import Columns, Frame
from lineshaft.core.reading import Status


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Readings of one point, oldest first; `columns.point` is all 0."""

    name: str
    unit: str
    texts: tuple[str, ...]
    statuses: tuple[Status, ...]
    columns: Columns
    more: bool = False
    """Whether a limit cut it short; ask again from the last time on."""


class Aggregate(StrEnum):
    """What can be told of the readings in a bucket of time."""

    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    TIME_MEAN = "time_mean"
    """Mean weighted by how long each value stood (IEC 62541-13, 5.4.3.5)."""
    FIRST = "first"
    LAST = "last"
    COUNT = "count"
    GOOD = "good"
    """Share of the bucket's time, 0 to 1, in which the last value said was good."""


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Aggregates of one point over buckets of equal length.

    `start` holds the begin of each bucket (microseconds since 1970 UTC, multiples of
    `every_us`) of the asked span, also of those without readings: their count is 0
    and their aggregates are NaN, which is how a gap is seen. Bad readings count for
    nothing but `good`. `columns` has what was asked for.
    """

    name: str
    unit: str
    every_us: int
    start: NDArray[np.int64]
    columns: dict[Aggregate, NDArray[np.float64]]


class Format(StrEnum):
    """How an export is written."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"


class History(Protocol):
    """The past, whoever keeps it. Times are microseconds since 1970 UTC.

    Spans include `start_us` and exclude `end_us`. A point that was never recorded
    has an empty past. `Unreachable` when the historian does not answer.
    """

    async def names(self, pattern: str) -> list[str]:
        """Return the names that an export of this pattern can have, in order."""

    async def last(self, pattern: str) -> Frame:
        """Return the newest reading of each point that the pattern means."""

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return every reading of the span, the oldest `limit` of them."""

    async def buckets(
        self,
        names: Sequence[str],
        start_us: int,
        end_us: int,
        every_us: int,
        wanted: Sequence[Aggregate] = tuple(Aggregate),
    ) -> list[Buckets]:
        """Return aggregates of each point over buckets of `every_us`.

        `TIME_MEAN` and `GOOD` need each reading in its order; without them many
        points and long spans are answered much faster.
        """

    def export(
        self, pattern: str, start_us: int, end_us: int, form: Format
    ) -> AsyncIterator[bytes]:
        """Yield a file with every reading of the span, in parts."""
