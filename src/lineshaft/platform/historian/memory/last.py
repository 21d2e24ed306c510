"""The newest reading of every point, as columns, so that a frame costs no loop."""

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import KIND_STRING, Columns
from lineshaft.core.reading import GOOD, Reading, Status
from lineshaft.platform.historian.block import Block, Points

_NEVER = np.iinfo(np.int64).min


class LastValues:
    """Holds copies, so that no block stays in memory for the sake of one row."""

    def __init__(self) -> None:
        self._time = np.empty(0, np.int64)
        self._kind = np.empty(0, np.uint8)
        self._bits = np.empty(0, np.int64)
        self._is_good = np.empty(0, np.bool_)
        self._texts: dict[int, str] = {}
        self._statuses: dict[int, Status] = {}

    def take(self, numbers: NDArray[np.uint32], block: Block) -> None:
        """Take in readings; of equal source times the later reading counts.

        `block.columns.point` holds positions in `numbers`.
        """
        columns = block.columns
        if not len(columns):
            return
        rows = _newest(columns, len(numbers))
        into = numbers[columns.point[rows]]
        self._grow(int(into.max()) + 1)
        newer = columns.time[rows] >= self._time[into]
        rows, into = rows[newer], into[newer]
        good = np.array([status == GOOD for status in block.statuses], np.bool_)
        self._time[into] = columns.time[rows]
        self._kind[into] = columns.kind[rows]
        self._bits[into] = columns.bits[rows]
        self._is_good[into] = good[columns.status[rows]]
        self._take_words(into, rows, block)

    def of(self, number: int, points: Points) -> Reading | None:
        """Return a point's newest reading, if one is known."""
        if number >= len(self._time) or self._time[number] == _NEVER:
            return None
        one = slice(number, number + 1)
        # A text is looked up at position 0 of a table that holds only it.
        bits = np.where(self._kind[one] == KIND_STRING, 0, self._bits[one])
        columns = Columns(
            np.zeros(1, np.uint32),
            self._time[one],
            self._kind[one],
            bits,
            np.zeros(1, np.uint16),
        )
        [value] = columns.values((self._texts.get(number, ""),))
        status = GOOD if self._is_good[number] else self._statuses[number]
        time_us = int(self._time[number])
        return Reading(
            points.names[number], value, status, time_us, points.units[number]
        )

    def _take_words(
        self, into: NDArray[np.uint32], rows: NDArray[np.intp], block: Block
    ) -> None:
        """Keep what does not fit into a column: texts, and statuses but good."""
        strings = self._kind[into] == KIND_STRING
        positions = block.columns.bits[rows[strings]].tolist()
        for number, position in zip(into[strings].tolist(), positions, strict=True):
            self._texts[number] = block.texts[position]
        not_good = ~self._is_good[into]
        positions = block.columns.status[rows[not_good]].tolist()
        for number, position in zip(into[not_good].tolist(), positions, strict=True):
            self._statuses[number] = block.statuses[position]

    def _grow(self, count: int) -> None:
        missing = count - len(self._time)
        if missing <= 0:
            return
        missing = max(missing, len(self._time))  # doubling keeps growing cheap
        self._time = np.r_[self._time, np.full(missing, _NEVER, np.int64)]
        self._kind = np.r_[self._kind, np.zeros(missing, np.uint8)]
        self._bits = np.r_[self._bits, np.zeros(missing, np.int64)]
        self._is_good = np.r_[self._is_good, np.ones(missing, np.bool_)]


def _newest(columns: Columns, points: int) -> NDArray[np.intp]:
    """Return the row of the newest reading of each point that has one."""
    rows = np.arange(len(columns))
    if (np.diff(columns.time) < 0).any():
        rows = np.argsort(columns.time, kind="stable")
    newest = np.full(points, -1, np.intp)
    newest[columns.point[rows]] = rows  # of several rows of a point the last stays
    return newest[newest >= 0]
