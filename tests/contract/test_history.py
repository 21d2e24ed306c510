"""Whoever keeps the promise of `core.series.History` gives the same answers."""

import asyncio
import contextlib
import csv
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineshaft.core.bus import READINGS
from lineshaft.core.errors import NotFound, Refused, Unreachable
from lineshaft.core.frame import encode_frame
from lineshaft.core.reading import GOOD, Reading, Status, bad
from lineshaft.core.series import Aggregate, Format, History
from lineshaft.platform.historian.asking import HistorianClient
from lineshaft.platform.historian.service import open_historian
from lineshaft.platform.historian.settings import Settings
from support.bus_in_memory import BusInMemory
from support.frames import Row, frame

S = 1_000_000
BASE = 1_790_000_000 * S
DAY = 86_400 * S
FORCE, STATE = "acme/press/force", "acme/press/state"
EARLY: list[Row] = [(FORCE, BASE + second * S, float(second)) for second in range(10)]
LATE: list[Row] = [
    (FORCE, BASE + 10 * S, None),
    (STATE, BASE + 10 * S, "running"),
    (FORCE, BASE + DAY, 7.5),
    (STATE, BASE - DAY, "idle"),
]
LATE_STATUSES: list[Status] = [bad("no answer"), GOOD, GOOD, GOOD]


async def found(history: History, name: str, time: int) -> int:
    return len((await history.raw(name, time, time + 1)).columns)


@contextlib.asynccontextmanager
async def opened(folder: Path, bus: BusInMemory, who: str) -> AsyncIterator[History]:
    """Half of the readings are in the table of an earlier life, half in memory."""
    settings = Settings(commit_every_s=600)
    for number, rows in enumerate([EARLY, LATE], 1):
        async with open_historian(folder, settings, bus) as historian:
            task = asyncio.ensure_future(historian.run())
            statuses = LATE_STATUSES if rows is LATE else None
            said = frame(rows, number=number, statuses=statuses, unit="kN")
            await bus.publish("readings.acme.press", encode_frame(said), said.id)
            try:
                name, time, _ = rows[-1]
                # Recorded, but nothing tells when; the runner's time-out ends it.
                while not await found(historian.history, name, time):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                if rows is LATE:
                    yield historian.history if who == "engine" else HistorianClient(bus)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=["engine", "client"])
async def history(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[History]:
    async with opened(tmp_path, BusInMemory(), request.param) as kept:
        yield kept


async def exported(history: History, form: Format, end: int = BASE + 2 * DAY) -> bytes:
    parts = history.export("acme/**", BASE - 2 * DAY, end, form)
    return b"".join([part async for part in parts])


async def test_last_gives_the_newest_reading_of_each_point(history: History) -> None:
    assert list((await history.last("acme/**")).readings()) == [
        Reading(FORCE, 7.5, GOOD, BASE + DAY, "kN"),
        Reading(STATE, "running", GOOD, BASE + 10 * S, "kN"),
    ]
    assert not len(await history.last("other/**"))


async def test_names_are_those_that_an_export_has(history: History) -> None:
    names = await history.names("acme/**")
    assert names == sorted({FORCE, STATE, *names})
    text = (await exported(history, Format.CSV)).decode()
    assert {line.split(",")[0] for line in text.splitlines()[1:]} <= set(names)
    assert await history.names("other/**") == []


async def test_raw_gives_every_reading_of_the_span_oldest_first(
    history: History,
) -> None:
    series = await history.raw(FORCE, BASE + 8 * S, BASE + DAY)
    assert (series.name, series.unit, series.more) == (FORCE, "kN", False)
    assert series.columns.time.tolist() == [BASE + s * S for s in (8, 9, 10)]
    assert series.columns.values(series.texts) == [8.0, 9.0, None]
    statuses = [series.statuses[each] for each in series.columns.status.tolist()]
    assert statuses == [GOOD, GOOD, bad("no answer")]
    assert series.columns.point.tolist() == [0, 0, 0]


async def test_raw_keeps_strings(history: History) -> None:
    series = await history.raw(STATE, BASE - DAY, BASE + DAY)
    assert series.columns.values(series.texts) == ["idle", "running"]


async def test_a_limit_cuts_at_the_end_and_says_so(history: History) -> None:
    series = await history.raw(FORCE, BASE, BASE + 2 * DAY, 4)
    assert series.columns.values(series.texts) == [0.0, 1.0, 2.0, 3.0]
    assert series.more


async def test_buckets_show_values_and_gaps(history: History) -> None:
    found = await history.buckets([FORCE, STATE], BASE, BASE + 20 * S, 5 * S)
    force, state = found
    assert force.start.tolist() == [BASE + s * S for s in (0, 5, 10, 15)]
    assert force.columns[Aggregate.COUNT].tolist() == [5, 5, 0, 0]
    assert force.columns[Aggregate.MAX].tolist()[:2] == [4.0, 9.0]
    assert force.columns[Aggregate.GOOD].tolist() == [1, 1, 0, 0]
    assert state.columns[Aggregate.COUNT].tolist() == [0, 0, 1, 0]
    assert set(force.columns) == set(Aggregate)


async def test_a_point_that_was_never_recorded_has_an_empty_past(
    history: History,
) -> None:
    assert not len((await history.raw("acme/x", BASE, BASE + DAY)).columns)


async def test_nonsense_is_refused(history: History) -> None:
    with pytest.raises(Refused, match="buckets"):
        await history.buckets([FORCE], BASE, BASE - 1, S)
    with pytest.raises(NotFound, match="no recorded point"):
        _ = [part async for part in history.export("x/y", BASE, BASE + 1, Format.CSV)]


async def test_each_format_holds_every_reading(history: History) -> None:
    count = len(EARLY) + len(LATE)
    text = (await exported(history, Format.CSV)).decode()
    lines = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(lines) == count
    assert lines[0]["value"] == "idle"
    assert len(json.loads(await exported(history, Format.JSON))) == count
    parquet = pq.read_table(pa.BufferReader(await exported(history, Format.PARQUET)))
    arrow = pa.ipc.open_stream(await exported(history, Format.ARROW)).read_all()
    for table in (parquet, arrow):
        assert table.num_rows == count
        forces = table.filter(pa.compute.equal(table["name"], FORCE))
        values = forces["value"].to_pylist()
        assert values == [*map(float, range(10)), None, 7.5]


async def test_a_span_without_readings_is_a_file_without_rows(history: History) -> None:
    end = BASE - DAY - 1
    assert json.loads(await exported(history, Format.JSON, end)) == []
    assert (await exported(history, Format.CSV, end)).count(b"\r\n") == 1
    parquet = await exported(history, Format.PARQUET, end)
    assert pq.read_table(pa.BufferReader(parquet)).num_rows == 0


async def test_a_client_without_a_historian_says_so() -> None:
    bus = BusInMemory()
    assert await bus.last_sequence(READINGS) == 0
    with pytest.raises(Unreachable):
        await HistorianClient(bus).last("acme/**")
