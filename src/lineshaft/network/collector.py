"""Keep one device connected, and put what it says on the bus.

Silence becomes a reconnect here, once, for every protocol: all points of the device
turn BAD with the reason, one event says so, and it is tried again at growing
intervals, so that a device in trouble is never hammered.
"""

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import msgspec
import numpy as np

from lineshaft.core.errors import Denied, NotFound, Refused, Unreachable
from lineshaft.core.errors.codes import Code
from lineshaft.core.event import Event, Severity
from lineshaft.core.frame import Columns
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import Gatherer, Meaning, counter, gauge
from lineshaft.core.health.meaning import Kind as MeaningKind
from lineshaft.core.point import Point
from lineshaft.core.process.tasks import bare, cancellable
from lineshaft.network.device import Announces, Batch, Device, Listens, Reads
from lineshaft.network.framing import Framer
from lineshaft.network.herald import Herald
from lineshaft.network.outbox import Parcel
from lineshaft.network.settings import DeviceConfig
from lineshaft.network.shaping import NEVER, Shaper

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
GATHER_S = 0.02
"""Readings that a device says within this time travel together."""
MOST_PENDING = 200_000
CHECK_EVERY_S = 0.5
MEANINGS: dict[str, Meaning] = {
    "points": gauge("collector_points", "Configured points."),
    "readings": counter("collector_readings", "Readings that were sent."),
    "readings_per_s": gauge("collector_rate", "Readings a second that are sent."),
    "connects": counter("collector_connects", "Connections that were opened."),
    "missed_polls": counter("collector_missed_polls", "Turns that came too late."),
    "last_heard_s": gauge("collector_last_value", "Age of the last value.", "seconds"),
    "errors": counter("collector_errors", "Connections that ended.", label="code"),
    "latency": Meaning(
        MeaningKind.HISTOGRAM,
        "collector_latency",
        "seconds",
        "From source time to the confirmation of the bus.",
    ),
}
_HANGS_AFTER = 10
"""Time-outs that a call of a driver may take before it counts as silence."""


class Posts(Protocol):
    """What a collector needs from the outbox."""

    async def post(self, parcel: Parcel) -> None:
        """Return once the message is safe."""

    async def tell(self, event: Event) -> None:
        """Post an event."""


class Tells(Protocol):
    """What a collector needs from the bus."""

    def tell(self, subject: str, data: bytes) -> None:
        """Say something to whoever listens now."""


