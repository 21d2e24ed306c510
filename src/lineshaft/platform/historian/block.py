"""A block: readings of many points as columns, sorted by point and time.

The positions in `columns.point` are the historian's own numbers of points, the same in
all blocks; `texts` and `statuses` belong to the block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import KIND_STRING, Columns
from lineshaft.core.reading import Status

T = TypeVar("T", str, Status)
EMPTY = Columns(
    np.empty(0, np.uint32),
    np.empty(0, np.int64),
    np.empty(0, np.uint8),
    np.empty(0, np.int64),
    np.empty(0, np.uint16),
)
_MOST_STATUSES = 65_535


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Readings with the tables that their positions lead to."""

    columns: Columns
    texts: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()

    def __len__(self) -> int:
        return len(self.columns)

    def of(self, point: int, start_us: int, end_us: int) -> "Block":
        """Return a point's readings in `[start_us, end_us)`, of a sorted block."""
        columns = self.columns
        first, last = np.searchsorted(columns.point, [point, point + 1])
        times = columns.time[first:last]
        begin, end = np.searchsorted(times, [start_us, end_us])
        rows = slice(first + begin, first + end)
        return Block(columns.take(rows), self.texts, self.statuses)

    def sorted(self) -> "Block":
        """Return the same readings by point and time, those of one time in order."""
        order = np.lexsort((self.columns.time, self.columns.point))
        return Block(self.columns.take(order), self.texts, self.statuses)


def join(blocks: Sequence[Block]) -> Block:
    """Return all readings one after the other, with one table for all."""
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return Block(EMPTY)
    if len(blocks) == 1:
        return blocks[0]
    texts: dict[str, int] = {}
    statuses: dict[Status, int] = {}
    bits = [_with_texts(block, texts) for block in blocks]
    status = [_with_statuses(block, statuses) for block in blocks]
    columns = Columns(
        np.concatenate([block.columns.point for block in blocks]),
        np.concatenate([block.columns.time for block in blocks]),
        np.concatenate([block.columns.kind for block in blocks]),
        np.concatenate(bits),
        np.concatenate(status),
    )
    return Block(columns, tuple(texts), tuple(statuses))


def _with_texts(block: Block, texts: dict[str, int]) -> NDArray[np.int64]:
    strings = block.columns.kind == KIND_STRING
    if not strings.any():
        return block.columns.bits
    moved = _moved(block.columns.bits[strings], block.texts, texts)
    bits = block.columns.bits.copy()
    bits[strings] = moved
    return bits


def _with_statuses(block: Block, statuses: dict[Status, int]) -> NDArray[np.uint16]:
    moved = _moved(block.columns.status, block.statuses, statuses)
    # More reasons than a column can tell apart share the last one.
    return np.minimum(moved, _MOST_STATUSES).astype(np.uint16)


def _moved(
    positions: NDArray[np.integer], table: Sequence[T], into: dict[T, int]
) -> NDArray[np.int64]:
    """Return the positions in `into`, which takes in what it does not have yet."""
    used, rows = np.unique(positions, return_inverse=True)
    places = [into.setdefault(table[each], len(into)) for each in used.tolist()]
    return np.array(places, np.int64)[rows]


class Points:
    """The numbers of points: each name has one, from 0 up, and its unit."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.units: list[str] = []
        self._number: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._number

    def __len__(self) -> int:
        return len(self.names)

    def number(self, name: str) -> int | None:
        """Return the number of a known point."""
        return self._number.get(name)

    def add(self, names: Iterable[str], units: Iterable[str]) -> NDArray[np.uint32]:
        """Return the numbers of these points, giving new ones; the last unit counts."""
        numbers = []
        for name, unit in zip(names, units, strict=True):
            number = self._number.setdefault(name, len(self.names))
            if number == len(self.names):
                self.names.append(name)
                self.units.append(unit)
            self.units[number] = unit
            numbers.append(number)
        return np.array(numbers, np.uint32)
