"""Labels are inherited and joined by the highest; the gate keeps its whole table."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.cli.verbs import execute
from lineshaft.core.bus.audit import AuditRecord, Result
from lineshaft.core.errors import Denied, Unreachable
from lineshaft.security.data.gate import RULINGS, Gate, Outcome, Passage, Stage
from lineshaft.security.data.labels import Class, Grade, Label, Labels, join
from lineshaft.security.data.settings import Settings
from lineshaft.security.data.telling import Telling, passing, record_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GENERAL, IMPORTANT, CORE, BARE = "a/general/x", "a/important/x", "a/core/x", "a/bare/x"
LABELS = [
    {"on": ["a/general"], "class": "production", "grade": "general"},
    {"on": ["a/important/**"], "class": "development", "grade": "important"},
    {"on": ["a/core"], "class": "management", "grade": "core"},
]
# Written by hand from the text that is cited, not from the program.
#            general  important  core      no label
TABLE = """
collect      allow    allow      allow     allow
store        allow    allow      allow     allow
process      allow    allow      allow     allow
transfer     allow    allow      ask       ask
provide      allow    ask        refuse    refuse
publish      ask      refuse     refuse    refuse
destroy      allow    ask        ask       ask
leave        allow    ask        refuse    refuse
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [
    (row[0], name, outcome)
    for row in ROWS
    for name, outcome in zip((GENERAL, IMPORTANT, CORE, BARE), row[1:], strict=True)
]


def gate(**more: object) -> Gate:
    return Gate(Settings.model_validate({"region": "cn", "label": LABELS, **more}))


def approval(**other: object) -> dict[str, object]:
    given: dict[str, object] = {
        "id": "2026-17",
        "by": "head of data",
        "stage": "provide",
        "on": ["a/important"],
        "until": NOW + timedelta(days=1),
    }
    return given | other


@pytest.mark.parametrize(("stage", "name", "outcome"), CELLS)
def test_every_stage_of_every_grade_is_decided_as_written(
    stage: str, name: str, outcome: str
) -> None:
    passage = gate().decide(Stage(stage), [name], "", NOW)
    assert passage.outcome == outcome
    assert passage.reason
    assert passage.source
    assert passage.approval == ""


def test_the_table_is_whole() -> None:
    assert {row[0] for row in ROWS} == set(Stage)
    assert set(RULINGS) == {(stage, g) for stage in Stage for g in (None, *Grade)}
    assert len(CELLS) == len(RULINGS) == 32


@pytest.mark.parametrize("stage", [s for s in Stage if s is not Stage.DESTROY])
@pytest.mark.parametrize("name", [GENERAL, IMPORTANT, CORE, BARE])
def test_what_goes_to_another_region_leaves_the_country(
    stage: Stage, name: str
) -> None:
    abroad, at_home = (gate().decide(stage, [name], r, NOW) for r in ("de", "cn"))
    assert abroad == gate().decide(Stage.LEAVE, [name], "de", NOW)
    assert at_home == gate().decide(stage, [name], "", NOW)


def test_data_together_have_the_highest_grade_and_every_class() -> None:
    passage = gate().decide(Stage.PROVIDE, [GENERAL, IMPORTANT], "", NOW)
    assert passage.label == "important; development, production"
    assert passage.outcome is Outcome.ASK


def test_one_point_without_a_label_leaves_the_whole_without() -> None:
    passage = gate().decide(Stage.PROVIDE, [GENERAL, BARE, "b/x"], "", NOW)
    assert (passage.label, passage.outcome) == ("", Outcome.REFUSE)
    assert "(a/bare/x, and 1 more)" in passage.reason


def test_labels_are_inherited_and_can_only_grow() -> None:
    production = Label(frozenset({Class.PRODUCTION}), Grade.GENERAL)
    core = Label(frozenset({Class.EXTERNAL}), Grade.CORE)
    labels = Labels([("a", core), ("a/b", production), ("a/b/*/p", production)])
    both = Label(frozenset({Class.PRODUCTION, Class.EXTERNAL}), Grade.CORE)
    assert labels.of("a") == labels.of("a/c") == labels.of("a/c/d") == core
    assert labels.of("a/b") == labels.of("a/b/c/p") == both
    assert labels.of("ab/c") is None
    assert labels.together([]) is None


labels = st.builds(
    Label, st.frozensets(st.sampled_from(Class), min_size=1), st.sampled_from(Grade)
)


@given(st.lists(labels, min_size=1))
def test_no_order_of_joining_makes_less_of_data(given: list[Label]) -> None:
    whole = join(given)
    assert whole is not None
    assert whole.grade == max(each.grade for each in given)
    assert all(each.classes <= whole.classes for each in given)
    assert join([join(given[:1]), join(given)]) == whole
    assert join(reversed(given)) == whole
    assert join([*given, None]) is None


def passed(
    name: str = IMPORTANT, region: str = "", there: str = "", **other: object
) -> Passage:
    asked = gate(approval=[approval(region=there, **other)])
    return asked.decide(Stage.PROVIDE, [name], region, NOW)


def test_an_approval_in_writing_opens_what_asks_for_one() -> None:
    passage = passed()
    assert (passage.outcome, passage.approval) == (Outcome.ALLOW, "2026-17")
    assert "head of data agreed (2026-17)" in passage.sentence


