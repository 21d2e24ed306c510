"""Whatever is in memory, in the table, or in both: each reading is found once."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.reading import GOOD, Value, bad
from lineshaft.core.series import Aggregate, Format, Series
from lineshaft.platform.historian.answers.aggregate import Span, aggregate
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.answers.partial import GATHERED
from lineshaft.platform.historian.arrow import from_table, to_table, units_of
from lineshaft.platform.historian.block import Block
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.memory.warming import warm
from lineshaft.platform.historian.store.table import Snapshot, Store
from support.frames import Row, frame

T = TypeVar("T")
NAMES = ("acme/a", "acme/b", "acme/c")
BASE = 1_700_000_000_000_000
SPREAD = 3 * 86_400_000_000  # three partitions
TICK = SPREAD // 12
WRITER = "historian/s"


def await_(thing: Awaitable[T]) -> T:
    async def wait() -> T:
        return await thing

    return asyncio.run(wait())


times = st.integers(0, 12).map(lambda step: BASE + step * TICK)
rows = st.lists(
    st.tuples(st.sampled_from(NAMES), times, st.integers(0, 1 << 30)),
    min_size=1,
    max_size=6,
)


class World(RuleBasedStateMachine):
    """Readings come, late or with wrong clocks; commits, evictions and restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.home = Path(self.folder.name)
        self.committed: list[Row] = []
        self.tail: list[Row] = []
        self.number = self.clock = 0
        self.before: Snapshot | None = None

    @override
    def teardown(self) -> None:
        self.folder.cleanup()

    @initialize(most=st.sampled_from([0, 4, 1000]))
    def begin(self, most: int) -> None:
        self.most = most
        self.open()

    def open(self) -> None:
        self.store = Store(self.home)
        snapshot = self.store.advance()
        span = snapshot.span_us()
        hot = Hot(10**9, self.most, span[1] if span else None)
        last = snapshot.last_rows(8)
        hot.restore_last(last["name"].to_pylist(), units_of(last), from_table(last))
        self.engine = Engine(hot, snapshot, 60.0)
        self.before = snapshot

    @rule(window=st.integers(0, 14))
    def warm(self, window: int) -> None:
        """What an earlier life held in memory is brought back, once at most."""
        if self.before is not None:
            await_(warm(self.engine.hot, self.before, window * TICK / 1e6))
        self.before = None

    @rule(came=rows)
    def take(self, came: list[Row]) -> None:
        self.engine.hot.take(frame(came))
        self.tail += came

    @rule(late=rows, crashes=st.booleans())
    def commit(self, late: list[Row], *, crashes: bool) -> None:
        """Some more come while the commit is being written."""
        hot = self.engine.hot
        block = hot.begin_commit()
        self.number += 1
        self.store.append(to_table(block, hot.points), WRITER, {WRITER: self.number})
        self.committed += self.tail
        self.tail = []
        if crashes:
            self.open()
            return
        old = self.engine.snapshot
        hot.take(frame(late))
        self.tail += late
        self.engine.snapshot = self.store.advance()
        assert old is not self.engine.snapshot
        self.clock += 1
        hot.end_commit(self.clock)

    @rule()
    def restart(self) -> None:
        """The bus gives the tail again."""
        self.open()
        if self.tail:
            self.engine.hot.take(frame(self.tail))

    @rule()
    def keep_house(self) -> None:
        self.store.compact()
        self.engine.snapshot = self.store.advance()

    @rule(name=st.sampled_from(NAMES), start=times, end=times)
    def ask(self, name: str, start: int, end: int) -> None:
        wanted = sorted(
            (time, value)
            for each, time, value in [*self.committed, *self.tail]
            if each == name and start <= time < end
        )
        series = await_(self.engine.raw(name, start, end))
        assert sorted(told(series)) == wanted
        assert (series.columns.time[1:] >= series.columns.time[:-1]).all()

    @rule(start=times)
    def ask_in_buckets(self, start: int) -> None:
        known = {name for name, _, _ in [*self.committed, *self.tail]}
        end = start + 5 * TICK
        names = sorted(known)
        asked = (names, start, end, TICK)
        found = await_(self.engine.buckets(*asked)) if names else []
        gathered = (
            await_(self.engine.buckets(*asked, sorted(GATHERED))) if names else []
        )
        for one, other in zip(found, gathered, strict=True):
            for each in GATHERED - {Aggregate.FIRST, Aggregate.LAST}:
                np.testing.assert_allclose(one.columns[each], other.columns[each])
        for name, buckets in zip(names, found, strict=True):
            begin = int(buckets.start[0])
            count = sum(
                each == name and begin <= time < begin + len(buckets.start) * TICK
                for each, time, _ in [*self.committed, *self.tail]
                if time < end
            )
            assert buckets.columns[Aggregate.COUNT].sum() == count

    @invariant()
    def last_is_the_newest(self) -> None:
        if not hasattr(self, "engine"):
            return
        newest: dict[str, int] = {}
        for name, when, _ in [*self.committed, *self.tail]:
            newest[name] = max(newest.get(name, 0), when)
        said = {
            each.name: each.time_us
            for each in await_(self.engine.last("acme/*")).readings()
        }
        assert said == newest


