"""The MQTT driver against mosquitto and its clients, and the built-in listener."""

import asyncio
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Quality, Status, Value
from lineshaft.network.device import Batch
from lineshaft.network.drivers.mqtt import connection as mqtt
from lineshaft.network.drivers.mqtt.driver import (
    Settings,
    connect,
    open_browser,
)
from support.mqtt_peer import HOST, Mosquitto, open_mosquitto
from support.peers import need

WITHIN_S = 30.0
POINTS = [
    Point(name="a/level", address="tank/1#level.value"),
    Point(name="a/mode", address="tank/1#mode", type=Kind.STRING),
    Point(name="a/open", address="tank/open > tank/open/set", type=Kind.BOOL),
    Point(name="a/setpoint", address="tank/1#level.value > tank/set#level.target"),
]

pytestmark = pytest.mark.peer("mosquitto")


@pytest.fixture
async def broker() -> AsyncIterator[Mosquitto]:
    async with open_mosquitto() as running:
        yield running


async def publish(port: int, topic: str, text: str, *more: str) -> None:
    program = need("mosquitto_pub", package="mosquitto-clients")
    process = await asyncio.create_subprocess_exec(
        program, "-h", HOST, "-p", str(port), "-t", topic, "-m", text, *more
    )
    assert await process.wait() == 0


async def until(
    stream: AsyncIterator[Batch], point: int, value: Value | None
) -> Status:
    async with asyncio.timeout(WITHIN_S):
        async for batch in stream:
            for row in range(len(batch)):
                if (batch.points[row], batch.values[row]) == (point, value):
                    return batch.statuses[row]
    raise AssertionError


def settings(port: int, **more: object) -> Settings:
    return Settings.model_validate(
        {"host": HOST, "port": port, "timeout_s": 5.0, **more}
    )


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_values_of_mosquitto_pub_are_heard(
    broker: Mosquitto, protocol: str
) -> None:
    await publish(broker.port, "tank/open", "on", "-r")
    async with connect(settings(broker.port, protocol=protocol), POINTS) as device:
        stream = device.listen()
        await until(stream, 2, value=True)  # retained
        text = '{"level": {"value": 1.25}, "mode": "fill"}'
        await publish(broker.port, "tank/1", text, "-q", "1")
        await until(stream, 0, 1.25)
        await publish(broker.port, "tank/1", '{"mode": "rest"}')
        status = await until(stream, 0, None)
        assert "nothing at level" in status.reason
        await publish(broker.port, "tank/open", "ajar")
        assert (await until(stream, 2, None)).quality is Quality.BAD


async def test_a_write_is_published_where_the_address_says(broker: Mosquitto) -> None:
    program = need("mosquitto_sub", package="mosquitto-clients")
    listener = await asyncio.create_subprocess_exec(
        program, "-p", str(broker.port), "-t", "tank/#", "-v", "-C", "3", stdout=PIPE
    )
    assert listener.stdout is not None
    async with connect(settings(broker.port), POINTS) as device:
        async with asyncio.timeout(WITHIN_S):
            # The listener has subscribed when it hears something retained.
            await publish(broker.port, "tank/hello", "x", "-r")
            assert await listener.stdout.readline() == b"tank/hello x\n"
            await device.write(2, value=True)
            await device.write(3, 2.5)
            said = await listener.stdout.read()
        with pytest.raises(Refused, match="names no topic to write to"):
            await device.write(0, 1.0)
    await listener.wait()
    assert said == b'tank/open/set true\ntank/set {"level":{"target":2.5}}\n'


async def test_a_broker_that_hangs_is_unreachable_within_the_time_out(
    broker: Mosquitto,
) -> None:
    async def listen() -> None:
        async with connect(settings(broker.port, timeout_s=2.0), POINTS) as device:
            broker.signal(signal.SIGSTOP)
            try:
                async with asyncio.timeout(WITHIN_S):
                    await anext(device.listen())
            finally:
                broker.signal(signal.SIGCONT)

    with pytest.raises(Unreachable, match="connection was lost"):
        await listen()


async def test_a_flood_is_never_lost_in_silence(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "MOST_WAITING", 20)
    here = settings(broker.port)

    async def drown() -> None:
        async with (
            connect(here, POINTS) as device,
            mqtt.open_connection(here.broker("", ["other"])) as other,
        ):
            for _ in range(5000):
                other.send("tank/open", b"1")
            async with asyncio.timeout(WITHIN_S):
                async for _ in device.listen():
                    pass

    with pytest.raises(Unreachable, match="faster than we could take"):
        await drown()


async def test_a_browser_finds_what_is_published(broker: Mosquitto) -> None:
    await publish(broker.port, "tank/1", '{"level": {"value": 1.5}}', "-r")
    await publish(broker.port, "tank/open", "true", "-r")
    async with open_browser(settings(broker.port, timeout_s=1.0)) as browser:
        found = {row.address: row async for row in browser.browse()}
    assert found["tank/1#level.value"].value == 1.5
    assert found["tank/open"].type == Kind.BOOL


async def test_the_built_in_listener_serves_plain_mqtt(tmp_path: Path) -> None:
    wanted = Listeners(0, 0)
    async with serve(tmp_path, wanted, most_bytes=1 << 26, on_restart=print) as there:
        port = there.mqtt_port
        assert port
        async with connect(settings(port), POINTS) as device:
            stream = device.listen()
            await publish(port, "tank/1", '{"level": {"value": 2.5}}', "-q", "1")
            await until(stream, 0, 2.5)
            await device.write(2, value=False)
