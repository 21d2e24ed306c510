"""The historian as a service: it records, answers, keeps house and tells its health."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from lineshaft.core.bus import Answer, Bus
from lineshaft.core.errors import Unreachable
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.message import read_msgpack
from lineshaft.core.series import History
from lineshaft.platform.historian import asking
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.arrow import from_table, units_of
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.recorder import Recorder
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Store

log = logging.getLogger(__name__)

_PART = 1 << 20
_LAST_DAYS = 8
"""Partitions in which the last values of an earlier life are looked for."""
Q = TypeVar("Q", bound=asking.Question)


@contextlib.asynccontextmanager
async def open_historian(
    home: Path, settings: Settings, bus: Bus
) -> AsyncIterator["Historian"]:
    """Open the store below `home`, with the last values of an earlier life.

    `ConfigError` when it cannot be opened.
    """

    def prepare() -> tuple[Store, Engine]:
        store = Store(home)
        snapshot = store.advance()
        span = snapshot.span_us()
        hot = Hot(
            settings.hot_window_s, settings.hot_readings, span[1] if span else None
        )
        rows = snapshot.last_rows(_LAST_DAYS)
        hot.restore_last(rows["name"].to_pylist(), units_of(rows), from_table(rows))
        return store, Engine(hot, snapshot, settings.standing_s)

    store, engine = await asyncio.to_thread(prepare)
    yield Historian(bus, store, engine, settings)


class Historian:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self, bus: Bus, store: Store, engine: Engine, settings: Settings
    ) -> None:
        self._bus = bus
        self._store = store
        self._engine = engine
        self.recorder = Recorder(bus, store, engine, settings)
        self.history: History = engine
        """Answers in this process; everyone else asks over the bus."""
        self._settings = settings
        self._since_us = time.time_ns() // 1000

    async def run(self) -> None:
        """Record, answer and keep house for ever."""
        answers: dict[str, Answer] = {
            "last": self._last,
            "raw": self._raw,
            "buckets": self._buckets,
            "export": self._export,
        }
        async with contextlib.AsyncExitStack() as stack:
            for what, answer in answers.items():
                await stack.enter_async_context(
                    self._bus.answer(f"historian.{what}", answer)
                )
            async with asyncio.TaskGroup() as group:
                group.create_task(self.recorder.run())
                group.create_task(self._keep_house())
                group.create_task(self._tell_health())

    async def _last(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.Last)
        readings = await self._engine.last(question.pattern)
        for part in _parts(asking.pack_readings(readings)):
            yield part

    async def _raw(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.Raw)
        series = await self._engine.raw(
            question.name, question.start_us, question.end_us, question.limit
        )
        for part in _parts(await asyncio.to_thread(asking.pack_series, series)):
            yield part

    async def _buckets(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.InBuckets)
        buckets = await self._engine.buckets(
            question.names, question.start_us, question.end_us, question.every_us
        )
        for part in _parts(await asyncio.to_thread(asking.pack_buckets, buckets)):
            yield part

    async def _export(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.Export)
        async for part in self._engine.export(
            question.pattern, question.start_us, question.end_us, question.form
        ):
            for piece in _parts(part):
                yield piece

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(self._settings.compact_every_s)
            await self._try(self._store.compact)
            while await self._try(lambda: self._store.sort_closed(datetime.now(UTC))):
                pass  # one day after the other
            await self._try(lambda: self._store.vacuum(self._settings.vacuum_after_h))

    async def _try(self, work: Callable[[], object]) -> object:
        """House-keeping that fails is tried again the next time, and said."""
        async with self._engine.changing:
            try:
                done = await asyncio.to_thread(work)
                if done:
                    self._engine.snapshot = await asyncio.to_thread(self._store.advance)
            except Unreachable as trouble:
                log.warning("%s", trouble)
                return None
        return done

    async def _tell_health(self) -> None:
        before, then = self.recorder.readings, time.monotonic()
        state = State.OK
        while True:
            recorder, now = self.recorder, time.monotonic()
            rate = (recorder.readings - before) / max(now - then, 0.001)
            before, then = recorder.readings, now
            if recorder.state is not state:
                state, self._since_us = recorder.state, time.time_ns() // 1000
            health = Health(
                service="historian",
                state=recorder.state,
                reason=recorder.reason,
                since_us=self._since_us,
                figures=recorder.figures() | {"readings_per_s": round(rate, 1)},
            )
            self._bus.tell("status.historian", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)


def _question(data: bytes, kind: type[Q]) -> Q:
    return read_msgpack(data, kind, "a question to the historian")


def _parts(data: bytes) -> list[bytes]:
    """Divide an answer into messages that every bus carries."""
    return [data[start : start + _PART] for start in range(0, len(data), _PART)]
