"""Answers about points that have had several units: these are never mixed.

Raw readings have the unit that they were taken with: a series ends where the unit
changes and says that there is more. Aggregates count the readings in the present unit
of the point only. Every row of an export has its own unit.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import numpy as np

from lineshaft.core.errors import NotFound
from lineshaft.core.frame import Frame
from lineshaft.core.series import Aggregate, Buckets, Format, Series
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.answers.export import write
from lineshaft.platform.historian.arrow import Table, to_table
from lineshaft.platform.historian.block import Block, Points, join
from lineshaft.platform.historian.care.changes import Changes
from lineshaft.platform.historian.memory.hot import Hot

_ALWAYS = np.iinfo(np.int64).max - 1
"""A time up to which the table is asked for everything that is committed."""
_AT_ONCE = 1_000_000


class ByUnit:
    """Implements `core.series.History`; what has one unit is left to the engine."""

    def __init__(self, engine: Engine, changes: Changes, standing_s: float) -> None:
        self._engine = engine
        self._changes = changes
        self._standing_s = standing_s

    async def last(self, pattern: str) -> Frame:
        """Return the newest reading of each point; see `History.last`."""
        return await self._engine.last(pattern)

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return the readings up to a change of unit; see `History.raw`."""
        if name not in self._changes.units:
            return await self._engine.raw(name, start_us, end_us, limit)
        parts = await self._by_unit(name, start_us, end_us, limit)
        if not parts:
            return await self._raw_of(name, self._now(name), (start_us, end_us), 1)
        first, *others = sorted(parts, key=lambda part: int(part.columns.time[0]))
        if not others:
            return first
        # Of one time, what is in this unit comes first: so each part has a reading.
        until = max(int(others[0].columns.time[0]), int(first.columns.time[0]) + 1)
        rows = slice(int(np.searchsorted(first.columns.time, until)))
        columns = first.columns.take(rows)
        return Series(name, first.unit, first.texts, first.statuses, columns, more=True)

    async def buckets(
        self,
        names: Sequence[str],
        start_us: int,
        end_us: int,
        every_us: int,
        wanted: Sequence[Aggregate] = tuple(Aggregate),
    ) -> list[Buckets]:
        """Return aggregates in the present unit; see `History.buckets`."""
        asked = (start_us, end_us, every_us, wanted)
        plain = [name for name in names if name not in self._changes.units]
        found: dict[str, Buckets] = {}
        if plain or not names:
            parts = await self._engine.buckets(plain, *asked)
            found = dict(zip(plain, parts, strict=True))
        for name in names:
            if name not in found:
                engine = self._of(name, self._now(name))
                [found[name]] = await engine.buckets([name], *asked)
        return [found[name] for name in names]

    async def names(self, pattern: str) -> list[str]:
        """Return all names; see `History.names`."""
        return await self._engine.names(pattern)

    async def export(
        self, pattern: str, start_us: int, end_us: int, form: Format
    ) -> AsyncIterator[bytes]:
        """Yield a file in which each reading has its unit; see `History.export`."""
        names = await self.names(pattern)
        if not names:
            raise NotFound(f"no recorded point matches {pattern!r}")
        if not any(name in self._changes.units for name in names):
            async for part in self._engine.export(pattern, start_us, end_us, form):
                yield part
            return
        parts = _Parts()
        writing = write(form, parts)
        for name in names:
            async for parts.table in self._tables(name, start_us, end_us):
                yield await asyncio.to_thread(next, writing)
        parts.table = None
        for rest in writing:
            yield rest

    async def _tables(
        self, name: str, start_us: int, end_us: int
    ) -> AsyncIterator[Table]:
        while start_us < end_us:
            series = await self.raw(name, start_us, end_us, _AT_ONCE)
            if not len(series.columns):
                return
            points = Points()
            points.add([name], [series.unit])
            block = Block(series.columns, series.texts, series.statuses)
            yield to_table(block, points)
            if not series.more:
                return
            start_us = int(series.columns.time[-1]) + 1

    async def _by_unit(
        self, name: str, start_us: int, end_us: int, limit: int
    ) -> list[Series]:
        units = self._changes.units[name]
        told = [
            await self._raw_of(name, unit, (start_us, end_us), limit) for unit in units
        ]
        return [series for series in told if len(series.columns)]

    async def _raw_of(
        self, name: str, unit: str, span: tuple[int, int], limit: int
    ) -> Series:
        told = await self._of(name, unit).raw(name, *span, limit)
        return replace(told, unit=unit)

    def _now(self, name: str) -> str:
        points = self._engine.hot.points
        number = points.number(name)
        return self._changes.units[name][-1] if number is None else points.units[number]

    def _of(self, name: str, unit: str) -> Engine:
        """Return an engine that knows the readings of one point in one unit only.

        What is not committed yet is in the present unit: the recorder commits before
        a unit changes.
        """
        hot = Hot(0.0, 0, _ALWAYS)
        number = self._engine.hot.points.number(name)
        if number is not None and unit == self._now(name):
            one = np.array([number], np.uint32)
            parts = (
                packed.of(one, -_ALWAYS, _ALWAYS) for packed in self._engine.hot.tail()
            )
            tail = join([part for part in parts if part is not None])
            hot.take(
                Frame(
                    "", "", 0, (name,), (unit,), tail.texts, tail.statuses, tail.columns
                )
            )
        return Engine(hot, self._engine.snapshot.of_unit(unit), self._standing_s)


class _Parts:
    """Hands the tables of an export to its writer, one at a time."""

    table: Table | None = None

    def __iter__(self) -> Iterator[Table]:
        while self.table is not None:
            yield self.table
