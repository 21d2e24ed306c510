import math
import struct
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import Refused
from lineshaft.core.reading import GOOD, Quality, Value
from lineshaft.network.drivers.modbus.address import Address, Order, parse_address
from lineshaft.network.drivers.modbus.codec import (
    Layout,
    bits_of,
    encode,
    expected_answer,
    order_of,
    truth,
    whole_number,
)

WHOLE = {
    f"{sign}int{bits}": (0, 2**bits - 1)
    if sign
    else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for bits in (16, 32, 64)
    for sign in ("", "u")
}
ORDERS = st.sampled_from(list(Order))


def decode_one(address: Address, order: Order, words: tuple[int, ...]) -> object:
    payload = struct.pack(f">{len(words)}H", *words)
    values, [status] = Layout([(0, address, order)]).decode(payload)
    return values[0] if status == GOOD else status


@st.composite
def places(draw: st.DrawFn) -> tuple[str, Value]:
    form = draw(st.sampled_from([*WHOLE, "float32", "float64", "string[11]"]))
    if form in WHOLE:
        return form, draw(st.integers(*WHOLE[form]))
    if form == "string[11]":
        text = draw(st.text(st.characters(exclude_characters="\0"), max_size=3))
        return form, text[:2].rstrip(" ")
    width = int(form[-2:])
    return form, draw(st.floats(allow_nan=False, allow_infinity=False, width=width))  # type: ignore[arg-type]  # 32 or 64


@given(places(), ORDERS)
def test_what_is_encoded_decodes_to_itself(
    place: tuple[str, Value], order: Order
) -> None:
    form, value = place
    address = parse_address(f"holding:0:{form}")
    words = encode(address, order, value)
    assert len(words) == address.width
    assert decode_one(address, order, words) == value


@pytest.mark.parametrize(
    ("form", "order", "words", "value"),
    [
        ("uint16", "abcd", (0x1234,), 0x1234),
        ("uint16", "badc", (0x1234,), 0x3412),
        ("uint16", "cdab", (0x1234,), 0x1234),
        ("uint16", "dcba", (0x1234,), 0x3412),
        ("int16", "abcd", (0xFFFE,), -2),
        ("uint32", "abcd", (0x1122, 0x3344), 0x11223344),
        ("uint32", "badc", (0x2211, 0x4433), 0x11223344),
        ("uint32", "cdab", (0x3344, 0x1122), 0x11223344),
        ("uint32", "dcba", (0x4433, 0x2211), 0x11223344),
        ("int32", "cdab", (0xFFFF, 0xFFFF), -1),
        ("uint64", "abcd", (0x1122, 0x3344, 0x5566, 0x7788), 0x1122334455667788),
        ("uint64", "badc", (0x2211, 0x4433, 0x6655, 0x8877), 0x1122334455667788),
        ("uint64", "cdab", (0x7788, 0x5566, 0x3344, 0x1122), 0x1122334455667788),
        ("uint64", "dcba", (0x8877, 0x6655, 0x4433, 0x2211), 0x1122334455667788),
        ("float32", "abcd", (0x4048, 0xF5C3), 3.140000104904175),
        ("float32", "cdab", (0xF5C3, 0x4048), 3.140000104904175),
        ("float64", "abcd", (0x4009, 0x21FB, 0x5444, 0x2D18), math.pi),
        ("float64", "dcba", (0x182D, 0x4454, 0xFB21, 0x0940), math.pi),
        ("string[5]", "abcd", (0x4162, 0x6364, 0x6500), "Abcde"),
        ("string[5]", "badc", (0x6241, 0x6463, 0x0065), "Abcde"),
    ],
)
def test_orders_are_those_that_device_manuals_print(
    form: str, order: str, words: tuple[int, ...], value: Value
) -> None:
    address = parse_address(f"holding:0:{form}")
    assert decode_one(address, Order(order), words) == value
    assert encode(address, Order(order), value) == words


FORMS = st.sampled_from([*WHOLE, "float32", "float64", "string[7]", "uint16.9"])


