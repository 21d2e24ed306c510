"""Aggregates equal what a slow and obvious calculation gives."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineshaft.core.frame import Columns, pack_values
from lineshaft.core.reading import GOOD, Quality, Status, bad, uncertain
from lineshaft.core.series import Aggregate
from lineshaft.platform.historian.answers.aggregate import Span, aggregate
from lineshaft.platform.historian.block import EMPTY, Block

STATUSES = (GOOD, bad("no answer"), uncertain("drifting"))
NOW = 10**9


@dataclass(frozen=True)
class Row:
    time: int
    value: float | int | bool | str | None
    status: Status = GOOD


def block_of(rows: list[Row]) -> Block:
    if not rows:
        return Block(EMPTY)
    kind, bits, texts = pack_values([row.value for row in rows])
    columns = Columns(
        np.zeros(len(rows), np.uint32),
        np.array([row.time for row in rows], np.int64),
        kind,
        bits,
        np.array([STATUSES.index(row.status) for row in rows], np.uint16),
    )
    return Block(columns, texts, STATUSES)


def number_of(row: Row) -> float:
    usable = row.status.quality is not Quality.BAD and not isinstance(
        row.value, (str, type(None))
    )
    return float(row.value) if usable and row.value is not None else math.nan


def naive_time(rows: list[Row], span: Span, begin: int, end: int) -> dict[str, float]:
    """Walk through the bucket microsecond by microsecond."""
    total = valued = good = known = passed = 0.0
    for now in range(begin, end):
        if now >= min(span.now_us, int(span.edges()[-1])):
            break
        passed += 1
        before = [row for row in rows if row.time <= now]
        if not before:
            continue
        row = before[-1]
        is_bad = row.status.quality is Quality.BAD
        if not is_bad and now >= row.time + span.standing_us:
            continue
        known += 1
        good += row.status.quality is Quality.GOOD
        if not math.isnan(number_of(row)):
            valued += 1
            total += number_of(row)
    return {
        "time_mean": total / valued if valued else math.nan,
        "good": good / passed if known else math.nan,
    }


def naive(rows: list[Row], span: Span) -> list[dict[str, float]]:
    edges = span.edges().tolist()
    result = []
    for begin, end in itertools.pairwise(edges):
        inside = [row for row in rows if begin <= row.time < end]
        heard = [row for row in inside if row.status.quality is not Quality.BAD]
        values = [number_of(row) for row in inside if not math.isnan(number_of(row))]
        result.append(
            {
                "count": float(len(heard)),
                "min": min(values, default=math.nan),
                "max": max(values, default=math.nan),
                "mean": sum(values) / len(values) if values else math.nan,
                "first": values[0] if values else math.nan,
                "last": values[-1] if values else math.nan,
                **naive_time(rows, span, begin, end),
            }
        )
    return result


values = st.one_of(
    st.floats(-1e3, 1e3, allow_nan=False),
    st.integers(-1000, 1000),
    st.booleans(),
    st.sampled_from(["running", "idle"]),
    st.none(),
)
rows_of_a_point = st.lists(
    st.builds(Row, st.integers(-30, 80), values, st.sampled_from(STATUSES)),
    max_size=15,
).map(lambda rows: sorted(rows, key=lambda row: row.time))


@settings(deadline=None)
@given(
    rows_of_a_point,
    st.integers(0, 20),
    st.integers(1, 60),
    st.integers(1, 25),
    st.integers(1, 40),
    st.sampled_from([NOW, 30]),
)
def test_every_aggregate_equals_the_naive_one(
    rows: list[Row], start: int, length: int, every: int, standing: int, now: int
) -> None:
    span = Span(start, start + length, every, standing, now)
    found = aggregate(block_of(rows), span, 1)
    for number, wanted in enumerate(naive(rows, span)):
        for name, value in wanted.items():
            got = float(found[Aggregate(name)][0][number])
            assert got == pytest.approx(value, nan_ok=True, abs=1e-6), (name, number)


def of(rows: list[Row], *, standing: int = 1000) -> dict[Aggregate, list[float]]:
    found = aggregate(block_of(rows), Span(0, 40, 10, standing, NOW), 1)
    return {name: column[0].tolist() for name, column in found.items()}


def test_a_spike_of_one_reading_is_never_hidden() -> None:
    rows = [Row(time, 1.0) for time in range(40)]
    rows[17] = Row(17, 999.0)
    assert of(rows)[Aggregate.MAX] == [1.0, 999.0, 1.0, 1.0]


def test_a_value_that_stands_unchanged_is_not_a_gap() -> None:
    found = of([Row(0, 5.0)])
    assert found[Aggregate.TIME_MEAN] == [5.0] * 4
    assert found[Aggregate.GOOD] == [1.0] * 4
    assert found[Aggregate.COUNT] == [1.0, 0.0, 0.0, 0.0]


def test_silence_longer_than_the_standing_time_is_a_gap() -> None:
    found = of([Row(0, 5.0)], standing=15)
    assert found[Aggregate.GOOD][:2] == [1.0, 0.5]
    assert found[Aggregate.TIME_MEAN][:2] == [5.0, 5.0]
    assert np.isnan(found[Aggregate.TIME_MEAN][2:]).all()
    assert np.isnan(found[Aggregate.GOOD][2:]).all()


def test_a_bad_reading_ends_what_stood_before_it() -> None:
    found = of([Row(0, 5.0), Row(10, None, bad("no answer"))])
    assert found[Aggregate.GOOD] == [1.0, 0.0, 0.0, 0.0]
    assert np.isnan(found[Aggregate.TIME_MEAN][1:]).all()
    assert found[Aggregate.COUNT] == [1.0, 0.0, 0.0, 0.0]


def test_the_mean_in_time_begins_with_what_stood_before_the_span() -> None:
    assert of([Row(-5, 2.0), Row(5, 4.0)])[Aggregate.TIME_MEAN][0] == 3.0


def test_a_huge_value_takes_no_digit_from_later_buckets() -> None:
    found = of([Row(0, 1e300), Row(10, 5.0)])
    assert found[Aggregate.TIME_MEAN] == [1e300, 5.0, 5.0, 5.0]
