"""What it costs to take 25,000 changes a second from node-opcua onto the bus.

There are 5,000 variables of type Double that all change five times a second. One
process of Node is at its end at some 24,600 changes a second, with one core full, so
two servers have 2,500 each. A collector as it is in a plant (`lineshaft run
collector`) hears them and publishes them; a reader of the bus keeps each message with
the moment at which it came, and they are looked at afterwards. Each variable counts up
by one, so a change that is lost, doubled or out of order shows as a step other than
one.

CPU and memory are those of the whole process of the collector: from the socket of
OPC UA to the message that JetStream has confirmed.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lineshaft.core.bus import READINGS
from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.frame import decode_frame
from support.opcua_peer import NAMESPACE, NodeServer, open_server

Row = dict[str, object]
VARIABLES, HZ, MACHINES, SERVERS = 5000, 5.0, 50, 2
SHARE = VARIABLES // SERVERS
SECONDS = float(os.environ.get("LINESHAFT_BENCH_OPCUA_SECONDS", "20"))
QUIET_S = 2.0
PATIENCE_S = 60.0
MOST_BYTES = 1 << 30


@dataclass
class Heard:
    """What came out of the bus."""

    messages: list[tuple[int, bytes]] = field(default_factory=list)
    """Our time in microseconds at which it came, and the frame."""

    async def listen(self, bus: NatsBus) -> None:
        """Keep what comes, and do nothing else: the processor is needed elsewhere."""
        async for batch in bus.batches(READINGS, after=0):
            now_us = time.time_ns() // 1000
            self.messages += [(now_us, message.data) for message in batch]

    async def settle(self) -> None:
        """Return when nothing has come for a while."""
        before = -1
        while before != len(self.messages):
            before = len(self.messages)
            await asyncio.sleep(QUIET_S)

    def told(self, last: np.ndarray) -> "Told":
        """Look at all that came, after these values."""
        told = Told(last)
        for came_us, data in self.messages:
            frame = decode_frame(data)
            variables = [int(name.rpartition("/v")[2]) for name in frame.names]
            columns = frame.columns
            told.count(
                np.array(variables)[columns.point], columns.numbers(), columns.time
            )
            told.delays_ms.append((came_us - columns.time) / 1e3)
        return told


@dataclass
class Told:
    """How many changes came, whether in order, and how late."""

    last: np.ndarray
    readings: int = 0
    jumps: int = 0
    delays_ms: list[np.ndarray] = field(default_factory=list)
    time_us: np.ndarray = field(default_factory=lambda: np.zeros(VARIABLES))

    def count(self, variable: np.ndarray, value: np.ndarray, at: np.ndarray) -> None:
        """Take in a frame; one variable may be in it more than once, in order."""
        for each, number, time_us in zip(
            variable.tolist(), value.tolist(), at.tolist(), strict=True
        ):
            self.jumps += number != self.last[each] + 1 or time_us < self.time_us[each]
            self.last[each], self.time_us[each] = number, time_us
        self.readings += len(variable)


def write_plant(home: Path, servers: Sequence[NodeServer]) -> Path:
    """Write the settings and the point lists of the plant; return the settings."""
    file = home / "lineshaft.toml"
    file.write_text('[plant]\nname = "bench"\n')
    for number, server in enumerate(servers):
        _write_points(home / f"press{number}.csv", number * SHARE)
        with file.open("a") as settings:
            settings.write(
                f'\n[devices.press{number}]\ndriver = "opcua"\n'
                f'points = "press{number}.csv"\nurl = "{server.url}"\n'
                "timeout_s = 30\nheartbeat_s = 3600\n"
            )
    return file


def _write_points(file: Path, first: int) -> None:
    file.write_text(
        "name,address,type,period\n"
        + "".join(
            f"bench/plant/line/machine{n * MACHINES // VARIABLES}/v{n},"
            f"nsu={NAMESPACE};s=V{n - first},float,50ms\n"
            for n in range(first, first + SHARE)
        )
    )


@asynccontextmanager
async def collecting(
    file: Path, bus_url: str, *, cached: bool
) -> AsyncIterator[psutil.Process]:
    """Run a collector; without `cached` it has to compile itself as it starts."""
    cache = {} if cached else {"PYTHONPYCACHEPREFIX": str(file.parent / "nowhere")}
    once = {} if cached else {"PYTHONDONTWRITEBYTECODE": "1"}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lineshaft", "run", "collector"),
        *("--config", str(file), "--data", str(file.parent / "data")),
        env={**os.environ, "LINESHAFT_BUS__URL": bus_url, **cache, **once},
    )
    try:
        yield psutil.Process(child.pid)
    finally:
        if child.returncode is None:
            child.terminate()
        await child.wait()


async def first_values(heard: Heard) -> None:
    """Return when every variable has been heard once."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            await asyncio.sleep(0.5)
            names = {
                name for _, data in heard.messages for name in decode_frame(data).names
            }
            if len(names) == VARIABLES:
                return


