"""Every point as a retained message, at a broker that was not written here."""

import asyncio
import json
import signal

import pytest

from lineshaft.core.point import Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD
from lineshaft.network.drivers.mqtt.connection import Broker, open_connection
from lineshaft.network.northbound.mirror import Said, Served
from lineshaft.network.northbound.mqtt import Publisher
from support.bus_in_memory import BusInMemory
from support.mqtt_peer import HOST, Mosquitto, open_mosquitto

pytestmark = pytest.mark.peer("mosquitto")
SERVED = [
    Served(Point(name=f"acme/p{n}", address="1", unit="bar"), "plc") for n in range(800)
]


async def retained(port: int, topics: list[str], count: int) -> dict[str, object]:
    """Return what a client that comes now hears on the topics."""
    heard: dict[str, object] = {}
    async with (
        asyncio.timeout(20),
        open_connection(Broker(HOST, port, "reader", 5.0)) as reader,
    ):
        await reader.subscribe(topics)
        while len(heard) < count:
            for topic, data in await reader.messages(1.0):
                heard[topic] = json.loads(data)
    return heard


async def test_a_late_client_sees_all_and_a_broker_that_returns_gets_all_again() -> (
    None
):
    async with open_mosquitto() as broker:
        await publish_to(broker)


async def publish_to(broker: Mosquitto) -> None:
    publisher = Publisher("out", Broker(HOST, broker.port, "us", 5.0), SERVED)
    clock = BusInMemory()
    everything = [Said(n, float(n), GOOD, 1_000_000) for n in range(len(SERVED))]
    await publisher.hear(everything)
    async with beside(publisher.run()):
        await clock.until(lambda: publisher.published >= len(SERVED))
        heard = await retained(broker.port, ["out/acme/+", "out/online"], 801)
        assert heard["out/online"] == {"online": True}
        assert heard["out/acme/p7"] == {
            "value": 7.0,
            "quality": "good",
            "time": "1970-01-01T00:00:01.000000Z",
            "unit": "bar",
        }
        broker.signal(signal.SIGKILL)
        await clock.until(lambda: publisher.trouble)
        await publisher.hear([Said(7, 70.0, GOOD, 2_000_000)])
        await broker.start()
        await clock.until(lambda: not publisher.trouble and not publisher.waiting)
        heard = await retained(broker.port, ["out/acme/p7"], 1)
        assert heard["out/acme/p7"]["value"] == 70.0  # type: ignore[index]
    heard = await retained(broker.port, ["out/online"], 1)
    assert heard["out/online"] == {"online": False}
