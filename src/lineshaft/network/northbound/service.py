"""All outputs that are configured, on one mirror of the bus."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
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
from lineshaft.network.northbound.sparkplug.output import Ends, SparkplugOutput


class Service(Protocol):
    """Works until it is cancelled."""

    async def run(self) -> None:
        """Work until cancelled."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where files are."""

    home: Path
    """That of lineshaft.toml; files that the settings name are relative to it."""
    data: Path
    """What outputs keep."""


def open_outputs(
    wanted: Settings,
    folders: Folders,
    served: Sequence[Served],
    bus: Bus,
    past: History,
) -> list[Service]:
    """Return the services of all outputs that are configured."""
    mirror = Mirror(served, bus, past)
    services: list[Service] = [mirror]
    if wanted.opcua:
        services.append(OpcUaOutput(wanted.opcua, served, bus, past, mirror))
    if wanted.mqtt:
        broker = broker_of(wanted.mqtt, "mqtt", folders.home)
        services.append(MqttOutput(wanted.mqtt, broker, served, bus, mirror))
    if wanted.sparkplug:
        broker = broker_of(wanted.sparkplug, "sparkplug", folders.home)
        ends = Ends(broker, folders.data / "northbound" / "sparkplug.sqlite")
        output = SparkplugOutput(wanted.sparkplug, ends, served, bus, mirror)
        services.append(output)
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
