"""How fast the historian records and answers, and how small it keeps readings.

    LINESHAFT_BENCH_SECONDS=3600 python bench/historian.py

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`. The plant
has 5,000 points at 1 Hz on 50 devices: 4,000 random walks with 2 decimals, 600
counters, 300 bools and 100 strings. An hour of it is 18 million readings; the bars are
for that. Frames come from a bus in memory, so the client of the bus is not in the
figures of recording; decoding, sorting and writing are.
"""

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lineshaft.core.bus import READINGS
from lineshaft.core.frame import (
    KIND_BOOL,
    KIND_FLOAT,
    KIND_INT,
    KIND_STRING,
    Columns,
    Frame,
    encode_frame,
)
from lineshaft.core.reading import GOOD, bad
from lineshaft.platform.historian.service import Historian, open_historian
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Store
from support.bus_in_memory import BusInMemory

Row = dict[str, object]
SECONDS = int(os.environ.get("LINESHAFT_BENCH_SECONDS", "600"))
DEVICES, POINTS, PER_FRAME_S = 50, 100, 5
US = 1_000_000
BEGIN = 1_790_000_000 * US
END = BEGIN + SECONDS * US
STATES = ("running", "idle", "setup", "fault")
ROUNDS = 10


def _bits(kind: int, seconds: int, random: np.random.Generator) -> np.ndarray:
    if kind == KIND_FLOAT:
        steps = np.round(random.normal(0, 0.05, seconds), 2)
        return np.round(50 + np.cumsum(steps), 2).view(np.int64)
    if kind == KIND_INT:
        return np.cumsum(random.integers(0, 3, seconds))
    most = 2 if kind == KIND_BOOL else len(STATES)
    return np.repeat(random.integers(0, most, seconds // 60 + 1), 60)[:seconds]


def _frames(device: int) -> list[Frame]:
    """Return all that one device says: 80 floats, 12 counters, 6 bools, 2 texts."""
    random = np.random.default_rng(device)
    kinds = [KIND_FLOAT] * 80 + [KIND_INT] * 12 + [KIND_BOOL] * 6 + [KIND_STRING] * 2
    bits = np.stack([_bits(kind, SECONDS, random) for kind in kinds], axis=1)
    times = BEGIN + np.arange(SECONDS) * US + random.integers(0, 20_000, SECONDS)
    status = (random.random((SECONDS, POINTS)) < 0.001).astype(np.uint16)
    names = tuple(f"bench/site/line{device}/point{each}" for each in range(POINTS))
    frames = []
    for number, second in enumerate(range(0, SECONDS, PER_FRAME_S)):
        part = slice(second, second + PER_FRAME_S)
        count = len(times[part])
        columns = Columns(
            np.tile(np.arange(POINTS, dtype=np.uint32), count),
            np.repeat(times[part], POINTS),
            np.tile(np.array(kinds, np.uint8), count),
            bits[part].ravel(),
            status[part].ravel(),
        )
        frames.append(
            Frame(
                f"device{device}",
                "e",
                number,
                names,
                ("mm",) * POINTS,
                STATES,
                (GOOD, bad("no answer")),
                columns,
            )
        )
    return frames


async def _filled_bus() -> BusInMemory:
    bus = BusInMemory()
    of_devices = [_frames(device) for device in range(DEVICES)]
    for at_one_time in zip(*of_devices, strict=True):
        for frame in at_one_time:
            await bus.publish("readings.bench", encode_frame(frame), frame.id)
    return bus


@asynccontextmanager
async def _running(home: Path, bus: BusInMemory) -> AsyncIterator[Historian]:
    settings = Settings(commit_readings=1_500_000)
    async with open_historian(home, settings, bus) as historian:
        task = asyncio.ensure_future(historian.run())
        try:
            yield historian
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _record(home: Path, bus: BusInMemory) -> list[Row]:
    total = SECONDS * DEVICES * POINTS
    began, used = time.perf_counter(), time.process_time()
    async with _running(home, bus) as historian:
        # The recorder rings no bell, and a bell would be in the figures.
        while historian.recorder.readings < total:  # noqa: ASYNC110  see above
            await asyncio.sleep(0.02)
        asking, asking_used = time.perf_counter(), time.process_time()
        rows = await _queries(historian, "memory and table")
        asked = time.perf_counter() - asking, time.process_time() - asking_used
    # Stopping has committed the rest; what the queries took is not recording.
    wall = time.perf_counter() - began - asked[0]
    cpu = time.process_time() - used - asked[1]
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        _row("recorded readings", total / wall, "1/s", 300_000, at_least=True),
        _row("processor time per million readings", cpu * 1e6 / total, "s", 1 / 0.3),
        _row("peak memory with the frames of the whole run", most, "MB", None),
        *rows,
    ]


async def _queries(historian: Historian, where: str) -> list[Row]:
    history = historian.history
    names = [f"bench/site/line{each}/point{each}" for each in range(8)]
    everything = [
        f"bench/site/line{device}/point{point}"
        for device in range(DEVICES)
        for point in range(POINTS)
    ]
    ten_minutes = END - 600 * US
    every = max(SECONDS * US // 1000, 1)
    asks: dict[str, tuple[Callable[[], Awaitable[object]], float, int]] = {
        "1 point, 10 min raw": (
            lambda: history.raw(names[0], ten_minutes, END),
            10,
            ROUNDS,
        ),
        "8 points, all the time in 1,000 buckets": (
            lambda: history.buckets(names, BEGIN, END, every),
            40,
            ROUNDS,
        ),
        "5,000 points, all the time by minute": (
            lambda: history.buckets(everything, BEGIN, END, 60 * US),
            500,
            3,
        ),
        "last of 5,000 points": (lambda: history.last("bench/**"), 5, ROUNDS),
    }
    rows = []
    for name, (ask, most_ms, rounds) in asks.items():
        took = [await _ms(ask) for _ in range(rounds + 1)][1:]
        value = float(np.median(took))
        rows.append(_row(f"{name} ({where})", value, "ms p50", most_ms))
    return rows


async def _ms(ask: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await ask()
    return (time.perf_counter() - began) * 1e3


def _size(home: Path) -> float:
    files = home.rglob("*.parquet")
    return sum(file.stat().st_size for file in files)


def _row(
    name: str, value: float, unit: str, bar: float | None, *, at_least: bool = False
) -> Row:
    ok = bar is None or (value >= bar if at_least else value <= bar)
    named = f"historian: {name}, {SECONDS * DEVICES * POINTS / 1e6:g} M readings"
    return {"name": named, "value": round(value, 2), "unit": unit, "bar": bar, "ok": ok}


async def _all() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        bus = await _filled_bus()
        rows = await _record(home, bus)
        total = SECONDS * DEVICES * POINTS
        store = Store(home)
        store.compact()
        store.vacuum(0)
        rows.append(
            _row("disk after compaction", _size(home) / total, "B/reading", 3.0)
        )
        await bus.forget(READINGS, through=await bus.last_sequence(READINGS))
        async with _running(home, bus) as historian:
            rows += await _queries(historian, "table only, after a restart")
        return rows


def rows() -> list[Row]:
    """Return what was measured."""
    return asyncio.run(_all())


if __name__ == "__main__":
    for row in rows():
        print(json.dumps(row))
