"""All outputs that are configured, on one mirror of the bus."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lineshaft.core.bus import Bus
from lineshaft.core.series import History
from lineshaft.network.drivers.mqtt.connection import Broker
from lineshaft.network.northbound.health import Figures, tell_health
from lineshaft.network.northbound.mirror import Mirror, Served
from lineshaft.network.northbound.mqtt import Publisher, broker_of
from lineshaft.network.northbound.opcua.server import OpcUaOutput
from lineshaft.network.northbound.settings import Mqtt, Settings


class Service(Protocol):
    """Works until it is cancelled."""

    async def run(self) -> None:
        """Work until cancelled."""


def open_outputs(
    wanted: Settings, home: Path, served: Sequence[Served], bus: Bus, past: History
) -> list[Service]:
    """Return the services of all outputs that are configured.

    Files that the settings name are looked for in the folder `home`.
    """
    mirror = Mirror(served, bus, past)
    services: list[Service] = [mirror]
    if wanted.opcua:
        services.append(OpcUaOutput(wanted.opcua, served, bus, past, mirror))
    if wanted.mqtt:
        broker = broker_of(wanted.mqtt, home)
        services.append(MqttOutput(wanted.mqtt, broker, served, bus, mirror))
    return services


class MqttOutput:
    """Every point as a retained message: `run` works until it is cancelled."""

    def __init__(
        self,
        wanted: Mqtt,
        broker: Broker,
        served: Sequence[Served],
        bus: Bus,
        mirror: Mirror,
    ) -> None:
        self._publisher = Publisher(wanted.prefix, broker, served)
        self._bus = bus
        self._mirror = mirror

    async def run(self) -> None:
        """Publish for ever."""
        publisher = self._publisher
        await publisher.hear(self._mirror.everything())
        self._mirror.listen(publisher.hear)

        def figures() -> Figures:
            return {"published": publisher.published, "waiting": publisher.waiting}

        async with asyncio.TaskGroup() as group:
            group.create_task(publisher.run())
            await tell_health(
                self._bus, "mqtt", self._mirror, figures, lambda: publisher.trouble
            )
