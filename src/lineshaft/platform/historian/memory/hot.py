"""The recent past in memory, and which part of the past it is complete for.

Three kinds of block: what was taken from the bus and is not yet committed (the tail),
and what was committed not long ago, in this life or the one before. For every point
`cold_until` is the greatest source time among its readings that are in the Delta table
*only*. Behind that time
memory is complete; up to it the table is, together with the tail. So no reading is
counted twice and none is missed, however late it came and whatever the clock of its
device says.
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import Columns, Frame
from lineshaft.platform.historian.block import Block, Points, join
from lineshaft.platform.historian.memory.last import LastValues
from lineshaft.platform.historian.memory.packed import Packed, pack

Numbers = NDArray[np.uint32]
BEGIN_OF_TIME = np.iinfo(np.int64).min
_LOOSE_READINGS = 20_000


class Hot:
    """The tail and the recent blocks. Used by one thread."""

    def __init__(self, window_s: float, most: int, cold_until_us: int | None) -> None:
        self.points = Points()
        self._window_us = int(window_s * 1e6)
        self._most = most
        self._start_cold = BEGIN_OF_TIME if cold_until_us is None else cold_until_us
        self._cold = np.empty(0, np.int64)
        self._gone = np.empty(0, np.int64)
        self._loose: list[Block] = []
        self._loose_count = 0
        self._sealed: list[Packed] = []
        self._committing: Packed | None = None
        self._recent: deque[tuple[int, Packed]] = deque()
        self._last = LastValues()
        self._numbers_of: dict[str, tuple[tuple[str, ...], tuple[str, ...], Numbers]]
        self._numbers_of = {}

    def take(self, frame: Frame) -> None:
        """Add a frame to the tail."""
        if not len(frame):
            return
        numbers = self._number(frame)
        columns = frame.columns
        block = Block(
            Columns(
                numbers[columns.point],
                columns.time,
                columns.kind,
                columns.bits,
                columns.status,
            ),
            frame.texts,
            frame.statuses,
        )
        self._loose.append(block)
        self._loose_count += len(block)
        self._last.take(numbers, Block(columns, frame.texts, frame.statuses))
        if self._loose_count > _LOOSE_READINGS:
            self.sort_tail()

    @property
    def tail_readings(self) -> int:
        """Return how many readings are not committed yet."""
        committing = len(self._committing) if self._committing else 0
        return self._loose_count + sum(map(len, self._sealed)) + committing

    @property
    def readings(self) -> int:
        """Return how many readings are in memory."""
        return self.tail_readings + sum(len(packed) for _, packed in self._recent)

    def blocks(self) -> list[Packed]:
        """Return all that is in memory, what came last at the end."""
        self.sort_tail()
        return [*(packed for _, packed in self._recent), *self.tail()]

    def tail(self) -> list[Packed]:
        """Return what is not committed, what came last at the end."""
        self.sort_tail()
        committing = [self._committing] if self._committing else []
        return [*committing, *self._sealed]

    def begin_commit(self) -> Block:
        """Return the tail, sorted, to be committed; it stays queryable."""
        if self._committing is None:
            self.sort_tail()
            if not self._sealed:
                return join([])
            self._committing = _together(self._sealed)
            self._sealed = []
        return self._committing.block()

    def end_commit(self, now_us: int) -> None:
        """Count what `begin_commit` returned as committed."""
        if self._committing is not None:
            self._recent.append((now_us, self._committing))
        self._committing = None
        held = sum(len(packed) for _, packed in self._recent)
        while self._recent and (
            held > self._most or self._recent[0][0] < now_us - self._window_us
        ):
            _, packed = self._recent.popleft()
            held -= len(packed)
            gone = self._gone[packed.points]
            self._gone[packed.points] = np.maximum(gone, packed.last_times())

    def cold_until(self, numbers: Numbers) -> NDArray[np.int64]:
        """Return up to which source time each point's past is in the table."""
        return np.maximum(self._cold[numbers], self._gone[numbers])

    def numbers(self, names: Sequence[str], units: Sequence[str]) -> Numbers:
        """Return the numbers of points, new ones included."""
        return self._grow(self.points.add(names, units))

    def has_room(self) -> bool:
        """Whether more of the past may be taken in."""
        return self.readings < self._most

    def warm(self, past: Packed | None, since_us: int, now_us: int) -> None:
        """Take in what an earlier life committed, from `since_us` on.

        It is called with the newest part first; `past` is what the table of that life
        has between `since_us` and the time before.
        """
        if past is not None:
            self._recent.appendleft((min(past.last_us, now_us), past))
        self._start_cold = min(self._start_cold, since_us - 1)
        self._cold = np.minimum(self._cold, since_us - 1)

    def last(self, numbers: Numbers) -> Block:
        """Return the newest reading by source time of each point that has one."""
        return self._last.of(numbers)

    def restore_last(
        self, names: Sequence[str], units: Sequence[str], of: Block
    ) -> None:
        """Take the last values of an earlier life, one row of `of` per name.

        They are the greatest source times that the table has of these points.
        """
        numbers = self.numbers(names, units)
        self._cold[numbers] = of.columns.time
        columns = of.columns
        rows = np.arange(len(columns), dtype=np.uint32)
        one_each = Columns(
            rows, columns.time, columns.kind, columns.bits, columns.status
        )
        self._last.take(numbers, Block(one_each, of.texts, of.statuses))

    def sort_tail(self) -> None:
        """Put what came since the last time in order, so that it is found fast.

        Blocks of like size are put together, so that there are only a few.
        """
        if not self._loose:
            return
        sealed = self._sealed
        sealed.append(pack(join(self._loose).sorted()))
        self._loose, self._loose_count = [], 0
        while len(sealed) > 1 and len(sealed[-2]) <= 2 * len(sealed[-1]):
            later, earlier = sealed.pop(), sealed.pop()
            sealed.append(_together([earlier, later]))

    def _number(self, frame: Frame) -> Numbers:
        known = self._numbers_of.get(frame.device)
        # A device says the same names again and again: comparing them is cheap.
        if known and known[0] == frame.names and known[1] == frame.units:
            return known[2]
        numbers = self.numbers(frame.names, frame.units)
        self._numbers_of[frame.device] = (frame.names, frame.units, numbers)
        return numbers

    def _grow(self, numbers: Numbers) -> Numbers:
        missing = len(self.points) - len(self._cold)
        if missing:
            self._cold = np.r_[self._cold, np.full(missing, self._start_cold)]
            self._gone = np.r_[self._gone, np.full(missing, BEGIN_OF_TIME)]
        return numbers


def _together(several: Sequence[Packed]) -> Packed:
    """Return all in one; those of one point and time stay in order."""
    if len(several) == 1:
        return several[0]
    return pack(join([packed.block() for packed in several]).sorted())
