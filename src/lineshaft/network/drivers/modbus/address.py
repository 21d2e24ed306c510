"""Where a value is in a Modbus device: the only parser of Modbus addresses.

    [unit/]area:offset[:format[:order]][.bit]      offsets count from 0
    [unit/]40101[:format[:order]][.bit]            classic numbers count from 1

README.md beside this file has the table. The areas are the four tables of the data
model (MODBUS Application Protocol V1.1b3, 4.3); the protocol itself knows only bits
and 16-bit registers, so everything wider is an agreement with the device's maker.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from lineshaft.core.errors import ConfigError
from lineshaft.core.name import did_you_mean


class Area(StrEnum):
    """One of the four tables of a device."""

    COIL = "coil"
    """Bits that can be written."""
    DISCRETE = "discrete"
    """Bits that can only be read."""
    INPUT = "input"
    """Registers that can only be read."""
    HOLDING = "holding"
    """Registers that can be written."""

    @property
    def holds_bits(self) -> bool:
        """Whether it is made of bits, not of registers."""
        return self in {Area.COIL, Area.DISCRETE}

    @property
    def is_writable(self) -> bool:
        """Whether the protocol has a way to write it."""
        return self in {Area.COIL, Area.HOLDING}


class Format(StrEnum):
    """What a value looks like in registers."""

    BOOL = "bool"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"


class Order(StrEnum):
    """In which order the bytes travel; A is the most significant."""

    ABCD = "abcd"
    BADC = "badc"
    CDAB = "cdab"
    DCBA = "dcba"


BYTES = {
    Format.INT16: 2,
    Format.UINT16: 2,
    Format.INT32: 4,
    Format.UINT32: 4,
    Format.FLOAT32: 4,
    Format.INT64: 8,
    Format.UINT64: 8,
    Format.FLOAT64: 8,
}
_SINGLE = {Format.INT16, Format.UINT16}
LAST_OFFSET = 65_535
LONGEST_STRING = 246
"""Characters: what fits into one write of 123 registers (V1.1b3, 6.12)."""
LAST_UNIT = 255

EXAMPLE = "write it like holding:100:float32, 3/input:7, coil:2, holding:5.3 or 40101"


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address."""

    area: Area
    offset: int
    """As on the wire: the first one is 0."""
    format: Format
    unit: int | None = None
    """The unit that the address names; None means the device's own setting."""
    order: Order | None = None
    """The order that the address names; None means the device's own setting."""
    bit: int | None = None
    """A single bit of a register; 0 is the least significant."""
    length: int = 0
    """Characters of a string."""

    @property
    def width(self) -> int:
        """How many bits (of coils, discrete inputs) or registers it spans."""
        if self.format is Format.BOOL:
            return 1
        if self.format is Format.STRING:
            return (self.length + 1) // 2
        return BYTES[self.format] // 2


_SHAPE = re.compile(
    r"(?:(?P<unit>\d{1,9})/)?"
    r"(?:(?P<area>[a-z]\w*):(?P<offset>0x[0-9a-f]{1,8}|\d{1,9})|(?P<classic>\d{1,9}))"
    r"(?::(?P<format>[a-z]+\d*)(?:\[(?P<length>\d{1,9})\])?)?"
    r"(?::(?P<order>[a-z]+))?"
    r"(?:\.(?P<bit>\d{1,9}))?",
    re.ASCII,
)
_AREAS = {area.value: area for area in Area}
_CLASSIC_AREA = {
    "0": Area.COIL,
    "1": Area.DISCRETE,
    "3": Area.INPUT,
    "4": Area.HOLDING,
}


