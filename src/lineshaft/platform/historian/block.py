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
from lineshaft.core.reading import Quality, Status

T = TypeVar("T", str, Status)
EMPTY = Columns(
    np.empty(0, np.uint32),
    np.empty(0, np.int64),
    np.empty(0, np.uint8),
    np.empty(0, np.int64),
    np.empty(0, np.uint16),
)
MOST_STATUSES = 65_535
_LARGEST_KEY = 1 << 63


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Readings with the tables that their positions lead to."""

    columns: Columns
    texts: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()

    def __len__(self) -> int:
        return len(self.columns)

    def is_bad(self) -> NDArray[np.bool_]:
        """Return of each reading whether its quality is bad."""
        return self._has(Quality.BAD)

    def is_good(self) -> NDArray[np.bool_]:
        """Return of each reading whether its quality is good."""
        return self._has(Quality.GOOD)

    def _has(self, quality: Quality) -> NDArray[np.bool_]:
        table = [status.quality is quality for status in self.statuses]
        return np.array(table or [False])[self.columns.status]

    def sorted(self) -> "Block":
        """Return the same readings by point and time, those of one time in order."""
        order = _order(self.columns.point, self.columns.time)
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
    if all(block.statuses == blocks[0].statuses for block in blocks):
        statuses = {each: place for place, each in enumerate(blocks[0].statuses)}
        status = [block.columns.status for block in blocks]
    else:
        status = [_with_statuses(block, statuses) for block in blocks]
    bits = [_with_texts(block, texts) for block in blocks]
    columns = Columns(
        np.concatenate([block.columns.point for block in blocks]),
        np.concatenate([block.columns.time for block in blocks]),
        np.concatenate([block.columns.kind for block in blocks]),
        np.concatenate(bits),
        np.concatenate(status),
    )
    return Block(columns, tuple(texts), tuple(statuses))


def _order(point: NDArray[np.uint32], time: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the rows by point and time.

    One key made of both is sorted eight times as fast as two keys are, above all when
    the rows are a few runs that are in order already.
    """
    if not len(time):
        return np.empty(0, np.intp)
    first = int(time.min())
    length = int(time.max()) - first + 1
    if (int(point.max()) + 1) * length >= _LARGEST_KEY:
        return np.lexsort((time, point))
    return np.argsort(point * np.int64(length) + (time - first), kind="stable")


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
    return np.minimum(moved, MOST_STATUSES).astype(np.uint16)


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
        self.changes = 0
        """Counts up with each new name and each unit that is another than before."""

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
                self.changes += 1
            elif self.units[number] != unit:
                self.units[number] = unit
                self.changes += 1
            numbers.append(number)
        return np.array(numbers, np.uint32)
