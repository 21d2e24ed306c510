"""How fast the historian records and answers, and how small it keeps readings.

    LINESHAFT_BENCH_SECONDS=60 python bench/historian.py

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`. The plant
has 5,000 points at 1 Hz on 50 devices: 4,000 random walks with 2 decimals, 600
counters, 300 bools and 100 strings; one hour of it is 18 million readings. A publisher
gives a little more than that to a real nats-server at 320,000 readings a second, and a
historian in a process of its own (`lineshaft run historian`) records it. Then 100,000 a
second come in while questions are asked over the bus, as the page asks them. At last
the historian is stopped, the table compacted, and asked again after a restart.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import numpy as np
import psutil

from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.frame import (
    KIND_BOOL,
    KIND_FLOAT,
    KIND_INT,
    KIND_STRING,
    Columns,
    Frame,
    encode_frame,
)
from lineshaft.core.health import Health
from lineshaft.core.reading import GOOD, bad
from lineshaft.core.series import Aggregate
from lineshaft.platform.historian.asking import HistorianClient
from lineshaft.platform.historian.store.table import Store

Row = dict[str, object]
SECONDS = int(os.environ.get("LINESHAFT_BENCH_SECONDS", "60"))
"""How long the fast phase lasts; it tells of 66 times as long."""
DEVICES, POINTS, PER_FRAME_S = 50, 100, 5
FAST, SLOW = 320_000, 100_000
US = 1_000_000
TOLD_S = SECONDS * 66 // PER_FRAME_S * PER_FRAME_S
HOUR_S = min(3600, TOLD_S)
BEGIN = 1_790_000_000 * US
END = BEGIN + TOLD_S * US
HOUR_AGO = END - HOUR_S * US
STATES = ("running", "idle", "setup", "fault")
ROUNDS = 20
STREAM_BYTES = 8 << 30


def _bits(kind: int, seconds: int, random: np.random.Generator) -> np.ndarray:
    if kind == KIND_FLOAT:
        steps = np.round(random.normal(0, 0.05, seconds), 2)
        return np.round(50 + np.cumsum(steps), 2).view(np.int64)
    if kind == KIND_INT:
        return np.cumsum(random.integers(0, 3, seconds))
    most = 2 if kind == KIND_BOOL else len(STATES)
    return np.repeat(random.integers(0, most, seconds // 60 + 1), 60)[:seconds]


def _frames(device: int, begin: int, seconds: int) -> Iterator[bytes]:
    """Yield all that one device says: 80 floats, 12 counters, 6 bools, 2 texts."""
    random = np.random.default_rng(device)
    kinds = [KIND_FLOAT] * 80 + [KIND_INT] * 12 + [KIND_BOOL] * 6 + [KIND_STRING] * 2
    bits = np.stack([_bits(kind, seconds, random) for kind in kinds], axis=1)
    times = begin + np.arange(seconds) * US + random.integers(0, 20_000, seconds)
    status = (random.random((seconds, POINTS)) < 0.001).astype(np.uint16)
    names = tuple(f"bench/site/line{device}/point{each}" for each in range(POINTS))
    for number, second in enumerate(range(0, seconds, PER_FRAME_S)):
        part = slice(second, second + PER_FRAME_S)
        count = len(times[part])
        columns = Columns(
            np.tile(np.arange(POINTS, dtype=np.uint32), count),
            np.repeat(times[part], POINTS),
            np.tile(np.array(kinds, np.uint8), count),
            bits[part].ravel(),
            status[part].ravel(),
        )
        texts, statuses = STATES, (GOOD, bad("no answer"))
        units = ("mm",) * POINTS
        source = f"device{device}"
        yield encode_frame(
            Frame(source, str(begin), number, names, units, texts, statuses, columns)
        )


async def publish(url: str, begin: int, seconds: int, rate: int) -> None:
    """Publish a plant's time at so many readings a second; runs in a process."""
    made = [list(_frames(device, begin, seconds)) for device in range(DEVICES)]
    frames = [frame for at_once in zip(*made, strict=True) for frame in at_once]
    each = POINTS * PER_FRAME_S
    print("ready", flush=True)
    sys.stdin.readline()
    async with open_bus(url, most_bytes=STREAM_BYTES) as bus:
        start = time.monotonic()
        step = max(rate // each // 20, 1)
        for first in range(0, len(frames), step):
            due = start + first * each / rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            async with asyncio.TaskGroup() as group:
                for number in range(first, min(first + step, len(frames))):
                    name = f"{begin}:{number}"
                    group.create_task(
                        bus.publish("readings.bench", frames[number], name)
                    )
        print(json.dumps({"s": time.monotonic() - start}), flush=True)


@asynccontextmanager
async def _publisher(
    url: str, begin: int, seconds: int, rate: int
) -> AsyncIterator[subprocess.Popen[str]]:
    arguments = [url, str(begin), str(seconds), str(rate)]
    with subprocess.Popen(  # noqa: ASYNC220  it takes a moment only
        [sys.executable, __file__, "publish", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            assert process.stdin
            await asyncio.to_thread(process.stdout.readline)
            process.stdin.write("go\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


@asynccontextmanager
async def _historian(folder: Path, url: str) -> AsyncIterator[psutil.Process]:
    config = folder / "lineshaft.toml"
    # 18 million readings are to be kept beside those that come in meanwhile.
    config.write_text(f'[bus]\nurl = "{url}"\n[historian]\nhot_readings = 30_000_000\n')
    command = [sys.executable, "-m", "lineshaft", "run", "historian"]
    command += ["--config", str(config), "--data", str(folder / "data")]
    with subprocess.Popen(command) as process:  # noqa: ASYNC220  see above
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


async def _told(bus: NatsBus, figure: str, at_least: int) -> None:
    async for _, data in bus.overhear("status.historian"):
        health = msgspec.json.decode(data, type=Health)
        if float(health.figures[figure]) >= at_least:
            return


async def _record(
    bus: NatsBus, url: str, process: psutil.Process
) -> tuple[list[Row], int]:
    total = TOLD_S * DEVICES * POINTS
    most = [0]

    async def look() -> None:
        while True:
            most[0] = max(most[0], process.memory_info().rss)
            await asyncio.sleep(0.2)

    looking = asyncio.ensure_future(look())
    async with _publisher(url, BEGIN, TOLD_S, FAST) as publisher:
        began, used = time.monotonic(), sum(process.cpu_times()[:2])
        await _told(bus, "readings", total)
        wall = time.monotonic() - began
        cpu = sum(process.cpu_times()[:2]) - used
        assert publisher.stdout
        offered_s = json.loads(publisher.stdout.readline())["s"]
    looking.cancel()
    rate = total / wall
    return [
        _row("offered by the publisher", total / offered_s, "readings/s", None),
        # Offered in just that time; health that tells of it comes every 2 s.
        _row("recorded for a minute", rate, "readings/s", 300_000, at_least=True),
        _row("the recorder meanwhile", cpu / wall, "cores", 1.0),
        _row("memory of the recorder, at most", most[0] / 1e6, "MB", 700),
    ], total


async def _queries(bus: NatsBus, where: str) -> list[Row]:
    history = HistorianClient(bus)
    names = [f"bench/site/line{each}/point{each}" for each in range(8)]
    everything = [
        f"bench/site/line{device}/point{point}"
        for device in range(DEVICES)
        for point in range(POINTS)
    ]
    every = max(HOUR_S * US // 1000, 1)
    mean = (Aggregate.MEAN,)
    asks: dict[str, tuple[Callable[[], Awaitable[object]], float | None, int]] = {
        "1 point, 10 min raw": (
            lambda: history.raw(names[0], END - 600 * US, END),
            10,
            ROUNDS,
        ),
        "8 points, one hour, 1,000 buckets": (
            lambda: history.buckets(names, HOUR_AGO, END, every),
            40,
            ROUNDS,
        ),
        "all points, mean by minute": (
            lambda: history.buckets(everything, HOUR_AGO, END, 60 * US, mean),
            500,
            ROUNDS // 2,
        ),
        "all points, all aggregates by minute": (
            lambda: history.buckets(everything, HOUR_AGO, END, 60 * US),
            None,
            2,
        ),
        "last of 5,000 points": (lambda: history.last("bench/**"), 5, ROUNDS),
    }
    rows = []
    if "at once" in where:  # some of it is still in the table only: no promise
        del asks["all points, all aggregates by minute"]
        asks = {name: (ask, None, 1) for name, (ask, _, _) in asks.items()}
    for name, (ask, most_ms, rounds) in asks.items():
        took = [await _ms(ask) for _ in range(rounds + 1)][1:]
        rows.append(
            _row(f"{name}, {where}", statistics.median(took), "ms p50", most_ms)
        )
    return rows


async def _ms(ask: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await ask()
    return (time.perf_counter() - began) * 1e3


def _row(
    name: str, value: float, unit: str, bar: float | None, *, at_least: bool = False
) -> Row:
    ok = bar is None or (value >= bar if at_least else value <= bar)
    return {"name": name, "value": round(value, 2), "unit": unit, "bar": bar, "ok": ok}


def _compacted(home: Path, total: int) -> Row:
    store = Store(home)
    store.compact()
    store.vacuum(0)
    size = sum(file.stat().st_size for file in home.rglob("*.parquet"))
    return _row("disk after compaction", size / total, "B/reading", 3.0)


async def _all() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = Listeners(0)
        async with (
            serve(
                folder / "bus", wanted, most_bytes=10 << 30, on_restart=print
            ) as listeners,
            open_bus(listeners.url, most_bytes=STREAM_BYTES) as bus,
        ):
            async with _historian(folder, listeners.url) as process:
                rows, total = await _record(bus, listeners.url, process)
                async with _publisher(listeners.url, END, TOLD_S, SLOW):
                    await asyncio.sleep(5)  # it has begun to come in
                    rows += await _queries(bus, "100,000/s coming in")
            rows.append(_compacted(folder / "data" / "history", total))
            async with _historian(folder, listeners.url):
                began = time.monotonic()
                rows += await _queries(bus, "at once after a restart")
                await _told(bus, "memory_readings", HOUR_S * DEVICES * POINTS * 9 // 10)
                took = time.monotonic() - began
                rows.append(_row("back in memory after a restart", took, "s", None))
                rows += await _queries(bus, "after a restart")
        return rows


def rows() -> list[Row]:
    """Return what was measured."""
    return asyncio.run(_all())


if __name__ == "__main__":
    if sys.argv[1:2] == ["publish"]:
        url, *numbers = sys.argv[2:]
        begin, seconds, rate = map(int, numbers)
        asyncio.run(publish(url, begin, seconds, rate))
    else:
        for row in rows():
            print(json.dumps(row))
