"""Computed points as a service: it follows the stream of readings and adds to it.

What is known is written to a file now and then. After a crash it is computed again from
there on, which yields the same results at the same times; what the stream has of them
already is not published twice.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lineshaft.core.bus import READINGS, Bus, Message
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.errors.codes import Code
from lineshaft.core.frame import Frame, decode_frame
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import Meaning, counter, gauge
from lineshaft.core.health.vouching import Vouching
from lineshaft.core.message import read_json
from lineshaft.core.name import place_of, subject_of
from lineshaft.core.reading import uncertain
from lineshaft.core.series import History
from lineshaft.platform.computed.engine import Engine, Result, newest_of
from lineshaft.platform.computed.memory import (
    State as Memory,
)
from lineshaft.platform.computed.memory import (
    read_state,
    restore,
    state_of,
    write_state,
)
from lineshaft.platform.computed.plan import Formula
from lineshaft.platform.computed.settings import DEVICE
from lineshaft.platform.computed.telling import Teller

log = logging.getLogger(__name__)

KEEP_EVERY_S = 10.0
EVERYTHING = "**"
_STALE = "the collector of {} gives no sign of life"
_MEANINGS: dict[str, Meaning] = {
    "points": gauge("computed_points", "Points that are computed."),
    "readings": counter("computed_readings", "Results that were published."),
    "readings_per_s": gauge("computed_rate", "Results a second."),
    "lag_s": gauge("computed_lag", "Age of the newest result when told.", "seconds"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be computed."""

    formulas: Sequence[Formula]
    devices: Mapping[str, str]
    """The device of each point that is an input."""
    heartbeat_s: float