values = st.one_of(
    st.floats(-1e6, 1e6), st.integers(-99, 99), st.booleans(), st.text(max_size=2)
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), st.integers(0, 200), values, st.booleans()),
        min_size=1,
        unique_by=lambda row: row[:2],
        max_size=30,
    ),
    st.sampled_from([0, 10**6]),
    st.integers(0, 30),
    st.integers(0, 200),
    st.integers(1, 60),
)
def test_what_is_gathered_equals_what_is_put_in_order_first(
    said: list[tuple[str, int, Value, bool]],
    most: int,
    cut: int,
    start: int,
    every: int,
) -> None:
    """Part is in the table only, part in memory, too, and part not committed."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        hot = Hot(3600.0, most, None)
        for number, came in enumerate([said[:cut], said[cut:]], 1):
            statuses = [bad("x") if is_bad else GOOD for *_, is_bad in came]
            hot.take(frame([row[:3] for row in came], statuses=statuses))
            if number == 1 and came:
                rows = to_table(hot.begin_commit(), hot.points)
                store.append(rows, WRITER, {WRITER: number})
                hot.end_commit(1)
        engine = Engine(hot, store.advance(), 60.0)
        asked = (NAMES, start, 210, every)
        found = await_(engine.buckets(*asked))
        gathered = await_(engine.buckets(*asked, sorted(GATHERED)))
        for one, other in zip(found, gathered, strict=True):
            assert one.start.tolist() == other.start.tolist()
            for each in GATHERED:
                np.testing.assert_allclose(
                    one.columns[each], other.columns[each], atol=1e-6, err_msg=each
                )


def told(series: Series) -> list[tuple[int, object]]:
    columns = series.columns
    return list(zip(columns.time.tolist(), columns.values(series.texts), strict=True))


def test_every_question_is_answered_as_by_a_plain_list() -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def engine_in(folder: Path, window_s: float = 3600.0) -> Engine:
    return Engine(Hot(window_s, 10**6, None), Store(folder).advance(), 60.0)


async def test_a_limit_gives_the_oldest_and_says_that_there_are_more(
    tmp_path: Path,
) -> None:
    engine = engine_in(tmp_path)
    engine.hot.take(frame([("acme/a", time, float(time)) for time in range(10)]))
    series = await engine.raw("acme/a", 0, 10, limit=4)
    assert series.columns.time.tolist() == [0, 1, 2, 3]
    assert series.more
    assert not (await engine.raw("acme/a", 0, 10, limit=10)).more


async def test_a_point_that_was_never_recorded_has_an_empty_past(
    tmp_path: Path,
) -> None:
    engine = engine_in(tmp_path)
    assert not len((await engine.raw("acme/x", 0, 10)).columns)
    [found] = await engine.buckets(["acme/x"], 0, 10, 5)
    assert found.columns[Aggregate.COUNT].tolist() == [0, 0]
    with pytest.raises(NotFound, match="acme/x"):
        _ = [part async for part in engine.export("acme/x", 0, 10, Format.CSV)]


async def test_an_export_passes_quickly_over_years_without_readings(
    tmp_path: Path,
) -> None:
    engine = engine_in(tmp_path)
    wrong_clocks = [("acme/a", 5, 1.0), ("acme/a", 10**17, 2.0)]
    engine.hot.take(frame(wrong_clocks))
    parts = [part async for part in engine.export("**", 0, 10**17 + 1, Format.CSV)]
    assert b"".join(parts).count(b"\r\n") == 3
    assert len(parts) == 3


async def test_more_buckets_than_memory_can_hold_are_refused(tmp_path: Path) -> None:
    engine = engine_in(tmp_path)
    engine.hot.take(frame([("acme/a", 1, 1.0)]))
    for start, end, every in ((0, 10**9, 1), (10, 10, 1), (10, 5, 1), (0, 10, 0)):
        with pytest.raises(Refused, match="buckets"):
            await engine.buckets(["acme/a"], start, end, every)


@given(st.lists(st.tuples(times, st.integers(0, 99)), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_a_span_divided_into_parts_gives_the_same_buckets(
    given_rows: list[tuple[int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = engine_in(Path(folder))
        engine.hot.take(frame([("acme/a", *row) for row in given_rows]))
        every, start, end = TICK, BASE, BASE + 12 * 8 * TICK
        [found] = await_(engine.buckets(["acme/a"], start, end, every))
        series = await_(engine.raw("acme/a", 0, end))
        block = Block(series.columns, series.texts, series.statuses)
        now = time.time_ns() // 1000
        whole = aggregate(block, Span(start, end, every, 60_000_000, now), 1)
        for name, column in whole.items():
            assert found.columns[name].tolist() == pytest.approx(
                column[0].tolist(), nan_ok=True
            ), name
