"""Aggregates of very many readings, gathered part by part.

What depends only on the readings within a bucket can be told of each part of the past
on its own and put together: an hour of 5,000 points is read where it lies, without
sorting it into one row of readings per point first.
"""

from collections.abc import Sequence
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

    A reading is usable when it has a number and is not bad.
    """

    where: Integers
    """Which buckets, each once: point times buckets, plus bucket."""
    heard: Floats
    """How many readings were not bad."""
    usable: Floats
    total: Floats
    least: Floats
    most: Floats
    first: Floats
    first_us: Integers
    last: Floats
    last_us: Integers


class Partial:
    """Of each bucket of each point: what was gathered so far."""

    def __init__(self, points: int, edges_us: Integers) -> None:
        """Begin with nothing; `edges_us` are the begins of buckets, and the end."""
        self._edges_us = edges_us
        self._points, self._buckets = points, len(edges_us) - 1
        size = points * self._buckets
        self._heard, self._usable = np.zeros(size), np.zeros(size)
        self._total = np.zeros(size)
        self._least, self._most = np.full(size, np.nan), np.full(size, np.nan)
        self._first, self._last = np.full(size, np.nan), np.full(size, np.nan)
        self._first_us = np.full(size, _NEVER.max)
        self._last_us = np.full(size, _NEVER.min)

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
            self.put(_found(packed, where.ravel()[some], begins[some], ends[some]))

    def put(self, found: Found) -> None:
        """Take in what a part of the past tells; of equal times the later counts."""
        self._heard[found.where] += found.heard
        used = found.usable > 0
        where = found.where[used]
        self._usable[where] += found.usable[used]
        with np.errstate(over="ignore", invalid="ignore"):
            self._total[where] += found.total[used]
        self._least[where] = np.fmin(self._least[where], found.least[used])
        self._most[where] = np.fmax(self._most[where], found.most[used])
        first_us, last_us = found.first_us[used], found.last_us[used]
        earlier = first_us < self._first_us[where]
        self._first[where[earlier]] = found.first[used][earlier]
        self._first_us[where[earlier]] = first_us[earlier]
        later = last_us >= self._last_us[where]
        self._last[where[later]] = found.last[used][later]
        self._last_us[where[later]] = last_us[later]

    def result(self, wanted: Sequence[Aggregate]) -> dict[Aggregate, Floats]:
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
        return {name: known[name].reshape(shape) for name in wanted}


def _found(packed: Packed, where: Integers, begins: Integers, ends: Integers) -> Found:
    """Return what the rows `begins` to `ends` of each bucket tell; none is empty."""
    heard = _running(~packed.is_bad())
    value, usable = _usable(packed)
    kept = np.flatnonzero(usable) if len(value) < len(packed) else None
    count = _running(usable)
    first, end = count[begins], count[ends]
    some = end > first
    result = {name: np.full(len(where), np.nan) for name in ("total", "least", "most")}
    head, tail = first[some], end[some]
    if len(head):
        # Rows between the buckets are summed up, too, and left out.
        cuts = np.stack([head, tail], axis=1).ravel()
        cuts = cuts[:-1] if cuts[-1] == len(value) else cuts
        with np.errstate(over="ignore", invalid="ignore"):
            result["total"][some] = np.add.reduceat(value, cuts)[::2]
        result["least"][some] = np.minimum.reduceat(value, cuts)[::2]
        result["most"][some] = np.maximum.reduceat(value, cuts)[::2]
    opening, closing = np.zeros((2, len(where)), np.int64)
    opening[some], closing[some] = head, tail - 1
    rows = (opening, closing) if kept is None else _of(kept, opening, closing)
    number = value if len(value) else np.full(1, np.nan)
    return Found(
        where,
        (heard[ends] - heard[begins]).astype(np.float64),
        (end - first).astype(np.float64),
        first=number[opening],
        first_us=packed.times_of(rows[0]),
        last=number[closing],
        last_us=packed.times_of(rows[1]),
        **result,
    )


def _of(kept: Integers, opening: Integers, closing: Integers) -> tuple[Integers, ...]:
    if not len(kept):
        return opening, closing
    return kept[opening], kept[closing]


def _usable(packed: Packed) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the usable numbers, and of each reading whether it is one of them."""
    number = packed.numbers()
    usable = ~(packed.is_bad() | np.isnan(number))
    return (number if usable.all() else number[usable]), usable


def _running(flags: NDArray[np.bool_]) -> Integers:
    """Return how many are set before each row, and in all."""
    total = np.zeros(len(flags) + 1, np.int64)
    np.cumsum(flags, out=total[1:])
    return total
