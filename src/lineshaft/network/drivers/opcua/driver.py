"""Hear, read and write an OPC UA server."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from asyncua import ua

from lineshaft.core.point import Point
from lineshaft.core.reading import Status, Value
from lineshaft.network.device import Batch
from lineshaft.network.drivers.opcua.address import parse_address
from lineshaft.network.drivers.opcua.asking.browse import Browser
from lineshaft.network.drivers.opcua.asking.writing import Writer
from lineshaft.network.drivers.opcua.hearing.subscription import (
    Subscriptions,
    subscribe,
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

__all__ = ["Security", "Settings", "check_address", "connect", "open_browser"]

Nodes = Sequence[ua.NodeId | Status]


def check_address(address: str) -> None:
    """Raise `ConfigError` for an address that no OPC UA server can have."""
    parse_address(address)


class PolledServer:
    """A server that is asked."""

    def __init__(self, session: Session, nodes: Nodes, writer: Writer) -> None:
        self._session = session
        self._nodes = nodes
        self._writer = writer

    async def read(self, points: Sequence[int]) -> Batch:
        """Ask once for each of `points`; a bad point reads as BAD with the reason."""
        batch = Batch()
        known: list[tuple[int, ua.NodeId]] = []
        for point in points:
            node = self._nodes[point]
            if isinstance(node, Status):
                batch.add(point, None, time.time_ns() // 1000, node)
            else:
                known.append((point, node))
        parts = await in_parts(known, self._session.limits.read, self._ask)
        for point, value, time_us, status in parts:
            batch.add(point, value, time_us, status)
        return batch

    async def _ask(
        self, part: Sequence[tuple[int, ua.NodeId]]
    ) -> list[tuple[int, Value | None, int, Status]]:
        body = await self._session.read([value_of(node) for _, node in part], "reading")
        told = decode_values(body, time.time_ns() // 1000)
        if len(told) != len(part):
            raise Malformed(f"{self._session.url} gave {len(told)} of {len(part)}")
        points = (point for point, _ in part)
        return list(zip(points, told.values, told.times, told.statuses, strict=True))

    async def write(self, point: int, value: Value) -> None:
        """Write once; return when the server has confirmed it."""
        await self._writer.write(point, value)


class HeardServer:
    """A server that tells what changes."""

    vouches = True

    def __init__(self, subscriptions: Subscriptions, writer: Writer) -> None:
        self._subscriptions = subscriptions
        self._writer = writer

    def listen(self) -> AsyncIterator[Batch]:
        """Yield what changes, for ever; `Unreachable` when the server is gone."""
        return self._subscriptions.listen()

    async def write(self, point: int, value: Value) -> None:
        """Write once; return when the server has confirmed it."""
        await self._writer.write(point, value)


@asynccontextmanager
async def connect(
    settings: Settings, points: Sequence[Point]
) -> AsyncIterator[PolledServer | HeardServer]:
    """Open a session; leaving the block gives it back to the server."""
    addresses = [parse_address(point.address) for point in points]
    async with open_session(settings) as session:
        first = settings.remember(session.namespaces)
        nodes = session.locate(addresses, first)
        writer = Writer(session, nodes)
        if settings.mode == "poll":
            yield PolledServer(session, nodes, writer)
            return
        async with subscribe(session, settings, points, nodes) as subscriptions:
            yield HeardServer(subscriptions, writer)


@asynccontextmanager
async def open_browser(settings: Settings) -> AsyncIterator[Browser]:
    """Open a session to look around in."""
    async with open_session(settings) as session:
        yield Browser(session)
