"""Programs above the plant read and write its namespace by OPC UA."""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from lineshaft.network.drivers.modbus.meters import point_list
from lineshaft.settings.points import write_points
from support.peers import need_node
from support.plant import RunningPlant, started, wait_for

PLACE = "acme/osaka/energy"
TARIFF, ENERGY = f"{PLACE}/meter1/tariff", f"{PLACE}/meter1/energy"
COSTS = "the tests of our OPC UA server with a client that was not written here"


@contextmanager
def meters() -> Iterator[int]:
    """Run the simulated meters; leaving the block kills them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    module = "lineshaft.network.drivers.modbus.simulator"
    command = [sys.executable, "-m", module, "--port", str(port)]
    with subprocess.Popen(command) as process:
        try:
            yield port
        finally:
            process.kill()


@contextmanager
def plant_with(folder: Path, northbound: str) -> Iterator[RunningPlant]:
    with meters() as port:
        write_points(folder / "meters.csv", list(point_list(PLACE)))
        file = folder / "lineshaft.toml"
        file.write_text(
            f"[bus]\nport = 0\n{northbound}"
            '[devices.meters]\ndriver = "modbus"\npoints = "meters.csv"\n'
            f'host = "127.0.0.1"\nport = {port}\n'
        )
        with started(["up", "--config", str(file)], folder / "data") as plant:
            wait_for(lambda: plant.value(ENERGY)["quality"] == "good", "a first value")
            yield plant


def server_of(plant: RunningPlant) -> dict[str, Any]:
    services = {s["service"]: s for s in plant.get("/health")["services"]}
    told: dict[str, Any] = services["northbound.opcua"]["figures"]
    return told


def address_of(plant: RunningPlant) -> str:
    wait_for(lambda: "url" in server_of(plant), "the OPC UA server tells where it is")
    url: str = server_of(plant)["url"]
    return url


@pytest.mark.timeout(200)
def test_a_client_that_was_not_written_here_browses_reads_and_writes(
    tmp_path: Path,
) -> None:
    node, folder = need_node("node_opcua", costs=COSTS)
    with plant_with(tmp_path, "[northbound.opcua]\nport = 0\nwrites = true\n") as plant:
        url = address_of(plant)

        def ask(name: str, *value: str) -> Any:
            done = subprocess.run(
                [node, folder / "client.mjs", url, name, *value],
                capture_output=True,
                text=True,
                check=True,
                timeout=90,
            )
            return json.loads(done.stdout.splitlines()[-1])

        told = ask(ENERGY)
        names = [point.name for point in point_list(PLACE)]
        assert told["seen"] == sorted(names)
        assert (told["status"], told["type"], told["heard"]) == (
            "Good",
            "Double",
            "Good",
        )
        assert told["past"] > 0
        assert ask(TARIFF, "2")["written"] == "Good"
        wait_for(lambda: plant.value(TARIFF)["value"] == 2, "the meter has tariff 2")
        # The meter has tariffs 1 to 4, and its word about 9 comes back.
        assert ask(TARIFF, "9")["written"] == "BadDeviceFailure"
        assert ask(ENERGY, "1")["written"] == "BadNotWritable"


@pytest.mark.timeout(200)
async def test_values_have_unit_time_and_an_honest_status(tmp_path: Path) -> None:
    def run() -> Iterator[RunningPlant]:
        with plant_with(tmp_path, "[northbound.opcua]\nport = 0\n") as plant:
            yield plant

    running = run()
    plant = await asyncio.to_thread(next, running)
    try:
        url = await asyncio.to_thread(address_of, plant)
        async with Client(url) as client:
            index = await client.get_namespace_index("urn:lineshaft:plant")
            energy = client.get_node(ua.NodeId(ENERGY, index))
            assert await unit_of(energy) == ("kWh", 0x4B5748)
            # Until a collector has given a sign of life, nobody vouches for a value.
            await until_it_is(energy, "Good")
            value = await energy.read_data_value()
            shown = await asyncio.to_thread(plant.value, ENERGY)
            assert value.SourceTimestamp is not None
            assert value.SourceTimestamp.isoformat() <= str(shown["time"])
            tariff = client.get_node(ua.NodeId(TARIFF, index))
            with pytest.raises(ua.UaStatusCodeError, match="BadNotWritable"):
                await tariff.write_value(ua.Variant(2, ua.VariantType.Int64))
            # A collector that is gone lets no value stay good.
            collector = plant.running("run collector")
            for process in collector:
                process.suspend()
            try:
                await until_it_is(energy, "UncertainNoCommunication")
            finally:
                for process in collector:
                    process.resume()
            await until_it_is(energy, "Good")
    finally:
        await asyncio.to_thread(lambda: next(running, None))


async def unit_of(node: Any) -> tuple[str, int]:
    [unit] = await node.get_properties()
    told = await unit.read_value()
    return told.DisplayName.Text, told.UnitId


async def until_it_is(node: Any, status: str) -> None:
    async with asyncio.timeout(60):
        while await status_of(node) != status:  # noqa: ASYNC110  as a client looks
            await asyncio.sleep(0.2)


async def status_of(node: Any) -> str:
    told = await node.read_data_value(raise_on_bad_status=False)
    return str(told.StatusCode.name).removesuffix("LastUsableValue")
