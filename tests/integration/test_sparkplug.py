"""Sparkplug against the library of the specification's authors, and our simulator."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.errors import Unreachable
from lineshaft.core.reading import Quality, Value
from lineshaft.network.device import Batch
from lineshaft.network.drivers.mqtt.connection import Broker, open_connection
from lineshaft.network.drivers.mqtt.driver import (
    Settings,
    SparkplugDevice,
    connect,
    open_browser,
)
from lineshaft.network.drivers.mqtt.simulator import point_list
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.payload import DataType, Payload
from support.mqtt_peer import HOST, open_mosquitto
from support.peers import need
from support.sparkplug_library import ask, open_node

WITHIN_S = 60.0
SIMULATOR = "lineshaft.network.drivers.mqtt.simulator"
VALUES: list[tuple[DataType, Value]] = [
    (DataType.INT8, -5), (DataType.INT16, -300), (DataType.INT32, -(2**31)),
    (DataType.INT64, -(2**63)), (DataType.UINT8, 255), (DataType.UINT16, 65_535),
    (DataType.UINT32, 4_000_000_000), (DataType.UINT64, 2**64 - 1),
    (DataType.FLOAT, 1.5), (DataType.DOUBLE, 1e300), (DataType.BOOLEAN, True),
    (DataType.STRING, "Wärme ☀"), (DataType.TEXT, ""), (DataType.UUID, "0-1"),
    (DataType.DATE_TIME, 1_800_000_000_000),
]  # fmt: skip
WIDE = {"Int64", "UInt64", "DateTime"}


@pytest.mark.peer("sparkplug-payload")
async def test_what_their_library_encodes_is_what_we_read() -> None:
    metrics = [
        {
            "name": codec.type_name(datatype),
            "type": codec.type_name(datatype),
            "value": str(value) if codec.type_name(datatype) in WIDE else value,
            "alias": number,
        }
        for number, (datatype, value) in enumerate(VALUES)
    ]
    async with open_node() as node:
        data = await ask(node, "encode", {"timestamp": 5, "seq": 7, "metrics": metrics})
    message = codec.decode(bytes.fromhex(str(data)))
    assert (message.timestamp, message.seq) == (5, 7)
    read = [codec.value_of(metric, metric.datatype)[0] for metric in message.metrics]
    assert read == [value for _, value in VALUES]


@pytest.mark.peer("sparkplug-payload")
async def test_what_we_encode_is_what_their_library_reads() -> None:
    message = Payload(timestamp=5, seq=7)
    for datatype, value in VALUES:
        metric = message.metrics.add(name=codec.type_name(datatype))
        # Their library looks for UInt32 there; a host learns it from births.
        codec.encode(metric, datatype, value, "long_value")
    async with open_node() as node:
        read = await ask(node, "decode", message.SerializeToString().hex())
    assert isinstance(read, dict)
    for metric, (datatype, value) in zip(read["metrics"], VALUES, strict=True):
        said = metric["value"]
        assert metric["type"] == codec.type_name(datatype)
        assert (int(said) if metric["type"] in WIDE else said) == value


@asynccontextmanager
async def open_simulator(port: int, *more: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", SIMULATOR, "--port", str(port), "--die-with-parent",
        *more, stdin=PIPE, stdout=PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            assert json.loads(await process.stdout.readline())["edge"] == "pump_skid"
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 0


@pytest.fixture(params=["mosquitto", "nats-server"])
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    if request.param == "mosquitto":
        async with open_mosquitto() as broker:
            yield broker.port
    else:
        wanted = Listeners(0, 0)
        async with serve(
            tmp_path, wanted, most_bytes=1 << 26, on_restart=print
        ) as there:
            assert there.mqtt_port
            yield there.mqtt_port


def settings(port: int, **sparkplug: object) -> Settings:
    return Settings.model_validate(
        {"host": HOST, "port": port, "timeout_s": 5.0, "sparkplug": sparkplug}
    )


class Memory:
    """The last that was heard of each point."""

    def __init__(self, device: SparkplugDevice) -> None:
        self._stream = device.listen()
        self.last: dict[int, tuple[Value | None, Quality, str]] = {}

    async def until_all(self, quality: Quality, count: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while [q for _, q, _ in self.last.values()].count(quality) < count:
                self._remember(await anext(self._stream))

    def _remember(self, batch: Batch) -> None:
        for row in range(len(batch)):
            status = batch.statuses[row]
            self.last[batch.points[row]] = (batch.values[row], *status)


async def test_the_pump_skid_is_followed_through_life_and_death(port: int) -> None:
    points = point_list("acme/skid")
    valve = next(n for n, point in enumerate(points) if point.writable)
    async with connect(settings(port, host_id="host"), points) as device:
        assert isinstance(device, SparkplugDevice)
        memory = Memory(device)
        async with open_simulator(port):
            await memory.until_all(Quality.GOOD, len(points))
            await device.write(valve, 42.0)
        await memory.until_all(Quality.BAD, len(points))
        assert "died at" in memory.last[valve][2]
        async with open_simulator(port):
            await memory.until_all(Quality.GOOD, len(points))


async def test_a_host_that_comes_later_asks_for_births(port: int) -> None:
    points = point_list("acme/skid")
    async with open_simulator(port):
        async with connect(settings(port), points) as device:
            assert isinstance(device, SparkplugDevice)
            await Memory(device).until_all(Quality.GOOD, len(points))
        async with open_browser(settings(port)) as browser:
            found = {row.address async for row in browser.browse()}
    assert {point.address for point in points} <= found


async def test_a_link_that_is_lost_is_a_death_and_comes_back(port: int) -> None:
    points = point_list("acme/skid")
    async with connect(settings(port), points) as device:
        assert isinstance(device, SparkplugDevice)
        memory = Memory(device)
        async with open_simulator(port, "--fault-every", "3"):
            await memory.until_all(Quality.GOOD, len(points))
            await memory.until_all(Quality.BAD, len(points))
            await memory.until_all(Quality.GOOD, len(points))


@pytest.mark.peer("mosquitto")
async def test_the_state_of_the_host_is_retained() -> None:
    program = need("mosquitto_sub", package="mosquitto-clients")

    async def state(port: int) -> dict[str, object]:
        process = await asyncio.create_subprocess_exec(
            program, "-p", str(port), "-t", "spBv1.0/STATE/host", "-C", "1", stdout=PIPE
        )
        async with asyncio.timeout(WITHIN_S):
            said, _ = await process.communicate()
        found = json.loads(said)
        assert isinstance(found, dict)
        return found

    async with open_mosquitto() as broker:
        points = point_list("acme/skid")
        async with connect(settings(broker.port, host_id="host"), points):
            online = await state(broker.port)
            assert online["online"] is True
            assert isinstance(online["timestamp"], int)
        assert (await state(broker.port))["online"] is False


async def test_a_broker_settles_what_was_sent_without_confirmation(port: int) -> None:
    async with (
        open_connection(Broker(HOST, port, "hears", 5.0)) as hears,
        open_connection(Broker(HOST, port, "says", 5.0)) as says,
    ):
        await hears.subscribe(["spBv1.0/g/#"])
        heard: list[bytes] = []
        for number in range(100):
            says.send("spBv1.0/g/DDATA/e/d", str(number).encode())
        await says.settle()
        await says.settle()
        async with asyncio.timeout(WITHIN_S):
            while len(heard) < 100:
                heard += [data for _, data in await hears.messages(1.0)]
        assert heard == [str(number).encode() for number in range(100)]
        says.drop()
        with pytest.raises(Unreachable):
            await says.settle()
