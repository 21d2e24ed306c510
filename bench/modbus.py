"""How fast Modbus devices are read: our driver against libmodbus (C) on loopback.

    python bench/modbus.py

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`.
"""

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lineshaft.core.point import Point
from lineshaft.network.drivers.modbus import driver
from support.modbus_peer import HOST, LibmodbusServer, open_server

Row = dict[str, object]
REGISTERS = 125
SPAN_S = 2.0
LEAST_READS_PER_S = 2_000
MOST_US_PER_REQUEST = 250.0
MOST_US_PER_READING = 4.0


async def _read_for(device: driver.Opened, count: int, until_s: float) -> int:
    rounds, wanted = 0, range(count)
    while time.perf_counter() < until_s:
        batch = await device.read(wanted)
        assert len(batch) == count
        rounds += 1
    return rounds


async def _measure(
    server: LibmodbusServer, addresses: list[str], connections: int
) -> tuple[float, float]:
    """Return requests per second and CPU microseconds of this process for each."""
    settings = driver.Settings(host=HOST, port=server.port, timeout_s=10)
    points = [
        Point(name=f"bench/p{place}", address=address)
        for place, address in enumerate(addresses)
    ]
    async with AsyncExitStack() as stack:
        devices = [
            await stack.enter_async_context(driver.connect(settings, points))
            for _ in range(connections)
        ]
        for device in devices:
            await device.read(range(len(points)))
        before = await server.requests()
        cpu_s, began_s = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for device in devices:
                group.create_task(_read_for(device, len(points), began_s + SPAN_S))
        cpu_s, span_s = time.process_time() - cpu_s, time.perf_counter() - began_s
        requests = await server.requests() - before
    return requests / span_s, cpu_s / requests * 1e6


def _row(name: str, value: float, unit: str, bar: float, *, at_least: bool) -> Row:
    ok = value >= bar if at_least else value <= bar
    return {"name": name, "value": round(value, 3), "unit": unit, "bar": bar, "ok": ok}


async def _rows() -> list[Row]:
    words = [f"holding:{place}" for place in range(REGISTERS)]
    floats = [f"holding:{place * 2}:float32:cdab" for place in range(62)]
    found: list[Row] = []
    async with open_server() as server:
        for connections in (1, 10):
            rate, cost = await _measure(server, words, connections)
            name = f"modbus: blocks of {REGISTERS} registers, {connections} connections"
            found += [
                _row(f"{name}, reads", rate, "1/s", LEAST_READS_PER_S, at_least=True),
                _row(
                    f"{name}, CPU", cost, "us/read", MOST_US_PER_REQUEST, at_least=False
                ),
                _row(
                    f"{name}, CPU of a reading",
                    cost / REGISTERS,
                    "us",
                    MOST_US_PER_READING,
                    at_least=False,
                ),
            ]
        rate, cost = await _measure(server, floats, 10)
        found.append(
            _row(
                "modbus: 62 float32 in cdab, 10 connections, CPU of a reading",
                cost / len(floats),
                "us",
                MOST_US_PER_READING,
                at_least=False,
            )
        )
    return found


def rows() -> list[Row]:
    """Measure, for about six seconds."""
    return asyncio.run(_rows())


if __name__ == "__main__":
    print(json.dumps(rows(), indent=2))
