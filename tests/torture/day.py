"""Put a day of load through a whole plant in minutes; see what it takes and keeps.

    python tests/torture/day.py --minutes 10 --report day.json

The day is yesterday's; what the historian does by the clock (commits, care) is done as
many times faster. The exit code is 1 when a reading is lost or doubled, or memory or
the number of files did not stay level.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
from deltalake import DeltaTable, QueryBuilder

sys.path.insert(0, str(Path(__file__).parents[1]))

from lineshaft.core.bus.nats import open_bus
from lineshaft.core.frame import KIND_FLOAT, Columns, Frame, encode_frame
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD
from lineshaft.network.outbox import Parcel, open_outbox
from support.plant import RunningPlant, started

EVERY_S = 5
DAY_S, HOUR_S = 86_400, 3_600
TURNS = DAY_S // EVERY_S
COMMIT_S, CARE_S = 30.0, 3_600.0
"""What the historian does by the clock, by default."""
LOOK_S = 2.0
ARRIVES_WITHIN_S = 120.0
LEVEL, SLACK_MIB = 1.15, 24.0
"""How much more the last third of the day may take than the second."""
MOST_FILES = 400
ROOMS = {
    "collector": "run collector",
    "historian": "run historian",
    "web": "run web",
    "nats-server": "nats-server",
}
MIB = 1 << 20


def names(points: int) -> tuple[str, ...]:
    """Return the names of so many points."""
    return tuple(f"day/site/line{n // 100}/p{n}" for n in range(points))


@dataclass
class Report:
    """What came of it."""

    minutes: float
    points: int
    stored: int = 0
    wrong: int = 0
    """Points of which not every reading is stored once, in order."""
    memory_mib: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Most of each process in the second third of the day, and in the last."""
    data_files: int = 0
    log_files: int = 0
    """Most at any moment."""
    replaced_files: int = 0
    """On disk beside the table's own, until `vacuum_after_h` has passed."""
    took_s: float = 0.0

    @property
    def readings(self) -> int:
        """Return how many there are in the day."""
        return self.points * TURNS

    @property
    def troubles(self) -> list[str]:
        """Return what did not hold."""
        found = [
            f"{name} grew from {before:.0f} to {after:.0f} MiB"
            for name, (before, after) in self.memory_mib.items()
            if after > before * LEVEL + SLACK_MIB
        ]
        if self.stored != self.readings or self.wrong:
            found.append(f"{self.stored} stored, {self.wrong} points wrong")
        if max(self.data_files, self.log_files) > MOST_FILES:
            found.append(f"more than {MOST_FILES} files at a time")
        return found

    def as_text(self) -> str:
        """Return it for people, as Markdown."""
        rows = [
            ("readings of the day", f"{self.readings:,}"),
            ("stored", f"{self.stored:,}"),
            ("points with a reading lost, doubled or swapped", f"{self.wrong}"),
            *(
                (f"memory of {name}, second and last third", f"{a:.0f}, {b:.0f} MiB")
                for name, (a, b) in self.memory_mib.items()
            ),
            ("files of the table, most at a time", f"{self.data_files}"),
            ("files of its log, most at a time", f"{self.log_files}"),
            ("replaced files kept for readers", f"{self.replaced_files}"),
        ]
        lines = ["| a day compressed | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in rows]
        said = ", ".join(self.troubles) or "everything held"
        return "\n".join([*lines, "", f"{self.took_s / 60:.1f} minutes: {said}."])


def frame(points: tuple[str, ...], turn: int, begin_us: int) -> Frame:
    """Return what all points say in one turn: each its own slow walk."""
    count = len(points)
    values = np.round(50 + 10 * np.sin(turn / 700 + np.arange(count)), 2)
    columns = Columns(
        np.arange(count, dtype=np.uint32),
        np.full(count, begin_us + turn * EVERY_S * 1_000_000, np.int64),
        np.full(count, KIND_FLOAT, np.uint8),
        values.view(np.int64),
        np.zeros(count, np.uint16),
    )
    units = ("mm",) * count
    return Frame("day", "only", turn, points, units, (), (GOOD,), columns)


class Watch:
    """Looks at memory and files, and lets the hours of the day pass for files."""

    def __init__(self, plant: RunningPlant, report: Report, speed: float) -> None:
        self._plant = plant
        self._report = report
        self._hour_s = HOUR_S / speed
        self._began = time.monotonic()
        self._aged = 0
        self.seen: list[tuple[float, dict[str, float]]] = []

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Take notes once."""
        memory = {}
        for name, words in ROOMS.items():
            with contextlib.suppress(psutil.Error, IndexError):
                process = self._plant.running(words)[0]
                memory[name] = process.memory_info().rss / MIB
        self.seen.append((time.monotonic() - self._began, memory))
        home = self._plant.data / "history" / "readings"
        log = list((home / "_delta_log").glob("*.json")) if home.exists() else []
        self._report.log_files = max(self._report.log_files, len(log))
        hours = int((time.monotonic() - self._began) / self._hour_s)
        if hours > self._aged:
            self._aged = hours
            _age(log)
            with contextlib.suppress(OSError):
                files = len(DeltaTable(str(home)).file_uris())
                self._report.data_files = max(self._report.data_files, files)

    def thirds(self) -> dict[str, tuple[float, float]]:
        """Return the most of each process in the second third and in the last."""
        end = self.seen[-1][0]
        return {
            name: (
                self._most(name, end / 3, end * 2 / 3),
                self._most(name, end * 2 / 3, end),
            )
            for name in ROOMS
        }

    def _most(self, name: str, begin: float, end: float) -> float:
        return max(
            (memory.get(name, 0.0) for at, memory in self.seen if begin <= at <= end),
            default=0.0,
        )


def _age(files: Sequence[Path]) -> None:
    """Let an hour pass for files that the historian removes when they are old."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            then = file.stat().st_mtime - HOUR_S
            os.utime(file, (then, then))


async def feed(plant: RunningPlant, home: Path, begin_us: int, report: Report) -> None:
    """Publish the day through an outbox, evenly; return when all is confirmed."""
    async with (
        open_bus(plant.bus, most_bytes=None) as bus,
        open_outbox(bus, home / "day.sqlite", 1 << 30) as outbox,
        beside(outbox.run()),
    ):
        points = names(report.points)
        began, each_s = time.monotonic(), report.minutes * 60 / TURNS
        for turn in range(TURNS):
            said = frame(points, turn, begin_us)
            subject = "readings.day.site"
            await outbox.post(Parcel(subject, encode_frame(said), said.id, len(said)))
            await asyncio.sleep(max(0.0, began + turn * each_s - time.monotonic()))
        while outbox.waiting:  # noqa: ASYNC110  it rings no bell
            await asyncio.sleep(0.05)


async def run(minutes: float, points: int, folder: Path) -> Report:
    """Run the day in a plant whose files are made in `folder`."""
    report, began = Report(minutes, points), time.monotonic()
    speed = DAY_S / (minutes * 60)
    file = folder / "lineshaft.toml"
    file.write_text(
        "[bus]\nport = 0\n[historian]\n"
        f"commit_every_s = {COMMIT_S / speed}\ncompact_every_s = {CARE_S / speed}\n"
    )
    midnight = int(time.time()) // DAY_S * DAY_S - DAY_S
    begin_us = midnight * 1_000_000
    running = started(["up", "--config", str(file)], folder / "data")
    plant = await asyncio.to_thread(running.__enter__)
    try:
        watch = Watch(plant, report, speed)
        async with beside(watch.run()):
            await feed(plant, folder, begin_us, report)
            end = datetime.fromtimestamp(midnight + DAY_S - EVERY_S, UTC).isoformat()
            async with asyncio.timeout(ARRIVES_WITHIN_S):
                while not await asyncio.to_thread(_is_there, plant, report, end):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        report.memory_mib = watch.thirds()
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)
    await asyncio.to_thread(judge, folder / "data" / "history", report, begin_us)
    report.took_s = round(time.monotonic() - began, 1)
    return report


