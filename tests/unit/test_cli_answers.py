"""What the verbs make of what was typed and of what the plant answers; no plant."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.cli.looking import Row, every_row, typed
from lineshaft.cli.machines.adding import _short
from lineshaft.cli.verbs import execute
from lineshaft.core.errors import ConfigError, Refused

LIMIT = 5


def limited(rows: list[Row]) -> Callable[[str], tuple[list[Row], bool]]:
    """Answer as the API does: the oldest rows from a time on, cut short."""

    def ask(begin: str) -> tuple[list[Row], bool]:
        found = [row for row in rows if row[0] >= begin]
        return found[:LIMIT], len(found) > LIMIT

    return ask


@given(st.lists(st.integers(0, 15), max_size=60))
def test_answers_that_are_cut_short_are_put_together_whole(moments: list[int]) -> None:
    rows: list[Row] = [
        (f"{moment:02}", number) for number, moment in enumerate(sorted(moments))
    ]
    crowded = any(moments.count(moment) >= LIMIT for moment in moments)
    try:
        assert every_row(limited(rows), "") == rows
    except Refused:
        assert crowded, "only too many readings of one moment cannot be told apart"


def test_too_many_readings_of_one_moment_lead_to_a_way_that_has_them() -> None:
    rows: list[Row] = [("10", number) for number in range(LIMIT + 1)]
    with pytest.raises(Refused, match="--format csv"):
        every_row(limited(rows), "")


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity", "1e999"])
def test_what_is_no_number_is_not_written(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a value of type float"):
        typed(text, "float")


@pytest.mark.parametrize(
    ("host", "short"),
    [
        ("10.0.0.7", "7"),
        ("press-2.factory.local", "press-2"),
        ("gateway", "gateway"),
        ("fe80::12", "12"),
        ("4gate.local", "4gate"),
    ],
)
def test_a_device_is_called_after_its_host(host: str, short: str) -> None:
    assert _short(host) == short


@pytest.mark.parametrize(
    "wrong", [["read", "--jso"], ["history"], ["chekc"], ["write", "a/b"]]
)
def test_programs_get_a_wrong_command_as_json_too(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute([*wrong, "--json"]) == 2
    told = capsys.readouterr()
    assert not told.out
    error = json.loads(told.err)["error"]
    assert error["kind"] == "ConfigError"
    assert error["problems"][0]
