"""Nothing that is guaranteed goes, nothing goes silently, and what may go does."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.core.event import Event
from lineshaft.core.health import State
from lineshaft.core.reading import to_us
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.arrow import to_table
from lineshaft.platform.historian.care import keeper as module
from lineshaft.platform.historian.care.budget import GIB, Level, Room, to_go
from lineshaft.platform.historian.care.holding import copying, recording
from lineshaft.platform.historian.care.keeper import Keeper
from lineshaft.platform.historian.care.retention import Rules, is_over_for
from lineshaft.platform.historian.duration import seconds_of
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.pieces import cut
from lineshaft.platform.historian.store.table import Store
from support.frames import Row, frame

OLD = [to_us(datetime(2020, 1, day, 12, tzinfo=UTC)) for day in range(1, 6)]
NOW = to_us(datetime.now(UTC))
WRITER = "historian/stream"


class Plant:
    """A history with its keeper, and what the keeper said."""

    def __init__(self, home: Path, **settings: object) -> None:
        self.home = home
        self.store = Store(home)
        self.number = 0
        self.said: list[Event] = []
        self.bus_is_away = False
        self.engine = Engine(Hot(0.0, 0, None), self.store.advance(), 60.0)
        given = Settings.model_validate(settings)
        self.keeper = Keeper(home, self.store, self.engine, given, self.tell)

    async def tell(self, event: Event) -> None:
        if self.bus_is_away:
            raise Unreachable("the bus is away")
        self.said.append(event)

    def record(self, rows: Sequence[Row]) -> None:
        self.number += 1
        hot = Hot(60.0, 10**7, None)
        hot.take(frame(rows))
        table = to_table(hot.begin_commit(), hot.points)
        self.store.append(table, WRITER, {WRITER: self.number})

    def names(self) -> list[tuple[str, int]]:
        """Return name and day (0: today) of each reading, as questions see them."""
        found = self.engine.snapshot.read(
            ["acme/a/x", "acme/a/y", "acme/b/x"], 0, 2 * NOW
        )
        days = [
            time.day if time.year == 2020 else 0 for time in found["time"].to_pylist()
        ]
        return sorted(zip(found["name"].to_pylist(), days, strict=True))


@pytest.fixture(autouse=True)
def no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_S", 0.0)


def test_durations_are_written_like_90d() -> None:
    assert [seconds_of(text) for text in ("1h", "2d", "1w")] == [3600, 172800, 604800]
    assert seconds_of("1y") == 366 * 86400, "never a day too early"
    for text in ("", "90", "d", "-1d", "0d", "1m", "1.5d"):
        with pytest.raises(ValueError, match="like 90d"):
            seconds_of(text)


def test_all_that_is_wrong_with_retention_is_said_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(retention={"acme//x": "1d", "acme/**": "soon"})
    assert "acme//x" in str(caught.value)
    assert "soon" in str(caught.value)


def test_the_most_specific_pattern_counts() -> None:
    rules = Rules(
        {
            "**": "1y",
            "acme/**": "90d",
            "acme/a/*": "5d",
            "acme/*/x": "7d",
            "acme/a/x": "9d",
        }
    )
    found = [rules.of(name) for name in ("b/x", "acme/c/d/x", "acme/a/y", "acme/a/x")]
    assert [rule[0] for rule in found if rule] == [
        "**",
        "acme/**",
        "acme/a/*",
        "acme/a/x",
    ]
    kept = Rules({"acme/*/x": "7d", "acme/x/*": "9d"}).of("acme/x/x")
    assert kept is not None
    assert kept[0] == "acme/x/*", "of equal ones the longer"
    assert Rules({"acme/**": "1d"}).of("other/x") is None


@given(st.dates(), st.integers(1, 10**8))
def test_a_day_is_over_only_when_its_last_reading_is_old_enough(
    day: date, seconds: int
) -> None:
    last = datetime(day.year, day.month, day.day, 23, 59, 59, 999_999, UTC)
    try:
        just_kept = last + timedelta(seconds=seconds)
    except OverflowError:
        return
    assert not is_over_for(day, seconds, just_kept)


async def test_only_what_has_expired_goes_and_each_deletion_is_told(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path, retention={"acme/a/**": "90d", "acme/a/y": "99y"})
    for time in (*OLD[:2], NOW):
        plant.record(
            [(name, time, 1.0) for name in ("acme/a/x", "acme/a/y", "acme/b/x")]
        )
    plant.record([("acme/a/x", OLD[2], 1.0)])
    await plant.keeper.turn()
    assert plant.names() == [
        ("acme/a/x", 0),
        *[("acme/a/y", day) for day in (0, 1, 2)],
        *[("acme/b/x", day) for day in (0, 1, 2)],
    ]
    assert [event.kind for event in plant.said] == ["historian.retention"] * 3
    assert [event.detail["readings"] for event in plant.said] == [1, 1, 1]
    assert "acme/a/** = 90d" in plant.said[0].text
    assert plant.keeper.figures()["deleted_readings"] == 3
    await plant.keeper.turn()
    assert len(plant.said) == 3, "nothing more went"
    plant.record([("acme/a/x", OLD[1], 2.0)])  # late, and too old already
    await plant.keeper.turn()
    assert ("acme/a/x", 2) not in plant.names()
    assert len(plant.said) == 4


async def test_a_deletion_is_told_when_the_bus_is_back(tmp_path: Path) -> None:
    plant = Plant(tmp_path, retention={"**": "90d"})
    plant.record([("acme/a/x", OLD[0], 1.0)])
    plant.bus_is_away = True
    await plant.keeper.turn()
    assert plant.names() == []
    plant.bus_is_away = False
    await plant.keeper.look()
    assert [event.kind for event in plant.said] == ["historian.retention"]


async def test_readings_that_come_in_while_a_day_is_judged_are_not_deleted(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path)
    plant.record([("acme/a/x", OLD[0], 1.0)])
    counts = plant.store.advance().counts_of(date(2020, 1, 1))
    plant.record([("acme/b/x", OLD[0], 1.0)])
    with pytest.raises(Unreachable, match="meanwhile"):
        plant.store.delete(date(2020, 1, 1), sum(counts.values()))
    assert plant.store.advance().counts_of(date(2020, 1, 1)) == {
        "acme/a/x": 1,
        "acme/b/x": 1,
    }


def many(time: int, count: int = 20_000) -> list[Row]:
    return [
        ("acme/a/x", time + each, float(hash((time, each)))) for each in range(count)
    ]


async def test_beyond_the_budget_the_oldest_days_go_and_the_guaranteed_stay(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path)
    for time in (*OLD, NOW):
        plant.record(many(time))
    size = sum(file.size for file in plant.store.advance().files())
    plant = Plant(tmp_path, most_gib=0.7 * size / GIB, guarantee="30d")
    await plant.keeper.look()
    days = plant.store.advance().days()
    assert days == sorted(days)
    assert date(2020, 1, 1) not in days
    assert len(days) >= 2
    told = [event for event in plant.said if event.kind == "historian.retention"]
    assert sum(int(str(event.detail["readings"])) for event in told) == 20_000 * (
        6 - len(days)
    )
    assert "guarantee" in told[0].text
    assert plant.keeper.may_take.is_set()
    assert plant.keeper.room is not None
    assert not plant.keeper.room.over


async def test_when_all_is_guaranteed_nothing_goes_and_readings_wait_on_the_bus(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path, most_gib=1e-5, guarantee="99y")
    plant.record(many(OLD[0]))
    await plant.keeper.look()
    assert plant.store.advance().days() == [date(2020, 1, 1)]
    assert not plant.keeper.may_take.is_set()
    assert plant.keeper.state is State.DEGRADED
    assert "wait on the bus" in plant.keeper.reason
    assert [event.kind for event in plant.said] == ["historian.room"]
    roomy = Plant(tmp_path, most_gib=1.0)
    roomy.keeper.may_take.clear()
    await roomy.keeper.look()
    assert roomy.keeper.may_take.is_set()


@pytest.mark.parametrize(
    ("used", "free", "level"),
    [
        (79, 400, Level.ROOM),
        (80, 400, Level.FILLING),
        (95, 400, Level.NEARLY_FULL),
        (100, 400, Level.FULL),
        (1, 39, Level.FILLING),
        (1, 19, Level.NEARLY_FULL),
        (1, 9, Level.FULL),
    ],
)
def test_warnings_come_well_before_the_end(used: int, free: int, level: Level) -> None:
    room = Room(used, 100, free, 10)
    assert room.level is level
    assert bool(room.reason) is (level is not Level.ROOM)


@given(
    st.dictionaries(st.dates(date(2020, 1, 1), date(2020, 3, 1)), st.integers(1, 9)),
    st.integers(0, 50),
)
def test_room_is_made_by_the_oldest_days_and_never_by_guaranteed_ones(
    sizes: dict[date, int], excess: int
) -> None:
    now = datetime(2020, 3, 1, tzinfo=UTC)
    chosen = to_go(sizes, excess, seconds_of("30d"), now)
    assert chosen == sorted(sizes)[: len(chosen)]
    assert all(is_over_for(day, seconds_of("30d"), now) for day in chosen)
    assert sum(sizes[day] for day in chosen[:-1]) <= excess


async def test_files_stay_while_somebody_copies_them(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    for number in range(3):
        plant.record([("acme/a/x", OLD[0] + number, 1.0)])
    files = set(tmp_path.rglob("*.parquet"))
    with copying(tmp_path):
        plant.store.compact()
        await plant.keeper._clean(0)
        assert files < set(tmp_path.rglob("*.parquet"))
    await plant.keeper._clean(0)
    assert not files & set(tmp_path.rglob("*.parquet"))


def test_two_historians_with_one_directory_are_refused(tmp_path: Path) -> None:
    with recording(tmp_path / "history"):
        with (
            pytest.raises(ConfigError, match="already"),
            recording(tmp_path / "history"),
        ):
            pass
    with recording(tmp_path / "history"):
        pass


async def test_a_sort_in_pieces_keeps_every_reading_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "lineshaft.platform.historian.store.pieces.cut.__defaults__", (7,)
    )
    plant = Plant(tmp_path)
    begin = OLD[0] // 86_400_000_000 * 86_400_000_000
    rows: list[Row] = [
        (f"acme/{each % 5}'", begin + (each * 7919 % 86_400) * 1_000_000, float(each))
        for each in range(200)
    ]
    for first in range(0, 200, 20):
        plant.record(rows[first : first + 20])
    day = date(2020, 1, 1)
    assert plant.store.sort_closed(datetime.now(UTC)) == day
    assert plant.store.sort_closed(datetime.now(UTC)) is None
    found = plant.store.advance().table.to_pyarrow_table()
    times = [to_us(time) for time in found["time"].to_pylist()]
    got = list(
        zip(found["name"].to_pylist(), times, found["value"].to_pylist(), strict=True)
    )
    assert sorted(got) == sorted(rows)
    assert [row[:2] for row in got] == sorted(row[:2] for row in rows)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 23), st.integers(1, 9))),
    st.integers(1, 12),
)
def test_pieces_follow_each_other_without_gap_and_are_small(
    given_hours: list[tuple[str, int, int]], most: int
) -> None:
    hours = sorted({(name, hour): rows for name, hour, rows in given_hours}.items())
    names = [name for (name, _), _ in hours]
    times = [hour * 3_600_000_000 for (_, hour), _ in hours]
    rows = [count for _, count in hours]
    pieces = list(cut(names, times, rows, most))
    marks = list(zip(names, times, strict=True))
    for low, high in pieces:
        inside = [n for mark, n in zip(marks, rows, strict=True) if low <= mark < high]
        assert sum(inside) <= most or len(inside) == 1
    ends = [high for _, high in pieces[:-1]]
    assert ends == [low for low, _ in pieces[1:]]
    held = [mark for mark in marks if any(a <= mark < b for a, b in pieces)]
    assert held == marks


async def test_recording_goes_on_while_care_is_taken(tmp_path: Path) -> None:
    plant = Plant(tmp_path, vacuum_after_h=1)
    stop = asyncio.Event()

    def record() -> None:
        for number in range(60):
            plant.record([("acme/a/x", OLD[number % 5] + number, float(number))])
        stop.set()

    recording_on = asyncio.ensure_future(asyncio.to_thread(record))
    while not stop.is_set():
        await plant.keeper.turn()
    await recording_on
    await plant.keeper.turn()
    assert len(plant.names()) == 60
    assert plant.store.reached(WRITER) == 60


async def test_the_log_of_commits_stays_short(
    tmp_path: Path,
) -> None:
    plant = Plant(tmp_path)
    for number in range(30):
        plant.record([("acme/a/x", OLD[0] + number, 1.0)])
    await plant.keeper.turn()
    log = tmp_path / "readings" / "_delta_log"
    for path in log.iterdir():
        os.utime(path, (1e9, 1e9))  # long ago
    await plant.keeper.turn()
    assert len(list(log.glob("*.json"))) < 10
    plant.record([("acme/a/x", OLD[0] + 99, 1.0)])
    assert len(plant.names()) == 30, "the snapshot from before is still whole"
    assert Store(tmp_path).reached(WRITER) == 31
