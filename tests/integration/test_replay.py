"""Recordings are played from real files, at their pace or as fast as possible."""

import asyncio
import csv
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

import pytest

from lineshaft.core.errors import Unreachable
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Quality, Value, to_us
from lineshaft.network.device import Batch, Listens
from lineshaft.network.drivers.replay import driver
from support.replay_peer import open_peer

PATIENCE_S = 20
START_US = to_us(datetime.fromisoformat("2026-03-01T12:00:00Z"))


def points(*columns: str, kind: Kind = Kind.FLOAT) -> list[Point]:
    return [
        Point(name=f"a/{place}", address=column, type=kind)
        for place, column in enumerate(columns)
    ]


def write(folder: Path, rows: int, step_ms: int = 1000) -> Path:
    path = folder / "recording.csv"
    lines = [f"{START_US // 1000 + row * step_ms},{row}" for row in range(rows)]
    path.write_text("\n".join(["time,x", *lines]) + "\n", encoding="utf-8")
    return path


async def play(
    listed: list[Point], wanted: int, **settings: object
) -> list[tuple[Batch, float]]:
    """Return batches with at least `wanted` readings, and when each came."""
    chosen = driver.Settings.model_validate(settings)
    found: list[tuple[Batch, float]] = []
    async with (
        asyncio.timeout(PATIENCE_S),
        driver.connect(chosen, listed) as device,
        aclosing(device.listen()) as batches,
    ):
        assert isinstance(device, Listens)
        assert device.vouches is (True if chosen.restamp else None)
        async for batch in batches:
            found.append((batch, time.monotonic()))
            if sum(len(batch) for batch, _ in found) >= wanted:
                break
    return found


def values(batches: list[tuple[Batch, float]]) -> list[Value | None]:
    return [value for batch, _ in batches for value in batch.values]


def times(batches: list[tuple[Batch, float]]) -> list[int]:
    return [moment for batch, _ in batches for moment in batch.times]


async def test_everything_comes_once_in_order_with_its_own_times(
    tmp_path: Path,
) -> None:
    file = write(tmp_path, 2500)
    played = await play(
        points("x"), 2500, file=file, time_format="unix_ms", speed=0, restamp=False
    )
    assert values(played) == [float(row) for row in range(2500)]
    assert times(played) == [START_US + row * 1_000_000 for row in range(2500)]
    assert [len(batch) for batch, _ in played] == [1000, 1000, 500]


async def test_the_recorded_pace_is_kept_and_times_are_moved_to_now(
    tmp_path: Path,
) -> None:
    file = write(tmp_path, 4, step_ms=150)
    before_us, began_s = time.time_ns() // 1000, time.monotonic()
    played = await play(points("x"), 4, file=file, time_format="unix_ms")
    moments = times(played)
    assert [later - moments[0] for later in moments] == [0, 150_000, 300_000, 450_000]
    assert before_us <= moments[0] <= time.time_ns() // 1000 - 450_000
    assert played[-1][1] - began_s >= 0.45


async def test_a_higher_speed_shortens_the_distances(tmp_path: Path) -> None:
    file = write(tmp_path, 5)
    played = await play(points("x"), 5, file=file, time_format="unix_ms", speed=20)
    moments = times(played)
    assert [later - moments[0] for later in moments] == [
        0,
        50_000,
        100_000,
        150_000,
        200_000,
    ]
    assert all(moment <= time.time_ns() // 1000 for moment in moments)


async def test_a_loop_goes_on_without_a_jump_in_time(tmp_path: Path) -> None:
    file = write(tmp_path, 3)
    played = await play(
        points("x"), 9, file=file, time_format="unix_ms", speed=100, loop=True
    )
    assert values(played)[:9] == [0.0, 1.0, 2.0] * 3
    moments = times(played)[:9]
    assert [later - moments[0] for later in moments] == [10_000 * n for n in range(9)]


async def test_without_a_loop_the_end_is_silence(tmp_path: Path) -> None:
    settings = driver.Settings(file=write(tmp_path, 1), time_format="unix_ms", speed=0)
    async with driver.connect(settings, points("x")) as device:
        listening = device.listen()
        assert (await anext(listening)).values == [0.0]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(listening)


async def test_a_missing_column_is_bad_and_the_others_are_played(
    tmp_path: Path,
) -> None:
    played = await play(
        points("x", "y"), 2, file=write(tmp_path, 1), time_format="unix_ms", speed=0
    )
    first, second = played[0][0], played[1][0]
    assert (first.points, first.values) == ([1], [None])
    assert "no column 'y'" in first.statuses[0].reason
    assert (second.points, second.values) == ([0], [0.0])


async def test_a_file_without_a_single_readable_time_does_not_run_wild(
    tmp_path: Path,
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("time,x\nnever,1\n", encoding="utf-8")
    began_s = time.monotonic()
    played = await play(points("x"), 3, file=file, loop=True, speed=20)
    assert {status.quality for batch, _ in played for status in batch.statuses} == {
        Quality.BAD
    }
    assert played[2][1] - began_s >= 0.1


async def test_a_file_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    settings = driver.Settings(file=tmp_path / "absent.csv")
    with pytest.raises(
        Unreachable, match=r"absent\.csv cannot be opened: No such file"
    ):
        async with driver.connect(settings, []):
            pass


async def test_a_recording_that_vanishes_is_unreachable_and_comes_back() -> None:
    async with open_peer() as peer:
        settings = driver.Settings.model_validate(peer.settings)
        async with (
            asyncio.timeout(PATIENCE_S),
            driver.connect(settings, peer.points) as device,
        ):
            listening = device.listen()
            assert (await anext(listening)).values == [1.5, 2, True, "idle"]
            await peer.set(0, 2.5)
            while (batch := await anext(listening)).values[0] != 2.5:
                pass
            assert batch.values == [2.5, 2, True, "idle"]
            await peer.stop()
            with pytest.raises(Unreachable, match="cannot be opened"):
                await _listen_on(listening)
        await peer.start()
        async with driver.connect(settings, peer.points) as device:
            assert (await anext(device.listen())).values[0] == 2.5


async def _listen_on(listening: AsyncIterator[Batch]) -> None:
    async for _ in listening:
        pass


def _recorded(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened, delimiter=";"))


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["anomaly-free", "valve1_0", "valve1_3"])
async def test_real_pump_data_is_played_with_every_value_equal(name: str) -> None:
    corpus = os.environ.get("LINESHAFT_CORPUS")
    if not corpus:
        pytest.skip("LINESHAFT_CORPUS names no folder: real data is not played")
    file = Path(corpus, "process", "skab", f"{name}.csv")
    expected = _recorded(file)
    columns = [column for column in expected[0] if column != "datetime"]
    played = await play(
        points(*columns),
        len(expected) * len(columns),
        file=file,
        delimiter=";",
        speed=0,
        restamp=False,
    )
    assert values(played) == [
        float(row[column]) for row in expected for column in columns
    ]
    moments = [to_us(datetime.fromisoformat(row["datetime"] + "Z")) for row in expected]
    assert times(played) == [moment for moment in moments for _ in columns]
    assert {status.quality for batch, _ in played for status in batch.statuses} == {
        Quality.GOOD
    }
