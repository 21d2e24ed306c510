"""What a regulator asks for is printed, and a large change is told."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lineshaft.cli.verbs import execute
from lineshaft.core.errors import NotFound
from lineshaft.security.data.catalogue import Entry
from lineshaft.security.data.reports.filed import (
    Filed,
    changes,
    count,
    read_filed,
    write_filed,
)
from lineshaft.security.data.reports.leak import deadlines, form
from lineshaft.security.data.reports.sheet import Sheet, words

CONFIG = """\
[devices.m]
driver = "modbus"
host = "127.0.0.1"
points = "m.csv"
[northbound.opcua]
[data]
region = "cn"
[[data.label]]
on = ["acme/oven"]
class = "development"
grade = "important"
"""
FOUND = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    points = "".join(f"acme/oven/p{n},holding:{n}\n" for n in range(10))
    (tmp_path / "m.csv").write_text(f"name,address\n{points}acme/door/x,holding:99\n")
    (tmp_path / "lineshaft.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert execute(["data", *arguments]) == 0
    return capsys.readouterr().out


def test_the_catalogue_is_printed_in_every_form_and_language(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(printed(capsys, "report", "catalogue", "--format", "json"))
    assert told["rows"] == [
        {"place": "acme/door", "points": 1, "grade": "", "classes": ""},
        {
            "place": "acme/oven",
            "points": 10,
            "grade": "important",
            "classes": "development",
        },
    ]
    sheet = printed(
        capsys, "report", "catalogue", "--format", "csv", "--language", "ja"
    )
    rows = list(csv.reader(io.StringIO(sheet)))
    assert rows[0] == ["場所", "点数", "等級", "分類"]
    assert rows[2] == ["acme/oven", "10", "important", "development"]
    page = printed(
        capsys, "report", "catalogue", "--format", "html", "--language", "zh"
    )
    assert '<html lang="zh">' in page
    assert "数据目录" in page
    assert "acme/oven" in printed(capsys, "report", "catalogue")


def test_processing_names_stage_grade_and_means(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(printed(capsys, "report", "processing", "--format", "json"))
    stages = {
        (row["stage"], row["place"], row["grade"], row["by"]) for row in told["rows"]
    }
    assert ("collect", "acme/oven", "important", "m") in stages
    assert ("store", "acme/oven", "important", "historian") in stages
    assert ("transfer", "acme/oven", "important", "northbound.opcua") in stages
    assert ("collect", "acme/door", "", "m") in stages
    # What has no label is not told to outputs, so it is not said to be.
    assert ("transfer", "acme/door", "", "northbound.opcua") not in stages


def test_a_change_of_thirty_per_cent_is_told(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no catalogue was announced" in printed(capsys, "report", "catalogue")
    printed(capsys, "file-catalogue")
    assert "announce" not in printed(capsys, "report", "catalogue")
    points = (plant / "m.csv").read_text()
    (plant / "m.csv").write_text(f"{points}acme/oven/q1,holding:200\n")
    assert "10 points announced" in (told := printed(capsys, "report", "catalogue"))
    assert "again" not in told
    more = "".join(f"acme/oven/r{n},holding:{300 + n}\n" for n in range(2))
    (plant / "m.csv").write_text(f"{points}acme/oven/q1,holding:200\n{more}")
    assert "announce it again" in printed(capsys, "report", "catalogue")


@pytest.mark.parametrize(
    ("before", "now", "significant"),
    [
        (100, 129, False),
        (100, 130, True),
        (100, 70, True),
        (100, 71, False),
        (0, 1, True),
    ],
)
def test_what_is_significant_begins_at_thirty_per_cent(
    before: int, now: int, significant: bool
) -> None:
    filed = Filed("2026-01-01", {"core; production": before} if before else {})
    entries = [Entry("a", now, "core", ("production",))]
    [change] = changes(filed, entries)
    assert change.is_significant is significant


def test_only_important_and_core_data_are_announced(tmp_path: Path) -> None:
    entries = [
        Entry("a", 5, "general", ("production",)),
        Entry("b", 2, "important", ("production", "development")),
        Entry("c", 3, "", ()),
    ]
    assert count(entries) == {"important; development": 2, "important; production": 2}
    write_filed(tmp_path, entries, "2026-01-01")
    assert read_filed(tmp_path) == Filed("2026-01-01", count(entries))


def test_a_leak_has_a_form_with_deadlines(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("leak-report", "acme/oven", "--discovered", "2026-01-31T08:00:00Z")
    text = printed(capsys, *asked, "--region", "eu")
    assert "important; development" in text
    assert "2026-02-01T08:00+00:00" in text
    assert "2026-02-03T08:00+00:00" in text
    assert "数据泄露报告" in printed(capsys, *asked, "--language", "zh")
    assert "データ漏えい報告" in printed(capsys, *asked, "--language", "ja")


def test_without_an_audit_log_there_is_no_report_of_what_left(plant: Path) -> None:
    assert execute(["data", "report", "export"]) == 1


def test_unknown_regions_have_no_made_up_deadlines() -> None:
    with pytest.raises(NotFound, match="there are cn, eu, jp"):
        deadlines("atlantis")
    for region in ("cn", "eu", "jp"):
        due = deadlines(region)
        assert [each.hours for each in due] == sorted(each.hours for each in due)
        assert all(each.source for each in due)
        assert form("a", "", FOUND, due, "en").count("- [ ]") == len(due)


def test_every_word_is_there_in_every_language() -> None:
    for key, said in words().items():
        assert set(said) == {"en", "ja", "zh"}, key
        assert all(said.values()), key


def test_cells_are_neither_markup_nor_formulas() -> None:
    sheet = Sheet("catalogue", "now", "<b>", ("place",), (("=cmd()",), ("<script>",)))
    assert "<script>" not in sheet.html("en")
    assert "'=cmd()" in sheet.csv("en")
