"""How many changes the OPC UA driver takes from node-opcua, and what that costs.

The server has 5,000 variables of type Double that all change five times a second. The
driver runs in a process of its own, so that its memory is not that of the bench, and
hears them through one subscription. Each variable counts up by one, so a change that
is lost or out of order shows as a step other than one.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lineshaft.core.point import Point
from lineshaft.network.device import Batch, Listens
from lineshaft.network.drivers.opcua import driver
from support.opcua_peer import NAMESPACE, NodeServer, open_server

Row = dict[str, object]
VARIABLES, HZ = 5000, 5.0
SECONDS = float(os.environ.get("LINESHAFT_BENCH_OPCUA_SECONDS", "15"))
QUIET_S = 3.0
PATIENCE_S = 60.0


@dataclass
class Tally:
    """What has arrived."""

    readings: int = 0
    jumps: int = 0
    delays_ms: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=lambda: [0.0] * VARIABLES)

    def count(self, batch: Batch) -> None:
        """Take in what the driver yields."""
        self.delays_ms.append(time.time() * 1e3 - min(batch.times) / 1e3)
        self.readings += len(batch)
        last = self.last
        for point, value in zip(batch.points, batch.values, strict=True):
            number = float(value or 0)
            self.jumps += number != last[point] + 1
            last[point] = number


async def hear(url: str) -> Row:
    """Listen until nothing comes any more; runs in the child."""
    settings = driver.Settings(url=url, publishing_interval_s=0.2, timeout_s=30)
    points = [
        Point(name=f"bench/v{n}", address=f"nsu={NAMESPACE};s=V{n}", period_s=0.1)
        for n in range(VARIABLES)
    ]
    tally = Tally()
    async with driver.connect(settings, points) as device:
        assert isinstance(device, Listens)
        stream = device.listen()
        first = 0
        while first < VARIABLES:
            first += len(await anext(stream))
        say("ready")
        began_s, patience_s = time.process_time(), PATIENCE_S
        while True:
            try:
                async with asyncio.timeout(patience_s):
                    batch = await anext(stream)
            except TimeoutError:
                break
            tally.count(batch)
            patience_s = QUIET_S
        cpu_s = time.process_time() - began_s
    delays = sorted(tally.delays_ms)
    return {
        "readings": tally.readings,
        "jumps": tally.jumps,
        "cpu_us": cpu_s * 1e6 / max(1, tally.readings),
        "rss_mb": psutil.Process().memory_info().rss / 1e6,
        "p50_ms": delays[len(delays) // 2],
        "p99_ms": delays[len(delays) * 99 // 100],
    }


def say(what: object) -> None:
    print(json.dumps(what), flush=True)


async def measure(server: NodeServer) -> tuple[Row, int]:
    """Return what the child heard, and how many changes there were."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, __file__, server.url, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            assert json.loads(await child.stdout.readline()) == "ready"
        await server.tell("begin")
        await asyncio.sleep(SECONDS)
        ended = await server.tell("end")
        assert isinstance(ended, dict)
        async with asyncio.timeout(SECONDS + PATIENCE_S):
            heard = json.loads(await child.stdout.readline())
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()
    return heard, int(ended["changed"])


async def _run() -> tuple[Row, int]:
    async with open_server(count=VARIABLES, hz=HZ) as server:
        return await measure(server)


def rows() -> list[Row]:
    """Return what `make bench` collects."""
    heard, offered = asyncio.run(_run())
    readings, jumps = float(str(heard["readings"])), float(str(heard["jumps"]))
    told = [
        ("changes offered by the server", offered / SECONDS, "1/s", None),
        ("changes that arrived", 100 * readings / offered, "%", 100.0),
        ("changes lost or out of order", jumps, "", 0.0),
        ("CPU of the driver", float(str(heard["cpu_us"])), "us/reading", 40.0),
        ("memory of the driver's process", float(str(heard["rss_mb"])), "MB", 120.0),
        ("delay, median", float(str(heard["p50_ms"])), "ms", None),
        ("delay, 99 of 100", float(str(heard["p99_ms"])), "ms", None),
    ]
    return [
        {"name": name, "value": value, "unit": unit, "bar": bar, "ok": _holds(*row)}
        for name, value, unit, bar in told
        for row in [(unit, value, bar)]
    ]


def _holds(unit: str, value: float, bar: float | None) -> bool:
    if bar is None:
        return True
    return value >= bar if unit == "%" else value <= bar


if __name__ == "__main__":
    if len(sys.argv) > 1:
        say(asyncio.run(hear(sys.argv[1])))
    else:
        say(rows())
