"""Whether a history stays small and quick to keep over a day of load, compressed.

    LINESHAFT_BENCH_CARE_POINTS=1000 python bench/care.py

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`. A day of
points at 1 Hz is committed each 30 s of its own time, and each of its hours is
followed by a turn of care; then the closed day is sorted. For that turn an hour has
passed: the files of the log are made an hour older, and replaced files go at once. Each
part runs in a process of its own, so that its peak of memory is its own.
"""

import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from lineshaft.core.frame import KIND_FLOAT, Columns
from lineshaft.core.reading import GOOD, to_us
from lineshaft.platform.historian.arrow import Table, to_table
from lineshaft.platform.historian.block import Block, Points
from lineshaft.platform.historian.store.table import Store

Row = dict[str, object]
Seen = dict[str, float]
POINTS = int(os.environ.get("LINESHAFT_BENCH_CARE_POINTS", "200"))
HOURS = 24
COMMIT_S = 30
DAY = datetime(2026, 3, 1, tzinfo=UTC)
WRITER = "historian/bench"
MIB = 1 << 20


def _table(points: Points, begin_us: int, seconds: int) -> Table:
    """Return so many seconds of random walks with two decimals, in order."""
    random = np.random.default_rng(begin_us // 1_000_000)
    count = len(points)
    steps = np.round(random.normal(0, 0.05, (count, seconds)), 2)
    values = np.round(50 + np.cumsum(steps, axis=1), 2)
    rows = count * seconds
    times = begin_us + np.arange(seconds) * 1_000_000
    columns = Columns(
        np.repeat(np.arange(count, dtype=np.uint32), seconds),
        np.tile(times, count),
        np.full(rows, KIND_FLOAT, np.uint8),
        values.ravel().view(np.int64),
        np.zeros(rows, np.uint16),
    )
    return to_table(Block(columns, (), (GOOD,)), points)


def _points() -> Points:
    points = Points()
    names = [f"bench/site/line{each // 100}/point{each}" for each in range(POINTS)]
    points.add(names, ["mm"] * POINTS)
    return points


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _an_hour_passes(home: Path) -> None:
    for file in (home / "readings" / "_delta_log").iterdir():
        then = file.stat().st_mtime - 3600
        os.utime(file, (then, then))


def _count(home: Path, pattern: str) -> int:
    return sum(1 for _ in home.rglob(pattern))


def day_of_load(home: Path) -> Seen:
    """Record a day; return what was seen at each hour."""
    store, points = Store(home), _points()
    memory, files, logs, care = [], [], [], 0.0
    begin, number = to_us(DAY), 0
    began = time.perf_counter()
    for _ in range(HOURS):
        for _ in range(3600 // COMMIT_S):
            rows = _table(points, begin + number * COMMIT_S * 1_000_000, COMMIT_S)
            number += 1
            store.append(rows, WRITER, {WRITER: number})
        files.append(_count(home, "*.parquet"))
        logs.append(_count(home, "_delta_log/*"))
        _an_hour_passes(home)
        started = time.perf_counter()
        store.compact()
        store.checkpoint()
        store.vacuum(0)
        store.tidy_log()
        care += time.perf_counter() - started
        memory.append(_resident())
    return {
        "seconds": time.perf_counter() - began,
        "care_s": care,
        "memory_early": memory[HOURS // 4],
        "memory_late": max(memory[-6:]),
        "files": max(files),
        "logs": max(logs),
        "files_after": _count(home, "*.parquet"),
        "logs_after": _count(home, "_delta_log/*"),
    }


def sort_the_day(home: Path) -> Seen:
    """Sort what is there; return time and peak memory."""
    began, before = time.perf_counter(), _resident()
    store = Store(home)
    done = store.sort_closed(DAY + timedelta(days=2))
    snapshot = store.advance()
    rows = sum(file.rows for file in snapshot.files())
    size = sum(file.size for file in snapshot.files())
    return {
        "sorted": done is not None,
        "rows": rows,
        "size": size,
        "seconds": time.perf_counter() - began,
        "before": before,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _apart(work: Callable[[Path], Seen], home: Path) -> Seen:
    """Do the work in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, (home,))


def _row(name: str, value: float, unit: str, bar: float | None = None) -> Row:
    ok = bar is None or value <= bar
    return {
        "name": f"care: {name}",
        "value": round(value, 3),
        "unit": unit,
        "bar": bar,
        "ok": ok,
    }


def rows() -> list[Row]:
    """Return what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        day = _apart(day_of_load, home)
        done = _apart(sort_the_day, home)
    total = POINTS * 3600 * HOURS
    of = f"{total / 1e6:g} M readings in a day"
    early, late = day["memory_early"], day["memory_late"]
    return [
        _row(f"{of}: lost or doubled", abs(done["rows"] - total), "readings", 0),
        _row(f"{of}: most data files at once", day["files"], "files", 300),
        _row(f"{of}: most files of the log at once", day["logs"], "files", 400),
        _row("data files after the last turn", day["files_after"], "files", 4),
        _row("files of the log after the last turn", day["logs_after"], "files", 10),
        _row("memory at the end", late, "MB"),
        _row("growth of memory, hour 6 to the end", late - early, "MB", 150),
        _row("care, share of the time", day["care_s"] / day["seconds"], ""),
        _row("sorting: peak memory", done["peak"], "MB", 1000),
        _row("sorting", done["seconds"], "s"),
        _row("disk after sorting", done["size"] / total, "B/reading", 4.0),
    ]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    for row in rows():
        print(json.dumps(row))
