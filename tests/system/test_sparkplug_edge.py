"""A whole plant as a Sparkplug edge node: nothing that was said stays unsaid."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lineshaft.core.reading import to_us
from support.mqtt_peer import Mosquitto, open_mosquitto
from support.plant import RunningPlant, wait_for
from support.sparkplug_host import EDGE, GROUP, HostInTest, open_host
from system.test_northbound import PLACE, plant_with

pytestmark = [pytest.mark.peer("mosquitto"), pytest.mark.timeout(400)]

VOLTAGE, TARIFF = "meter1/voltage_l1", "meter1/tariff"


@asynccontextmanager
async def edge_plant(folder: Path, port: int) -> AsyncIterator[RunningPlant]:
    table = (
        f'[northbound.sparkplug]\nurl = "mqtt://127.0.0.1:{port}"\ngroup = "{GROUP}"\n'
        f'edge_node = "{EDGE}"\nprimary_host = "scada"\nwrites = true\n'
    )
    running = plant_with(folder, table)
    plant = await asyncio.to_thread(running.__enter__)
    try:
        yield plant
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def told_of(hosts: list[HostInTest], name: str) -> set[tuple[int, object]]:
    """Return the times in ms and values that hosts heard of a metric, anyhow."""
    born = [m for h in hosts for e in h.of("DBIRTH") for m in e.payload.metrics]
    [alias] = {m.alias for m in born if m.name == name}
    return {
        (time_ms, value)
        for host in hosts
        for each in host.heard
        for number, time_ms, value, _ in each.values
        if number == alias
    }


def changes_of(plant: RunningPlant, name: str) -> set[tuple[int, object]]:
    """Return when each value came, of what the historian has."""
    past: Any = plant.get("/history", name=f"{PLACE}/{name}", **{"from": "-1h"})
    series = past["series"][0]
    found, before = set(), None
    for text, value in zip(series["time"], series["value"], strict=True):
        if value != before:
            found.add((to_us(datetime.fromisoformat(text)) // 1000, value))
        before = value
    return found


async def some_data(host: HostInTest, count: int) -> None:
    await host.until(lambda _: len(host.told(historical=False)) >= count)


async def test_what_the_historian_has_was_told_though_all_was_killed(
    tmp_path: Path,
) -> None:
    async with open_mosquitto() as broker, edge_plant(tmp_path, broker.port) as plant:
        hosts: list[HostInTest] = []
        first_ms = await survive(plant, broker, hosts)
        changed = {
            each
            for each in await asyncio.to_thread(changes_of, plant, VOLTAGE)
            if each[0] >= first_ms
        }
        told = told_of(hosts, VOLTAGE)
        last = max(time_ms for time_ms, _ in told)
        assert len(changed) > 5
        assert not {each for each in changed if each[0] <= last} - told
        bd_seqs = [each.bd_seq for host in hosts for each in host.of("NBIRTH")]
        assert bd_seqs == sorted(set(bd_seqs))


async def survive(
    plant: RunningPlant, broker: Mosquitto, hosts: list[HostInTest]
) -> int:
    """Kill the broker, then our process; return since when nothing may be missed."""
    async with open_host(broker.port) as host:
        hosts.append(host)
        await host.state("scada", online=True, timestamp=1)
        born = await host.until_heard("DBIRTH")
        await some_data(host, 50)
        host.write("meters", TARIFF, 3)
        await host.until(lambda _: any(v == 3 for _, v in told_of(hosts, TARIFF)))
        broker.signal(signal.SIGKILL)
        await broker.stop()
    await asyncio.sleep(3)  # so that something waits
    await broker.start()
    async with open_host(broker.port, "again") as host:
        hosts.append(host)
        await host.state("scada", online=True, timestamp=1)
        await host.until_historical(20)
        await some_data(host, 50)
        [process] = await asyncio.to_thread(plant.running, "run northbound")
        process.kill()
        await host.until_heard("NDEATH")
        heard = len(host.told(historical=True))
        await host.until_historical(heard + 1)
        await some_data(host, len(host.told(historical=False)) + 50)
        await host.state("scada", online=False, timestamp=2)
        await host.until_heard("NDEATH", times=2)
    return born.payload.timestamp


def test_check_and_health_know_the_output(tmp_path: Path) -> None:
    table = (
        '[northbound.sparkplug]\nurl = "mqtt://127.0.0.1:1"\ngroup = "g"\n'
        'edge_node = "e"\n'
    )
    with plant_with(tmp_path, table) as plant:

        def service() -> Any:
            services = {s["service"]: s for s in plant.get("/health")["services"]}
            return services["northbound.sparkplug"]

        wait_for(lambda: service()["figures"].get("stored", 0) > 0, "readings wait")
        assert service()["state"] == "degraded"
        assert "readings wait on disk" in service()["reason"]
