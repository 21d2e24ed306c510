"""The recent past in memory, and which part of the past it is complete for.

Three kinds of block: what was taken from the bus and is not yet committed (the tail),
and what was committed not long ago. For every point `cold_until` is the greatest
source time among its readings that are in the Delta table *only*. Behind that time
memory is complete; up to it the table is, together with the tail. So no reading is
counted twice and none is missed, however late it came and whatever the clock of its
device says.
"""

import time
from collections import deque
from collections.abc import Sequence

import numpy as np

from lineshaft.core.frame import Columns, Frame
from lineshaft.core.reading import Reading
from lineshaft.platform.historian.block import Block, Points, join

BEGIN_OF_TIME = np.iinfo(np.int64).min
_LOOSE_READINGS = 20_000


class Hot:
    """The tail and the recent blocks. Used by one thread."""

    def __init__(self, window_s: float, most: int, cold_until_us: int | None) -> None:
        self.points = Points()
        self._window_us = int(window_s * 1e6)
        self._most = most
        self._start_cold = BEGIN_OF_TIME if cold_until_us is None else cold_until_us
        self._cold_until = np.empty(0, np.int64)
        self._loose: list[Block] = []
        self._loose_count = 0
        self._sealed: list[Block] = []
        self._committing: Block | None = None
        self._recent: deque[tuple[int, Block]] = deque()
        self._last: dict[int, tuple[Block, int]] = {}

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
        self._remember_last(block)
        if self._loose_count > _LOOSE_READINGS:
            self._seal()

    @property
    def tail_readings(self) -> int:
        """Return how many readings are not committed yet."""
        committing = len(self._committing) if self._committing else 0
        return self._loose_count + sum(map(len, self._sealed)) + committing

    @property
    def readings(self) -> int:
        """Return how many readings are in memory."""
        return self.tail_readings + sum(len(block) for _, block in self._recent)

    def oldest_us(self) -> int:
        """Return the earliest source time in memory; now if there is nothing."""
        blocks = [*self._loose, *self._sealed, *(block for _, block in self._recent)]
        if self._committing is not None:
            blocks.append(self._committing)
        times = [int(block.columns.time.min()) for block in blocks if len(block)]
        return min(times, default=time.time_ns() // 1000)

    def begin_commit(self) -> Block:
        """Return the tail, sorted, to be committed; it stays queryable."""
        if self._committing is None:
            self._seal()
            self._committing = join(self._sealed).sorted()
            self._sealed = []
        return self._committing

    def end_commit(self, now_us: int) -> None:
        """Count what `begin_commit` returned as committed."""
        if self._committing is not None and len(self._committing):
            self._recent.append((now_us, self._committing))
        self._committing = None
        held = sum(len(block) for _, block in self._recent)
        while self._recent and (
            held > self._most or self._recent[0][0] < now_us - self._window_us
        ):
            _, block = self._recent.popleft()
            held -= len(block)
            columns = block.columns
            np.maximum.at(self._cold_until, columns.point, columns.time)

    def cold_until(self, number: int) -> int:
        """Return up to which source time a point's past is in the table."""
        return int(self._cold_until[number])

    def behind(self, number: int, start_us: int, end_us: int) -> Block:
        """Return a point's readings in memory in `[start_us, end_us)`.

        Complete for times behind `cold_until`.
        """
        recent = [block.of(number, start_us, end_us) for _, block in self._recent]
        return join([*recent, *self._tail(number, start_us, end_us)])

    def uncommitted(self, number: int, start_us: int, end_us: int) -> Block:
        """Return a point's readings of the tail in `[start_us, end_us)`."""
        return join(self._tail(number, start_us, end_us))

    def last(self, number: int) -> Reading | None:
        """Return a point's newest reading by source time, if one is known."""
        found = self._last.get(number)
        if found is None:
            return None
        block, row = found
        columns = block.columns.take(slice(row, row + 1))
        return Reading(
            self.points.names[number],
            columns.values(block.texts)[0],
            block.statuses[int(columns.status[0])],
            int(columns.time[0]),
            self.points.units[number],
        )

    def restore_last(
        self, names: Sequence[str], units: Sequence[str], of: Block
    ) -> None:
        """Take the last values of an earlier life, one row of `of` per name."""
        numbers = self._grow(self.points.add(names, units))
        for row, number in enumerate(numbers.tolist()):
            self._last[number] = (of, row)

    def _tail(self, number: int, start_us: int, end_us: int) -> list[Block]:
        committing = [self._committing] if self._committing else []
        found = [
            block.of(number, start_us, end_us) for block in (*committing, *self._sealed)
        ]
        for block in self._loose:
            columns = block.columns
            rows = np.flatnonzero(
                (columns.point == number)
                & (columns.time >= start_us)
                & (columns.time < end_us)
            )
            found.append(Block(columns.take(rows), block.texts, block.statuses))
        return found

    def _seal(self) -> None:
        if self._loose:
            self._sealed.append(join(self._loose).sorted())
            self._loose, self._loose_count = [], 0

    def _number(self, frame: Frame) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
        return self._grow(self.points.add(frame.names, frame.units))

    def _grow(
        self, numbers: "np.ndarray[tuple[int], np.dtype[np.uint32]]"
    ) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
        missing = len(self.points) - len(self._cold_until)
        if missing:
            fresh = np.full(missing, self._start_cold, np.int64)
            self._cold_until = np.r_[self._cold_until, fresh]
        return numbers

    def _remember_last(self, block: Block) -> None:
        """Keep the newest reading of each point; of equal times the later one."""
        columns = block.columns
        order = np.lexsort((columns.time, columns.point))
        ordered = columns.point[order]
        ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
        for row in order[ends].tolist():
            number = int(columns.point[row])
            known = self._last.get(number)
            if known is None or known[0].columns.time[known[1]] <= columns.time[row]:
                self._last[number] = (block, row)
