"""Answers about the past, from memory and from the table as if they were one."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from time import time_ns

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.frame import Frame
from lineshaft.core.name import select
from lineshaft.core.reading import to_us
from lineshaft.core.series import Aggregate, Buckets, Format, Series
from lineshaft.platform.historian.answers.aggregate import Floats, Span, aggregate
from lineshaft.platform.historian.answers.export import write
from lineshaft.platform.historian.answers.partial import GATHERED
from lineshaft.platform.historian.answers.past import Past, look
from lineshaft.platform.historian.arrow import Table, to_table
from lineshaft.platform.historian.block import Points
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.memory.packed import Packed
from lineshaft.platform.historian.store.table import Snapshot

MOST_BUCKETS = 1_000_000
_AT_ONCE_US = 8 * 86_400_000_000
_DAY_US = 86_400_000_000
_AT_ONCE = 4_000_000
"""How many readings, if each point has one a second, are aggregated at once."""
_MOST_PATTERNS = 256
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
        self._chosen: dict[str, _Chosen] = {}

    async def last(self, pattern: str) -> Frame:
        """Return the newest reading of each point; see `History.last`."""
        chosen = self._select(pattern)
        block = self.hot.last(chosen.numbers)
        names, units = chosen.names, chosen.units
        if len(block) < len(names):  # some are known, but nothing was heard of them
            points = self.hot.points
            heard = block.columns.point.tolist()
            names = tuple(points.names[each] for each in heard)
            units = tuple(points.units[each] for each in heard)
        columns = replace(block.columns, point=np.arange(len(names), dtype=np.uint32))
        statuses = block.statuses
        return Frame("historian", "", 0, names, units, block.texts, statuses, columns)

    def _select(self, pattern: str) -> "_Chosen":
        """Return the points that a pattern means; asked again, it costs nothing."""
        points = self.hot.points
        known = self._chosen.get(pattern)
        if known is None or known.changes != points.changes:
            names = tuple(select(pattern, points.names))
            numbers = [points.number(name) for name in names]
            known = _Chosen(
                points.changes,
                names,
                tuple(points.units[each] for each in numbers if each is not None),
                np.array(numbers, np.uint32),
            )
            self._chosen[pattern] = known
            if len(self._chosen) > _MOST_PATTERNS:
                del self._chosen[next(iter(self._chosen))]
        return known

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return every reading of the span; see `History.raw`."""
        past = look(self.hot, self.snapshot, [name], (start_us, end_us))
        found = await asyncio.to_thread(past.rows, limit + 1)
        rows = found.columns.take(slice(limit))
        more = len(found) > limit
        return Series(name, self._unit(name), found.texts, found.statuses, rows, more)

    async def buckets(
        self,
        names: Sequence[str],
        start_us: int,
        end_us: int,
        every_us: int,
        wanted: Sequence[Aggregate] = tuple(Aggregate),
    ) -> list[Buckets]:
        """Return aggregates over buckets; see `History.buckets`."""
        count = -(-(end_us - start_us) // every_us) if every_us > 0 else 0
        if not 0 < count <= MOST_BUCKETS:
            raise Refused(
                f"the span has {max(0, count)} buckets, it must have 1 to "
                f"{MOST_BUCKETS}; ask for longer ones or a shorter span"
            )
        different = list(dict.fromkeys(names))
        asked = _Asked(different, every_us, tuple(wanted), time_ns() // 1000)
        begin = start_us // every_us * every_us
        step = max(_AT_ONCE_US // every_us, 1) * every_us
        parts = [
            await self._buckets(asked, (each, min(each + step, end_us)))
            for each in range(begin, end_us, step)
        ]
        start = Span(begin, end_us, every_us, 0, 0).edges()[:-1]
        columns = {
            each: np.concatenate([part[each] for part in parts], axis=1)
            for each in asked.wanted
        }
        line = {name: position for position, name in enumerate(different)}
        return [
            Buckets(
                name,
                self._unit(name),
                every_us,
                start,
                {each: column[line[name]] for each, column in columns.items()},
            )
            for name in names
        ]

    async def names(self, pattern: str) -> list[str]:
        """Return all names, on disk and in memory; see `History.names`."""
        known = await asyncio.to_thread(self.snapshot.names)
        return select(pattern, sorted({*known, *self.hot.points.names}))

    async def export(
        self, pattern: str, start_us: int, end_us: int, form: Format
    ) -> AsyncIterator[bytes]:
        """Yield a file with every reading of the span; see `History.export`."""
        names = await self.names(pattern)
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
        past = look(self.hot, self.snapshot, names, (start_us, end_us))
        points = Points()
        points.add(names, [self._unit(name) for name in names])
        return to_table(await asyncio.to_thread(past.rows), points)

    def _unit(self, name: str) -> str:
        number = self.hot.points.number(name)
        return "" if number is None else self.hot.points.units[number]

    async def _buckets(
        self, asked: "_Asked", span: tuple[int, int]
    ) -> dict[Aggregate, Floats]:
        """Return a line of buckets for each name."""
        edges = Span(*span, asked.every_us, 0, 0).edges()
        if GATHERED.issuperset(asked.wanted):
            past = look(self.hot, self.snapshot, asked.names, span)
            count = len(asked.names)
            gathered = await asyncio.to_thread(past.gather, count, edges, asked.wanted)
            return gathered.result()
        # What stands at the beginning was said before it.
        begin = span[0] - self._standing_us
        lines = Span(*span, asked.every_us, self._standing_us, asked.now_us)
        at_once = max(_AT_ONCE // max((span[1] - begin) // 1_000_000, 1), 1)
        parts = []
        for first in range(0, len(asked.names), at_once):
            names = asked.names[first : first + at_once]
            past = look(self.hot, self.snapshot, names, (begin, span[1]))
            parts.append(await asyncio.to_thread(_aggregate, past, lines, len(names)))
        return {
            each: np.concatenate([part[each] for part in parts])
            for each in asked.wanted
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Chosen:
    """What a pattern means, as long as points are the same."""

    changes: int
    names: tuple[str, ...]
    units: tuple[str, ...]
    numbers: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What is asked for in buckets; the names are different."""

    names: list[str]
    every_us: int
    wanted: tuple[Aggregate, ...]
    now_us: int


class _Parts:
    """Hands the tables of an export to its writer, one at a time."""

    table: Table | None = None

    def __iter__(self) -> Iterator[Table]:
        while self.table is not None:
            yield self.table


def _aggregate(past: Past, span: Span, points: int) -> dict[Aggregate, Floats]:
    return aggregate(past.rows(), span, points)


def _days(
    snapshot: Snapshot, memory: Sequence[Packed], span: tuple[int, int]
) -> list[int]:
    """Return the begin of each day of the span that has readings."""
    days = {to_us(datetime.combine(day, time(), UTC)) for day in snapshot.days()}
    for packed in memory:
        # Without a table of times it reaches over little more than an hour.
        ends = np.array([packed.first_us, packed.last_us])
        times = ends if packed.times is None else packed.times
        days.update((np.unique(times // _DAY_US) * _DAY_US).tolist())
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