class Computing:
    """A service: `run` works until it is cancelled, and then keeps what it knows."""

    def __init__(self, plan: Plan, file: Path, bus: Bus, history: History) -> None:
        self._engine = Engine(plan.formulas, plan.heartbeat_s)
        self._file = file
        self._bus = bus
        self._history = history
        self._teller = Teller([f.point for f in plan.formulas], bus)
        self._devices: dict[str, list[str]] = {}
        for name, device in plan.devices.items():
            self._devices.setdefault(device, []).append(name)
        self._vouching = Vouching(self._devices, time.monotonic())
        inputs = (n for f in plan.formulas for n in f.program.inputs)
        self._subjects = {subject_of(place_of(name)) for name in inputs}
        self._turn = asyncio.Lock()
        self._stream = ""
        self._sequence = 0
        self._since_us = time.time_ns() // 1000
        self._reason = ""
        self.readings = 0
        self.lag_s = 0.0

    async def run(self) -> None:
        """Compute for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell_health())
                await self._begin()
                group.create_task(self._follow())
                group.create_task(self._hear_health())
                group.create_task(self._watch())
                group.create_task(self._keep_for_ever())
        finally:
            # In the middle of a turn the file of before is right: it is done again.
            if self._stream and not self._turn.locked():
                write_state(self._file, self._state())

    async def _begin(self) -> None:
        """Take up where the life before ended, or begin with the last values."""
        stream = await self._bus.identity(READINGS)
        newest = await self._bus.last_sequence(READINGS)
        state = self._earlier(stream, newest)
        self._sequence = newest if state is None else state.sequence
        if state is not None:
            restore(self._engine, state)
            await self._catch_up(newest)
        self._engine.recall(await self._lasts())
        self._stream = stream
        await self._keep()  # from here on nothing is left out, whatever happens
        await self._tell(self._engine.all())

    def _earlier(self, stream: str, newest: int) -> Memory | None:
        try:
            state = read_state(self._file)
        except Refused as trouble:
            log.warning("computed points begin anew: %s", trouble)
            return None
        if state is None or state.stream != stream or state.sequence > newest:
            return None
        return state

    async def _catch_up(self, newest: int) -> None:
        """Compute what was said meanwhile; publish what the stream has not got."""
        missed = [message async for message in self._until(newest)]
        if missed and missed[0].sequence > self._sequence + 1:
            log.warning(
                "the bus has forgotten what was said while nothing was computed"
            )
            for formula in self._engine.formulas:
                for memory in formula.program.memories:
                    memory.forget()
        frames = [frame for m in missed if (frame := _decoded(m)) is not None]
        there = newest_of(frames, DEVICE)
        results: list[Result] = []
        for frame in frames:
            results += self._computed(frame)
        self._sequence = newest
        points = [formula.point.name for formula in self._engine.formulas]
        lacking = [r for r in results if r.time_us > there.get(points[r.formula], 0)]
        await self._tell(lacking)
        self._engine.tell_again(there)

    async def _until(self, newest: int) -> AsyncIterator[Message]:
        if newest <= self._sequence:
            return
        batches = self._bus.batches(READINGS, after=self._sequence)
        async with aclosing(batches) as following:  # type: ignore[type-var]
            async for batch in following:
                for message in batch:
                    if message.sequence <= newest:
                        yield message
                if batch[-1].sequence >= newest:
                    return

    async def _lasts(self) -> Frame:
        while True:
            try:
                return await self._history.last(EVERYTHING)
            except Unreachable as trouble:
                self._reason = f"waits for the last values: {trouble}"
                await asyncio.sleep(EVERY_S)
            finally:
                self._reason = ""

    async def _follow(self) -> None:
        async for batch in self._bus.batches(READINGS, after=self._sequence):
            async with self._turn:
                results: list[Result] = []
                for message in batch:
                    if message.subject in self._subjects:
                        frame = _decoded(message)
                        results += self._computed(frame) if frame is not None else []
                await self._tell(results)
                self._sequence = batch[-1].sequence
            await asyncio.sleep(0)

    def _computed(self, frame: Frame) -> list[Result]:
        return [] if frame.device == DEVICE else self._engine.take(frame)

    async def _tell(self, results: Sequence[Result]) -> None:
        if not results:
            return
        await self._teller.tell(results)
        self.readings += len(results)
        self.lag_s = time.time() - max(result.time_us for result in results) / 1e6

    async def _hear_health(self) -> None:
        async for _, data in self._bus.overhear("status.collector.>"):
            try:
                health = read_json(data, Health, "a health")
            except Refused:
                continue  # not one of ours
            self._vouching.note(health, time.monotonic())

    async def _watch(self) -> None:
        """Doubt what nobody vouches for."""
        while True:
            await asyncio.sleep(EVERY_S)
            for device, is_silent in self._vouching.changes(time.monotonic()):
                status = uncertain(_STALE.format(device)) if is_silent else None
                async with self._turn:
                    await self._tell(self._engine.doubt(self._devices[device], status))

    async def _keep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            await self._keep()

    async def _keep(self) -> None:
        async with self._turn:
            state = self._state()
        try:
            await asyncio.to_thread(write_state, self._file, state)
        except OSError as trouble:
            self._reason = f"{self._file} cannot be written: {trouble.strerror}"
        else:
            self._reason = ""

    def _state(self) -> Memory:
        return state_of(self._engine, self._stream, self._sequence)

    async def _tell_health(self) -> None:
        before, then, said = 0, time.monotonic(), ""
        while True:
            now = time.monotonic()
            rate = (self.readings - before) / max(now - then, 0.001)
            before, then = self.readings, now
            reason = self._teller.trouble or self._reason
            if reason != said:
                self._since_us, said = time.time_ns() // 1000, reason
            health = Health(
                service=f"collector.{DEVICE}",
                state=State.DEGRADED if reason else State.OK,
                reason=reason,
                code=Code.NOT_COMPUTED if reason else "",
                since_us=self._since_us,
                figures={
                    "points": len(self._engine.formulas),
                    "readings": self.readings,
                    "readings_per_s": round(rate, 1),
                    "lag_s": round(self.lag_s, 3),
                },
                meanings=_MEANINGS,
            )
            self._bus.tell(f"status.collector.{DEVICE}", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)


def _decoded(message: Message) -> Frame | None:
    try:
        return decode_frame(message.data)
    except Refused:
        return None  # the historian tells of it
