"""What MQTT costs: readings per second and processor time per reading."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TypedDict

from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.point import Point
from lineshaft.core.reading import GOOD
from lineshaft.network.drivers.mqtt.address import Metric as Address
from lineshaft.network.drivers.mqtt.address import Plain, parse_address
from lineshaft.network.drivers.mqtt.connection import Message, open_connection
from lineshaft.network.drivers.mqtt.driver import Settings, connect
from lineshaft.network.drivers.mqtt.plain import Reader
from lineshaft.network.drivers.mqtt.sparkplug.host import Host
from lineshaft.network.drivers.mqtt.sparkplug.payload import DataType, Payload, encode
from lineshaft.network.northbound.mirror import Said, Served
from lineshaft.network.northbound.sparkplug.node import EdgeNode

MESSAGES = 20_000
METRICS, ROUNDS = 100, 500
JSON = b'{"time":1800000000000,"id":"pump-17","temperature":{"value":21.5,"unit":"C"}}'
BAR_US = 30.0


class Row(TypedDict):
    """One measured promise."""

    name: str
    value: float
    unit: str
    bar: float
    ok: bool


def rows() -> list[Row]:
    found = [_json(), _sparkplug(), *_edge()]
    for qos in (0, 1):
        found += asyncio.run(_listener(qos))
    return found


def _row(name: str, value: float, unit: str, bar: float) -> Row:
    more_is_better = unit.endswith("/s")
    ok = value >= bar if more_is_better else value <= bar
    return Row(name=name, value=round(value, 2), unit=unit, bar=bar, ok=ok)


def _json() -> Row:
    address = parse_address("plant/pump#temperature.value")
    assert isinstance(address, Plain)
    point = Point(name="a/b", address="plant/pump#temperature.value")
    reader = Reader({0: (address, point)}, ("time",))
    began = time.process_time()
    for _ in range(MESSAGES):
        reader.hear("plant/pump", JSON, 1)
    took_s = time.process_time() - began
    assert len(reader.batch) == MESSAGES
    return _row("mqtt.json_decode", took_s / MESSAGES * 1e6, "us/reading", 10.0)


def _sparkplug() -> Row:
    wanted = {n: Address("g", "e", "", f"m{n}") for n in range(METRICS)}
    host = Host(wanted, patience_s=5.0)
    host.hear("spBv1.0/g/NBIRTH/e", _payload(0, named=True), 1)
    data = [_payload((n + 1) % 256, named=False) for n in range(ROUNDS)]
    began = time.process_time()
    for one in data:
        host.hear("spBv1.0/g/NDATA/e", one, 1)
    took_s = time.process_time() - began
    assert len(host.batch) == METRICS * (ROUNDS + 1)
    each_us = took_s / METRICS / ROUNDS * 1e6
    return _row("mqtt.sparkplug_decode", each_us, "us/metric", 5.0)


def _edge() -> list[Row]:
    """Measure our own edge node: from what points say to bytes, now and as past."""
    served = [Served(Point(name=f"a/m{n}", address="1"), "d") for n in range(METRICS)]
    node = EdgeNode(served, "g", "e")
    node.births(["d"])
    said = [
        [Said(n, float(r), GOOD, (r + 1) * 1_000_000) for n in range(METRICS)]
        for r in range(ROUNDS)
    ]
    began = time.process_time()
    messages = [message for each in said for message in node.news(each)]
    live_s = time.process_time() - began
    assert len(messages) == ROUNDS
    began = time.process_time()
    messages = [message for each in said for message in node.past("d", each)]
    past_s = time.process_time() - began
    each_us = 1e6 / METRICS / ROUNDS
    return [
        _row("northbound.sparkplug_live", live_s * each_us, "us/metric", 10.0),
        _row("northbound.sparkplug_past", past_s * each_us, "us/metric", 10.0),
    ]


def _payload(seq: int, *, named: bool) -> bytes:
    message = Payload(timestamp=1_800_000_000_000, seq=seq)
    for number in range(METRICS):
        metric = message.metrics.add(alias=number, timestamp=1_800_000_000_000)
        if named:
            metric.name = f"m{number}"
        encode(metric, DataType.FLOAT, float(seq + number))
    return message.SerializeToString()


async def _listener(qos: int) -> list[Row]:
    """Measure the whole way from the built-in listener into batches."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = Listeners(0, 0)
        async with serve(
            Path(folder), wanted, most_bytes=1 << 26, on_restart=print
        ) as there:
            assert there.mqtt_port
            settings = Settings(host="127.0.0.1", port=there.mqtt_port, timeout_s=30.0)
            rate, each_us = await _receive(settings, qos)
    return [
        _row(f"mqtt.json_qos{qos}", rate, "readings/s", 1000.0),
        _row(f"mqtt.json_qos{qos}_cpu", each_us, "us/reading", 2 * BAR_US * (1 + qos)),
    ]


async def _receive(settings: Settings, qos: int) -> tuple[float, float]:
    points = [Point(name="a/b", address="plant/pump#temperature.value")]
    sender = settings.broker("", ["sender"])
    async with connect(settings, points) as device, open_connection(sender) as other:
        heard = 0
        began, cpu = time.perf_counter(), time.process_time()
        stream = device.listen()
        for _ in range(MESSAGES // 500):
            wanted = heard + 500
            for _ in range(500):
                if qos:
                    other.send_confirmed(Message("plant/pump", JSON, 1))
                else:
                    other.send("plant/pump", JSON)
            while heard < wanted:
                heard += len(await anext(stream))
        took_s = time.perf_counter() - began
    # Sending and receiving are one process here, so this is what both cost.
    return heard / took_s, (time.process_time() - cpu) / heard * 1e6


if __name__ == "__main__":
    for row in rows():
        print(row)
