"""A point may change its unit or type: nothing is lost, relabelled or mixed."""

import asyncio
import contextlib
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lineshaft.core.bus import EVENTS
from lineshaft.core.errors import ConfigError, NotFound
from lineshaft.core.event import Event, decode_event
from lineshaft.core.frame import encode_frame
from lineshaft.core.reading import Value
from lineshaft.core.series import Aggregate, Format
from lineshaft.platform.historian.care.changes import UNITS_FILE, Changes
from lineshaft.platform.historian.service import Historian, open_historian
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Store
from support.bus_in_memory import BusInMemory
from support.frames import frame

NAME = "acme/oven/temperature"
OTHER = "acme/oven/pressure"
SECOND = 1_000_000


class Plant:
    """A bus and, in one life or several, a historian."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bus = BusInMemory()
        self.said = 0

    @contextlib.asynccontextmanager
    async def life(self, every_s: float = 600.0) -> AsyncIterator[Historian]:
        settings = Settings(commit_every_s=every_s)
        async with open_historian(self.home, settings, self.bus) as historian:
            running = asyncio.ensure_future(historian.run())
            try:
                yield historian
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def say(
        self, second: int, value: Value, unit: str, *, device: str = "oven"
    ) -> None:
        self.said += 1
        rows = [(NAME, second * SECOND, value)]
        said = frame(rows, number=self.said, unit=unit, device=device)
        await self.bus.publish("readings.acme.oven", encode_frame(said), said.id)

    async def heard(self, historian: Historian) -> None:
        recorder = historian.recorder
        await self.bus.until(lambda: recorder._taken == self.said)

    def changes(self) -> list[Event]:
        events = [decode_event(message.data) for message in self.bus.streams[EVENTS]]
        return [event for event in events if event.kind == "point.changed"]


async def raw(historian: Historian) -> list[tuple[int, object, str]]:
    """Return all readings, asked for as one asks for more."""
    found: list[tuple[int, object, str]] = []
    start = 0
    while True:
        series = await historian.history.raw(NAME, start, 10**12)
        times = series.columns.time.tolist()
        values = series.columns.values(series.texts)
        found += [
            (time // SECOND, value, series.unit)
            for time, value in zip(times, values, strict=True)
        ]
        if not series.more:
            return found
        start = times[-1] + 1


async def test_each_reading_keeps_its_unit_and_type_and_the_change_is_told_once(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path)
    expected = [(1, 20.5, "°C"), (2, 21.5, "°C"), (3, 70, "°F"), (4, 71, "°F")]
    async with plant.life() as historian:
        for second, value, unit in expected:
            await plant.say(second, value, unit)
        await plant.heard(historian)
        assert await raw(historian) == expected
        types = [type(value) for _, value, _ in await raw(historian)]
        assert types == [float, float, int, int]
    [event] = plant.changes()
    assert event.source == NAME
    assert "float in °C and is int in °F" in event.text
    async with plant.life() as historian:
        await plant.say(5, 72, "°F")
        await plant.heard(historian)
        assert await raw(historian) == [*expected, (5, 72, "°F")]
    assert len(plant.changes()) == 1, "a second life does not tell it again"
    stored = Store(tmp_path).advance().read([NAME], 0, 10**12)
    assert stored["unit"].to_pylist() == ["°C", "°C", "°F", "°F", "°F"]


async def test_a_change_while_the_historian_was_away_is_noticed(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    async with plant.life() as historian:
        await plant.say(1, 20.5, "°C")
        await plant.heard(historian)
    await plant.say(2, 70.5, "°F")
    async with plant.life() as historian:
        await plant.heard(historian)
        assert await raw(historian) == [(1, 20.5, "°C"), (2, 70.5, "°F")]
    assert len(plant.changes()) == 1


async def test_aggregates_count_the_readings_in_the_present_unit_only(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path)
    async with plant.life() as historian:
        for second, value, unit in [(1, 20.0, "°C"), (2, 70.0, "°F"), (3, 80.0, "°F")]:
            await plant.say(second, value, unit)
        await plant.heard(historian)
        for name in (NAME, OTHER):
            [told] = await historian.history.buckets([name], 0, 4 * SECOND, 4 * SECOND)
            count = told.columns[Aggregate.COUNT].tolist()
            assert count == ([2.0] if name == NAME else [0.0])
        [told] = await historian.history.buckets([NAME], 0, 4 * SECOND, 4 * SECOND)
        assert told.unit == "°F"
        assert told.columns[Aggregate.MIN].tolist() == [70.0]
        assert told.columns[Aggregate.MEAN].tolist() == [75.0]


async def test_an_export_has_the_unit_of_each_reading(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    async with plant.life() as historian:
        for second, value, unit in [(1, 1.0, "°C"), (2, 2.0, "°F"), (3, 3.0, "°C")]:
            await plant.say(second, value, unit)
        await plant.heard(historian)
        parts = [
            part
            async for part in historian.history.export("acme/**", 0, 10**12, Format.CSV)
        ]
        rows = list(csv.DictReader(io.StringIO(b"".join(parts).decode())))
        with pytest.raises(NotFound):
            async for _ in historian.history.export("b/**", 0, 10**12, Format.CSV):
                pass
    assert [(row["value"], row["unit"]) for row in rows] == [
        ("1.0", "°C"),
        ("2.0", "°F"),
        ("3.0", "°C"),
    ]
    assert len(plant.changes()) == 2


async def test_a_file_in_another_unit_changes_nothing_about_the_plant(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path)
    async with plant.life() as historian:
        await plant.say(10, 20.0, "°C")
        await plant.say(1, 68.0, "°F", device="import/file")
        await plant.say(11, 21.0, "°C")
        await plant.heard(historian)
        expected = [(1, 68.0, "°F"), (10, 20.0, "°C"), (11, 21.0, "°C")]
        assert await raw(historian) == expected
    assert plant.changes() == []
    stored = Store(tmp_path).advance().read([NAME], 0, 10**12)
    assert stored["unit"].to_pylist() == ["°F", "°C", "°C"]


async def test_readings_of_one_time_in_two_units_are_each_told(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    async with plant.life() as historian:
        await plant.say(1, 20.0, "°C")
        await plant.say(2, 68.0, "°F")
        await plant.say(3, 69.0, "°F")
        await plant.heard(historian)
        assert len(await raw(historian)) == 3


def test_bad_readings_are_no_change_of_type(tmp_path: Path) -> None:
    changes = Changes(tmp_path, {})
    assert changes.look(frame([(NAME, 1, 1.0)])) == []
    assert changes.look(frame([(NAME, 2, None)])) == []
    assert changes.look(frame([(NAME, 3, 2.0)])) == []
    [change] = changes.look(frame([(NAME, 4, "on")]))
    assert (change.before.type, change.after.type) == ("float", "string")


def test_a_list_of_units_that_is_garbled_is_refused(tmp_path: Path) -> None:
    (tmp_path / UNITS_FILE).write_text("[1]")
    with pytest.raises(ConfigError, match="cannot be understood"):
        Changes(tmp_path, {})
