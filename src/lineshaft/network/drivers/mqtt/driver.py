"""Listen and write to devices behind an MQTT broker, plain or Sparkplug B."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import msgspec
from typing_extensions import override

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.point import Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import Value
from lineshaft.network.device import Batch
from lineshaft.network.drivers.mqtt import plain
from lineshaft.network.drivers.mqtt.address import (
    NAMESPACE,
    Metric,
    Plain,
    parse_address,
)
from lineshaft.network.drivers.mqtt.connection import (
    Connection,
    Message,
    open_connection,
)
from lineshaft.network.drivers.mqtt.path import parse_path
from lineshaft.network.drivers.mqtt.settings import Settings
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.host import Host
from lineshaft.network.drivers.mqtt.survey import Survey

__all__ = ["Settings", "check_address", "connect", "open_browser", "sessions"]

MOST_PENDING = 200_000
"""Readings that wait to be taken; beyond it messages wait, which are bounded too."""
TICK_S = 0.5
_BROWSE = "browse"
_STATE = f"{NAMESPACE}/STATE"


def check_address(address: str) -> None:
    """Raise `ConfigError` for an address that is neither a topic nor a metric."""
    parse_address(address)


def sessions(settings: Settings, points: Sequence[Point]) -> Mapping[str, list[int]]:
    """Give Sparkplug metrics a connection of their own.

    No news of them means no change, for the broker tells of an edge node's death. A
    plain topic that is silent may be dead.
    """
    kinds: dict[str, list[int]] = {}
    for position, point in enumerate(points):
        address = parse_address(point.address)
        kind = "sparkplug" if isinstance(address, Metric) else "plain"
        kinds.setdefault(kind, []).append(position)
    return kinds if len(kinds) > 1 else {"": list(range(len(points)))}


@asynccontextmanager
async def connect(
    settings: Settings, points: Sequence[Point]
) -> AsyncIterator["PlainDevice | SparkplugDevice"]:
    """Open the device; leaving the block says goodbye to the broker.

    `ValueError` if the points are of both kinds: divide them with `sessions` first.
    """
    addresses = [parse_address(point.address) for point in points]
    texts = [point.address for point in points]
    metrics = {n: a for n, a in enumerate(addresses) if isinstance(a, Metric)}
    plains = {
        n: (a, points[n]) for n, a in enumerate(addresses) if isinstance(a, Plain)
    }
    if metrics and plains:
        raise ValueError("plain and Sparkplug points on one connection")
    broker = settings.broker("sparkplug" if metrics else "", texts)
    will = _state(settings, online=False, now_ms=_now_us() // 1000) if metrics else None
    async with open_connection(broker, will) as connection:
        device = (
            SparkplugDevice(connection, settings, metrics)
            if metrics
            else PlainDevice(connection, settings, plains)
        )
        await device.begin(will)
        async with beside(device.run()):
            try:
                yield device
            finally:
                await device.end()


@asynccontextmanager
async def open_browser(settings: Settings) -> AsyncIterator[Survey]:
    """Open a survey of what is published, which takes `timeout_s`."""
    async with open_connection(settings.broker(_BROWSE, [])) as connection:
        yield Survey(connection, settings.timeout_s, rebirth=settings.sparkplug.rebirth)


class _Interprets(Protocol):
    """What turns messages into readings."""

    batch: Batch

    def hear(self, topic: str, data: bytes, now_us: int) -> None:
        """Take one message."""


class _Listener:
    """What both kinds of devices do: take messages, hand out readings."""

    def __init__(self, connection: Connection, reader: _Interprets) -> None:
        self._connection = connection
        self._reader = reader
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._lost: Unreachable | None = None

    async def listen(self) -> AsyncIterator[Batch]:
        """Yield what comes, for ever; `Unreachable` when the broker is gone."""
        while True:
            await self._news.wait()
            self._news.clear()
            batch, self._reader.batch = self._reader.batch, Batch()
            self._room.set()
            if len(batch):
                yield batch
            elif self._lost:
                raise self._lost
            if self._lost:
                self._news.set()

    async def run(self) -> None:
        """Take messages until the connection is lost."""
        try:
            while True:
                await self._room.wait()
                messages = await self._connection.messages(TICK_S)
                now_us = _now_us()
                for topic, data in messages:
                    self._reader.hear(topic, data, now_us)
                self._settle(messages, now_us)
                self._hand_out()
        except Unreachable as silence:
            self._lost = silence
            self._news.set()
            self._abandon(silence)

    def _settle(self, messages: Sequence[tuple[str, bytes]], now_us: int) -> None:
        """Do what is due after some messages, or some time."""

    def _abandon(self, silence: Unreachable) -> None:
        """Let nobody wait for what can no longer come."""

    def _hand_out(self) -> None:
        waiting = len(self._reader.batch)
        if waiting:
            self._news.set()
        if waiting > MOST_PENDING:
            self._room.clear()


class PlainDevice(_Listener):
    """Plain topics; it `Listens` and `Writes`."""

    vouches = False

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        points: Mapping[int, tuple[Plain, Point]],
    ) -> None:
        path = parse_path(settings.time_path) if settings.time_path else None
        self._plain = plain.Reader(points, path)
        self._points = points
        super().__init__(connection, self._plain)

    async def begin(self, will: Message | None) -> None:
        """Subscribe to all topics; one that is refused reads as BAD."""
        for topic in await self._connection.subscribe(self._plain.topics):
            self._plain.refuse(topic, _now_us())
        self._hand_out()

    async def end(self) -> None:
        """Say nothing: nobody waits for a goodbye."""

    async def write(self, point: int, value: Value) -> None:
        """Publish the value; return when the broker confirmed that it has it.

        Whether a device took it cannot be known from plain MQTT.
        """
        address, described = self._points[point]
        if address.write is None:
            raise Refused(
                f"the address {described.address!r} names no topic to write to; add "
                f"one, like {described.address} > {address.read.topic}/set"
            )
        plain.check_value(value, described.type)
        payload = plain.payload_for(address.write, value)
        await self._connection.publish(Message(address.write.topic, payload, qos=1))


class SparkplugDevice(_Listener):
    """Metrics of Sparkplug edge nodes; it `Listens` and `Writes`."""

    vouches = True

    def __init__(
        self, connection: Connection, settings: Settings, metrics: Mapping[int, Metric]
    ) -> None:
        known = settings.sparkplug
        self._host = Host(metrics, patience_s=settings.timeout_s, rebirth=known.rebirth)
        self._host.on_value = self._on_value
        self._settings = settings
        self._groups = known.groups or tuple(
            sorted({metric.group for metric in metrics.values()})
        )
        self._awaited: dict[int, tuple[Value, asyncio.Future[None]]] = {}
        self._state: Message | None = None
        self._turn = asyncio.Event()
        super().__init__(connection, self._host)

    async def begin(self, will: Message | None) -> None:
        """Subscribe, say that we are online, and ask for births."""
        topics = [f"{NAMESPACE}/{group}/#" for group in self._groups]
        if will:
            topics.insert(0, will.topic)
        refused = await self._connection.subscribe(topics)
        if refused:
            raise Refused(
                f"{self._connection.broker} refuses that we listen to "
                f"{', '.join(sorted(refused))}"
            )
        if will:
            # A birth has the time of its will, so that they can be told from others.
            online = msgspec.json.decode(will.payload) | {"online": True}
            self._state = will._replace(payload=msgspec.json.encode(online))
            await self._connection.publish(self._state)
        self._host.begin(_now_us())
        self._send_commands()

    async def end(self) -> None:
        """Say that we go offline, if anybody can hear it."""
        self._state = None  # what we hear of ourselves from now on is true
        goodbye = _state(self._settings, online=False, now_ms=_now_us() // 1000)
        if goodbye and not self._lost:
            with suppress(Unreachable):
                await self._connection.publish(goodbye)

    async def write(self, point: int, value: Value) -> None:
        """Command the metric; return when it reports the new value.

        `Unreachable` if it does not within the time-out: the edge node may still have
        carried the command out, or may have changed the value into another one.
        """
        while self._host.awaits_birth(point) and not self._lost:
            await self._turn.wait()
        if self._lost:
            raise self._lost
        node, found = self._host.definition(point)
        message = codec.Payload(timestamp=_now_us() // 1000)
        metric = message.metrics.add(timestamp=message.timestamp)
        if found.alias is None:
            metric.name = found.name
        else:
            metric.alias = found.alias
        codec.encode(metric, found.datatype, value, found.field)
        expected, _ = codec.value_of(metric, found.datatype)
        device = self._host.device_name(point)
        kind, tail = ("DCMD", f"/{device}") if device else ("NCMD", "")
        topic = f"{NAMESPACE}/{node.group}/{kind}/{node.edge}{tail}"
        if expected is not None:
            await self._command(topic, message.SerializeToString(), point, expected)

    async def _command(
        self, topic: str, payload: bytes, point: int, expected: Value
    ) -> None:
        if point in self._awaited:
            raise Refused("another write to this metric is still waiting for its end")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited[point] = (expected, done)
        patience_s = self._settings.timeout_s
        try:
            self._connection.send(topic, payload)
            async with asyncio.timeout(patience_s):
                await done
        except TimeoutError as error:
            said = self._host.last.get(point)
            if _same(said, expected):
                return  # it had this value before, so there was nothing to report
            raise Unreachable(
                f"the metric does not report {expected!r} {patience_s:g} s after the "
                f"command, but {said!r}: the outcome is unknown"
            ) from error
        finally:
            del self._awaited[point]

    @override
    def _settle(self, messages: Sequence[tuple[str, bytes]], now_us: int) -> None:
        self._host.tick(now_us)
        self._send_commands()
        self._wake()
        state = self._state
        if state:
            for topic, data in messages:
                if topic == state.topic and b"false" in data:
                    # The will of an earlier connection of ours came late (5.4).
                    self._connection.send_confirmed(state)

    def _wake(self) -> None:
        """Let writes that wait for a birth look again."""
        self._turn.set()
        self._turn.clear()

    def _send_commands(self) -> None:
        for topic, payload in self._host.commands:
            self._connection.send(topic, payload)
        self._host.commands.clear()

    def _on_value(self, position: int, value: Value) -> None:
        awaited = self._awaited.get(position)
        if awaited and _same(value, awaited[0]) and not awaited[1].done():
            awaited[1].set_result(None)

    @override
    def _abandon(self, silence: Unreachable) -> None:
        self._wake()
        for _, done in self._awaited.values():
            if not done.done():
                done.set_exception(Unreachable(f"{silence}: the outcome is unknown"))


def _state(settings: Settings, *, online: bool, now_ms: int) -> Message | None:
    """Return what tells edge nodes of us, if we are a primary host (6.4.29)."""
    name = settings.sparkplug.host_id
    if not name:
        return None
    payload = msgspec.json.encode({"online": online, "timestamp": now_ms})
    return Message(f"{_STATE}/{name}", payload, qos=1, retain=True)


def _same(said: Value | None, expected: Value) -> bool:
    if isinstance(said, float) and isinstance(expected, float):
        return math.isclose(said, expected, rel_tol=1e-6, abs_tol=1e-9)
    return said == expected


def _now_us() -> int:
    return time.time_ns() // 1000
