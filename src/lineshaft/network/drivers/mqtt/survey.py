"""What is published at a broker, heard for a while."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import msgspec

from lineshaft.core.errors import Refused
from lineshaft.core.point import Kind
from lineshaft.core.reading import Value, bad
from lineshaft.network.device import Found
from lineshaft.network.drivers.mqtt.address import NAMESPACE
from lineshaft.network.drivers.mqtt.connection import Connection
from lineshaft.network.drivers.mqtt.path import leaves, write_path
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.host import (
    BD_SEQ,
    Topic,
    parse_topic,
    rebirth,
)

_TICK_S = 0.5
_BIRTHS = {"NBIRTH", "DBIRTH"}
_DATA = {"NDATA", "DDATA"}
_LONGEST_TEXT = 200


class Survey:
    """Listens to everything; it `Browses`."""

    def __init__(
        self, connection: Connection, listens_s: float, *, rebirth: bool
    ) -> None:
        self._connection = connection
        self._listens_s = listens_s
        self._rebirth = rebirth
        self._asked: set[tuple[str, str]] = set()
        self._seen: set[str] = set()

    async def browse(self) -> AsyncIterator[Found]:
        """Yield each value the first time that it is heard, until the time is over."""
        topics = [f"{NAMESPACE}/#", "#"]
        refused = await self._connection.subscribe(topics)
        if len(refused) == len(topics):
            raise Refused(
                f"{self._connection.broker} lets nobody listen to all topics; ask "
                "its owner for your topics and write them into the point list"
            )
        loop = asyncio.get_running_loop()
        end = loop.time() + self._listens_s
        while (left_s := end - loop.time()) > 0:
            for topic, data in await self._connection.messages(min(_TICK_S, left_s)):
                for found in self._hear(topic, data):
                    if found.address not in self._seen:
                        self._seen.add(found.address)
                        yield found

    def _hear(self, topic: str, data: bytes) -> Iterator[Found]:
        parts = parse_topic(topic)
        if parts is None:
            return _plain(topic, data)
        if parts.kind in _BIRTHS:
            self._asked.add((parts.group, parts.edge))
            return _born(parts, data)
        if parts.kind in _DATA and self._rebirth:
            self._ask(parts.group, parts.edge)
        return iter(())

    def _ask(self, group: str, edge: str) -> None:
        if (group, edge) not in self._asked:
            self._asked.add((group, edge))
            self._connection.send(*rebirth(group, edge, time.time_ns() // 1000))


def _plain(topic: str, data: bytes) -> Iterator[Found]:
    if topic.startswith((f"{NAMESPACE}/", "$")):
        return
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        document = data.decode(errors="replace")[:_LONGEST_TEXT]
    for path, value in leaves(document):
        address = f"{topic}#{write_path(path)}" if path else topic
        steps = (*topic.split("/"), *map(str, path))
        yield Found(address, steps, _kind(value), value)


def _born(topic: Topic, data: bytes) -> Iterator[Found]:
    try:
        message = codec.decode(data)
    except Refused:
        return
    ids = [part for part in (topic.group, topic.edge, topic.device) if part]
    for metric in message.metrics:
        if metric.name == BD_SEQ or not metric.name:
            continue
        kind = codec.kind_of(metric.datatype)
        value, status = codec.value_of(metric, metric.datatype)
        unit = codec.property_of(metric, codec.ENGINEERING_UNIT)
        yield Found(
            address=f"{'/'.join((NAMESPACE, *ids))}:{metric.name}",
            path=(*ids, *metric.name.split("/")),
            type=kind or "",
            value=value,
            status=status if kind else bad(status.reason),
            unit=str(unit or ""),
            description=codec.type_name(metric.datatype),
        )


def _kind(value: Value) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, str):
        return Kind.STRING
    return Kind.INT if isinstance(value, int) else Kind.FLOAT
