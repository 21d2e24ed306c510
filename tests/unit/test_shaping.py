import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.frame import Columns
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad
from lineshaft.network.device import Batch
from lineshaft.network.shaping import LONGEST_TEXT, Shaper

S = 1_000_000


def point(kind: Kind = Kind.FLOAT, **more: float) -> Point:
    return Point(name="a/b", address="x", type=kind, **more)  # type: ignore[arg-type]


def batch(
    *rows: tuple[int, Value | None], status: Status = GOOD, time_us: int = 5
) -> Batch:
    made = Batch()
    for position, value in rows:
        made.add(position, value, time_us, status)
    return made


def told(shaper: Shaper, columns: Columns) -> list[Value | None]:
    return columns.values(shaper.texts)


def shape_one(kind: Kind, value: Value | None, **more: float) -> tuple[Value, Status]:
    shaper = Shaper([point(kind, **more)])
    columns = shaper.shape(batch((0, value)), S)
    [shaped] = told(shaper, columns)
    return shaped, shaper.statuses[columns.status[0]]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (Kind.FLOAT, 3, 3.0),
        (Kind.FLOAT, True, 1.0),
        (Kind.INT, 3.0, 3),
        (Kind.INT, True, 1),
        (Kind.INT, 9_007_199_254_740_993, 9_007_199_254_740_993),
        (Kind.BOOL, 1, True),
        (Kind.BOOL, 0.0, False),
        (Kind.STRING, "läuft", "läuft"),
    ],
)
def test_a_value_takes_the_type_of_its_point_when_nothing_is_lost(
    kind: Kind, raw: Value, value: Value
) -> None:
    shaped, status = shape_one(kind, raw)
    assert (shaped, type(shaped), status) == (value, type(value), GOOD)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (Kind.FLOAT, "12"),
        (Kind.FLOAT, math.nan),
        (Kind.FLOAT, math.inf),
        (Kind.INT, 3.5),
        (Kind.INT, 1e300),
        (Kind.BOOL, 2),
        (Kind.STRING, 1.0),
        (Kind.STRING, "x" * (LONGEST_TEXT + 1)),
    ],
)
def test_a_value_of_the_wrong_type_is_bad_and_says_why(kind: Kind, raw: Value) -> None:
    shaped, status = shape_one(kind, raw)
    assert shaped is None
    assert status.quality is Quality.BAD
    assert "the point list wants" in status.reason


def test_the_device_s_own_reason_stays_when_it_already_said_bad() -> None:
    shaper = Shaper([point()])
    columns = shaper.shape(batch((0, math.nan), status=bad("sensor failure")), S)
    assert shaper.statuses[columns.status[0]] == bad("sensor failure")


def test_scale_and_offset_are_applied_to_numbers() -> None:
    assert shape_one(Kind.FLOAT, 250, scale=0.1, offset=-5) == (20.0, GOOD)
    assert shape_one(Kind.INT, 25, scale=2, offset=1) == (51, GOOD)


def test_an_int_point_whose_scaled_value_is_not_whole_is_bad() -> None:
    value, status = shape_one(Kind.INT, 25, scale=0.1)
    assert value is None
    assert "2.5" in status.reason


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_an_unscaled_float_keeps_every_bit(value: float) -> None:
    shaped, _ = shape_one(Kind.FLOAT, value)
    assert math.copysign(1, value) == math.copysign(1, shaped)  # type: ignore[arg-type]
    assert shaped == value


def news(
    shaper: Shaper, now_us: int, heartbeat_s: float | None, *rows: tuple[int, Value]
) -> list[Value | None]:
    columns = shaper.shape(batch(*rows, time_us=now_us), now_us)
    return told(shaper, shaper.news(columns, now_us, heartbeat_s))


def test_a_polled_value_is_reported_when_it_changes_and_at_the_heartbeat() -> None:
    shaper = Shaper([point()])
    assert news(shaper, 0, 10, (0, 1.0)) == [1.0]
    assert news(shaper, 1 * S, 10, (0, 1.0)) == []
    assert news(shaper, 2 * S, 10, (0, 2.0)) == [2.0]
    assert news(shaper, 11 * S, 10, (0, 2.0)) == []
    assert news(shaper, 12 * S, 10, (0, 2.0)) == [2.0]


def test_what_a_device_says_by_itself_is_news_even_if_it_is_equal() -> None:
    shaper = Shaper([point()])
    assert news(shaper, 0, None, (0, 1.0), (0, 1.0)) == [1.0, 1.0]


def test_a_deadband_compares_with_the_last_value_that_was_reported() -> None:
    shaper = Shaper([point(deadband=1.0)])
    creep = [(0, 10.0), (0, 10.6), (0, 11.2), (0, 11.9), (0, 12.3)]
    assert news(shaper, 0, None, *creep) == [10.0, 11.2, 12.3]


