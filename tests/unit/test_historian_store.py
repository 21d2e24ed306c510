"""The Delta table: exactly once, one writer, readable by others, kept in order."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lineshaft.core.errors import ConfigError, Refused
from lineshaft.core.reading import bad, to_us
from lineshaft.platform.historian.arrow import SCHEMA, Table, to_table
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.store.table import Store
from support.frames import Row, frame

WRITER = "historian/stream"
DAY_1 = to_us(datetime(2026, 3, 1, 12, tzinfo=UTC))
DAY_2 = to_us(datetime(2026, 3, 2, 12, tzinfo=UTC))


def table_of(rows: list[Row]) -> Table:
    hot = Hot(60.0, 1000, None)
    hot.take(frame(rows, statuses=None))
    return to_table(hot.begin_commit(), hot.points)


def times(path: Path) -> list[int]:
    column = DeltaTable(str(path / "readings")).to_pyarrow_table()["time"]
    return sorted(column.cast(pa.int64()).to_pylist())


def test_repeating_a_commit_stores_nothing_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = table_of([("a/b", DAY_1, 1.0)])
    store.append(rows, WRITER, {WRITER: 5})
    store.append(rows, WRITER, {WRITER: 5})
    Store(tmp_path).append(rows, WRITER, {WRITER: 5})
    assert times(tmp_path) == [DAY_1]
    assert Store(tmp_path).reached(WRITER) == 5


def test_two_recorders_on_one_table_are_found_out(tmp_path: Path) -> None:
    one, two = Store(tmp_path), Store(tmp_path)
    assert one.reached(WRITER) == two.reached(WRITER) == 0
    one.append(table_of([("a/b", DAY_1, 1.0)]), WRITER, {WRITER: 5})
    for _ in range(2):
        with pytest.raises(Refused, match="another recorder writes to"):
            two.append(table_of([("a/b", DAY_1, 1.0)]), WRITER, {WRITER: 9})
    two.compact()  # which brings its view of the table up to date
    with pytest.raises(Refused, match="another recorder writes to"):
        two.append(table_of([("a/b", DAY_1, 1.0)]), WRITER, {WRITER: 9})
    assert times(tmp_path) == [DAY_1]


def test_any_reader_of_delta_tables_sees_names_times_and_qualities(
    tmp_path: Path,
) -> None:
    hot = Hot(60.0, 1000, None)
    rows: list[Row] = [("a/b", DAY_1, 2**60 + 1), ("a/c", DAY_1, None)]
    hot.take(frame(rows, statuses=[(bad("x"))] * 2))
    Store(tmp_path).append(
        to_table(hot.begin_commit(), hot.points), WRITER, {WRITER: 1}
    )
    table = DeltaTable(str(tmp_path / "readings")).to_pyarrow_table()
    assert set(table.column_names) == set(SCHEMA.names)
    [first, second] = table.sort_by("name").to_pylist()
    assert first["name"] == "a/b"
    assert first["time"] == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert (first["type"], first["integer"]) == ("int", 2**60 + 1)
    assert (first["quality"], first["reason"], first["unit"]) == ("bad", "x", "mm")
    assert (second["type"], second["value"], second["text"]) == ("none", None, None)


def test_care_changes_neither_readings_nor_how_far_they_reach(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(1, 7):
        rows: list[Row] = [("a/b", DAY_1 - number, 1.0), ("a/a", DAY_2 + number, 2.0)]
        store.append(table_of(rows), WRITER, {WRITER: number})
    before = times(tmp_path)
    assert store.compact() == 12
    store.append(table_of([("a/b", DAY_1 - 9, 1.0)]), WRITER, {WRITER: 7})
    later = datetime(2026, 3, 3, 1, tzinfo=UTC)
    assert str(store.sort_closed(later)) == "2026-03-01"
    assert store.sort_closed(later) is None
    store.vacuum(0)
    assert times(tmp_path) == sorted([*before, DAY_1 - 9])
    assert Store(tmp_path).reached(WRITER) == 7
    store.append(table_of([("a/b", DAY_2, 1.0)]), WRITER, {WRITER: 8})
    assert len(times(tmp_path)) == 14


def test_a_name_with_a_quote_is_only_a_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append(table_of([("a/b'c", DAY_1, 1.0)]), WRITER, {WRITER: 1})
    snapshot = store.advance()
    assert snapshot.read(["a/b'c"], DAY_1, DAY_1 + 1).num_rows == 1
    assert snapshot.read(["x') OR ('1'='1"], DAY_1, DAY_1 + 1).num_rows == 0


def test_a_history_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    (tmp_path / "readings").write_text("in the way")
    with pytest.raises(ConfigError, match="history in"):
        Store(tmp_path)
