"""Values out of the bytes of OPC UA messages (IEC 62541-6, 5.2: UA Binary).

What cannot be a reading (arrays, structures) is skipped over exactly and told as BAD.
"""

import struct
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from asyncua.ua.status_codes import get_name_and_doc

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad, iso
from lineshaft.network.device import Batch

EPOCH_TICKS = 116_444_736_000_000_000
LAST_TICKS = 2_650_467_743_990_000_000
"""9999-12-31: from here on a DateTime means `never` (IEC 62541-6, 5.2.2.5)."""
TICKS_PER_US = 10
_DEEPEST = 20
_FIXED = {
    1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q",
    10: "f", 11: "d",
}  # fmt: skip
"""Built-in types whose values are Python numbers, by id (IEC 62541-6, 5.1.2)."""
_STRUCTS = {kind: struct.Struct("<" + code) for kind, code in _FIXED.items()}
_NULL, _DATETIME, _STATUS_CODE = 0, 13, 19
_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PS, _SERVER_PS = 1, 2, 4, 8, 16, 32
_ARRAY, _DIMENSIONS, _KIND = 0x80, 0x40, 0x3F
_U16, _U32 = struct.Struct("<H"), struct.Struct("<I")
_I32, _I64 = struct.Struct("<i"), struct.Struct("<q")
_OVERFLOW = 0x480
"""Info type DataValue with the bit Overflow (IEC 62541-4, 7.39.1)."""
_CODE, _SUB_CODE = 0xFFFF_0000, 0x0FFF_0000
_NAMELESS = {"Good", "Uncertain", "Bad"}
"""What the library calls codes that it does not know."""


class Malformed(Unreachable):
    """The bytes are not what OPC UA says they should be."""