def _is_there(plant: RunningPlant, report: Report, end: str) -> bool:
    try:
        past = plant.get(
            "/history", name=names(report.points)[-1], limit="1", **{"from": end}
        )
    except OSError:
        return False  # nothing is known of it yet
    return len(past["series"][0]["time"]) > 0


def judge(history: Path, report: Report, begin_us: int) -> None:
    """Compare the table, point by point, with what was published."""
    table = DeltaTable(str(history / "readings"))
    asked = (
        "select name, count(*), count(distinct time), "
        "cast(min(time) as bigint), cast(max(time) as bigint), "
        "count(*) filter (where quality <> 'good') from t group by name"
    )
    found = QueryBuilder().register("t", table).execute(asked).read_all()
    columns = [found.column(at).to_pylist() for at in range(6)]
    seen = {row[0]: row[1:] for row in zip(*columns, strict=True)}
    step_us = EVERY_S * 1_000_000
    last_us = begin_us + (TURNS - 1) * step_us
    for name in names(report.points):
        count, moments, first, last, bad = seen.get(name, (0, 0, 0, 0, 0))
        report.stored += count
        right = (TURNS, TURNS, begin_us, last_us, 0)
        report.wrong += int((count, moments, first, last, bad) != right)
    on_disk = sum(1 for _ in history.glob("readings/**/*.parquet"))
    report.replaced_files = on_disk - len(table.file_uris())


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--report", type=Path, help="where to write JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        report = asyncio.run(run(asked.minutes, asked.points, Path(name)))
    print(report.as_text())
    if asked.report:
        asked.report.write_text(
            json.dumps(asdict(report) | {"readings": report.readings}, indent=1) + "\n"
        )
    return 1 if report.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
