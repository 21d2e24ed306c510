"""Sparkplug B payloads as bytes, and their metrics as values.

Sparkplug 3.0.0, chapter 6.4 (payload components) and 6.4.16 (data types).
"""

import math
import struct
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from google.protobuf.message import DecodeError

from lineshaft.core.errors import Refused
from lineshaft.core.point import Kind
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad, uncertain
from lineshaft.network.drivers.mqtt.sparkplug.sparkplug_b_pb2 import Metric, Payload

__all__ = ["DataType", "Metric", "Payload", "decode", "encode", "value_of"]

QUALITY = "Quality"
ENGINEERING_UNIT = "engUnit"
_SHORT = 32
"""Bits of int_value; longer integers travel as long_value."""
_ALL_BITS = 1 << 64
_GOOD_CODE, _STALE_CODE, _LEAST_UNCERTAIN, _LEAST_GOOD = 192, 500, 64, 192
_CODES = {
    Quality.GOOD: _GOOD_CODE,
    Quality.UNCERTAIN: _STALE_CODE,
    Quality.BAD: 0,
}
"""What we write. Sparkplug has no code for doubt; stale is what comes nearest."""


class DataType(IntEnum):
    """What a metric says its values are."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATE_TIME = 13
    TEXT = 14
    UUID = 15
    DATA_SET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATE_TIME_ARRAY = 34


class _Rule(NamedTuple):
    """How values of one data type travel."""

    kind: Kind
    field: str
    """The field that we write; the number fields are read whichever was used."""
    read: Callable[[Value], Value]
    check: Callable[[Value], Value]
    """Return the value as the field holds it; `ValueError` if it cannot."""


def _signed(bits: int) -> Callable[[Value], Value]:
    """Read two's complement of `bits`, or of 32 or 64 as some encoders extend it."""
    lowest, limit = -(1 << bits - 1), 1 << bits - 1
    extended = 1 << max(bits, _SHORT)

    def read(raw: Value) -> Value:
        number = int(raw)
        if number < limit:
            return number
        if bits < _SHORT and number < limit << 1:
            return number - (limit << 1)
        number -= extended if number < extended else _ALL_BITS
        if not lowest <= number < 0:
            raise ValueError(f"it does not fit {bits} bits")
        return number

    return read


def _unsigned(bits: int) -> Callable[[Value], Value]:
    def read(raw: Value) -> Value:
        if not 0 <= int(raw) < 1 << bits:
            raise ValueError(f"it does not fit {bits} bits")
        return raw

    return read


def _integer(low: int, high: int, wrap: int) -> Callable[[Value], Value]:
    def check(value: Value) -> Value:
        if isinstance(value, bool | str) or value != value // 1:
            raise ValueError("it is not a whole number")
        if not low <= value <= high:
            raise ValueError(f"it is not between {low} and {high}")
        return int(value) % wrap

    return check


def _number(value: Value) -> Value:
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise ValueError("it is not a number")
    return float(value)


def _single(value: Value) -> Value:
    try:
        return struct.unpack("<f", struct.pack("<f", _number(value)))[0]  # type: ignore[no-any-return]  # struct is untyped
    except OverflowError as error:
        raise ValueError("it does not fit a Float") from error


def _truth(value: Value) -> Value:
    if not isinstance(value, bool):
        raise ValueError("it is not true or false")  # noqa: TRY004  # one error
    return value


def _text(value: Value) -> Value:
    if not isinstance(value, str):
        raise ValueError("it is not text")  # noqa: TRY004  # one error
    return value


def _same(raw: Value) -> Value:
    return raw


def _whole(bits: int, *, signed: bool) -> _Rule:
    field = "int_value" if bits <= _SHORT else "long_value"
    half = 1 << bits - 1
    if signed:
        check = _integer(-half, half - 1, 1 << max(bits, _SHORT))
        return _Rule(Kind.INT, field, _signed(bits), check)
    return _Rule(Kind.INT, field, _unsigned(bits), _integer(0, 2 * half - 1, 2 * half))


_STRING = _Rule(Kind.STRING, "string_value", _same, _text)
_RULES: dict[int, _Rule] = {
    DataType.INT8: _whole(8, signed=True),
    DataType.INT16: _whole(16, signed=True),
    DataType.INT32: _whole(32, signed=True),
    DataType.INT64: _whole(64, signed=True),
    DataType.UINT8: _whole(8, signed=False),
    DataType.UINT16: _whole(16, signed=False),
    DataType.UINT32: _whole(32, signed=False),
    DataType.UINT64: _whole(64, signed=False),
    DataType.FLOAT: _Rule(Kind.FLOAT, "float_value", _same, _single),
    DataType.DOUBLE: _Rule(Kind.FLOAT, "double_value", _same, _number),
    DataType.BOOLEAN: _Rule(Kind.BOOL, "boolean_value", _same, _truth),
    DataType.STRING: _STRING,
    # Milliseconds since 1970 UTC, signed, so that dates before it can be told.
    DataType.DATE_TIME: _whole(64, signed=True),
    DataType.TEXT: _STRING,
    DataType.UUID: _STRING,
}
_FIELDS = {
    Kind.INT: {"int_value", "long_value"},
    Kind.FLOAT: {"float_value", "double_value"},
    Kind.BOOL: {"boolean_value"},
    Kind.STRING: {"string_value"},
}
_READS = {
    (datatype, field): rule.read
    for datatype, rule in _RULES.items()
    for field in _FIELDS[rule.kind]
}
_NULL = bad("the edge node says null: it has no value")


