"""Aggregates of very many readings, gathered part by part.

What depends only on the readings within a bucket can be told of each part of the past
on its own and put together: an hour of 5,000 points is read where it lies, without
sorting it into one row of readings per point first.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.series import Aggregate
from lineshaft.platform.historian.memory.packed import Packed

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
GATHERED = frozenset(
    {
        Aggregate.COUNT,
        Aggregate.MEAN,
        Aggregate.MIN,
        Aggregate.MAX,
        Aggregate.FIRST,
        Aggregate.LAST,
    }
)
"""What can be gathered; the others need what stood before a bucket."""
_NEVER = np.iinfo(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one part of the past tells of some buckets; columns of one length.

    A reading is usable when it has a number and is not bad. What is not wanted may be
    missing; what needs a usable reading is NaN where there is none.
    """

    where: Integers
    """Which buckets, each once: point times buckets, plus bucket."""
    heard: Floats
    """How many readings were not bad."""
    usable: Floats
    total: Floats | None = None
    least: Floats | None = None
    most: Floats | None = None
    first: tuple[Floats, Integers] | None = None
    """The values and their times."""
    last: tuple[Floats, Integers] | None = None


class Partial:
    """Of each bucket of each point: what was gathered so far."""

    def __init__(
        self, points: int, edges_us: Integers, wanted: Iterable[Aggregate]
    ) -> None:
        """Begin with nothing; `edges_us` are the begins of buckets, and the end."""
        self.wanted = frozenset(wanted)
        self._edges_us = edges_us
        self._points, self._buckets = points, len(edges_us) - 1
        size = points * self._buckets
        self._heard, self._usable = np.zeros(size), np.zeros(size)
        self._total = np.zeros(size)
        self._least, self._most = np.full(size, np.nan), np.full(size, np.nan)
        self._first, self._last = np.full(size, np.nan), np.full(size, np.nan)
        self._first_us = np.full(size, _NEVER.max)
        self._last_us = np.full(size, _NEVER.min)
        self._room = np.empty((2, 0))

    def take(
        self,
        packed: Packed,
        numbers: NDArray[np.uint32],
        lines: NDArray[np.intp],
        span: tuple[int, int],
    ) -> None:
        """Take in the readings of points, in `[start, end)` of `span`.

        `numbers` ascend; `lines` says which of our points each of them is.
        """
        start, stop = max(span[0], packed.first_us), min(span[1], packed.last_us + 1)
        begin = max(int(np.searchsorted(self._edges_us, start, "right")) - 1, 0)
        end = min(int(np.searchsorted(self._edges_us, stop)), self._buckets)
        if begin >= end or start >= stop:
            return
        edges = np.clip(self._edges_us[begin : end + 1], *span)
        which, rows = packed.find(numbers, edges)
        where = lines[which][:, None] * self._buckets + np.arange(begin, end)
        begins, ends = rows[:, :-1].ravel(), rows[:, 1:].ravel()
        some = ends > begins
        if some.any():
            if len(packed) > self._room.shape[1]:
                self._room = np.empty((2, len(packed)))
            room = self._room[:, : len(packed)]
            rows_of = _Rows(packed, begins[some], ends[some], room)
            self.put(rows_of.found(where.ravel()[some], self.wanted))

    def put(self, found: Found) -> None:
        """Take in what a part of the past tells; of equal times the later counts."""
        where = found.where
        self._heard[where] += found.heard
        self._usable[where] += found.usable
        if found.total is not None:
            self._total[where] += np.where(found.usable > 0, found.total, 0.0)
        if found.least is not None:
            self._least[where] = np.fmin(self._least[where], found.least)
        if found.most is not None:
            self._most[where] = np.fmax(self._most[where], found.most)
        used = found.usable > 0
        if found.first is not None:
            value, time = found.first
            earlier = used & (time < self._first_us[where])
            self._first[where[earlier]] = value[earlier]
            self._first_us[where[earlier]] = time[earlier]
        if found.last is not None:
            value, time = found.last
            later = used & (time >= self._last_us[where])
            self._last[where[later]] = value[later]
            self._last_us[where[later]] = time[later]

    def result(self) -> dict[Aggregate, Floats]:
        """Return what is wanted, a line of buckets for each point."""
        with np.errstate(invalid="ignore", divide="ignore"):
            known = {
                Aggregate.COUNT: self._heard,
                Aggregate.MEAN: self._total / self._usable,
                Aggregate.MIN: self._least,
                Aggregate.MAX: self._most,
                Aggregate.FIRST: self._first,
                Aggregate.LAST: self._last,
            }
        shape = (self._points, self._buckets)
        return {name: known[name].reshape(shape) for name in self.wanted}


class _Rows:
    """Rows of a packed block, a stretch of them for each bucket; none is empty.

    Most readings are usable, so it is the others that are listed and looked up.
    """

    def __init__(
        self, packed: Packed, begins: Integers, ends: Integers, room: Floats
    ) -> None:
        """Look at rows; `room` is for two columns of all rows.

        Memory that was used before is much quicker to write to than new memory.
        """
        self._packed = packed
        self._begins, self._ends = begins, ends
        self._number = packed.numbers(room[0])
        self._other = room[1]
        bad = packed.is_bad()
        self._bad = np.flatnonzero(bad)
        self._useless = np.flatnonzero(bad | np.isnan(self._number))
        self._cuts = np.stack([begins, ends], axis=1).ravel()
        if self._cuts[-1] == len(packed):
            self._cuts = self._cuts[:-1]

    def found(self, where: Integers, wanted: Container[Aggregate]) -> Found:
        """Return what is wanted of each bucket."""
        usable = self._count_without(self._useless)
        total = least = most = first = last = None
        if Aggregate.MEAN in wanted:
            total = self._of_each(np.add, 0.0)
        if Aggregate.MIN in wanted:
            least = self._of_each(np.fmin, np.nan)
        if Aggregate.MAX in wanted:
            most = self._of_each(np.fmax, np.nan)
        if Aggregate.FIRST in wanted or Aggregate.LAST in wanted:
            first, last = self._first_and_last()
        heard = self._count_without(self._bad)
        return Found(where, heard, usable, total, least, most, first, last)

    def _count_without(self, rows: Integers) -> Floats:
        """Return how many rows of each bucket are not among `rows`."""
        out = np.searchsorted(rows, self._ends) - np.searchsorted(rows, self._begins)
        return (self._ends - self._begins - out).astype(np.float64)

    def _of_each(self, what: np.ufunc, instead: float) -> Floats:
        """Return e.g. the sum of each bucket, with a value for what is useless."""
        number = self._other
        np.copyto(number, self._number)
        number[self._useless] = instead
        # Rows between the buckets are worked on, too, and left out.
        with np.errstate(over="ignore", invalid="ignore"):
            found: Floats = what.reduceat(number, self._cuts)[::2]
        return found

    def _first_and_last(
        self,
    ) -> tuple[tuple[Floats, Integers], tuple[Floats, Integers]]:
        """Return value and time of the first and last usable reading of each."""
        usable = np.delete(np.arange(len(self._packed)), self._useless)
        if not len(usable):
            nothing = np.full(len(self._begins), np.nan), np.zeros_like(self._begins)
            return nothing, nothing
        opening = np.searchsorted(usable, self._begins)
        first = usable[np.minimum(opening, len(usable) - 1)]
        last = usable[np.maximum(np.searchsorted(usable, self._ends) - 1, 0)]
        times_of = self._packed.times_of
        return (
            (self._number[first], times_of(first)),
            (self._number[last], times_of(last)),
        )