@pytest.mark.parametrize(
    "other",
    [
        {"until": NOW},
        {"stage": "destroy"},
        {"stage": "leave"},
        {"on": ["a/important/y"]},
        {"region": "de"},
    ],
)
def test_an_approval_of_something_else_opens_nothing(other: dict[str, object]) -> None:
    asked = gate(approval=[approval(**other)])
    assert asked.decide(Stage.PROVIDE, [IMPORTANT], "", NOW).outcome is Outcome.ASK


def test_no_approval_opens_what_is_refused() -> None:
    assert passed(CORE, on=["a/core"]).outcome is Outcome.REFUSE
    abroad = passed(CORE, "de", on=["a/**"], there="de", stage="leave")
    assert abroad.outcome is Outcome.REFUSE
    assert passed(BARE, on=["a/**"]).outcome is Outcome.REFUSE


def test_an_approval_for_abroad_is_for_that_region() -> None:
    assert passed(IMPORTANT, "de", there="de", stage="leave").approval == "2026-17"
    assert passed(IMPORTANT, "us", there="de", stage="leave").approval == ""


def test_an_export_says_its_label_or_why_it_must_not_be() -> None:
    assert gate().label_export([GENERAL], "", NOW) == "general; production"
    assert gate().label_export([], "", NOW) == ""
    with pytest.raises(Denied, match=r"data labelled core.*MIIT 2020/6 art"):
        gate().label_export([CORE], "", NOW)
    with pytest.raises(Denied, match="without an approval in writing"):
        gate().label_export([IMPORTANT], "", NOW)


def test_each_decision_about_data_that_go_becomes_a_record() -> None:
    records: list[AuditRecord] = []

    def decided(passage: Passage, names: Sequence[str]) -> None:
        records.append(record_of(passage, names, "anna", "export"))

    settings = Settings.model_validate({"region": "cn", "label": LABELS})
    asked = Gate(settings, decided)
    asked.label_export([GENERAL], "", NOW)
    with pytest.raises(Denied):
        asked.pass_on(Stage.LEAVE, [CORE], "de", NOW)
    told = [(each.kind, each.result, each.name) for each in records]
    assert told == [
        ("data.provide", Result.SUCCESS, GENERAL),
        ("data.leave", Result.DENIED, CORE),
    ]
    assert records[1].detail["label"] == "core; management"
    assert records[1].who == "anna"


def test_only_points_that_may_be_moved_go_to_the_outputs() -> None:
    told: list[tuple[str, Sequence[str]]] = []

    def decided(passage: Passage, names: Sequence[str]) -> None:
        told.append((passage.outcome, names))

    names = [GENERAL, IMPORTANT, CORE, BARE, "a/bare/y"]
    settings = Settings.model_validate({"label": LABELS})
    assert passing(settings, names, decided) == {GENERAL, IMPORTANT}
    assert ("ask", [BARE, "a/bare/y"]) in told
    assert len(told) == 4
    assert passing(None, names, decided) == {*names}


async def test_decisions_are_told_in_order_and_none_is_forgotten() -> None:
    told: list[str] = []
    done = asyncio.Event()

    async def tell(record: AuditRecord) -> None:
        told.append(record.name)
        if len(told) == 3:
            done.set()

    telling = Telling(tell)
    decided = telling.decided("export")
    passage = gate().decide(Stage.PROVIDE, [GENERAL], "", NOW)
    for name in ("a", "b", "c"):
        decided(passage, [name])
    async with asyncio.TaskGroup() as group:
        work = group.create_task(telling.run())
        await done.wait()
        work.cancel()
    assert told == ["a", "b", "c"]


def test_what_cannot_be_recorded_does_not_happen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def tell(record: AuditRecord) -> None:
        del record

    monkeypatch.setattr("lineshaft.security.data.telling.MOST_WAITING", 1)
    settings = Settings.model_validate({"label": LABELS})
    asked = Gate(settings, Telling(tell).decided("export"))
    asked.label_export([GENERAL], "", NOW)
    with pytest.raises(Unreachable, match="does not happen"):
        asked.label_export([GENERAL], "", NOW)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m.csv").write_text(
        "name,address\na/b/x,holding:0\na/b/y,holding:1\na/c/z,holding:2\n"
    )
    (tmp_path / "lineshaft.toml").write_text("""\
[devices.m]
driver = "modbus"
host = "127.0.0.1"
points = "m.csv"
[data]
[[data.label]]
on = ["a/b"]
class = "operation and maintenance"
grade = "important"
""")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_catalogue_lists_every_place_with_its_label(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["data", "catalogue", "--csv"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "place,points,grade,classes",
        "a/b,2,important,operation and maintenance",
        "a/c,1,,",
    ]
    assert execute(["data", "catalogue", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1]["grade"] == ""
    assert execute(["data", "catalogue"]) == 0
    assert "no label" in capsys.readouterr().out


def test_check_hints_at_points_without_a_label_and_at_no_labels_at_all(
    plant: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["check"]) == 0
    assert "1 of 3 points have no label and cannot be exported, like a/c/z" in (
        capsys.readouterr().err
    )
    file = plant / "lineshaft.toml"
    text = file.read_text()
    file.write_text(text.partition("[data]")[0])
    assert execute(["check"]) == 0
    assert "there is no [data]" in capsys.readouterr().err
    assert execute(["data", "catalogue"]) == 2
    file.write_text(text.replace('"a/b"', '"a/[b"'))
    assert execute(["check"]) == 2
    assert "lineshaft.toml:7:1: data.label.0.on: 'a/[b'" in capsys.readouterr().err