def decode(data: bytes) -> Payload:
    """Return the payload; `Refused` for bytes that are none."""
    try:
        return Payload.FromString(data)
    except DecodeError as error:
        raise Refused(f"{len(data)} bytes are not a Sparkplug B payload") from error


def kind_of(datatype: int) -> Kind | None:
    """Return the kind of points that can hold it, or None for none."""
    rule = _RULES.get(datatype)
    return rule.kind if rule else None


def type_name(datatype: int) -> str:
    """Return the specification's name of a data type."""
    if datatype in DataType.__members__.values():
        words = DataType(datatype).name.title().replace("_", "")
        return words.replace("Uint", "UInt").replace("Uuid", "UUID")
    return f"data type {datatype}"


def value_of(metric: Metric, datatype: int) -> tuple[Value | None, Status]:
    """Return what a metric says, and whether it can be trusted."""
    field = metric.WhichOneof("value")
    if field is None or metric.is_null:
        return None, _NULL
    read = _READS.get((datatype, field))
    if read is None:
        return None, _unreadable(datatype, field)
    raw: Value = getattr(metric, field)
    try:
        value = read(raw)
    except ValueError as error:
        return None, bad(f"{raw} is not of type {type_name(datatype)}: {error}")
    if metric.HasField("properties"):
        return value, _quality(metric)
    return value, GOOD


def encode(metric: Metric, datatype: int, value: Value, field: str = "") -> None:
    """Put a value into a metric; `Refused` if the data type cannot hold it.

    Libraries differ in the field of a UInt32; `field` names the one that an edge node
    used itself. The specification's is int_value.
    """
    rule = _RULES.get(datatype)
    if rule is None:
        raise Refused(f"a metric of type {type_name(datatype)} cannot be written")
    try:
        raw = rule.check(value)
    except ValueError as error:
        raise Refused(
            f"{value!r} is not of type {type_name(datatype)}: {error}"
        ) from error
    metric.datatype = datatype
    wide = datatype == DataType.UINT32 and field == "long_value"
    setattr(metric, field if wide else rule.field, raw)


def property_of(metric: Metric, key: str) -> Value | None:
    """Return a scalar property of a metric, or None if it has none of this name."""
    keys = metric.properties.keys
    if key not in keys:
        return None
    position = list(keys).index(key)
    if position >= len(metric.properties.values):
        return None
    found = metric.properties.values[position]
    field = found.WhichOneof("value")
    value: Value | bytes | None = getattr(found, field) if field else None
    return None if isinstance(value, bytes) else value


def set_property(metric: Metric, key: str, value: str) -> None:
    """Add a text property to a metric."""
    metric.properties.keys.append(key)
    metric.properties.values.add(type=DataType.STRING, string_value=value)


def encode_null(metric: Metric, datatype: int) -> None:
    """Say that a metric has no value (tck-id-payloads-metric-datatype-value)."""
    metric.datatype = datatype
    metric.is_null = True


def set_quality(metric: Metric, quality: Quality) -> None:
    """Add the property Quality, which has three codes (6.4.13).

    (tck-id-payloads-propertyset-quality-value-type, -value-value)
    """
    metric.properties.keys.append(QUALITY)
    code = _CODES[quality]
    metric.properties.values.add(type=DataType.INT32, int_value=code)


def _unreadable(datatype: int, field: str) -> Status:
    if datatype in _RULES:
        return bad(f"a {type_name(datatype)} came as {field}; the edge node is wrong")
    return bad(
        f"type not supported: {type_name(datatype)}; a point holds a number, a truth "
        "value or text"
    )


def _quality(metric: Metric) -> Status:
    """Return what the property Quality means: 192 good, 500 stale, 0 bad (6.4.13).

    Other codes are taken as those of OPC, from which these come.
    """
    code = property_of(metric, QUALITY)
    if code is None or code == _GOOD_CODE:
        return GOOD
    if not isinstance(code, int):
        return uncertain(f"the edge node gives a quality that is no code: {code!r}")
    if code == _STALE_CODE:
        return uncertain("the edge node says that the value is stale (quality 500)")
    if code >= _LEAST_GOOD:
        return GOOD
    if code >= _LEAST_UNCERTAIN:
        return uncertain(f"the edge node doubts the value (quality {code})")
    return bad(f"the edge node says that the value is bad (quality {code})")
