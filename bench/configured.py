"""100,000 points configured: how long `check` and the start take.

Ten devices with 10,000 registers each, on a libmodbus server that knows five units.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.modbus_peer import HOST, open_server
from support.plant import RunningPlant, started

Row = dict[str, object]
DEVICES, UNITS, REGISTERS = 10, 5, 1990
POINTS_OF_ONE = 10_000
POINTS = DEVICES * POINTS_OF_ONE
CHECK_S, FIRST_S = 5.0, 20.0
PATIENCE_S = 120.0
HEADER = "name,address,type,unit,scale,offset,deadband,period,description,writable"


def _write(folder: Path, port: int) -> Path:
    tables = []
    for device in range(DEVICES):
        rows = [HEADER]
        for place in range(POINTS_OF_ONE):
            unit, register = 1 + place // 2000, place % 2000 % REGISTERS
            rows.append(
                f"acme/osaka/hall{device}/line{place // 1000}/m{place // 50}/p{place},"
                f"{unit}/holding:{register},int,kW,1,0,0,10s,Point {place},no"
            )
        (folder / f"plc{device}.csv").write_text("\n".join(rows) + "\n", "utf-8")
        tables.append(
            f'[devices.plc{device}]\ndriver = "modbus"\npoints = "plc{device}.csv"\n'
            f'host = "{HOST}"\nport = {port}\n'
        )
    file = folder / "lineshaft.toml"
    file.write_text("\n".join(tables), "utf-8")
    return file


def _check(file: Path) -> float:
    began_s = time.perf_counter()
    command = [sys.executable, "-m", "lineshaft", "check", "--config", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began_s


def _count(plant: RunningPlant, pattern: str) -> int:
    """Return how many points have a value."""
    readings = plant.get("/readings", pattern=pattern)
    return sum(reading["value"] is not None for reading in readings)


def _start(file: Path) -> tuple[float, float, float]:
    """Return seconds until the page is served, the first value, and all values."""
    began_s = time.perf_counter()
    with started(["up", "--config", str(file)], file.parent / "data") as plant:
        served_s = time.perf_counter() - began_s
        first_s = 0.0
        while not first_s:
            if any(_count(plant, f"acme/osaka/hall{n}/line0/m0/p0") for n in range(10)):
                first_s = time.perf_counter() - began_s
            assert time.perf_counter() - began_s < PATIENCE_S, "no value came"
            time.sleep(0.05)
        # A hall at a time: it costs the plant less than all its points at once.
        for hall in range(DEVICES):
            while _count(plant, f"acme/osaka/hall{hall}/**") < POINTS_OF_ONE:
                assert time.perf_counter() - began_s < PATIENCE_S, "values are missing"
                time.sleep(0.2)
        return served_s, first_s, time.perf_counter() - began_s


async def _measure(folder: Path) -> list[Row]:
    async with open_server() as server:
        file = _write(folder, server.port)
        check_s = await asyncio.to_thread(_check, file)
        served_s, first_s, all_s = await asyncio.to_thread(_start, file)
    return [
        _row("check", check_s, CHECK_S),
        _row("start to page", served_s),
        _row("start to first value", first_s, FIRST_S),
        _row("start to every value", all_s),
    ]


def _row(name: str, value: float, bar: float | None = None) -> Row:
    ok = bar is None or value <= bar
    name = f"{POINTS:,} points, {name}"
    return {"name": name, "value": round(value, 2), "unit": "s", "bar": bar, "ok": ok}


def rows() -> list[Row]:
    """Measure, for about half a minute."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder)))


if __name__ == "__main__":
    print(json.dumps(rows(), indent=2))
