"""What goes into an Arrow table comes out of it unchanged; so on the wire."""

import contextlib
import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineshaft.core.errors import LineshaftError
from lineshaft.core.frame import Columns, pack_values
from lineshaft.core.reading import GOOD, Status, Value, bad, uncertain
from lineshaft.core.series import Aggregate, Buckets, Format, Series
from lineshaft.platform.historian import asking
from lineshaft.platform.historian.answers.export import FIELDS, write
from lineshaft.platform.historian.arrow import as_table, from_table, to_table
from lineshaft.platform.historian.block import Block, Points, join

values = st.one_of(
    st.floats(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.booleans(),
    st.text(max_size=8).filter(str.isprintable),
    st.none(),
)
statuses = st.sampled_from([GOOD, bad("off"), bad('cut, "x"\n'), uncertain("old")])
rows = st.lists(st.tuples(st.integers(0, 10**15), values, statuses), max_size=12)
Row = tuple[int, Value | None, Status]


def block_of(given_rows: list[Row], number: int = 0) -> Block:
    kind, bits, texts = pack_values([value for _, value, _ in given_rows])
    table = tuple(dict.fromkeys(status for _, _, status in given_rows))
    columns = Columns(
        np.full(len(given_rows), number, np.uint32),
        np.array([time for time, _, _ in given_rows], np.int64),
        kind,
        bits,
        np.array([table.index(status) for *_, status in given_rows], np.uint16),
    )
    return Block(columns, texts, table)


def told(block: Block) -> list[tuple[int, str, object, Status]]:
    """Return readings in a form in which NaN equals itself and True is not 1."""
    found = zip(
        block.columns.time.tolist(),
        block.columns.values(block.texts),
        block.columns.status.tolist(),
        strict=True,
    )
    return [
        (time, type(value).__name__, repr(value), block.statuses[status])
        for time, value, status in found
    ]


def points() -> Points:
    known = Points()
    known.add(["acme/a", "acme/b"], ["mm", ""])
    return known


@settings(deadline=None)
@given(rows)
def test_a_table_holds_exactly_what_was_said(given_rows: list[Row]) -> None:
    block = block_of(given_rows)
    assert told(from_table(as_table(to_table(block, points())))) == told(block)


@settings(deadline=None)
@given(rows, rows)
def test_joining_keeps_every_reading_in_order(one: list[Row], two: list[Row]) -> None:
    joined = join([block_of(one), block_of(two, 1)])
    assert told(joined) == told(block_of(one)) + told(block_of(two))


@settings(deadline=None)
@given(rows)
def test_a_series_comes_over_the_wire_unchanged(given_rows: list[Row]) -> None:
    block = block_of(given_rows)
    sent = Series("a/b", "mm", block.texts, block.statuses, block.columns, more=True)
    got = asking.unpack_series([asking.pack_series(sent)])
    assert (got.name, got.unit, got.more) == ("a/b", "mm", True)
    assert told(Block(got.columns, got.texts, got.statuses)) == told(block)


@settings(deadline=None)
@given(st.lists(st.floats(), max_size=5))
def test_buckets_come_over_the_wire_unchanged(column: list[float]) -> None:
    start = np.arange(len(column), dtype=np.int64)
    columns = {each: np.array(column) for each in Aggregate}
    sent = Buckets("a/b", "mm", 10, start, columns)
    [got] = asking.unpack_buckets(asking.pack_buckets([sent]))
    assert (got.name, got.unit, got.every_us) == ("a/b", "mm", 10)
    assert got.start.tolist() == start.tolist()
    for each in Aggregate:
        np.testing.assert_array_equal(got.columns[each], columns[each])


@pytest.mark.parametrize(
    "unpack",
    [
        asking.unpack_buckets,
        lambda d: asking.unpack_series([d]),
    ],
)
@settings(deadline=None)
@given(data=st.binary(max_size=60))
def test_random_bytes_raise_only_our_errors(unpack: object, data: bytes) -> None:
    assert callable(unpack)
    with contextlib.suppress(LineshaftError):
        unpack(data)


@settings(deadline=None)
@given(rows)
def test_csv_reads_back_with_every_reading(given_rows: list[Row]) -> None:
    table = as_table(to_table(block_of(given_rows), points()))
    text = b"".join(write(Format.CSV, [table, table])).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read[0] == list(FIELDS)
    assert len(read) == 1 + 2 * len(given_rows)
    for line, (_, value, status) in zip(read[1:], given_rows, strict=False):
        shown = "" if value is None else str(value)
        shown = shown.lower() if isinstance(value, bool) else shown
        assert line[2:] == [shown, status.quality.value, status.reason, "mm"]


@settings(deadline=None)
@given(rows)
def test_json_is_what_every_parser_takes(given_rows: list[Row]) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    table = as_table(to_table(block_of(given_rows), points()))
    text = b"".join(write(Format.JSON, [table, table]))
    read = json.loads(text, parse_constant=refuse)
    assert len(read) == 2 * len(given_rows)
