"""A changed configuration is taken in, and what did not change notices nothing."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.opcua_peer import NAMESPACE, open_server
from support.plant import RunningPlant, started

VARIABLES, HZ, RELOADS = 20, 5.0, 20
COUNTER = "acme/osaka/line/v0"


def write(
    folder: Path, url: str, port: int, *, more: str = "", meters: int = 1
) -> Path:
    """Write a plant of one OPC UA server and `meters` points of a meter."""
    counters = [
        f"acme/osaka/line/v{n},nsu={NAMESPACE};s=V{n},float,0.05\n"
        for n in range(VARIABLES)
    ]
    (folder / "line.csv").write_text("name,address,type,period\n" + "".join(counters))
    lines = [
        f"acme/osaka/meter/m{n},input:{2 * n}:float32,float\n" for n in range(meters)
    ]
    (folder / "meter.csv").write_text("name,address,type\n" + "".join(lines))
    file = folder / "lineshaft.toml"
    file.write_text(
        "[bus]\nport = 0\n"
        '[devices.line]\ndriver = "opcua"\npoints = "line.csv"\nqueue_size = 1000\n'
        f'url = "{url}"\npublishing_interval_s = 0.1\n'
        '[devices.meter]\ndriver = "modbus"\npoints = "meter.csv"\n'
        f'host = "127.0.0.1"\nport = {port}\n{more}'
    )
    return file


def reload(plant: RunningPlant) -> tuple[int, Any, str]:
    """Run `lineshaft reload`; return exit code, answer and complaint."""
    command = [sys.executable, "-m", "lineshaft", "reload", "--json"]
    done = subprocess.run(
        [*command, "--data", str(plant.data)],
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(done.stdout) if done.returncode == 0 else None
    return done.returncode, told, done.stderr


def connects(plant: RunningPlant) -> int:
    services = {s["service"]: s for s in plant.get("/health")["services"]}
    return int(services["collector.line"]["figures"].get("connects", 0))


def steps(plant: RunningPlant) -> list[float]:
    past = plant.get("/history", name=COUNTER, **{"from": "-1h"})
    [series] = past["series"]
    assert set(series["quality"]) == {"good"}
    return [b - a for a, b in pairwise(series["value"])]


@pytest.mark.timeout(300)
async def test_a_device_that_is_configured_as_before_loses_nothing(
    tmp_path: Path,
) -> None:
    async with open_server(count=VARIABLES, hz=HZ) as server:
        config = write(tmp_path, server.url, 1)
        with started(["up", "--config", str(config)], tmp_path / "data") as plant:
            await until(plant, lambda: plant.value(COUNTER)["quality"] == "good")
            await server.tell("begin")
            for turn in range(RELOADS):
                write(tmp_path, server.url, 1, meters=1 + turn)
                code, done, said = await asyncio.to_thread(reload, plant)
                assert code == 0, said
                assert done["restarted"] == (["meter"] if turn else [])
                assert done["unchanged"] == (1 if turn else 2)
            ended = await server.tell("end")
            assert isinstance(ended, dict)
            turns = int(ended["turns"])
            assert turns > RELOADS
            await until(plant, lambda: plant.value(COUNTER)["value"] == turns)
            await until(plant, lambda: steps(plant).count(1.0) >= turns)
            # What stood still when the connection began may be told twice.
            assert set(steps(plant)) <= {0.0, 1.0}
            assert sum(steps(plant)) == turns
            assert connects(plant) == 1


async def until(plant: RunningPlant, condition: Callable[[], object]) -> None:
    await asyncio.to_thread(plant.until, condition, "it is so")


@pytest.mark.timeout(200)
async def test_mistakes_change_nothing(tmp_path: Path) -> None:
    async with open_server(count=VARIABLES, hz=HZ) as server:
        config = write(tmp_path, server.url, 1)
        with started(["up", "--config", str(config)], tmp_path / "data") as plant:
            await until(plant, lambda: plant.value(COUNTER)["quality"] == "good")
            right = config.read_text()
            config.write_text(right.replace("queue_size", "que_size"))
            code, _, said = await asyncio.to_thread(reload, plant)
            assert code == 2
            assert "queue_size" in said
            config.write_text(right.replace("port = 0\n", "port = 0\nmost_gib = 3\n"))
            code, _, said = await asyncio.to_thread(reload, plant)
            assert code == 1
            assert "[bus] cannot change" in said
            await until(plant, lambda: connects(plant) == 1)
            kinds = [event["kind"] for event in plant.get("/events")]
            assert kinds.count("configuration.refused") == 2


@pytest.mark.timeout(200)
async def test_devices_come_and_go(tmp_path: Path) -> None:
    async with open_server(count=VARIABLES, hz=HZ) as server:
        config = write(tmp_path, server.url, 1)
        with started(["up", "--config", str(config)], tmp_path / "data") as plant:
            await until(plant, lambda: plant.value(COUNTER)["quality"] == "good")
            right = config.read_text()
            # The line goes, its points say so; a new point of the meter comes.
            write(tmp_path, server.url, 1, meters=2)
            head, _, rest = right.partition("[devices.line]")
            config.write_text(head + rest[rest.index("[devices.meter]") :])
            code, done, said = await asyncio.to_thread(reload, plant)
            assert (code, done["stopped"], done["restarted"]) == (
                0,
                ["line"],
                ["meter"],
            )
            found = plant.get("/points", search="m1")["points"]
            assert [each["name"] for each in found] == ["acme/osaka/meter/m1"]
            await until(plant, lambda: "removed" in str(last_reason(plant)))
            services = [s["service"] for s in plant.get("/health")["services"]]
            assert not [name for name in services if name.startswith("collector.line")]
            # It comes back, and the room whose settings changed is started again.
            config.write_text(right + "[historian]\nstanding_s = 99.0\n")
            code, done, said = await asyncio.to_thread(reload, plant)
            assert (code, done["started"]) == (0, ["line"]), said
            assert done["rooms_restarted"] == ["historian"]
            await until(plant, lambda: plant.value(COUNTER)["quality"] == "good")
            kinds = [event["kind"] for event in plant.get("/events")]
            assert kinds.count("configuration.reloaded") == 2


def last_reason(plant: RunningPlant) -> str | None:
    past = plant.get("/history", name=COUNTER, **{"from": "-1h"})
    reasons: list[str] = past["series"][0]["reason"]
    return reasons[-1]
