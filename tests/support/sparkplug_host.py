"""A Sparkplug host in a test: hears all an edge node says, and says what it wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lineshaft.core.reading import Value
from lineshaft.network.drivers.mqtt.connection import (
    Broker,
    Connection,
    Message,
    open_connection,
)
from lineshaft.network.drivers.mqtt.sparkplug.host import parse_topic, rebirth
from lineshaft.network.drivers.mqtt.sparkplug.payload import (
    DataType,
    Payload,
    decode,
    encode,
    value_of,
)
from support.mqtt_peer import HOST

GROUP, EDGE = "acme", "osaka"
WITHIN_S = 60.0


@dataclass
class Heard:
    """A message of the edge node."""

    kind: str
    device: str
    payload: Payload
    data: bytes

    @property
    def bd_seq(self) -> int:
        found = [m for m in self.payload.metrics if m.name == "bdSeq"]
        return int(found[0].long_value)

    @property
    def values(self) -> list[tuple[int, int, Value | None, bool]]:
        """Return alias, time in ms, value, and whether it is historical."""
        return [
            (m.alias, m.timestamp, value_of(m, m.datatype)[0], m.is_historical)
            for m in self.payload.metrics
        ]


@dataclass
class HostInTest:
    """What was heard, oldest first."""

    connection: Connection
    heard: list[Heard] = field(default_factory=list)

    async def until(self, condition: Callable[[list[Heard]], object]) -> None:
        """Listen until something was heard."""
        async with asyncio.timeout(WITHIN_S):
            while not condition(self.heard):
                for topic, data in await self.connection.messages(0.5):
                    parts = parse_topic(topic)
                    if parts and not parts.kind.endswith("CMD"):
                        message = Heard(parts.kind, parts.device, decode(data), data)
                        self.heard.append(message)

    async def until_heard(self, kind: str, times: int = 1) -> Heard:
        """Listen until a kind of message came so often; return the last."""
        await self.until(lambda _: len(self.of(kind)) >= times)
        return self.of(kind)[times - 1]

    async def until_historical(self, count: int) -> None:
        """Listen until so many values of the past were told."""
        await self.until(lambda _: len(self.told(historical=True)) >= count)

    def of(self, kind: str) -> list[Heard]:
        return [each for each in self.heard if each.kind == kind]

    def told(self, *, historical: bool) -> list[tuple[int, Value | None]]:
        """Return alias and value of each metric in data."""
        return [
            (alias, value)
            for each in self.of("DDATA")
            for alias, _, value, is_historical in each.values
            if is_historical is historical
        ]

    def ask_for_rebirth(self) -> None:
        self.connection.send(*rebirth(GROUP, EDGE, 1_000_000))

    def write(self, device: str, name: str, value: Value) -> None:
        message = Payload(timestamp=1)
        datatype = DataType.INT64 if isinstance(value, int) else DataType.DOUBLE
        encode(message.metrics.add(name=name), datatype, value)
        topic = f"spBv1.0/{GROUP}/DCMD/{EDGE}/{device}"
        self.connection.send(topic, message.SerializeToString())

    async def state(self, name: str, *, online: bool, timestamp: int) -> None:
        said = json.dumps({"online": online, "timestamp": timestamp}).encode()
        topic = f"spBv1.0/STATE/{name}"
        await self.connection.publish(Message(topic, said, 1, retain=True))


@asynccontextmanager
async def open_host(port: int, name: str = "host") -> AsyncIterator[HostInTest]:
    async with open_connection(Broker(HOST, port, name, 5.0)) as connection:
        await connection.subscribe([f"spBv1.0/{GROUP}/#"], qos=1)
        yield HostInTest(connection)
