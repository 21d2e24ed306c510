"""The verbs that ask a running plant, against an API that answers by hand."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lineshaft.cli.verbs import execute
from support.plant_api import NAMES, WHEN, PlantApi, announce, running_plant

FORCE, ON, STROKES = NAMES
NO_PROCESS = (1 << 22) + 1
"""Linux never counts so far (PID_MAX_LIMIT)."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def plant(data: Path) -> Iterator[PlantApi]:
    with running_plant(data) as api:
        yield api


def said(capsys: pytest.CaptureFixture[str]) -> object:
    return json.loads(capsys.readouterr().out)


def test_read_tells_programs_name_value_quality_time_and_unit(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["read", FORCE, "--json", "--data", str(data)]) == 0
    row = {"name": FORCE, "value": 1.5, "quality": "good", "time": WHEN, "unit": "mm"}
    assert said(capsys) == [row]


def test_read_of_a_pattern_shows_every_point_whole(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    plant.names = tuple(f"acme/{'long' * 30}/p{number}" for number in range(3))
    assert execute(["read", "acme/**", "--data", str(data)]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in plant.names)


def test_read_of_a_point_that_is_not_there_fails(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["read", "acme/none", "--data", str(data)]) == 1
    assert "there is no point 'acme/none'" in capsys.readouterr().err


def test_history_tells_programs_time_value_and_quality(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["history", FORCE, "--from", "-5m", "--json", "--data", str(data)]
    assert execute(asked) == 0
    assert said(capsys) == [
        {"time": WHEN, "value": "value 0", "quality": "quality 0"},
        {"time": WHEN, "value": "value 1", "quality": "quality 1"},
    ]
    assert plant.asked[-1][1] == {"name": [FORCE], "from": ["-5m"], "to": ["now"]}


def test_history_in_buckets_tells_programs_every_aggregate(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["history", FORCE, "--every", "10s", "--json", "--data", str(data)]
    assert execute(asked) == 0
    keys = ["time", "min", "max", "mean", "time_mean", "first", "last", "count", "good"]
    rows = said(capsys)
    assert isinstance(rows, list)
    assert [list(row) for row in rows] == [keys, keys]
    assert rows[1]["time_mean"] == "time_mean 1"
    assert plant.asked[-1][1]["every"] == ["10s"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["history", "acme/none"], 1, "there is no point 'acme/none'"),
        (["history", FORCE, "--from", "never"], 2, "'never' is not a time"),
        (["history", FORCE, "--out", "x.csv"], 2, "--out needs --format"),
        (["history", FORCE, "--format", "csv", "--every", "1s"], 2, "leave out"),
        (["write", FORCE, "warm"], 2, "'warm' is not a value of type float"),
        (["write", ON, "2"], 2, "true or false"),
        (["write", "acme/osaka/press/forc", "2"], 1, f"did you mean {FORCE!r}?"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    data: Path,
    plant: PlantApi,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    text: str,
) -> None:
    assert execute([*arguments, "--data", str(data)]) == code
    told = capsys.readouterr()
    assert text in told.err
    assert "Traceback" not in told.err
    assert not told.out


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        (FORCE, "-2", -2.0),
        (ON, "on", True),
        (ON, "FALSE", False),
        (STROKES, "-7", -7),
    ],
)
def test_write_sends_a_value_of_the_point_s_type(
    data: Path, plant: PlantApi, name: str, typed: str, value: object
) -> None:
    assert execute(["write", name, typed, "--data", str(data)]) == 0
    [wish] = plant.written
    assert (wish["name"], wish["value"]) == (name, value)
    assert type(wish["value"]) is type(value)


def test_a_refused_write_fails_with_the_device_s_reason(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    plant.verdict, plant.reason = "refused", "the key switch is on local"
    assert execute(["write", FORCE, "1", "--json", "--data", str(data)]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["verdict"] == "refused"
    assert "the key switch is on local" in json.loads(told.err)["error"]["problems"][0]


def test_export_writes_the_whole_file(data: Path, plant: PlantApi) -> None:
    out = data / "past.csv"
    asked = ["history", "**", "--format", "csv", "--out", str(out), "--data", str(data)]
    assert execute(asked) == 0
    assert out.read_bytes() == b"abcdef"


def test_an_export_that_breaks_off_leaves_no_file(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    plant.cut_export = True
    out = data / "past.csv"
    out.write_bytes(b"of yesterday")
    asked = ["history", "**", "--format", "csv", "--out", str(out), "--data", str(data)]
    assert execute(asked) == 1
    assert "does not answer" in capsys.readouterr().err
    assert out.read_bytes() == b"of yesterday"
    assert [file.name for file in data.iterdir() if "past" in file.name] == [out.name]


def test_an_export_to_nowhere_says_so(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(data / "none" / "past.csv")
    asked = ["history", "**", "--format", "csv", "--out", out, "--data", str(data)]
    assert execute(asked) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_without_a_plant_every_question_says_how_to_start_one(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["read"], ["history", FORCE], ["write", FORCE, "1"], ["watch"]):
        assert execute([*arguments, "--data", str(data)]) == 1
        assert "no plant runs with the data directory" in capsys.readouterr().err


def test_a_plant_that_died_without_a_word_is_told_from_none(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(data, "http://127.0.0.1:9", pid=NO_PROCESS)
    assert execute(["read", "--data", str(data)]) == 1
    assert "is gone without a word" in capsys.readouterr().err


def test_a_plant_that_does_not_answer_leads_to_the_doctor(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    announce(data, "http://127.0.0.1:9")
    assert execute(["read", "--data", str(data)]) == 1
    assert "`lineshaft doctor` helps" in capsys.readouterr().err


def test_names_are_completed_from_the_plant(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["complete-names", "acme/osaka/press/", "--data", str(data)]) == 0
    assert capsys.readouterr().out.split() == list(NAMES)


def test_too_many_names_are_completed_place_by_place(
    data: Path, plant: PlantApi, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = tuple(f"acme/line{number % 3}/p{number}" for number in range(300))
    plant.names = ("acme/alone", *deep)
    assert execute(["complete-names", "acme/", "--data", str(data)]) == 0
    expected = ["acme/alone", "acme/line0/", "acme/line1/", "acme/line2/"]
    assert capsys.readouterr().out.split() == expected


def test_completion_is_silent_without_a_plant(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["complete-names", "a", "--data", str(data)]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "")
