"""The web room as a service: what it follows, and what it serves."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from lineshaft.core.bus import Bus
from lineshaft.core.point import Point
from lineshaft.core.series import History
from lineshaft.web.app import Rooms, build_app
from lineshaft.web.events import EventBook
from lineshaft.web.health import HealthBoard
from lineshaft.web.live import Live
from lineshaft.web.namespace import Namespace
from lineshaft.web.page import read_files
from lineshaft.web.server import WebServer
from lineshaft.web.settings import Settings


@dataclass(frozen=True, slots=True)
class Served:
    """The plant that is shown."""

    name: str
    demo: bool
    points: Iterable[tuple[Point, str, str]]
    """Each point with its device and the device's protocol."""
    services: Sequence[str]
    """Services that must tell their health."""


class Web:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self, plant: Served, settings: Settings, bus: Bus, history: History
    ) -> None:
        namespace = Namespace(plant.points)
        release = version("lineshaft")
        self._live = Live(bus, history, namespace)
        self._events = EventBook(bus)
        self._health = HealthBoard(
            bus, plant.services, plant.name, release, demo=plant.demo
        )
        rooms = Rooms(
            namespace,
            self._live,
            history,
            self._events,
            self._health,
            bus,
            read_files(),
        )
        self._server = WebServer(
            build_app(rooms, release), settings.host, settings.port
        )
        self._health.url = self._server.url

    async def run(self) -> None:
        """Follow and serve for ever."""
        async with asyncio.TaskGroup() as group:
            for service in (self._live, self._events, self._health, self._server):
                group.create_task(service.run(), name=type(service).__name__)
