"""The web room as a service: what it follows, and what it serves."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from lineshaft.core.bus import Bus
from lineshaft.core.bus.trail import Trail
from lineshaft.core.point import Point
from lineshaft.core.process.peer import Peers
from lineshaft.core.series import History
from lineshaft.security.access.approvals import Requests
from lineshaft.security.access.enforced import Enforced
from lineshaft.security.people.login import People
from lineshaft.web.api.app import build_app
from lineshaft.web.api.door.approving import Approving
from lineshaft.web.api.door.callers import Callers
from lineshaft.web.api.door.rights import Found, Rights
from lineshaft.web.api.leaving import ExportGate
from lineshaft.web.api.rooms import Rooms
from lineshaft.web.events import EventBook
from lineshaft.web.health import HealthBoard
from lineshaft.web.live.stream import Live
from lineshaft.web.live.talk import Told
from lineshaft.web.namespace import Namespace
from lineshaft.web.page import read_files
from lineshaft.web.server import Secure, WebServer
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
    names: frozenset[str] = frozenset()
    """Under which the page is opened, beside those of this machine."""
    secure: Secure | None = None
    """What HTTPS is served with; None: plain, on loopback."""
    gate: ExportGate | None = None
    """Asked before data are handed out as a file; None: they are not labelled."""


@dataclass(frozen=True, slots=True)
class Door:
    """Who comes in, and what they may do."""

    people: People
    enforced: Enforced
    peers: Peers
    requests: Requests
    trail: Trail
    found: Found
    """Gives the first account its rights."""


CONFIGURATION = "configuration.web"


class Web:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self,
        plant: Served,
        door: Door,
        settings: Settings,
        bus: Bus,
        history: History,
        read: Callable[[], Served] | None = None,
    ) -> None:
        """Show a plant; `read` returns it as it is configured on disk now."""
        namespace = Namespace(plant.points)
        live = Live(bus, history, namespace)
        events = EventBook(bus)
        release = version("lineshaft")
        health = HealthBoard(bus, plant.services, plant.name, release, demo=plant.demo)
        told = Told(namespace, live, events, health)
        callers = Callers(door.people, door.peers)
        rights = Rights(callers, door.enforced, namespace, door.found)
        eyes = Approving(rights, door.requests)
        rooms = Rooms(told, history, bus, read_files(), rights, eyes, plant.gate)
        app = build_app(rooms, plant.names)
        host, port = settings.host, settings.port
        self._server = WebServer(app, host, port, told.open.end, plant.secure)
        self._services = (
            live, events, health, self._server, door.enforced, door.trail
        )  # fmt: skip
        health.url, health.pages = self.url, lambda: live.pages
        health.troubles = lambda: [door.enforced.trouble, door.trail.trouble]
        self._bus, self._read = bus, read
        self._namespace, self._live, self._health = namespace, live, health

    @property
    def url(self) -> str:
        """Return the address of the page."""
        return self._server.url

    async def run(self) -> None:
        """Follow and serve for ever."""
        async with asyncio.TaskGroup() as group:
            for service in self._services:
                group.create_task(service.run(), name=type(service).__name__)
            if self._read is not None:
                group.create_task(self._answer(self._read))

    async def _answer(self, read: Callable[[], Served]) -> None:
        """Take in a changed configuration whenever someone asks for it."""

        async def change(_: bytes) -> AsyncIterator[bytes]:
            served = await asyncio.to_thread(read)
            self._namespace.take(served.points)
            self._live.renew()
            self._health.expect(served.services)
            yield b""

        async with self._bus.answer(CONFIGURATION, change):
            await asyncio.Event().wait()
