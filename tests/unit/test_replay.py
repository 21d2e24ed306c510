"""The recording reader: from the text of a CSV file to values, times and reasons."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.core.point import Kind
from lineshaft.core.reading import GOOD, Quality, Value, to_us
from lineshaft.network.drivers.replay import driver
from lineshaft.network.drivers.replay.driver import Settings
from lineshaft.network.drivers.replay.recording import Recording, Row, Shape

NOON_US = to_us(datetime(2026, 3, 1, 12, tzinfo=UTC))
ALL = [(kind.value, kind) for kind in Kind]


def shape(
    delimiter: str = ",",
    decimal: str = ".",
    time_column: str = "",
    time_format: str = "",
    zone: str = "UTC",
) -> Shape:
    return Shape(delimiter, decimal, time_column, time_format, ZoneInfo(zone))


def recording(
    text: str,
    columns: Sequence[tuple[str, Kind]],
    how: Shape | None = None,
) -> Recording:
    how = how or shape()
    cells = csv.reader(io.StringIO(text, newline=""), delimiter=how.delimiter)
    return Recording("recording.csv", cells, how, columns)


def rows(
    text: str, columns: Sequence[tuple[str, Kind]], how: Shape | None = None
) -> list[Row]:
    return list(recording(text, columns, how).rows())


def one(cell: str, kind: Kind, how: Shape | None = None) -> tuple[Value | None, str]:
    [row] = rows(f"t;x\n2026-03-01 12:00:00;{cell}\n", [("x", kind)], how or shape(";"))
    [found] = row.cells
    assert found is not None
    value, status = found
    assert (value is None) == (status.quality is Quality.BAD)
    return value, status.reason


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("21.5", Kind.FLOAT, 21.5),
        (" -1e3 ", Kind.FLOAT, -1000.0),
        ("32", Kind.INT, 32),
        ("32.0", Kind.INT, 32),
        ("9007199254740993", Kind.INT, 9007199254740993),
        ("True", Kind.BOOL, True),
        ("0.0", Kind.BOOL, False),
        ("läuft", Kind.STRING, "läuft"),
        ("", Kind.STRING, ""),
    ],
)
def test_a_cell_is_read_as_the_type_of_its_point(
    cell: str, kind: Kind, value: Value
) -> None:
    found, reason = one(cell, kind)
    assert (found, type(found), reason) == (value, type(value), "")


@pytest.mark.parametrize(
    ("cell", "kind", "reason"),
    [
        ("", Kind.FLOAT, "row 2, column 'x': the cell is empty"),
        ("warm", Kind.FLOAT, "row 2, column 'x': 'warm' is not a number"),
        ("nan", Kind.FLOAT, "row 2, column 'x': 'nan' is not a number to work with"),
        (
            "1_000",
            Kind.FLOAT,
            "row 2, column 'x': '1_000' is not a number to work with",
        ),
        ("1_000", Kind.INT, "row 2, column 'x': '1_000' is not a whole number"),
        ("32.5", Kind.INT, "row 2, column 'x': '32.5' is not a whole number"),
        ("2", Kind.BOOL, "row 2, column 'x': '2' is neither true nor false"),
        ("\udcff", Kind.STRING, r"row 2, column 'x': '\udcff' is not text in UTF-8"),
    ],
)
def test_a_cell_that_cannot_be_read_is_bad_and_names_its_place(
    cell: str, kind: Kind, reason: str
) -> None:
    assert one(cell, kind) == (None, reason)


def test_a_decimal_comma_is_read_where_it_is_announced() -> None:
    assert one("3,25", Kind.FLOAT, shape(";", ",")) == (3.25, "")
    assert one("3,25", Kind.FLOAT)[0] is None


@pytest.mark.parametrize(
    ("text", "time_format", "zone"),
    [
        ("2026-03-01 12:00:00", "", "UTC"),
        ("2026-03-01T12:00:00Z", "", "Asia/Tokyo"),
        ("2026-03-01T21:00:00", "", "Asia/Tokyo"),
        ("2026-03-01T13:00:00+01:00", "", "UTC"),
        ("01.03.2026 12h00", "%d.%m.%Y %Hh%M", "UTC"),
        ("1772366400", "unix_s", "UTC"),
        ("1772366400.000000", "unix_s", "UTC"),
        ("1772366400000", "unix_ms", "UTC"),
    ],
)
def test_times_are_read_in_the_form_and_zone_that_are_set(
    text: str, time_format: str, zone: str
) -> None:
    how = shape(time_format=time_format, zone=zone)
    [row] = rows(f"t,x\n{text},1\n", [("x", Kind.INT)], how)
    assert row.time_us == NOON_US


@given(st.integers(0, 4_000_000_000_000_000))
def test_unix_times_are_exact_to_the_microsecond(time_us: int) -> None:
    seconds, micro = divmod(time_us, 1_000_000)
    text = f"t,x\n{seconds}.{micro:06},1\n"
    [row] = rows(text, [("x", Kind.INT)], shape(time_format="unix_s"))
    assert row.time_us == time_us


def test_a_row_without_a_time_is_bad_as_a_whole() -> None:
    [row] = rows("t,x\nyesterday,1\n", [("x", Kind.INT), ("y", Kind.INT)])
    assert row.time_us is None
    assert row.cells[1] is None
    assert row.cells[0] is not None
    reason = row.cells[0][1].reason
    assert reason == "row 2, column 't': 'yesterday' is not a time"


def test_short_and_blank_rows_do_not_stop_the_recording() -> None:
    text = "t,a,b\n2026-03-01 12:00:00,1\n\n2026-03-01 12:00:01,2,3\n"
    first, second = rows(text, [("a", Kind.INT), ("b", Kind.INT)])
    assert first.cells[0] == (1, GOOD)
    assert first.cells[1] is not None
    assert first.cells[1][1].reason == "row 2 ends before column 'b'"
    assert (second.number, second.cells[1]) == (4, (3, GOOD))


def test_a_missing_column_is_told_with_the_nearest_name() -> None:
    found = recording(
        "t,Pressure\n", [("Presure", Kind.FLOAT), ("Pressure", Kind.FLOAT)]
    )
    assert {place: status.reason for place, status in found.missing.items()} == {
        0: "recording.csv has no column 'Presure'; did you mean 'Pressure'?"
    }


def test_the_time_column_can_be_any_and_must_exist() -> None:
    text = "x,when\n5,2026-03-01 12:00:00\n"
    [row] = rows(text, [("x", Kind.INT)], shape(time_column="when"))
    assert row.time_us == NOON_US
    with pytest.raises(Unreachable, match=r"no column 'wen'.*did you mean 'when'"):
        rows(text, [], shape(time_column="wen"))


def test_an_empty_file_says_so() -> None:
    with pytest.raises(Unreachable, match=r"recording\.csv is empty"):
        rows("", ALL)


@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.integers(-(2**63), 2**63 - 1),
            st.booleans(),
            st.text(st.characters(exclude_categories=["Cs"])).map(str.strip),
        )
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_a_csv_writer_writes_is_read_back_exactly(
    values: list[tuple[float, int, bool, str]], delimiter: str
) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(["time", *Kind])
    for row in values:
        writer.writerow(["2026-03-01 12:00:00", *row])
    found = rows(file.getvalue(), ALL, shape(delimiter))
    cells = [[cell[0] for cell in row.cells if cell is not None] for row in found]
    assert cells == [list(row) for row in values]


@given(st.text(), st.sampled_from(["", "unix_s", "%Y"]))
def test_any_text_is_rows_or_unreachable(text: str, time_format: str) -> None:
    try:
        found = rows(
            f"t,float,int,bool,string\n{text}", ALL, shape(time_format=time_format)
        )
    except Unreachable:
        return
    for row in found:
        assert len(row.cells) == len(ALL)


def test_an_address_is_the_name_of_a_column() -> None:
    driver.check_address("Volume Flow RateRMS")
    with pytest.raises(ConfigError, match="write the name of a column"):
        driver.check_address("  ")


@pytest.mark.parametrize(
    "wrong",
    [{"timezone": "Mars/Base"}, {"speed": -1}, {"delimiter": ";;"}, {"sped": 1}],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"file": Path("x.csv")} | wrong)
