"""What a file of past readings becomes."""

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.cli.importing import COLUMNS, MOST_READINGS, Rows, frames, read_rows
from lineshaft.cli.verbs import execute
from lineshaft.core.bus import READINGS
from lineshaft.core.bus.server import LARGEST_MESSAGE
from lineshaft.core.errors import ConfigError
from lineshaft.core.frame import decode_frame, encode_frame
from lineshaft.core.name import place_of, subject_of
from lineshaft.core.reading import GOOD, Quality, Reading, Status, Value, iso
from support.bus_in_memory import BusInMemory

HEADER = ",".join(COLUMNS)
NOON = "2026-01-31T12:00:00Z"
NOON_US = 1_769_860_800_000_000


def file_of(folder: Path, *lines: str) -> Path:
    file = folder / "past.csv"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def problems_of(file: Path) -> list[str]:
    problems: list[str] = []
    read_rows(file, problems)
    return [problem.removeprefix(f"{file}:") for problem in problems]


def readings_of(file: Path) -> list[Reading]:
    problems: list[str] = []
    rows = read_rows(file, problems)
    assert problems == []
    return [each for _, frame in frames(rows, file) for each in frame.readings()]


names = st.lists(
    st.text("abcdé_1-", min_size=1, max_size=4), min_size=2, max_size=5
).map("/".join)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
values = st.one_of(
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts.filter(bool),
)
statuses = st.one_of(
    st.just(GOOD),
    st.builds(Status, st.sampled_from([Quality.BAD, Quality.UNCERTAIN]), texts),
)
# From 1970 to 2100.
times = st.integers(0, 4_102_444_800_000_000)
readings = st.builds(Reading, names, values, statuses, times)
_TYPE = {bool: "bool", int: "int", float: "float", str: "string"}


def write_rows(file: Path, said: Sequence[Reading]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        for each in said:
            kind = _TYPE[type(each.value)]
            shown = repr(each.value) if kind == "float" else str(each.value)
            quality, reason = each.status
            row = [each.name, iso(each.time_us), shown, kind, quality.value, reason]
            writer.writerow([*row, ""])


def exact(reading: Reading) -> tuple[object, ...]:
    value = reading.value
    shown = (type(value), repr(value))
    return (reading.name, shown, reading.status, reading.time_us)


@given(st.lists(readings, max_size=30))
def test_every_row_is_in_the_frames_once_and_exactly(said: list[Reading]) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "past.csv")
        write_rows(file, said)
        problems: list[str] = []
        made = list(frames(read_rows(file, problems), file))
        again = list(frames(read_rows(file, []), file))
    assert problems == []
    decoded = [(subject, decode_frame(encode_frame(frame))) for subject, frame in made]
    found = [each for _, frame in decoded for each in frame.readings()]
    assert sorted(map(exact, found), key=repr) == sorted(map(exact, said), key=repr)
    for subject, frame in decoded:
        assert frame.is_import
        assert {subject_of(place_of(name)) for name in frame.names} == {subject}
    ids = [frame.id for _, frame in made]
    assert ids == [frame.id for _, frame in again]
    assert len(set(ids)) == len(ids)


async def test_the_same_file_twice_is_on_the_bus_once(tmp_path: Path) -> None:
    lines = [f"acme/p{number % 3}/v,{NOON},{number}" for number in range(10)]
    file = file_of(tmp_path, "name,time,value", *lines)
    bus = BusInMemory()
    for _ in range(2):
        for subject, frame in frames(read_rows(file, []), file):
            await bus.publish(subject, encode_frame(frame), frame.id)
    stored = [decode_frame(message.data) for message in bus.streams[READINGS]]
    found = [each.value for frame in stored for each in frame.readings()]
    assert sorted(map(str, found)) == [str(number) for number in range(10)]


def test_a_changed_file_has_other_ids(tmp_path: Path) -> None:
    before = file_of(tmp_path, "name,time,value", f"a/b,{NOON},1")
    [(_, first)] = frames(read_rows(before, []), before)
    after = file_of(tmp_path, "name,time,value", f"a/b,{NOON},2")
    [(_, second)] = frames(read_rows(after, []), after)
    assert first.id != second.id


def test_many_readings_of_one_place_are_several_frames(tmp_path: Path) -> None:
    count = MOST_READINGS + 1
    file = file_of(tmp_path, "the content gives the name")
    rows = Rows(["a/b"] * count, [""] * count, list(range(count)))
    rows.values, rows.statuses = [1.0] * count, [GOOD] * count
    made = [frame for _, frame in frames(rows, file)]
    assert [(len(frame), frame.number) for frame in made] == [
        (MOST_READINGS, 1),
        (1, 2),
    ]
    assert made[1].columns.time.tolist() == [count - 1]


