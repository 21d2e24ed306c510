"""The past of some points, looked up in memory and in the table as if they were one.

For every point memory knows up to which source time the table alone is complete, with
what is not committed yet. Behind that time memory is complete. Both are looked at in
one moment, so no reading is counted twice and none is missed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.series import Aggregate
from lineshaft.platform.historian.answers.partial import Found, Partial
from lineshaft.platform.historian.arrow import from_table, names_of, table_columns
from lineshaft.platform.historian.block import Block, join
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.memory.packed import Packed
from lineshaft.platform.historian.store.table import Snapshot

Numbers = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Points of a question that are looked up alike."""

    positions: NDArray[np.intp]
    """Where they are in the question."""
    names: Sequence[str]
    numbers: Numbers
    """What memory knows them by, ascending; empty when it does not."""
    cold_us: int
    """Before this the table and the tail are looked at, from it on memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What is there to look at, as it was in one moment; a thread may do that."""

    groups: tuple[Group, ...]
    start_us: int
    end_us: int
    memory: tuple[Packed, ...]
    """All that is in memory, the tail included."""
    tail: tuple[Packed, ...]
    snapshot: Snapshot

    def rows(self, limit: int | None = None) -> Block:
        """Return the readings in order of point and time.

        Points are counted as in the question. With a limit at least the oldest
        `limit` readings are among them.
        """
        found = [block for group in self.groups for block in self._rows(group, limit)]
        return join(found).sorted()

    def gather(
        self, points: int, edges_us: NDArray[np.int64], wanted: Sequence[Aggregate]
    ) -> Partial:
        """Return aggregates of buckets; `wanted` are some of `GATHERED`."""
        partial = Partial(points, edges_us, wanted)
        for group in self.groups:
            if group.cold_us > self.start_us:
                partial.put(self._found(group, edges_us, wanted))
            for packed, start, end in self._spans(group):
                partial.take(packed, group.numbers, group.positions, (start, end))
        return partial

    def _rows(self, group: Group, limit: int | None) -> Iterator[Block]:
        if group.cold_us > self.start_us:
            table = self.snapshot.read(group.names, self.start_us, group.cold_us, limit)
            names, positions = names_of(table)
            if names:
                block = from_table(table)
                block.columns.point[:] = _places(group, names)[positions]
                yield block
        for packed, start, end in self._spans(group):
            found = packed.of(group.numbers, start, end)
            if found is not None:
                found.columns.point[:] = group.positions[found.columns.point]
                yield found

    def _spans(self, group: Group) -> Iterator[tuple[Packed, int, int]]:
        """Yield each part of memory with the span in which it counts."""
        if len(group.numbers):
            yield from ((each, self.start_us, group.cold_us) for each in self.tail)
            yield from ((each, group.cold_us, self.end_us) for each in self.memory)

    def _found(
        self, group: Group, edges_us: NDArray[np.int64], wanted: Sequence[Aggregate]
    ) -> Found:
        every = int(edges_us[1] - edges_us[0])
        table = self.snapshot.gathered(
            group.names, (self.start_us, group.cold_us), (int(edges_us[0]), every),
            ordered=bool({Aggregate.FIRST, Aggregate.LAST} & set(wanted)),
        )  # fmt: skip
        names, positions = names_of(table)
        places = _places(group, names)[positions] if names else positions
        columns = table_columns(table)
        where = places * (len(edges_us) - 1) + columns["bucket"].astype(np.int64)
        first, last = (
            (columns[name], np.nan_to_num(columns[f"{name}_us"]).astype(np.int64))
            for name in ("first", "last")
        )
        return Found(
            where,
            columns["heard"],
            columns["usable"],
            columns["total"],
            columns["least"],
            columns["most"],
            first,
            last,
        )


def look(
    hot: Hot, snapshot: Snapshot, names: Sequence[str], span: tuple[int, int]
) -> Past:
    """Return the past of different names in `[start, end)` of `span`."""
    start, end = span[0], max(span)
    known = [hot.points.number(name) for name in names]
    pairs = sorted((n, p) for p, n in enumerate(known) if n is not None)
    numbers = np.array([n for n, _ in pairs], np.uint32)
    positions = np.array([p for _, p in pairs], np.intp)
    unknown = np.array([p for p, n in enumerate(known) if n is None], np.intp)
    cold = hot.cold_until(numbers)
    warm = cold < start
    groups = [
        (positions[warm], numbers[warm], start),
        (positions[~warm], numbers[~warm], min(int(cold.max(initial=start)) + 1, end)),
        (unknown, numbers[:0], end),
    ]
    return Past(
        tuple(
            Group(each, [names[place] for place in each.tolist()], which, cold_us)
            for each, which, cold_us in groups
            if len(each)
        ),
        start,
        end,
        tuple(hot.blocks()),
        tuple(hot.tail()),
        snapshot,
    )


def _places(group: Group, names: Sequence[str]) -> NDArray[np.intp]:
    """Return where in the question each of these names is."""
    place = dict(zip(group.names, group.positions.tolist(), strict=True))
    return np.array([place[name] for name in names], np.intp)