def parse_address(text: str) -> Address:
    """Return what `text` means; `ConfigError` says what is wrong with it."""
    shape = _SHAPE.fullmatch(text.strip().lower())
    if shape is None:
        raise ConfigError(f"{text!r} is not a Modbus address: {EXAMPLE}")
    area, offset = _place(text, shape)
    bit = _number(text, "bit", shape["bit"], 15)
    form, length = _format(text, area, shape)
    if bit is not None and (area.holds_bits or form not in _SINGLE):
        raise ConfigError(
            f"{text!r}: only a single register has bits to choose from, "
            f"like holding:{offset}.{bit}"
        )
    address = Address(
        area=area,
        offset=offset,
        format=form,
        unit=_number(text, "unit", shape["unit"], LAST_UNIT),
        order=_order(text, form, shape["order"]),
        bit=bit,
        length=length,
    )
    if offset + address.width - 1 > LAST_OFFSET:
        raise ConfigError(
            f"{text!r} ends at offset {offset + address.width - 1}; "
            f"the last one there can be is {LAST_OFFSET}"
        )
    return address


def _number(text: str, what: str, digits: str | None, last: int) -> int | None:
    if digits is None:
        return None
    if int(digits) > last:
        raise ConfigError(f"{text!r}: {what} {digits} does not exist; 0 to {last} do")
    return int(digits)


def _place(text: str, shape: re.Match[str]) -> tuple[Area, int]:
    if shape["classic"] is not None:
        return _classic_place(text, shape["classic"])
    word = shape["area"]
    if word not in _AREAS:
        raise ConfigError(
            f"{text!r}: there is no area {word!r}; there are {', '.join(_AREAS)}"
            + did_you_mean(word, list(_AREAS))
        )
    offset = int(shape["offset"], 0) if "x" in shape["offset"] else int(shape["offset"])
    if offset > LAST_OFFSET:
        raise ConfigError(
            f"{text!r}: offset {offset} does not exist; 0 to {LAST_OFFSET} do"
        )
    return _AREAS[word], offset


def _classic_place(text: str, digits: str) -> tuple[Area, int]:
    area = _CLASSIC_AREA.get(digits[0])
    number = int(digits[1:] or "0")
    if len(digits) not in {5, 6} or area is None:
        raise ConfigError(
            f"{text!r}: a classic number has 5 or 6 digits and begins with 0 (coil), "
            "1 (discrete input), 3 (input register) or 4 (holding register), like 40101"
        )
    if not 1 <= number <= LAST_OFFSET + 1:
        raise ConfigError(
            f"{text!r}: classic numbers count from 1 to {LAST_OFFSET + 1} after the "
            f"first digit; the first one of this area is {digits[0]}0001"
        )
    return area, number - 1


def _format(text: str, area: Area, shape: re.Match[str]) -> tuple[Format, int]:
    word, length = shape["format"], shape["length"]
    if area.holds_bits:
        if word not in {None, Format.BOOL} or length or shape["order"]:
            raise ConfigError(
                f"{text!r}: a {area} is one bit and has no format or order; "
                f"write {area}:{shape['offset'] or 0}"
            )
        return Format.BOOL, 0
    if word is None:
        return Format.UINT16, 0
    known = [form.value for form in Format if form is not Format.BOOL]
    if word not in known:
        raise ConfigError(
            f"{text!r}: there is no format {word!r} for registers; there are "
            f"{', '.join(known)}{did_you_mean(word, known)}"
        )
    return Format(word), _length(text, Format(word), length)


def _length(text: str, form: Format, digits: str | None) -> int:
    if form is not Format.STRING:
        if digits is not None:
            raise ConfigError(f"{text!r}: only a string has a length, like string[16]")
        return 0
    if digits is None or not 1 <= int(digits) <= LONGEST_STRING:
        raise ConfigError(
            f"{text!r}: a string needs its length in characters, "
            f"1 to {LONGEST_STRING}, like string[16]"
        )
    return int(digits)


def _order(text: str, form: Format, word: str | None) -> Order | None:
    if word is None:
        return None
    known = [order.value for order in Order]
    if word not in known:
        raise ConfigError(
            f"{text!r}: there is no order {word!r}; there are {', '.join(known)}"
            + did_you_mean(word, known)
        )
    if form is Format.STRING and word not in {Order.ABCD, Order.BADC}:
        raise ConfigError(
            f"{text!r}: the characters of a string come high byte first (abcd) or "
            "low byte first (badc)"
        )
    return Order(word)