@given(st.lists(st.tuples(st.integers(0, 120), FORMS, ORDERS)), st.randoms())
def test_any_bytes_in_any_layout_decode_without_an_error(
    wanted: list[tuple[int, str, Order]], chance: Random
) -> None:
    payload = chance.randbytes(250)
    layout = [
        (start, address, order)
        for start, form, order in wanted
        if start + (address := _address(form)).width <= 125
    ]
    values, statuses = Layout(layout).decode(payload)
    assert len(values) == len(statuses) == len(layout)
    for (start, address, order), value, status in zip(
        layout, values, statuses, strict=True
    ):
        alone = payload[start * 2 : (start + address.width) * 2]
        assert ([value], [status]) == Layout([(0, address, order)]).decode(alone)
        assert (value is None) == (status.quality is Quality.BAD)
        if isinstance(value, float):
            assert math.isfinite(value)


def _address(form: str) -> Address:
    name, _, bit = form.partition(".")
    return parse_address(f"holding:0:{name}" + (f".{bit}" if bit else ""))


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0x7F80, 0), (0xFF80, 0)])
def test_nan_and_infinity_are_bad_with_the_reason(words: tuple[int, int]) -> None:
    payload = struct.pack(">2H", *words)
    values, [status] = Layout(
        [(0, parse_address("holding:0:float32"), Order.ABCD)]
    ).decode(payload)
    assert values == [None]
    assert status.quality is Quality.BAD
    assert "the device says" in status.reason


def test_bits_are_counted_from_the_lowest() -> None:
    assert bits_of(bytes([0b0000_0101, 0b1000_0000]), [0, 1, 2, 15]) == [
        True,
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("form", "value", "complaint"),
    [
        ("uint16", -1, "0 to 65535"),
        ("uint16", 65_536, "0 to 65535"),
        ("int16", 32_768, "-32768 to 32767"),
        ("int64", 2**63, "does not fit into int64"),
        ("uint16", 12.5, "the nearest ones are 12 and 13"),
        ("uint16", "12", "is not a number"),
        ("uint16", math.nan, "is not a number"),
        ("float32", 1e39, "does not fit into a float32"),
        ("float32", math.inf, "is not a number"),
        ("float64", "1", "is not a number"),
        ("string[4]", "fünf", "5 bytes long, there is room for 4"),
        ("string[4]", 5, "is not text"),
        ("string[4]", "a ", "could not be read back"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    form: str, value: Value, complaint: str
) -> None:
    with pytest.raises(Refused, match=complaint):
        encode(parse_address(f"holding:0:{form}"), Order.ABCD, value)


def test_the_last_digits_of_a_scaled_value_do_not_matter() -> None:
    assert whole_number(21.5 / 0.1) == 215
    assert whole_number(True) == 1


def test_a_bit_is_not_written_from_anything_else() -> None:
    assert truth(1.0) is True
    for value in (2, "on", 0.5):
        with pytest.raises(Refused, match="write true or false"):
            truth(value)


def test_the_default_order_leaves_single_registers_and_text_alone() -> None:
    for text, order in [
        ("holding:1", Order.ABCD),
        ("holding:1:string[4]", Order.ABCD),
        ("holding:1:float32", Order.DCBA),
        ("holding:1:int16:badc", Order.BADC),
    ]:
        assert order_of(parse_address(text), Order.DCBA) is order


def test_the_expected_answer_begins_with_the_question() -> None:
    read = bytes.fromhex("0007 0000 0006 11 03 0064 0002")
    assert expected_answer(read) == (bytes.fromhex("0007 0000 0007 11 03 04"), 13)
    coils = bytes.fromhex("0007 0000 0006 11 01 0064 0009")
    assert expected_answer(coils) == (bytes.fromhex("0007 0000 0005 11 01 02"), 11)
    write = bytes.fromhex("0001 0000 0009 01 10 0005 0001 02 1234")
    echo = bytes.fromhex("0001 0000 0006 01 10 0005 0001")
    assert expected_answer(write) == (echo, 12)
    mask = bytes.fromhex("0001 0000 0008 01 16 0005 fffe 0001")
    assert expected_answer(mask) == (mask, 14)
