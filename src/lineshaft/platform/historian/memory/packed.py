"""Readings in order of point and time, packed to 14 bytes each, and found fast.

The rows of a point lie together, so a point is told once and not in every row. Times
are offsets of 32 bits: from the first time where that reaches (71 minutes), else
positions in a table of all times.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import KIND_FLOAT, Columns, numbers_of
from lineshaft.core.reading import Quality, Status
from lineshaft.platform.historian.block import Block

Integers = NDArray[np.int64]
_REACH = 1 << 32
_FEW_STATUSES = 256
_FEW = 8


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The readings of a sorted block; row numbers are those of that block."""

    points: NDArray[np.uint32]
    """Ascending, each once."""
    bounds: Integers
    """The rows of `points[i]` are `bounds[i]` to `bounds[i + 1]`."""
    offset: NDArray[np.uint32]
    first_us: int
    last_us: int
    times: Integers | None
    """Ascending; what offsets are positions in, unless they count from `first_us`."""
    kind: NDArray[np.uint8]
    bits: Integers
    status: NDArray[np.uint8] | NDArray[np.uint16]
    texts: tuple[str, ...]
    statuses: tuple[Status, ...]

    def __len__(self) -> int:
        return len(self.offset)

    def overlaps(self, start_us: int, end_us: int) -> bool:
        """Whether readings may lie in `[start_us, end_us)`."""
        return start_us <= self.last_us and end_us > self.first_us

    def last_times(self) -> Integers:
        """Return the greatest time of each of `points`."""
        return self.times_of(self.bounds[1:] - 1)

    def find(
        self, numbers: NDArray[np.uint32], times_us: Integers
    ) -> tuple[Integers, Integers]:
        """Return where in each point's rows each of the ascending times lies.

        `rows[i, j]` is the first row of `numbers[i]` that is not before `times_us[j]`.
        Only points that have readings here are looked at: `which` are their positions
        in `numbers`, and `rows` has a line for each of them.
        """
        place = np.searchsorted(self.points, numbers)
        there = np.minimum(place, len(self.points) - 1)
        which = np.flatnonzero(self.points[there] == numbers)
        begins = self.bounds[there[which]]
        ends = self.bounds[there[which] + 1]
        wanted = self._offsets(times_us)
        shape = (len(which), len(wanted))
        low = np.broadcast_to(begins[:, None], shape).ravel()
        high = np.broadcast_to(ends[:, None], shape).ravel()
        sought = np.broadcast_to(wanted, shape).ravel()
        return which, _bisect(self.offset, low, high, sought).reshape(shape)

    def of(
        self, numbers: NDArray[np.uint32], start_us: int, end_us: int
    ) -> Block | None:
        """Return the readings of some points in `[start_us, end_us)`, if any.

        In its columns, points are positions in `numbers`.
        """
        if not self.overlaps(start_us, end_us):
            return None
        which, rows = self.find(numbers, np.array([start_us, end_us]))
        counts = rows[:, 1] - rows[:, 0]
        total = int(counts.sum())
        if not total:
            return None
        before = np.cumsum(counts) - counts
        chosen = np.arange(total) + np.repeat(rows[:, 0] - before, counts)
        point = np.repeat(which.astype(np.uint32), counts)
        return self._block(point, chosen)

    def block(self) -> Block:
        """Return all as a sorted block again."""
        point = np.repeat(self.points, np.diff(self.bounds))
        return self._block(point, slice(None))

    def _block(self, point: NDArray[np.uint32], rows: Integers | slice) -> Block:
        columns = Columns(
            point,
            self.times_of(rows),
            self.kind[rows],
            self.bits[rows],
            self.status[rows].astype(np.uint16),
        )
        return Block(columns, self.texts, self.statuses)

    def times_of(self, rows: Integers | slice) -> Integers:
        """Return the times of rows."""
        offset = self.offset[rows]
        if self.times is not None:
            return self.times[offset]
        return offset.astype(np.int64) + self.first_us

    def numbers(self, into: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each value as a float, NaN where it has none.

        It is written to `into`, or not to be changed.
        """
        if (self.kind == KIND_FLOAT).all():
            return self.bits.view(np.float64)
        return numbers_of(self.kind, self.bits, into)

    def is_bad(self) -> NDArray[np.bool_]:
        """Return of each reading whether its quality is bad."""
        table = np.array([s.quality is Quality.BAD for s in self.statuses])
        if table.sum() > _FEW:
            return table[self.status]
        bad = np.zeros(len(self), np.bool_)
        for place in np.flatnonzero(table):  # a comparison is quicker than a look-up
            bad |= self.status == place
        return bad

    def _offsets(self, times_us: Integers) -> Integers:
        if self.times is not None:
            return np.searchsorted(self.times, times_us).astype(np.int64)
        # Clipped first, so that no difference leaves the 64 bits.
        near = np.clip(times_us, self.first_us, self.last_us + 1)
        return near - self.first_us


def pack(block: Block) -> Packed:
    """Return a sorted block that is not empty, packed."""
    columns = block.columns
    begins = np.flatnonzero(np.diff(columns.point)) + 1
    bounds = np.concatenate([[0], begins, [len(block)]])
    first, last = int(columns.time.min()), int(columns.time.max())
    if last - first < _REACH:
        times, offset = None, (columns.time - first).astype(np.uint32)
    else:
        times, places = np.unique(columns.time, return_inverse=True)
        offset = places.astype(np.uint32)
    few = len(block.statuses) <= _FEW_STATUSES
    return Packed(
        columns.point[bounds[:-1]],
        bounds,
        offset,
        first,
        last,
        times,
        columns.kind,
        columns.bits,
        columns.status.astype(np.uint8) if few else columns.status,
        block.texts,
        block.statuses,
    )


def _bisect(
    ascending: NDArray[np.uint32], low: Integers, high: Integers, sought: Integers
) -> Integers:
    """Return for each sought value its place within its own stretch of rows.

    All are looked for side by side: as many steps as one search takes, however many
    there are.
    """
    last = len(ascending) - 1
    while (low < high).any():
        middle = (low + high) >> 1
        before = ascending[np.minimum(middle, last)] < sought
        open_ = low < high
        low = np.where(open_ & before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low
