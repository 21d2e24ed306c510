"""The historian as a service: it records, answers, keeps house and tells its health."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from lineshaft.core.bus import Answer, Bus
from lineshaft.core.errors import Unreachable
from lineshaft.core.errors.codes import Code
from lineshaft.core.event import Event, encode_event
from lineshaft.core.frame import encode_frame
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.message import read_msgpack
from lineshaft.core.series import History
from lineshaft.platform.historian import asking
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.arrow import from_table, units_of
from lineshaft.platform.historian.care import keeper
from lineshaft.platform.historian.care.changes import Changes
from lineshaft.platform.historian.care.holding import recording
from lineshaft.platform.historian.care.keeper import Keeper
from lineshaft.platform.historian.care.units import ByUnit
from lineshaft.platform.historian.care.upgrade import open_store
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.memory.warming import warm
from lineshaft.platform.historian.recorder import MEANINGS, Intake, Recorder
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Snapshot, Store

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

    def prepare() -> _Opened:
        store, event = open_store(home)
        snapshot = store.advance()
        span = snapshot.span_us()
        hot = Hot(
            settings.hot_window_s, settings.hot_readings, span[1] if span else None
        )
        rows = snapshot.last_rows(_LAST_DAYS)
        hot.restore_last(rows["name"].to_pylist(), units_of(rows), from_table(rows))
        changes = Changes(home, snapshot.kinds(_LAST_DAYS))
        return _Opened(
            store, Engine(hot, snapshot, settings.standing_s), changes, event
        )

    with recording(home):
        yield Historian(home, bus, await asyncio.to_thread(prepare), settings)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What lies below a home, opened."""

    store: Store
    engine: Engine
    changes: Changes
    upgraded: Event | None
    """What there is to tell, if it was of an older format."""


class Historian:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self, home: Path, bus: Bus, opened: _Opened, settings: Settings
    ) -> None:
        self._bus = bus
        store, engine, changes = opened.store, opened.engine, opened.changes
        self._engine = engine
        self._window_s = settings.hot_window_s
        self.keeper = Keeper(home, store, engine, settings, self._tell_event)
        if opened.upgraded is not None:
            self.keeper.announce(opened.upgraded)
        intake = Intake(self.keeper.may_take, changes)
        self.recorder = Recorder(bus, store, engine, settings, intake)
        self.history: History = ByUnit(engine, changes, settings.standing_s)
        """Answers in this process; everyone else asks over the bus."""
        self._since_us = time.time_ns() // 1000

    async def run(self) -> None:
        """Record, answer and keep house for ever."""
        answers: dict[str, Answer] = {
            "last": self._last,
            "names": self._names,
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
                group.create_task(self._warm(self._engine.snapshot))
                group.create_task(self.keeper.run())
                group.create_task(self._tell_health())

    async def _last(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.Last)
        readings = await self.history.last(question.pattern)
        for part in _parts(encode_frame(readings)):
            yield part

    async def _names(self, data: bytes) -> AsyncIterator[bytes]:
        names = await self.history.names(_question(data, asking.Names).pattern)
        for part in _parts(asking.pack(names)):
            yield part

    async def _raw(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.Raw)
        series = await self.history.raw(
            question.name, question.start_us, question.end_us, question.limit
        )
        for part in _parts(await asyncio.to_thread(asking.pack_series, series)):
            yield part

    async def _buckets(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.InBuckets)
        buckets = await self.history.buckets(
            question.names,
            question.start_us,
            question.end_us,
            question.every_us,
            question.wanted,
        )
        for part in _parts(await asyncio.to_thread(asking.pack_buckets, buckets)):
            yield part

    async def _export(self, data: bytes) -> AsyncIterator[bytes]:
        question = _question(data, asking.Export)
        async for part in self.history.export(
            question.pattern, question.start_us, question.end_us, question.form
        ):
            for piece in _parts(part):
                yield piece

    async def _warm(self, before: Snapshot) -> None:
        """Bring back what the earlier life held in memory; questions need not wait."""
        try:
            await warm(self._engine.hot, before, self._window_s)
        except Unreachable as trouble:
            log.warning("the recent past stays on disk: %s", trouble)

    async def _tell_event(self, event: Event) -> None:
        """Put an event on the bus; `Unreachable` leaves it to be told again."""
        number = f"{event.kind}:{event.source}:{event.time_us}"
        await self._bus.publish(f"events.{event.kind}", encode_event(event), number)

    async def _tell_health(self) -> None:
        before, then = self.recorder.readings, time.monotonic()
        state = State.OK
        while True:
            recorder, now = self.recorder, time.monotonic()
            rate = (recorder.readings - before) / max(now - then, 0.001)
            before, then = recorder.readings, now
            reasons = [*filter(None, (recorder.reason, self.keeper.reason))]
            now_is = State.DEGRADED if reasons else recorder.state
            if now_is is not state:
                state, self._since_us = now_is, time.time_ns() // 1000
            health = Health(
                service="historian",
                state=state,
                reason="; ".join(reasons),
                code=Code.NOT_STORED if recorder.reason else "",
                since_us=self._since_us,
                figures=recorder.figures()
                | self.keeper.figures()
                | {"readings_per_s": round(rate, 1)},
                meanings=MEANINGS | keeper.MEANINGS,
            )
            self._bus.tell("status.historian", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)


def _question(data: bytes, kind: type[Q]) -> Q:
    return read_msgpack(data, kind, "a question to the historian")


def _parts(data: bytes) -> list[bytes]:
    """Divide an answer into messages that every bus carries."""
    return [data[start : start + _PART] for start in range(0, len(data), _PART)]
