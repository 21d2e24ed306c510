"""Codes: each that can appear is explained, and each that is explained can appear."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineshaft
from lineshaft.cli.verbs import execute
from lineshaft.core.errors import (
    ConfigError,
    Denied,
    LineshaftError,
    NotFound,
    Refused,
    Unreachable,
)
from lineshaft.core.errors.codes import Code, book, code_at, code_of_reason
from lineshaft.core.name import check_name
from lineshaft.network.drivers.modbus.connection import exception_text
from lineshaft.settings.toml import read_toml
from lineshaft.web.api.problems import BadParameter, problem

SOURCE = Path(lineshaft.__file__).parent
FIVE = {kind.__name__ for kind in (ConfigError, Denied, NotFound, Refused, Unreachable)}
ROOMS = {
    "1": {"core", "main"},
    "2": {"network"},
    "3": {"platform"},
    "4": {"security"},
    "5": {"web"},
    "6": {"settings"},
    "7": {"cli"},
}


def made_in(file: Path) -> Iterator[str]:
    """Yield the class of each of our errors that a file makes."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in FIVE:
            yield called.id


def test_every_error_that_the_source_raises_has_an_explained_code() -> None:
    for file in SOURCE.rglob("*.py"):
        module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        for kind in made_in(file):
            room = module.partition(".")[0]
            code = code_at(module.removesuffix(".__init__"), kind)
            entry = book()[code]
            known = any(
                each.where.partition(".")[0] == room for each in book().values()
            )
            assert entry.where.partition(".")[0] == room or not known, (module, kind)


def test_every_code_can_appear() -> None:
    named = {str(code) for code in Code}
    for code, entry in book().items():
        ways = [bool(entry.where and entry.kind), bool(entry.reason), code in named]
        assert sum(ways) == 1, code
        if entry.where and entry.where != "main":
            path = SOURCE.joinpath(*entry.where.split("."))
            assert path.is_dir() or path.with_suffix(".py").is_file(), code


def test_every_code_that_is_named_is_used_and_explained() -> None:
    said = "".join(
        file.read_text("utf-8")
        for file in SOURCE.rglob("*.py")
        if "codes" not in file.parts
    )
    for code in Code:
        assert code in book()
        assert f"Code.{code.name}" in said, code.name
    literal = set(re.findall(r"LS-\d{4}", said))
    assert literal <= set(book()), "a code in the source that nobody explains"


def test_a_code_tells_the_room_and_the_class() -> None:
    classes = {"ConfigError": "1", "Unreachable": "2", "Refused": "3"}
    classes |= {"NotFound": "4", "Denied": "5"}
    for code, entry in book().items():
        assert re.fullmatch(r"LS-\d{4}", code)
        if entry.where:
            assert entry.where.partition(".")[0] in ROOMS[code[3]], code
        if entry.kind and code != "LS-1106":
            assert code[-1] == classes[entry.kind], code


def test_every_entry_says_what_why_and_what_to_do() -> None:
    for code, entry in book().items():
        assert entry.what.endswith("."), code
        assert entry.causes, code
        assert entry.do, code
        assert all(len(line) >= 8 for line in (*entry.causes, *entry.do)), code


def test_an_error_knows_its_code_by_where_it_was_raised(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as missing:
        read_toml(tmp_path / "none.toml")
    assert missing.value.stable_code == "LS-6021"
    with pytest.raises(ConfigError) as name:
        check_name("a//b")
    assert name.value.stable_code == "LS-1101"


def test_an_error_may_be_given_a_code_and_subclasses_have_one() -> None:
    assert Refused("no", code="LS-2323").stable_code == "LS-2323"
    assert ConfigError(["a", "b"], code="LS-6011").stable_code == "LS-6011"
    assert book()[BadParameter("x").stable_code].kind == "ConfigError"


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413, 422, 500, 503, 504])
def test_every_problem_of_the_api_has_an_explained_code(status: int) -> None:
    assert problem(status, "what happened").code in book()


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("never read", "LS-8001"),
        ("press said nothing for its period and 5 s", "LS-8002"),
        ("the collector was stopped", "LS-8003"),
        ("the point list wants a float, the device says 'a'", "LS-8101"),
        (exception_text(2), "LS-8102"),
        ("OPC UA BadNodeIdUnknown", "LS-8103"),
        ("127.0.0.1:502 cannot be connected: refused", "LS-8109"),
        ("something else", ""),
    ],
)
def test_the_usual_reasons_of_bad_readings_have_codes(reason: str, code: str) -> None:
    assert code_of_reason(reason) == code


@pytest.mark.parametrize("typed", ["LS-1212", "ls-1212", "1212"])
def test_explain_says_what_to_do_without_a_plant(
    typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["explain", typed]) == 0
    said = capsys.readouterr().out
    assert "LS-1212" in said
    assert "What to do:" in said


def test_explain_of_a_code_that_is_none_fails_with_a_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert execute(["explain", "LS-1222"]) == 1
    said = capsys.readouterr().err
    assert "there is no code 'LS-1222'" in said
    assert "error LS-7004" in said


def test_without_a_code_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["explain"]) == 0
    assert set(re.findall(r"LS-\d{4}", capsys.readouterr().out)) == set(book())


def test_the_five_errors_are_all_there_are() -> None:
    assert {kind.__name__ for kind in LineshaftError.__subclasses__()} == FIVE
