"""The OPC UA server as a service: what flows on the bus, for programs above."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from lineshaft.core.bus import EVENTS, READINGS, Bus
from lineshaft.core.command import carry_out
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.event import Severity, decode_event
from lineshaft.core.frame import decode_frame
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import Meaning, counter, gauge
from lineshaft.core.point import Point
from lineshaft.core.reading import Value
from lineshaft.core.series import History
from lineshaft.network.northbound.opcua.history import Archive
from lineshaft.network.northbound.opcua.space import Space, open_space
from lineshaft.network.northbound.opcua.values import status_of
from lineshaft.network.northbound.settings import OpcUaServerSettings

WRITE_WITHIN_S = 5.0
SILENT_AFTER_S = 3 * EVERY_S
_SEVERITY = {Severity.INFO: 100, Severity.WARNING: 500, Severity.ERROR: 800}
_MEANINGS: dict[str, Meaning] = {
    "clients": gauge("northbound_clients", "Connections of OPC UA clients."),
    "readings": counter("northbound_readings", "Readings that were taken in."),
    "sent": counter("northbound_sent", "Values that were sent to subscribers."),
}


class OpcUaServer:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self,
        settings: OpcUaServerSettings,
        points: Sequence[tuple[Point, str]],
        bus: Bus,
        history: History,
    ) -> None:
        """Serve points, each with the name of its device."""
        self._settings = settings
        self._points = points
        self._bus = bus
        self._history = history
        self._devices = {point.name: device for point, device in points}
        self._heard = dict.fromkeys(self._devices.values(), time.monotonic())
        self._since_us = time.time_ns() // 1000
        self._readings = self._sent = 0

    async def run(self) -> None:
        """Serve for ever."""
        wanted = self._settings
        archive = Archive(self._history, {p.name: p.type for p, _ in self._points})
        write = self._write if wanted.writes else None
        async with open_space(
            wanted.host, wanted.port, self._points, write, archive
        ) as space:
            newest = await self._bus.last_sequence(READINGS)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._recall(space))
                group.create_task(self._follow(space, newest))
                group.create_task(self._announce(space))
                group.create_task(self._listen_for_devices())
                group.create_task(self._doubt(space))
                group.create_task(self._tell_health(space))

    async def _recall(self, space: Space) -> None:
        """Show the last values of an earlier life, when the historian is there."""
        while True:
            try:
                known = await self._history.last("**")
            except Unreachable:
                await asyncio.sleep(1.0)
                continue
            await space.show(known.readings())
            return

    async def _follow(self, space: Space, after: int) -> None:
        async for batch in self._bus.batches(READINGS, after=after):
            for message in batch:
                try:
                    frame = decode_frame(message.data)
                except Refused:
                    continue  # the historian tells of it
                if not frame.is_import:
                    self._readings += len(frame)
                    self._sent += await space.show(frame.readings())
            await asyncio.sleep(0)

    async def _announce(self, space: Space) -> None:
        newest = await self._bus.last_sequence(EVENTS)
        async for batch in self._bus.batches(EVENTS, after=newest):
            for message in batch:
                try:
                    event = decode_event(message.data)
                except msgspec.MsgspecError:
                    continue  # not one of ours
                severity = _SEVERITY[event.severity]
                await space.announce(event.source, event.text, severity)

    async def _listen_for_devices(self) -> None:
        async for subject, _ in self._bus.overhear("status.collector.>"):
            device = subject.removeprefix("status.collector.").partition("/")[0]
            if device in self._heard:
                self._heard[device] = time.monotonic()

    async def _doubt(self, space: Space) -> None:
        """Let no value stay good whose collector is gone."""
        while True:
            await asyncio.sleep(EVERY_S)
            limit = time.monotonic() - SILENT_AFTER_S
            for device, heard in self._heard.items():
                if heard < limit:
                    await space.doubt(device)

    async def _write(self, point: Point, value: Value) -> object:
        outcome = await carry_out(
            self._bus,
            self._devices[point.name],
            (point.name, value),
            by="an OPC UA client",
            within_s=WRITE_WITHIN_S,
        )
        return status_of(outcome)

    async def _tell_health(self, space: Space) -> None:
        while True:
            health = Health(
                service="northbound.opcua",
                state=State.OK,
                since_us=self._since_us,
                figures={
                    "url": space.url,
                    "clients": space.clients,
                    "readings": self._readings,
                    "sent": self._sent,
                },
                meanings=_MEANINGS,
            )
            self._bus.tell("status.northbound.opcua", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)
