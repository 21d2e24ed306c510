"""The newest reading of every point, as columns, so that a frame costs no loop."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import KIND_STRING, Columns
from lineshaft.core.reading import GOOD, Status
from lineshaft.platform.historian.block import MOST_STATUSES, Block

_SPARE = 1000
_NEVER = np.iinfo(np.int64).min


class LastValues:
    """Holds copies, so that no block stays in memory for the sake of one row."""

    def __init__(self) -> None:
        self._time = np.empty(0, np.int64)
        self._kind = np.empty(0, np.uint8)
        self._bits = np.empty(0, np.int64)
        self._status = np.empty(0, np.intp)
        self._texts: dict[int, str] = {}
        self._statuses = [GOOD]
        self._place = {GOOD: 0}

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
        self._time[into] = columns.time[rows]
        self._kind[into] = columns.kind[rows]
        self._bits[into] = columns.bits[rows]
        self._status[into] = self._places(block.statuses)[columns.status[rows]]
        self._take_texts(into, rows, block)

    def of(self, numbers: NDArray[np.uint32]) -> Block:
        """Return the newest reading of each of these points that has one."""
        numbers = numbers[numbers < len(self._time)]
        numbers = numbers[self._time[numbers] != _NEVER]
        bits = self._bits[numbers]
        strings = np.flatnonzero(self._kind[numbers] == KIND_STRING)
        texts = dict.fromkeys(self._texts[each] for each in numbers[strings].tolist())
        places = {text: place for place, text in enumerate(texts)}
        bits[strings] = [places[self._texts[n]] for n in numbers[strings].tolist()]
        used, status = np.unique(self._status[numbers], return_inverse=True)
        columns = Columns(
            numbers, self._time[numbers], self._kind[numbers], bits,
            np.minimum(status, MOST_STATUSES).astype(np.uint16),
        )  # fmt: skip
        statuses = tuple(self._statuses[each] for each in used.tolist())
        return Block(columns, tuple(texts), statuses)

    def _take_texts(
        self, into: NDArray[np.uint32], rows: NDArray[np.intp], block: Block
    ) -> None:
        strings = self._kind[into] == KIND_STRING
        positions = block.columns.bits[rows[strings]].tolist()
        for number, position in zip(into[strings].tolist(), positions, strict=True):
            self._texts[number] = block.texts[position]

    def _places(self, statuses: Sequence[Status]) -> NDArray[np.uint32]:
        """Return where these statuses are in our table."""
        if len(self._statuses) > 2 * len(self._time) + _SPARE:
            self._forget_statuses()
        for status in statuses:
            if status not in self._place:
                self._place[status] = len(self._statuses)
                self._statuses.append(status)
        return np.array([self._place[status] for status in statuses], np.uint32)

    def _forget_statuses(self) -> None:
        """Keep only what some point still says: reasons may differ without end."""
        used, self._status = np.unique(self._status, return_inverse=True)
        self._statuses = [self._statuses[each] for each in used.tolist()]
        self._place = {status: place for place, status in enumerate(self._statuses)}

    def _grow(self, count: int) -> None:
        missing = count - len(self._time)
        if missing <= 0:
            return
        missing = max(missing, len(self._time))  # doubling keeps growing cheap
        self._time = np.r_[self._time, np.full(missing, _NEVER, np.int64)]
        self._kind = np.r_[self._kind, np.zeros(missing, np.uint8)]
        self._bits = np.r_[self._bits, np.zeros(missing, np.int64)]
        self._status = np.r_[self._status, np.zeros(missing, np.intp)]


def _newest(columns: Columns, points: int) -> NDArray[np.intp]:
    """Return the row of the newest reading of each point that has one."""
    rows = np.arange(len(columns))
    if (np.diff(columns.time) < 0).any():
        rows = np.argsort(columns.time, kind="stable")
    newest = np.full(points, -1, np.intp)
    newest[columns.point[rows]] = rows  # of several rows of a point the last stays
    return newest[newest >= 0]
