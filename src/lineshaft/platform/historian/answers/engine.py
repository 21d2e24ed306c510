"""Answers about the past, from memory and from the table as if they were one."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, time
from time import time_ns

import numpy as np

from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.name import select
from lineshaft.core.reading import Reading, to_us
from lineshaft.core.series import Aggregate, Buckets, Format, Series
from lineshaft.platform.historian.answers.aggregate import Span, aggregate
from lineshaft.platform.historian.answers.export import write
from lineshaft.platform.historian.arrow import Table, from_table, names_of, to_table
from lineshaft.platform.historian.block import Block, Points, join
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.store.table import Snapshot

MOST_BUCKETS = 1_000_000
_AT_ONCE_US = 8 * 86_400_000_000
_DAY_US = 86_400_000_000
_EXPORT_READINGS = 2_000_000
"""How many readings, if each point has one a second, are exported at once."""


class Engine:
    """Implements `core.series.History` over the two stores."""

    def __init__(self, hot: Hot, snapshot: Snapshot, standing_s: float) -> None:
        self.hot = hot
        self.snapshot = snapshot
        """Replaced together with what `hot` counts as committed."""
        self.changing = asyncio.Lock()
        """Held by whoever changes the table, until `snapshot` shows the change."""
        self._standing_us = int(standing_s * 1e6)

    async def last(self, pattern: str) -> list[Reading]:
        """Return the newest reading of each point; see `History.last`."""
        points = self.hot.points
        chosen = select(pattern, points.names)
        numbers = [points.number(name) for name in chosen]
        found = [self.hot.last(number) for number in numbers if number is not None]
        return [reading for reading in found if reading is not None]

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return every reading of the span; see `History.raw`."""
        [past] = await self._past([name], start_us, end_us, limit + 1)
        rows = past.columns.take(slice(limit))
        number = self.hot.points.number(name)
        unit = self.hot.points.units[number] if number is not None else ""
        more = len(past) > limit
        return Series(name, unit, past.texts, past.statuses, rows, more)

    async def buckets(
        self, names: Sequence[str], start_us: int, end_us: int, every_us: int
    ) -> list[Buckets]:
        """Return all aggregates over buckets; see `History.buckets`."""
        count = -(-(end_us - start_us) // every_us) if every_us > 0 else 0
        if not 0 < count <= MOST_BUCKETS:
            raise Refused(
                f"the span has {max(0, count)} buckets, it must have 1 to "
                f"{MOST_BUCKETS}; ask for longer ones or a shorter span"
            )
        parts: list[list[Buckets]] = []
        step = max(_AT_ONCE_US // every_us, 1) * every_us
        begin = start_us // every_us * every_us
        while begin < end_us:
            stop = min(begin + step, end_us)
            parts.append(await self._buckets(names, begin, stop, every_us))
            begin += step
        return [_chained([part[each] for part in parts]) for each in range(len(names))]

    async def export(
        self, pattern: str, start_us: int, end_us: int, form: Format
    ) -> AsyncIterator[bytes]:
        """Yield a file with every reading of the span; see `History.export`."""
        known = await asyncio.to_thread(self.snapshot.names)
        names = select(pattern, sorted({*known, *self.hot.points.names}))
        if not names:
            raise NotFound(f"no recorded point matches {pattern!r}")
        parts = _Parts()
        writing = write(form, parts)
        days = await asyncio.to_thread(
            _days, self.snapshot, self.hot.blocks(), (start_us, end_us)
        )
        for begin, stop in _steps(days, (start_us, end_us), len(names)):
            parts.table = await self._table(names, begin, stop)
            yield await asyncio.to_thread(next, writing)
        parts.table = None
        for rest in writing:
            yield rest

    async def _table(self, names: Sequence[str], start_us: int, end_us: int) -> Table:
        past = await self._past(names, start_us, end_us)
        points = Points()
        points.add(names, [self._unit(name) for name in names])
        for number, block in enumerate(past):
            block.columns.point[:] = number
        return to_table(join(past), points)

    def _unit(self, name: str) -> str:
        number = self.hot.points.number(name)
        return "" if number is None else self.hot.points.units[number]

    async def _buckets(
        self, names: Sequence[str], start_us: int, end_us: int, every_us: int
    ) -> list[Buckets]:
        # What stands at the beginning was said before it.
        past = await self._past(names, start_us - self._standing_us, end_us)
        now_us = time_ns() // 1000
        span = Span(start_us, end_us, every_us, self._standing_us, now_us)
        starts = span.edges()[:-1]

        def calculate() -> list[Buckets]:
            return [
                Buckets(name, self._unit(name), every_us, starts, aggregate(each, span))
                for name, each in zip(names, past, strict=True)
            ]

        return await asyncio.to_thread(calculate)

    async def _past(
        self, names: Sequence[str], start_us: int, end_us: int, limit: int | None = None
    ) -> list[Block]:
        """Return the readings of each point in the span, in order of time.

        The table and memory are looked at in one moment: before the first `await`.
        """
        snapshot = self.snapshot
        self.hot.sort_tail()
        in_memory: dict[str, Block] = {}
        cold_until: dict[str, int] = {}
        for name in names:
            number = self.hot.points.number(name)
            if number is None:
                cold_until[name], in_memory[name] = end_us, join([])
                continue
            cold = min(max(self.hot.cold_until(number) + 1, start_us), end_us)
            cold_until[name] = cold
            late = self.hot.uncommitted(number, start_us, cold)
            in_memory[name] = join([late, self.hot.behind(number, cold, end_us)])
        asked = [name for name in names if cold_until[name] > start_us]
        rows: dict[str, Block] = {}
        if asked:
            stop = max(cold_until[name] for name in asked)
            only = limit if len(asked) == 1 else None
            rows = await asyncio.to_thread(
                _read, snapshot, asked, (start_us, stop), only
            )
        past = []
        for name in names:
            block = rows.get(name)
            kept = [] if block is None else [_until(block, cold_until[name])]
            past.append(_in_order(join([*kept, in_memory[name]])))
        return past


class _Parts:
    """Hands the tables of an export to its writer, one at a time."""

    table: Table | None = None

    def __iter__(self) -> Iterator[Table]:
        while self.table is not None:
            yield self.table


def _read(
    snapshot: Snapshot, names: Sequence[str], span: tuple[int, int], limit: int | None
) -> dict[str, Block]:
    table = snapshot.read(names, *span, limit)
    found, positions = names_of(table)
    if len(found) <= 1:
        return {name: from_table(table) for name in found}
    whole = from_table(table)
    order = np.argsort(positions, kind="stable")
    ordered = whole.columns.take(order)
    bounds = np.searchsorted(positions[order], np.arange(len(found) + 1)).tolist()
    return {
        name: Block(
            ordered.take(slice(bounds[number], bounds[number + 1])),
            whole.texts,
            whole.statuses,
        )
        for number, name in enumerate(found)
    }


def _days(
    snapshot: Snapshot, blocks: Sequence[Block], span: tuple[int, int]
) -> list[int]:
    """Return the begin of each day of the span that has readings."""
    days = {to_us(datetime.combine(day, time(), UTC)) for day in snapshot.days()}
    for block in blocks:
        days.update((np.unique(block.columns.time // _DAY_US) * _DAY_US).tolist())
    return sorted(day for day in days if span[0] - _DAY_US < day < span[1])


def _steps(
    days: Sequence[int], span: tuple[int, int], points: int
) -> Iterator[tuple[int, int]]:
    """Yield spans that are small enough to be held in memory."""
    length = min(max(_EXPORT_READINGS // points, 60) * 1_000_000, _DAY_US)
    for day in days:
        for begin in range(day, day + _DAY_US, length):
            stop = min(begin + length, day + _DAY_US, span[1])
            if max(begin, span[0]) < stop:
                yield max(begin, span[0]), stop


def _until(block: Block, end_us: int) -> Block:
    rows = slice(int(np.searchsorted(block.columns.time, end_us)))
    return Block(block.columns.take(rows), block.texts, block.statuses)


def _in_order(block: Block) -> Block:
    order = np.argsort(block.columns.time, kind="stable")
    columns = block.columns.take(order)
    columns.point[:] = 0
    return Block(columns, block.texts, block.statuses)


def _chained(parts: Sequence[Buckets]) -> Buckets:
    first = parts[0]
    columns = {
        each: np.concatenate([part.columns[each] for part in parts])
        for each in Aggregate
    }
    start = np.concatenate([part.start for part in parts])
    return Buckets(first.name, first.unit, first.every_us, start, columns)
