"""Computed points in a whole plant: beside all others, and as good as their inputs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from lineshaft.network.drivers.modbus.meters import point_list
from lineshaft.settings.points import write_points
from support.plant import RunningPlant, started
from system.test_reload import reload
from torture.plant import Script, free_port

SUM = "acme/osaka/voltages"
VOLTAGES = " + ".join(f"{{acme/osaka/meter1/voltage_l{n}}}" for n in (1, 2, 3))


def write(folder: Path, port: int, *rows: str) -> Path:
    write_points(folder / "meters.csv", list(point_list("acme/osaka")))
    (folder / "computed.csv").write_text(
        "\n".join(["name;expression;type;unit", *rows, ""])
    )
    file = folder / "lineshaft.toml"
    file.write_text(
        '[bus]\nport = 0\n[computed]\npoints = "computed.csv"\n[devices.meters]\n'
        'driver = "modbus"\npoints = "meters.csv"\nhost = "127.0.0.1"\n'
        f"port = {port}\ntimeout_s = 2.0\n"
    )
    return file


async def until(plant: RunningPlant, condition: Callable[[], object]) -> None:
    await asyncio.to_thread(plant.until, condition, "it is so")


def is_sum(plant: RunningPlant) -> bool:
    total = plant.value(SUM)
    parts = plant.get("/readings", pattern="acme/osaka/meter1/voltage_l*")
    good = [each["value"] for each in parts if each["quality"] == "good"]
    return bool(total["quality"] == "good" and abs(sum(good) - total["value"]) < 30)


@pytest.mark.timeout(300)
async def test_computed_points_live_beside_all_others(tmp_path: Path) -> None:
    port = free_port()
    meters = Script(
        "-m", "lineshaft.network.drivers.modbus.simulator", "--port", f"{port}"
    )
    await meters.start()
    config = write(tmp_path, port, f"{SUM};{VOLTAGES};float;V")
    try:
        with started(["up", "--config", str(config)], tmp_path / "data") as plant:
            await until(plant, lambda: is_sum(plant))
            [point] = plant.get("/points", search="voltages")["points"]
            assert (point["device"], point["address"]) == ("computed", VOLTAGES)
            # Another one is added, and the first goes on.
            row = "acme/osaka/high;{voltages} > 0;bool;"
            write(tmp_path, port, f"{SUM};{VOLTAGES};float;V", row)
            code, done, said = await asyncio.to_thread(reload, plant)
            assert (code, done["rooms_restarted"]) == (0, ["computed"]), said
            await until(plant, lambda: plant.value("acme/osaka/high")["value"] is True)
            # What is wrong changes nothing.
            write(tmp_path, port, f"{SUM};{VOLTAGES} + {{voltage}};float;V")
            code, _, said = await asyncio.to_thread(reload, plant)
            assert code == 2
            assert "computed.csv:2" in said
            assert "there is no point 'acme/osaka/voltage'" in said
            # Its machine dies.
            await meters.end()
            await until(plant, lambda: plant.value(SUM)["quality"] == "bad")
            assert "acme/osaka/meter1/voltage_l1: " in plant.value(SUM)["reason"]
            await meters.start()
            await until(plant, lambda: is_sum(plant))
            past = plant.get("/history", name=SUM, **{"from": "-1h"})["series"][0]
            assert {"good", "bad"} <= set(past["quality"])
            assert past["time"] == sorted(set(past["time"]))
    finally:
        await meters.end()


async def test_a_bus_that_was_started_again_is_told(tmp_path: Path) -> None:
    config = write(tmp_path, free_port(), f"{SUM};{VOLTAGES};float;V")
    with started(["up", "--config", str(config)], tmp_path / "data") as plant:
        [server] = plant.running("nats-server")
        server.kill()

        def is_told() -> bool:
            told = {each["service"]: each for each in plant.get("/health")["services"]}
            reason = str(told.get("supervisor", {}).get("reason", ""))
            return "nats-server ended with code -9" in reason

        await until(plant, is_told)
