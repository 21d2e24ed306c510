"""Hear, read, write and call an OPC UA server."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lineshaft.core.point import Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import Status, Value
from lineshaft.network.device import Batch, Occurrence
from lineshaft.network.drivers.opcua.address import parse_target
from lineshaft.network.drivers.opcua.asking.browse import Browser
from lineshaft.network.drivers.opcua.asking.offering import offers
from lineshaft.network.drivers.opcua.asking.writing import Writer
from lineshaft.network.drivers.opcua.hearing.announcing import Announcer
from lineshaft.network.drivers.opcua.hearing.subscription import (
    Subscriptions,
    subscribe,
)
from lineshaft.network.drivers.opcua.places import (
    Finder,
    Found,
    MethodPlace,
    Place,
)
from lineshaft.network.drivers.opcua.security import Security, Settings
from lineshaft.network.drivers.opcua.session import (
    Session,
    in_parts,
    open_session,
    value_of,
)
from lineshaft.network.drivers.opcua.wire.messages import decode_values
from lineshaft.network.drivers.opcua.wire.values import Malformed

__all__ = [
    "Security",
    "Settings",
    "check_address",
    "connect",
    "offers",
    "open_browser",
]


def check_address(address: str) -> None:
    """Raise `ConfigError` for an address that no OPC UA server can have."""
    parse_target(address)


class PolledServer:
    """A server that is asked."""

    def __init__(
        self,
        session: Session,
        places: Sequence[Found],
        writer: Writer,
        announcer: Announcer,
    ) -> None:
        self._session = session
        self._places = places
        self._writer = writer
        self._announcer = announcer

    async def read(self, points: Sequence[int]) -> Batch:
        """Ask once for each of `points`; a bad point reads as BAD with the reason."""
        batch = Batch()
        known: list[tuple[int, Place]] = []
        for point in points:
            place = self._places[point]
            if isinstance(place, Status):
                batch.add(point, None, time.time_ns() // 1000, place)
            elif isinstance(place, MethodPlace):
                batch.add(point, *self._writer.reading_of(point))
            else:
                known.append((point, place))
        parts = await in_parts(known, self._session.limits.read, self._ask)
        for point, value, time_us, status in parts:
            batch.add(point, value, time_us, status)
        return batch

    async def _ask(
        self, part: Sequence[tuple[int, Place]]
    ) -> list[tuple[int, Value | None, int, Status]]:
        wanted = [value_of(place.node, part=place.range) for _, place in part]
        body = await self._session.read(wanted, "reading")
        told = decode_values(body, time.time_ns() // 1000)
        if len(told) != len(part):
            raise Malformed(f"{self._session.url} gave {len(told)} of {len(part)}")
        points = (point for point, _ in part)
        return list(zip(points, told.values, told.times, told.statuses, strict=True))

    async def write(self, point: int, value: Value) -> str:
        """Write or call once; return when the server has confirmed it."""
        return await self._writer.write(point, value)

    def announce(self) -> AsyncIterator[Occurrence]:
        """Yield events and alarms of the objects that the settings name."""
        return self._announcer.announce()


class HeardServer:
    """A server that tells what changes."""

    vouches = True

    def __init__(
        self,
        subscriptions: Subscriptions,
        places: Sequence[Found],
        writer: Writer,
        announcer: Announcer,
    ) -> None:
        self._subscriptions = subscriptions
        self._places = places
        self._writer = writer
        self._announcer = announcer
        methods = [
            point
            for point, place in enumerate(places)
            if isinstance(place, MethodPlace)
        ]
        if methods:
            self._tell_answers(methods)

    def listen(self) -> AsyncIterator[Batch]:
        """Yield what changes, for ever; `Unreachable` when the server is gone."""
        return self._subscriptions.listen()

    async def write(self, point: int, value: Value) -> str:
        """Write or call once; return when the server has confirmed it."""
        answer = await self._writer.write(point, value)
        if isinstance(self._places[point], MethodPlace):
            self._tell_answers([point])
        return answer

    def _tell_answers(self, points: Sequence[int]) -> None:
        batch = Batch()
        for point in points:
            batch.add(point, *self._writer.reading_of(point))
        self._subscriptions.say(batch)

    def announce(self) -> AsyncIterator[Occurrence]:
        """Yield events and alarms of the objects that the settings name."""
        return self._announcer.announce()


@asynccontextmanager
async def connect(
    settings: Settings, points: Sequence[Point]
) -> AsyncIterator[PolledServer | HeardServer]:
    """Open a session; leaving the block gives it back to the server."""
    targets = [parse_target(point.address) for point in points]
    polls = settings.mode == "poll"
    async with open_session(settings) as session:
        finder = Finder(session, settings.remember(session.namespaces))
        places = await finder.find(targets)
        writer = Writer(session, places)
        async with beside(finder.watch()):
            if polls and not settings.events:
                nobody = Announcer(session, settings, asyncio.Queue())
                yield PolledServer(session, places, writer, nobody)
                return
            heard = [] if polls else places
            async with subscribe(session, settings, points, heard) as (subs, first):
                announcer = Announcer(session, settings, subs.events)
                await announcer.start(first, finder)
                if not polls:
                    yield HeardServer(subs, places, writer, announcer)
                    return
                async with beside(_only_events(subs)):
                    yield PolledServer(session, places, writer, announcer)


async def _only_events(subscriptions: Subscriptions) -> None:
    """Notice when a subscription without points fails."""
    async for _ in subscriptions.listen():
        pass


@asynccontextmanager
async def open_browser(settings: Settings) -> AsyncIterator[Browser]:
    """Open a session to look around in."""
    async with open_session(settings) as session:
        yield Browser(session)