class Faulty(Refused):
    """The answer is a bad StatusCode."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the server answered OPC UA {name_of(code)}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Unfit:
    """Something that was sent and cannot be the value of a reading."""

    reason: str


Scalar = Value | Unfit | None


@lru_cache(maxsize=4096)
def status_of(code: int) -> Status:
    """Return the status that a StatusCode means (IEC 62541-4, 7.39)."""
    if not code & _CODE:
        lost = code & _OVERFLOW == _OVERFLOW
        return Status(Quality.GOOD, "OPC UA Good, Overflow") if lost else GOOD
    quality = (Quality.GOOD, Quality.UNCERTAIN, Quality.BAD, Quality.BAD)[code >> 30]
    return Status(quality, f"OPC UA {name_of(code)}")


def name_of(code: int) -> str:
    """Return the symbolic name of a StatusCode, or its number if it has none."""
    name: str = get_name_and_doc(code & _CODE)[0]
    return f"0x{code:08X}" if name in _NAMELESS and code & _SUB_CODE else name


def us_of(ticks: int) -> int | None:
    """Return a DateTime as microseconds since 1970; None if it means no time."""
    if not 0 < ticks < LAST_TICKS:
        return None
    return (ticks - EPOCH_TICKS) // TICKS_PER_US


def data_value_at(data: bytes, at: int, handle: int, batch: Batch, now_us: int) -> int:
    """Take one DataValue (IEC 62541-6, 5.2.2.17); return where it ends."""
    mask = data[at]
    at += 1
    value: Scalar = None
    status, time_us = GOOD, None
    if mask & _VALUE:
        value, at = variant_at(data, at, 0)
    if mask & _STATUS:
        status = status_of(_U32.unpack_from(data, at)[0])
        at += 4
    for bit, fraction in ((_SOURCE, _SOURCE_PS), (_SERVER, _SERVER_PS)):
        if mask & bit:
            here = us_of(_I64.unpack_from(data, at)[0])
            time_us = here if time_us is None else time_us
            at += 8
        at += 2 if mask & fraction else 0
    if at > len(data):
        raise Malformed("the server sent a cut-off value")
    if isinstance(value, Unfit):
        status = status if status.quality is Quality.BAD else bad(value.reason)
        value = None
    elif value is None and status.quality is not Quality.BAD:
        status = bad("the server sent no value")
    batch.add(handle, value, now_us if time_us is None else time_us, status)
    return at


def variant_at(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    """Take a Variant (IEC 62541-6, 5.2.2.16); an array of one value is that value."""
    encoding = data[at]
    kind = encoding & _KIND
    if not encoding & _ARRAY:
        return scalar_at(data, at + 1, kind, depth)
    [count] = _I32.unpack_from(data, at + 1)
    value: Scalar = Unfit(f"it is an array of {max(count, 0)}; a point is one value")
    if count == 1:
        value, at = scalar_at(data, at + 5, kind, depth)
    else:
        at = _skip_array(data, at + 5, kind, count, depth)
    if encoding & _DIMENSIONS:
        _, at = numbers_at(data, at)
    return value, at


def _skip_array(data: bytes, at: int, kind: int, count: int, depth: int) -> int:
    if kind in _STRUCTS:
        return past(data, at, max(count, 0) * _STRUCTS[kind].size)
    if kind == _NULL and count > 0:
        # Each would take no byte at all, and there may be two billions of them.
        raise Malformed("the server sent an array of nothing")
    for _ in range(count):
        if at >= len(data):
            raise Malformed("the server sent a cut-off array")
        _, at = scalar_at(data, at, kind, depth)
    return at


def scalar_at(data: bytes, at: int, kind: int, depth: int) -> tuple[Scalar, int]:
    """Take a value of a built-in type; return it and where it ends."""
    form = _STRUCTS.get(kind)
    if form is not None:
        return form.unpack_from(data, at)[0], at + form.size
    if depth > _DEEPEST:
        raise Malformed("the server sent values within values without end")
    take = _TAKERS.get(kind, _take_bytes if kind else _take_nothing)
    return take(data, at, depth)


def past(data: bytes, at: int, length: int) -> int:
    """Return where `length` bytes from `at` end; `Malformed` if they are not there."""
    if length < 0 or at + length > len(data):
        raise Malformed("the server sent a length that leads out of its message")
    return at + length


def chunk_at(data: bytes, at: int) -> tuple[bytes | None, int]:
    """Take a ByteString (IEC 62541-6, 5.2.2.7)."""
    [length] = _I32.unpack_from(data, at)
    if length < 0:
        return None, at + 4
    end = past(data, at + 4, length)
    return data[at + 4 : end], end


def numbers_at(data: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """Take an array of UInt32."""
    [count] = _I32.unpack_from(data, at)
    count = max(count, 0)
    end = past(data, at + 4, 4 * count)
    return struct.unpack_from(f"<{count}I", data, at + 4), end


def text_at(data: bytes, at: int) -> tuple[str | None, int]:
    """Take a String (IEC 62541-6, 5.2.2.4)."""
    chunk, at = chunk_at(data, at)
    # Old devices send Latin-1; a strange letter must not cost the connection.
    return None if chunk is None else chunk.decode("utf-8", "replace"), at


def _take_nothing(_data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return None, at


def _take_text(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return text_at(data, at)


def _take_time(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    time_us = us_of(_I64.unpack_from(data, at)[0])
    return None if time_us is None else iso(time_us), at + 8


def _take_guid(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    end = past(data, at, 16)
    return str(UUID(bytes_le=data[at:end])), end


def _take_bytes(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    chunk, at = chunk_at(data, at)
    return None if chunk is None else chunk.hex(), at


def _take_code(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return name_of(_U32.unpack_from(data, at)[0]), at + 4


def _take_node_id(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return node_id_at(data, at)


def _take_qualified_name(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    [namespace] = _U16.unpack_from(data, at)
    name, at = text_at(data, at + 2)
    return (f"{namespace}:{name}" if namespace else name), at


def _take_localized_text(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    mask, text = data[at], None
    at += 1
    if mask & 1:
        _, at = text_at(data, at)
    if mask & 2:
        text, at = text_at(data, at)
    return text, at


def structure_at(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    """Skip an ExtensionObject (IEC 62541-6, 5.2.2.15)."""
    encoding, at = node_id_at(data, at)
    if data[at]:
        _, at = chunk_at(data, at + 1)
    else:
        at += 1
    return Unfit(f"it is a structure ({encoding}); a point is one value"), at


def _take_data_value(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    mask = data[at]
    at += 1
    if mask & _VALUE:
        _, at = variant_at(data, at, depth + 1)
    sizes = ((_STATUS, 4), (_SOURCE, 8), (_SOURCE_PS, 2), (_SERVER, 8), (_SERVER_PS, 2))
    at = past(data, at, sum(size for bit, size in sizes if mask & bit))
    return Unfit("it is a DataValue within a value; a point is one value"), at


def _take_variant(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    return variant_at(data, at, depth + 1)


def _take_diagnosis(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    """Skip a DiagnosticInfo (IEC 62541-6, 5.2.2.12)."""
    mask = data[at]
    at = past(data, at + 1, 4 * bin(mask & 0x0F).count("1"))
    if mask & 0x10:
        _, at = text_at(data, at)
    if mask & 0x20:
        at = past(data, at, 4)
    if mask & 0x40:
        _, at = scalar_at(data, at, 25, depth + 1)
    return Unfit("it is a DiagnosticInfo; a point is one value"), at


_TAKERS: dict[int, Callable[[bytes, int, int], tuple[Scalar, int]]] = {
    0: _take_nothing,
    12: _take_text,
    13: _take_time,
    14: _take_guid,
    15: _take_bytes,
    16: _take_text,
    17: _take_node_id,
    18: _take_node_id,
    19: _take_code,
    20: _take_qualified_name,
    21: _take_localized_text,
    22: structure_at,
    23: _take_data_value,
    24: _take_variant,
    25: _take_diagnosis,
}


def node_id_at(data: bytes, at: int) -> tuple[str, int]:
    """Take a NodeId or ExpandedNodeId as text (IEC 62541-6, 5.2.2.9, 5.1.12)."""
    encoding = data[at]
    namespace, identifier, at = _identifier(data, at + 1, encoding & 0x0F)
    prefix = f"ns={namespace};" if namespace else ""
    if encoding & 0x80:
        uri, at = text_at(data, at)
        prefix = f"nsu={uri};"
    if encoding & 0x40:
        [server] = _U32.unpack_from(data, at)
        prefix, at = f"svr={server};{prefix}", at + 4
    return prefix + identifier, at


def _identifier(data: bytes, at: int, form: int) -> tuple[int, str, int]:
    if form == 0:
        return 0, f"i={data[at]}", at + 1
    if form == 1:
        return data[at], f"i={_U16.unpack_from(data, at + 1)[0]}", at + 3
    [namespace] = _U16.unpack_from(data, at)
    if form == 2:  # noqa: PLR2004 (the forms are numbered by the standard)
        return namespace, f"i={_U32.unpack_from(data, at + 2)[0]}", at + 6
    if form == 4:  # noqa: PLR2004
        end = past(data, at + 2, 16)
        return namespace, f"g={UUID(bytes_le=data[at + 2 : end])}", end
    if form not in {3, 5}:
        raise Malformed("the server sent a node id of a form that there is not")
    chunk, end = chunk_at(data, at + 2)
    raw = chunk or b""
    if form == 3:  # noqa: PLR2004
        return namespace, f"s={raw.decode('utf-8', 'replace')}", end
    return namespace, f"b={b64encode(raw).decode()}", end
