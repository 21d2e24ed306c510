"""Values on their way into a server: converted to the type that it wants."""

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from asyncua import ua

from lineshaft.core.errors import Refused
from lineshaft.core.reading import Value

_TYPES = ua.VariantType
_INTEGERS = {
    _TYPES.SByte: (-(2**7), 2**7 - 1),
    _TYPES.Byte: (0, 2**8 - 1),
    _TYPES.Int16: (-(2**15), 2**15 - 1),
    _TYPES.UInt16: (0, 2**16 - 1),
    _TYPES.Int32: (-(2**31), 2**31 - 1),
    _TYPES.UInt32: (0, 2**32 - 1),
    _TYPES.Int64: (-(2**63), 2**63 - 1),
    _TYPES.UInt64: (0, 2**64 - 1),
}
Raw: TypeAlias = (
    bool
    | int
    | float
    | str
    | bytes
    | datetime
    | UUID
    | ua.LocalizedText
    | ua.XmlElement
)
"""What the library takes as the value of a Variant of one value."""


def convert(value: Value, kind: ua.VariantType) -> Raw:
    """Return `value` as the type of a node; `Refused` says why it cannot be."""
    if kind is _TYPES.Boolean:
        return _truth(value)
    if kind in _INTEGERS:
        return _integer(value, kind)
    if kind in {_TYPES.Float, _TYPES.Double}:
        return _number(value, kind)
    parse = _PARSERS.get(kind)
    if parse is None:
        raise Refused(f"a value of OPC UA type {kind.name} cannot be written")
    if not isinstance(value, str):
        raise Refused(f"{value!r} is no text; the node is of type {kind.name}")
    try:
        return parse(value)
    except ValueError as error:
        raise Refused(f"{value!r} is no {kind.name}: {error}") from error


def _truth(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in {0, 1}:
        return bool(value)
    raise Refused(f"{value!r} is neither true nor false; the node is a Boolean")


def _integer(value: Value, kind: ua.VariantType) -> int:
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool | str) or not whole:
        raise Refused(f"{value!r} is no whole number; the node is of type {kind.name}")
    least, most = _INTEGERS[kind]
    if not least <= value <= most:
        raise Refused(f"{value!r} is not within {kind.name}, {least} to {most}")
    return int(value)


def _number(value: Value, kind: ua.VariantType) -> float:
    if isinstance(value, bool | str):
        raise Refused(f"{value!r} is no number; the node is of type {kind.name}")
    try:
        number = float(value)
        if kind is _TYPES.Float:
            struct.pack("<f", number)
    except OverflowError as error:
        raise Refused(f"{value!r} is too large for the type {kind.name}") from error
    if not math.isfinite(number):
        raise Refused(f"{value!r} is no number that a machine should get")
    return number


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # The library takes times without a zone, in UTC.
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


def _localized(text: str) -> ua.LocalizedText:
    return ua.LocalizedText(text)


def _xml(text: str) -> ua.XmlElement:
    return ua.XmlElement(text)


_PARSERS: dict[ua.VariantType, Callable[[str], Raw]] = {
    _TYPES.String: str,
    _TYPES.XmlElement: _xml,
    _TYPES.LocalizedText: _localized,
    _TYPES.DateTime: _time,
    _TYPES.Guid: UUID,
    _TYPES.ByteString: bytes.fromhex,
}
