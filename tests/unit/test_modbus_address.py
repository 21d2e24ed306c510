import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import ConfigError
from lineshaft.network.drivers.modbus import driver
from lineshaft.network.drivers.modbus.address import (
    Address,
    Area,
    Format,
    Order,
    parse_address,
)

HOLDING = Area.HOLDING


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("holding:100", Address(HOLDING, 100, Format.UINT16)),
        ("HOLDING:0x64:Int16", Address(HOLDING, 100, Format.INT16)),
        (
            "holding:100:float32:cdab",
            Address(HOLDING, 100, Format.FLOAT32, order=Order.CDAB),
        ),
        ("input:7:int64", Address(Area.INPUT, 7, Format.INT64)),
        ("coil:3", Address(Area.COIL, 3, Format.BOOL)),
        ("discrete:12", Address(Area.DISCRETE, 12, Format.BOOL)),
        ("3/holding:5.3", Address(HOLDING, 5, Format.UINT16, unit=3, bit=3)),
        ("holding:5:uint16.15", Address(HOLDING, 5, Format.UINT16, bit=15)),
        (
            "holding:20:string[15]:badc",
            Address(HOLDING, 20, Format.STRING, order=Order.BADC, length=15),
        ),
        ("40101", Address(HOLDING, 100, Format.UINT16)),
        ("400101:float32", Address(HOLDING, 100, Format.FLOAT32)),
        ("465536", Address(HOLDING, 65_535, Format.UINT16)),
        ("30001", Address(Area.INPUT, 0, Format.UINT16)),
        ("10001", Address(Area.DISCRETE, 0, Format.BOOL)),
        ("2/00001", Address(Area.COIL, 0, Format.BOOL, unit=2)),
    ],
)
def test_an_address_means_what_the_readme_says(text: str, meaning: Address) -> None:
    assert parse_address(text) == meaning


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is not a Modbus address: write it like holding:100"),
        ("holding", "is not a Modbus address"),
        ("holdin:1", "did you mean 'holding'"),
        ("holding:65536", "offset 65536 does not exist"),
        ("holding:65535:float32", "ends at offset 65536"),
        ("holding:1:flaot32", "did you mean 'float32'"),
        ("holding:1:float32:dcab", "there is no order 'dcab'"),
        ("holding:1:string", r"like string\[16\]"),
        ("holding:1:string[0]", "1 to 246"),
        ("holding:1:string[9]:cdab", "high byte first"),
        ("holding:1:int32[2]", "only a string has a length"),
        ("holding:1:float32.3", "only a single register has bits"),
        ("holding:1.16", "bit 16 does not exist"),
        ("coil:1.0", "only a single register has bits"),
        ("coil:1:uint16", "write coil:1"),
        ("coil:1:bool:abcd", "has no format or order"),
        ("256/coil:1", "unit 256 does not exist"),
        ("40000", "count from 1"),
        ("50001", "begins with 0"),
        ("401", "5 or 6 digits"),
        ("465537", "count from 1 to 65536"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        driver.check_address(text)


@given(st.text())
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ConfigError:
        return
    assert address.offset + address.width <= 65_536


@given(
    st.from_regex(
        r"([0-9]{1,3}/)?(holding|input|coil|[0-4][0-9]{4,5}):?[0-9]{0,5}"
        r"(:(u?int|float)(16|32|64))?(:[abcd]{4})?(\.[0-9]{1,2})?",
        fullmatch=True,
    )
)
def test_what_looks_like_an_address_is_one_or_a_config_error(text: str) -> None:
    test_any_text_is_an_address_or_a_config_error.hypothesis.inner_test(text)  # type: ignore[attr-defined]  # hypothesis adds it