class Collector:
    """A service for one connection: `run` works until it is cancelled."""

    def __init__(
        self,
        config: DeviceConfig,
        session: str,
        points: Sequence[Point],
        outbox: Posts,
        bus: Tells,
    ) -> None:
        self.name = f"{config.name}/{session}" if session else config.name
        self.points = points
        self.device: Device | None = None
        """The connected device, or None while there is none."""
        self.farewell = "the collector was stopped"
        """What is said of every point when this ends."""
        self._config = config
        self._outbox = outbox
        self._bus = bus
        self._shaper = Shaper(points, _now_us())
        self._framer = Framer(config.name, points)
        self._herald = Herald(self.name, outbox)
        self._sending = asyncio.Lock()
        self._silent_since: int | None = None
        self._since_us = _now_us()
        self._reason = "not connected yet"
        self._readings = 0
        self._connects = 0
        self._overruns = 0
        self._code: str = Code.NOT_CONNECTED
        self._errors: Counter[str] = Counter()
        self._latency = Gatherer()

    async def run(self) -> None:
        """Collect for ever; when the device falls silent, wait and reconnect."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell_health())
                group.create_task(self._stay_connected())
        finally:
            everything = np.arange(len(self.points))
            ended = self._shaper.condemn(
                everything, self.farewell, _steady_us(), _now_us()
            )
            await self._send(ended)

    async def _stay_connected(self) -> None:
        retry_s = FIRST_RETRY_S
        while True:
            opened = time.monotonic()
            try:
                with bare():
                    await self._connect_and_collect()
            except (Unreachable, Refused, NotFound, Denied) as silence:
                await self._fall_silent(str(silence), silence.stable_code)
            except TimeoutError:
                reason = "the driver did not return in time"
                await self._fall_silent(reason, Code.DRIVER_HANGS)
            finally:
                self.device = None
            lasted_s = time.monotonic() - opened
            retry_s = FIRST_RETRY_S if lasted_s > LAST_RETRY_S else retry_s
            # Devices that fell together must not come back in step.
            await asyncio.sleep(retry_s * random.uniform(0.8, 1.2))  # noqa: S311
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def _connect_and_collect(self) -> None:
        patience_s = self._config.timeout_s * _HANGS_AFTER
        self._shaper.begin(_now_us())
        async with AsyncExitStack() as stack:
            opening = self._config.driver.connect(self._config.settings, self.points)
            async with asyncio.timeout(patience_s):
                with cancellable():
                    device = await stack.enter_async_context(opening)
            self.device = device
            self._connects += 1
            async with asyncio.TaskGroup() as group:
                if isinstance(device, Announces):
                    group.create_task(self._herald.pass_on(device))
                group.create_task(self._collect(device))

    async def _collect(self, device: Device) -> None:
        if isinstance(device, Listens):
            await self._listen(device)
        elif isinstance(device, Reads):
            await self._poll(device)
        else:
            raise Refused(f"the driver of {self.name} can neither read nor listen")

    async def _poll(self, device: Reads) -> None:
        groups: dict[float, list[int]] = {}
        for position, point in enumerate(self.points):
            groups.setdefault(point.period_s, []).append(position)
        async with asyncio.TaskGroup() as group:
            for period_s, positions in groups.items():
                group.create_task(self._poll_group(device, period_s, positions))

    async def _poll_group(
        self, device: Reads, period_s: float, positions: list[int]
    ) -> None:
        """Ask in step with the clock; a turn that comes too late is left out."""
        due = time.monotonic()
        while True:
            async with asyncio.timeout(self._config.timeout_s * _HANGS_AFTER):
                with cancellable():
                    batch = await device.read(positions)
            await self._report(batch, self._config.heartbeat_s)
            now = time.monotonic()
            missed = int((now - due) // period_s)
            self._overruns += missed
            due += (missed + 1) * period_s
            await asyncio.sleep(due - now)

    async def _listen(self, device: Listens) -> None:
        pending: deque[Batch] = deque()
        news, room = asyncio.Event(), asyncio.Event()
        room.set()

        async def hear() -> None:
            async for batch in device.listen():
                pending.append(batch)
                news.set()
                if sum(map(len, pending)) > MOST_PENDING:
                    room.clear()  # the device's own queue takes over
                    await room.wait()
            raise Unreachable(f"{self.name} ended its stream")

        async def report() -> None:
            while True:
                await news.wait()
                await asyncio.sleep(GATHER_S)
                news.clear()
                batch = _merged(pending)
                room.set()
                await self._report(batch, None)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(hear())
                group.create_task(report())
                group.create_task(self._watch_over(device))
        finally:
            # What it said before it fell silent still counts.
            await self._report(_merged(pending), None)

    async def _watch_over(self, device: Listens) -> None:
        """Repeat what stands still, or find what has fallen silent."""
        if device.vouches is None:
            return
        since_us = _steady_us()
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            now, stamp = _steady_us(), _now_us()
            if device.vouches:
                columns = self._shaper.repeat(now, self._config.heartbeat_s, stamp)
            else:
                timeout_s = self._config.timeout_s
                rows = self._shaper.silent(now, since_us, timeout_s)
                reason = f"{self.name} said nothing for its period and {timeout_s:g} s"
                columns = self._shaper.condemn(rows, reason, now, stamp)
            await self._send(columns)

    async def _report(self, batch: Batch, heartbeat_s: float | None) -> None:
        if not len(batch):
            return
        now = _steady_us()
        columns = self._shaper.shape(batch, now)
        await self._return_from_silence(now)
        await self._send(self._shaper.news(columns, now, heartbeat_s, _now_us()))

    async def _send(self, columns: Columns) -> None:
        if not len(columns):
            return
        shaper = self._shaper
        # One at a time, so that numbers rise in the order in which frames are stored.
        async with self._sending:
            for parcel in self._framer.parcels(columns, shaper.texts, shaper.statuses):
                await self._outbox.post(parcel)
                self._readings += parcel.readings
        self._latency.add((_now_us() - columns.time) / 1e6)

    async def _fall_silent(self, reason: str, code: str) -> None:
        self.device = None
        now = _steady_us()
        self._reason, self._code = reason, code
        self._errors[code] += 1
        if self._silent_since is not None:
            log.debug("%s is still silent: %s", self.name, reason)
            return
        self._silent_since, self._since_us = now, _now_us()
        said = {"code": code, "device": self._config.name}
        log.warning("%s fell silent: %s", self.name, reason, extra=said)
        everything = np.arange(len(self.points))
        await self._send(self._shaper.condemn(everything, reason, now, _now_us()))
        await self._outbox.tell(
            Event(
                kind="device.silent",
                source=self.name,
                severity=Severity.WARNING,
                code=code,
                text=f"{self.name} fell silent: {reason}. It is tried again by itself; "
                f"`lineshaft doctor` helps to find the cause.",
            )
        )

    async def _return_from_silence(self, now: int) -> None:
        if self._silent_since is None:
            if self._reason:
                self._reason, self._since_us = "", _now_us()
            return
        gone_s = (now - self._silent_since) / 1e6
        self._silent_since, self._reason, self._since_us = None, "", _now_us()
        log.warning("%s is back after %.1f s", self.name, gone_s)
        await self._outbox.tell(
            Event(
                kind="device.back",
                source=self.name,
                text=f"{self.name} is back after {gone_s:.1f} s.",
                detail={"gone_s": round(gone_s, 3)},
            )
        )

    async def _tell_health(self) -> None:
        before, then = self._readings, time.monotonic()
        while True:
            now = time.monotonic()
            rate = (self._readings - before) / max(now - then, 0.001)
            before, then = self._readings, now
            self._bus.tell(
                f"status.collector.{self.name}", msgspec.json.encode(self._health(rate))
            )
            await asyncio.sleep(EVERY_S)

    def _health(self, rate: float) -> Health:
        heard = int(self._shaper.heard_us.max(initial=NEVER))
        figures: dict[str, float | int | str] = {
            "driver": self._config.protocol,
            "points": len(self.points),
            "readings": self._readings,
            "readings_per_s": round(rate, 1),
            "connects": self._connects,
            "missed_polls": self._overruns,
        }
        if heard != NEVER:
            figures["last_heard_s"] = round((_steady_us() - heard) / 1e6, 3)
        down = self._silent_since is not None
        waits = State.DEGRADED if self._reason else State.OK
        return Health(
            service=f"collector.{self.name}",
            state=State.DOWN if down else waits,
            reason=self._reason,
            code=self._code if self._reason else "",
            since_us=self._since_us,
            figures=figures,
            tables={"errors": dict(self._errors)},
            spreads={"latency": self._latency.spread()},
            meanings=MEANINGS,
        )


def _merged(pending: deque[Batch]) -> Batch:
    """Take all batches out of `pending`, as one."""
    merged = pending.popleft() if pending else Batch()
    while pending:
        batch = pending.popleft()
        merged.points += batch.points
        merged.values += batch.values
        merged.times += batch.times
        merged.statuses += batch.statuses
    return merged


def _now_us() -> int:
    """Return the time that a reading bears; somebody may set the clock."""
    return time.time_ns() // 1000


def _steady_us() -> int:
    """Return a moment of a clock that nobody sets, to say what lasts how long."""
    return time.monotonic_ns() // 1000
