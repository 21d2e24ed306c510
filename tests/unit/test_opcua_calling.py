"""What a method is called with, and what it answered."""

from datetime import datetime

import pytest
from asyncua import ua

from lineshaft.core.errors import Refused
from lineshaft.core.reading import Value
from lineshaft.network.drivers.opcua.asking.calling import (
    Argument,
    arguments_of,
    said,
)

TYPES = ua.VariantType
SPEED = Argument("Speed", TYPES.Double, is_list=False)
NAME = Argument("Name", TYPES.String, is_list=False)
COUNTS = Argument("Counts", TYPES.UInt16, is_list=True)


@pytest.mark.parametrize(
    ("value", "wanted", "given"),
    [
        (True, [], []),
        ("", [], []),
        ("[]", [], []),
        (3, [SPEED], [3.0]),
        ("[3]", [SPEED], [3.0]),
        ("[3]", [NAME], ["[3]"]),
        ("[[1, 2]]", [COUNTS], [[1, 2]]),
        ('["a", 2.5, []]', [NAME, SPEED, COUNTS], ["a", 2.5, []]),
    ],
)
def test_a_value_becomes_the_arguments(
    value: Value, wanted: list[Argument], given: list[object]
) -> None:
    arguments = arguments_of(value, wanted)
    assert [each.Value for each in arguments] == given
    assert [each.VariantType for each in arguments] == [each.kind for each in wanted]


@pytest.mark.parametrize(
    ("value", "wanted", "reason"),
    [
        (False, [], "write true"),
        (2, [], "write true"),
        ("fast", [SPEED], "no JSON list of Speed"),
        ("[1, 2]", [SPEED], "wants 1 arguments"),
        ("{}", [SPEED], "no JSON list"),
        (1.5, [SPEED, NAME], "Name"),
        ("[null]", [SPEED], "no value"),
        ("[[1, -1]]", [COUNTS], "argument Counts.*within"),
        ("[7]", [COUNTS], "argument Counts: 7 is no list"),
    ],
)
def test_what_does_not_fit_is_refused(
    value: Value, wanted: list[Argument], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        arguments_of(value, wanted)


def test_an_answer_is_told_as_json() -> None:
    assert said([]).text == ""
    assert said([]).value is None
    one = said([ua.Variant(2.5)])
    assert (one.value, one.text) == (2.5, "[2.5]")
    moment = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 (as the library has it)
    parts = [moment, b"\1\xff", ua.LocalizedText("zu"), [1, 2], None]
    many = said([ua.Variant(part) for part in parts])
    assert many.value == many.text
    assert many.text == '["2026-01-02T03:04:05", "01ff", "zu", [1, 2], null]'