def test_a_change_of_quality_is_news_within_the_deadband() -> None:
    shaper = Shaper([point(deadband=5.0)])
    news(shaper, 0, 60, (0, 10.0))
    columns = shaper.shape(batch((0, 10.0), status=bad("limits")), S)
    assert len(shaper.news(columns, S, 60)) == 1


def test_heartbeats_repeat_what_stands_still_with_the_time_of_now() -> None:
    shaper = Shaper([point(), point()])
    news(shaper, 0, None, (0, 1.0), (1, 2.0))
    news(shaper, 8 * S, None, (1, 3.0))
    columns = shaper.repeat(11 * S, 10)
    assert (told(shaper, columns), columns.time.tolist()) == ([1.0], [11 * S])
    assert len(shaper.repeat(12 * S, 10)) == 0


def said_at(shaper: Shaper, now_us: int, time_us: int, value: Value) -> None:
    columns = shaper.shape(batch((0, value), time_us=time_us), now_us)
    assert len(shaper.news(columns, now_us, None)) == 1


def test_a_value_that_stood_still_while_the_device_was_silent_is_told_at_once() -> None:
    shaper = Shaper([point()])
    said_at(shaper, 100 * S, 3 * S, 1.0)
    shaper.condemn(np.array([0]), "cable cut", 200 * S)
    shaper.begin(299 * S)
    said_at(shaper, 300 * S, 3 * S, 1.0)
    columns = shaper.repeat(300 * S, 60)
    # As of the begin of the connection: a change since then may be on its way.
    assert (told(shaper, columns), columns.time.tolist()) == ([1.0], [299 * S])
    assert len(shaper.repeat(301 * S, 60)) == 0


def test_a_value_that_is_older_than_the_connection_is_told_at_once() -> None:
    shaper = Shaper([point()], 50 * S)
    said_at(shaper, 50 * S, 3 * S, 1.0)
    assert shaper.repeat(51 * S, 60).time.tolist() == [51 * S]


@pytest.mark.parametrize("behind_s", [-600, 0, 600])
def test_what_we_say_is_never_before_nor_ahead_of_the_device_s_own_clock(
    behind_s: int,
) -> None:
    shaper = Shaper([point()])
    for second in (1000, 1001):
        said_at(shaper, second * S, (second - behind_s) * S, float(second))
    beat = shaper.repeat(1100 * S, 60)
    assert beat.time.tolist() == [(1100 - behind_s) * S]
    said_at(shaper, 1101 * S, (1101 - behind_s) * S, 7.0)
    assert len(shaper.repeat(1102 * S, 60)) == 0, "nothing was overtaken"
    cut = shaper.condemn(np.array([0]), "cable cut", 1103 * S)
    assert cut.time.tolist() == [(1103 - behind_s) * S]


def test_of_a_recording_of_other_times_we_speak_in_the_present() -> None:
    shaper = Shaper([point()], 900_000 * S)
    for second in (1000, 1001):
        said_at(shaper, (900_000 + second) * S, second * S, 1.0)
    cut = shaper.condemn(np.array([0]), "it was stopped", 902_000 * S)
    assert cut.time.tolist() == [902_000 * S]


def test_a_condemned_point_is_not_repeated_and_its_return_is_news() -> None:
    shaper = Shaper([point()])
    news(shaper, 0, 60, (0, 1.0))
    columns = shaper.condemn(np.array([0]), "cable cut", S)
    assert shaper.statuses[columns.status[0]] == bad("cable cut")
    assert len(shaper.repeat(100 * S, 10)) == 0
    assert news(shaper, 101 * S, 60, (0, 1.0)) == [1.0]


def test_a_point_is_silent_once_after_its_period_and_the_time_out() -> None:
    shaper = Shaper([point(period_s=2), point(period_s=60)])
    news(shaper, 0, None, (0, 1.0), (1, 1.0))
    assert shaper.silent(5 * S, 0, 3.0).tolist() == []
    assert shaper.silent(6 * S, 0, 3.0).tolist() == [0]
    shaper.condemn(np.array([0]), "silent", 6 * S)
    assert shaper.silent(7 * S, 0, 3.0).tolist() == []


def test_tables_stay_bounded_while_texts_and_reasons_never_repeat() -> None:
    shaper = Shaper([point(Kind.STRING)])
    for turn in range(10_000):
        columns = shaper.shape(batch((0, f"t{turn}"), status=bad(f"r{turn}")), turn)
        kept = shaper.news(columns, turn, None)
        assert told(shaper, kept) == [f"t{turn}"]
        assert shaper.statuses[kept.status[0]] == bad(f"r{turn}")
    assert len(shaper.texts) < 5_000
    assert len(shaper.statuses) < 5_000


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=60))
def test_many_readings_of_a_point_in_one_batch_count_one_by_one(
    rows: list[tuple[int, int]],
) -> None:
    at_once, one_by_one = (Shaper([point(deadband=1.5)] * 4) for _ in range(2))
    floats = [(position, float(value)) for position, value in rows]
    together = news(at_once, 0, 60, *floats)
    apart = [value for row in floats for value in news(one_by_one, 0, 60, row)]
    assert together == apart
