"""The OPC UA server as a service: what flows on the bus, for programs above."""

import asyncio
from collections.abc import Sequence

from asyncua import ua

from lineshaft.core.bus import EVENTS, Bus
from lineshaft.core.command import carry_out
from lineshaft.core.errors import Refused
from lineshaft.core.event import Severity, decode_event
from lineshaft.core.point import Point
from lineshaft.core.reading import Value
from lineshaft.core.series import History
from lineshaft.network.northbound.health import Figures, tell_health
from lineshaft.network.northbound.mirror import Mirror, Served
from lineshaft.network.northbound.opcua.history import Archive
from lineshaft.network.northbound.opcua.space import Space, open_space
from lineshaft.network.northbound.opcua.values import status_of
from lineshaft.network.northbound.settings import OpcUaServerSettings

_SEVERITY = {Severity.INFO: 100, Severity.WARNING: 500, Severity.ERROR: 800}


class OpcUaOutput:
    """Our own OPC UA server: `run` works until it is cancelled."""

    def __init__(
        self,
        wanted: OpcUaServerSettings,
        served: Sequence[Served],
        bus: Bus,
        past: History,
        mirror: Mirror,
    ) -> None:
        self._wanted = wanted
        self._served = served
        self._devices = {each.point.name: each.device for each in served}
        self._bus = bus
        self._past = past
        self._mirror = mirror

    async def run(self) -> None:
        """Serve for ever."""
        wanted, mirror = self._wanted, self._mirror
        points = [each.point for each in self._served]
        archive = Archive(self._past, {point.name: point.type for point in points})
        write = self._write if wanted.writes else None
        after = await self._bus.last_sequence(EVENTS)
        async with open_space(
            wanted.host, wanted.port, points, write, archive
        ) as space:
            mirror.listen(space.show)
            await space.show(mirror.everything())

            def figures() -> Figures:
                return {"url": space.url, "clients": space.clients, "sent": space.sent}

            async with asyncio.TaskGroup() as group:
                group.create_task(tell_health(self._bus, "opcua", mirror, figures))
                await self._announce(space, after)

    async def _announce(self, space: Space, after: int) -> None:
        async for batch in self._bus.batches(EVENTS, after=after):
            for message in batch:
                try:
                    event = decode_event(message.data)
                except Refused:
                    continue  # not one of ours
                severity = _SEVERITY[event.severity]
                await space.announce(event.source, event.text, severity)

    async def _write(self, point: Point, value: Value, by: str) -> ua.StatusCode:
        outcome = await carry_out(
            self._bus,
            self._devices[point.name],
            (point.name, value),
            by=by,
            within_s=self._wanted.write_within_s,
        )
        return status_of(outcome)