def cpu_s(process: psutil.Process) -> float:
    """Return the processor time that the process has used."""
    used = process.cpu_times()
    return float(used.user + used.system)


async def measure(servers: Sequence[NodeServer], bus_url: str, home: Path) -> Row:
    """Return the figures of one run."""
    file = write_plant(home, servers)
    heard = Heard()
    async with open_bus(bus_url, most_bytes=MOST_BYTES) as bus:
        listening = asyncio.create_task(heard.listen(bus))
        try:
            async with collecting(file, bus_url, cached=True) as collector:
                await first_values(heard)
                # What stands still since before we came is told once more.
                await heard.settle()
                first = heard.told(np.full(VARIABLES, -1.0))
                heard.messages.clear()
                before_s = cpu_s(collector)
                await asyncio.gather(*(each.tell("begin") for each in servers))
                await asyncio.sleep(SECONDS)
                ends = await asyncio.gather(*(each.tell("end") for each in servers))
                await heard.settle()
                used_s, memory = cpu_s(collector) - before_s, collector.memory_info()
                messages = list(heard.messages)
            heard.messages.clear()
            bare_mb = await bare_memory(file, bus_url, heard)
        finally:
            listening.cancel()
    changed, rate, seconds = _offered(ends)
    assert not first.last.any()
    told = Heard(messages).told(first.last)
    delays = np.concatenate(told.delays_ms)
    return {
        "offered": rate,
        "arrived": 100 * told.readings / changed,
        "jumps": told.jumps,
        "cpu_us": used_s * 1e6 / max(1, told.readings),
        "rss_mb": memory.rss / 1e6,
        "bare_mb": bare_mb,
        "p50_ms": float(np.percentile(delays, 50)),
        "p99_ms": float(np.percentile(delays, 99)),
        "messages": len(messages) / seconds,
    }


def _offered(ends: Sequence[object]) -> tuple[int, float, float]:
    """Return the changes of all servers, how many a second, and for how long."""
    changed, rate, longest = 0, 0.0, 0.0
    for end in ends:
        assert isinstance(end, dict)
        changed += end["changed"]
        rate += end["changed"] / end["seconds"]
        longest = max(longest, end["seconds"])
    return changed, rate, longest


async def bare_memory(file: Path, bus_url: str, heard: Heard) -> float:
    """Return the memory of a collector that found no compiled files, in MB."""
    async with collecting(file, bus_url, cached=False) as collector:
        await first_values(heard)
        return float(collector.memory_info().rss / 1e6)


async def _run() -> Row:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        async with (
            open_server(count=SHARE, hz=HZ) as one,
            open_server(count=SHARE, hz=HZ) as other,
            serve(
                home / "bus",
                Listeners(0),
                most_bytes=MOST_BYTES + (1 << 30),
                on_restart=print,
            ) as bus,
        ):
            return await measure((one, other), bus.url, home)


def rows() -> list[Row]:
    """Return what `make bench` collects."""
    got = {name: float(str(value)) for name, value in asyncio.run(_run()).items()}
    least = 0.99 * VARIABLES * HZ
    told = [
        ("changes offered by the server", got["offered"], "1/s", least),
        ("changes that arrived on the bus", got["arrived"], "%", 100.0),
        ("changes lost, doubled or out of order", got["jumps"], "", 0.0),
        ("CPU of the collector", got["cpu_us"], "us/reading", 40.0),
        ("memory of the collector", got["rss_mb"], "MB", 120.0),
        ("memory without compiled files", got["bare_mb"], "MB", 120.0),
        ("device to bus, median", got["p50_ms"], "ms", None),
        ("device to bus, 99 of 100", got["p99_ms"], "ms", None),
        ("messages to the bus", got["messages"], "1/s", None),
    ]
    return [
        {"name": name, "value": value, "unit": unit, "bar": bar, "ok": _holds(*row)}
        for name, value, unit, bar in told
        for row in [(unit, value, bar)]
    ]


def _holds(unit: str, value: float, bar: float | None) -> bool:
    if bar is None:
        return True
    return value >= bar if unit in {"%", "1/s"} else value <= bar


if __name__ == "__main__":
    print(json.dumps(rows(), indent=1))