def test_long_texts_make_smaller_frames_that_the_bus_takes(tmp_path: Path) -> None:
    file = file_of(tmp_path, "the content gives the name")
    texts = [chr(0x1F600 + number) * 120_000 for number in range(30)]
    rows = Rows(["a/b"] * 30, [""] * 30, list(range(30)))
    rows.values, rows.statuses = [*texts], [GOOD] * 30
    made = [frame for _, frame in frames(rows, file)]
    assert [each.value for f in made for each in f.readings()] == texts
    largest = max(sum(len(t.encode()) for t in frame.texts) for frame in made)
    assert largest < LARGEST_MESSAGE
    assert [frame.number for frame in made] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0", 0),
        ("1.0", 1.0),
        ("1e3", 1000.0),
        ("9223372036854775807", (1 << 63) - 1),
        ("9223372036854775808", float(1 << 63)),
        ("True", True),
        ("running", "running"),
        ("1_000", "1_000"),
        ("", None),
    ],
)
def test_without_a_type_a_value_is_what_it_looks_like(
    tmp_path: Path, text: str, value: Value | None
) -> None:
    [reading] = readings_of(file_of(tmp_path, "name,time,value", f"a/b,{NOON},{text}"))
    assert reading.value == value
    assert type(reading.value) is type(value)
    assert reading.time_us == NOON_US
    expected = Quality.GOOD if value is not None else Quality.BAD
    assert reading.status.quality is expected


def test_what_is_not_finite_is_taken_only_as_bad(tmp_path: Path) -> None:
    good = file_of(tmp_path, HEADER, f"a/b,{NOON},nan,float,good,,")
    assert problems_of(good) == ["2:3: value: 'nan' is not of type float"]
    # As the export writes it, which has no column of types.
    columns = "name,time,value,quality,reason"
    bad = file_of(tmp_path, columns, f"a/b,{NOON},nan,bad,broken wire")
    [reading] = readings_of(bad)
    assert isinstance(reading.value, float)
    assert math.isnan(reading.value)
    assert reading.status == Status(Quality.BAD, "broken wire")


WRONG = {
    f"a/b,{NOON},1,int,good,": "has 6 cells, the header has 7",
    f"a,{NOON},1,,,,": "'a' has 1 segments",
    f"a/b c,{NOON},1,,,,": "'b c' is not a segment",
    "a/b,yesterday,1,,,,": "'yesterday' is not a time",
    "a/b,-5m,1,,,,": "'-5m' is relative",
    "a/b,now,1,,,,": "'now' is relative",
    f"a/b,{NOON},warm,float,,,": "'warm' is not of type float",
    f"a/b,{NOON},1_0,int,,,": "'1_0' is not of type int",
    f"a/b,{NOON},9223372036854775808,int,,,": "is not of type int",
    f"a/b,{NOON},2,bool,,,": "'2' is not of type bool",
    f"a/b,{NOON},1,flaot,,,": "'flaot' is none; did you mean 'float'?",
    f"a/b,{NOON},1,,goood,,": "'goood' is none; did you mean 'good'?",
    f"a/b,{NOON},1e999,,,,": "is not of type float",
}


def test_every_wrong_row_is_told_with_its_line(tmp_path: Path) -> None:
    right = f"a/b,{NOON},1,,,,"
    lines = [line for wrong in WRONG for line in (wrong, right)]
    file = file_of(tmp_path, HEADER, *lines)
    found = problems_of(file)
    assert len(found) == len(WRONG)
    for number, (problem, expected) in enumerate(
        zip(found, WRONG.values(), strict=True)
    ):
        assert problem.startswith(f"{2 + 2 * number}:")
        assert expected in problem


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("name,time", "the column 'value' is missing"),
        ("name,tme,value", "there is no column 'tme'; did you mean 'time'?"),
        ("name,time,value,value", "the column 'value' stands there twice"),
    ],
)
def test_a_wrong_header_is_told_and_no_row_is_guessed(
    tmp_path: Path, header: str, expected: str
) -> None:
    found = problems_of(file_of(tmp_path, header, f"a/b,{NOON},1"))
    assert any(expected in problem for problem in found)
    assert all(problem.startswith("1:") for problem in found)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b'name,time,value\n"' + b"x" * 200_000]
)
def test_what_is_no_csv_is_said(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "past.csv"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(str(file))):
        read_rows(file, [])


def test_a_byte_order_mark_and_empty_lines_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    file.write_text(f"Name, Time ,VALUE\n\n,,\na/b,{NOON},1\n", "utf-8-sig")
    assert len(readings_of(file)) == 1


def test_import_without_a_plant_says_how_to_start_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = file_of(tmp_path, "name,time,value")
    assert execute(["import", str(file), "--data", str(tmp_path)]) == 1
    assert "no plant runs" in capsys.readouterr().err
