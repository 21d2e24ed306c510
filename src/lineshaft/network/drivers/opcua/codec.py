"""Readings out of the bytes of OPC UA messages (IEC 62541-6, 5.2: UA Binary).

A notification may carry a thousand values, so values of fixed size in a row are taken
out as columns at once, and no object is made for a value. What cannot be a reading
(arrays, structures) is skipped over exactly and told as BAD.
"""

import struct
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import numpy as np
from asyncua.ua.status_codes import get_name_and_doc
from numpy.typing import NDArray

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad, iso
from lineshaft.network.device import Batch

DATA_CHANGE, STATUS_CHANGE = 811, 820
"""Binary encoding ids of the notifications that we ask for (IEC 62541-6, A.3)."""
_PUBLISH, _REPUBLISH, _READ = "i=829", "i=835", "i=634"
_FAULT = "i=397"
_EPOCH_TICKS = 116_444_736_000_000_000
_LAST_TICKS = 2_650_467_743_990_000_000
"""9999-12-31: from here on a DateTime means `never` (IEC 62541-6, 5.2.2.5)."""
_TICKS_PER_US = 10
_DEEPEST = 20
_RUN = 12
"""From so many alike values on, a column is cheaper than a loop."""
_FIXED = {
    1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q",
    10: "f", 11: "d",
}  # fmt: skip
"""Built-in types whose values are Python numbers, by id (IEC 62541-6, 5.1.2)."""
_NUMPY = {
    1: "?", 2: "<i1", 3: "<u1", 4: "<i2", 5: "<u2", 6: "<i4", 7: "<u4", 8: "<i8",
    9: "<u8", 10: "<f4", 11: "<f8",
}  # fmt: skip
_STRUCTS = {kind: struct.Struct("<" + code) for kind, code in _FIXED.items()}
_DATETIME, _STATUS_CODE = 13, 19
_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PS, _SERVER_PS = 1, 2, 4, 8, 16, 32
_ARRAY, _DIMENSIONS, _KIND = 0x80, 0x40, 0x3F
_HEAD = struct.Struct("<IB")
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


@dataclass(frozen=True, slots=True)
class Published:
    """What one PublishResponse says (IEC 62541-4, 5.14.5)."""

    subscription: int
    sequence: int
    available: tuple[int, ...]
    notifications: tuple[tuple[int, int, int], ...]
    """Encoding id, start and end in the bytes of each notification."""


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
    if not 0 < ticks < _LAST_TICKS:
        return None
    return (ticks - _EPOCH_TICKS) // _TICKS_PER_US


def decode_published(body: bytes) -> Published:
    """Return what a PublishResponse says, its notifications not yet decoded."""
    try:
        return _decode_published(body)
    except (struct.error, IndexError) as error:
        raise Malformed(f"the server sent a cut-off publish response: {error}") from (
            error
        )


def decode_message(body: bytes) -> Published:
    """Return what a RepublishResponse says, as if it had been published."""
    try:
        at = _open_answer(body, _REPUBLISH)
        sequence, notifications = _notification_message(body, at)
    except (struct.error, IndexError) as error:
        raise Malformed(f"the server sent a cut-off republish: {error}") from error
    return Published(0, sequence, (), notifications)


def _decode_published(body: bytes) -> Published:
    at = _open_answer(body, _PUBLISH)
    [subscription] = _U32.unpack_from(body, at)
    available, at = _numbers(body, at + 4)
    # A byte tells whether more waits; our requests are there for it anyway.
    sequence, notifications = _notification_message(body, at + 1)
    return Published(subscription, sequence, available, notifications)


def _notification_message(
    body: bytes, at: int
) -> tuple[int, tuple[tuple[int, int, int], ...]]:
    [sequence] = _U32.unpack_from(body, at)
    [count] = _I32.unpack_from(body, at + 12)
    at += 16
    notifications = []
    for _ in range(count):
        encoding, at = _node_id(body, at)
        if body[at] != 1:
            raise Malformed("the server sent a notification that is not binary")
        [length] = _I32.unpack_from(body, at + 1)
        start, at = at + 5, _past(body, at + 5, length)
        number = int(encoding.removeprefix("i=")) if encoding[:2] == "i=" else 0
        notifications.append((number, start, at))
    return sequence, tuple(notifications)


def decode_status_change(body: bytes, start: int) -> int:
    """Return the code of a StatusChangeNotification (IEC 62541-4, 7.25.4)."""
    try:
        return int(_U32.unpack_from(body, start)[0])
    except struct.error as error:
        raise Malformed("the server sent a cut-off status change") from error


def decode_changes(body: bytes, start: int, end: int, now_us: int) -> Batch:
    """Return the values of a DataChangeNotification, in the order in which they are.

    `points` are the client handles. A value without any time gets `now_us`.
    """
    batch = Batch()
    data = body[start:end]
    try:
        [count] = _I32.unpack_from(data, 0)
        at = 4
        while len(batch) < count:
            at = _take(data, at, count - len(batch), batch, now_us)
    except (struct.error, IndexError) as error:
        raise Malformed(f"the server sent a cut-off data change: {error}") from error
    return batch


def decode_values(body: bytes, now_us: int) -> Batch:
    """Return the values of a ReadResponse; `points` count from 0."""
    batch = Batch()
    try:
        at = _open_answer(body, _READ)
        [count] = _I32.unpack_from(body, at)
        at += 4
        for row in range(count):
            at = _data_value(body, at, row, batch, now_us)
    except (struct.error, IndexError) as error:
        raise Malformed(f"the server sent a cut-off read response: {error}") from error
    return batch


def _take(data: bytes, at: int, left: int, batch: Batch, now_us: int) -> int:
    """Take one or many values; return where the next one is."""
    if left >= _RUN and data[at + 4] & _VALUE:
        layout = _layout(data[at + 4], data[at + 5])
        if layout is not None:
            there = min(left, (len(data) - at) // layout.itemsize)
            ahead = at + (_RUN - 1) * layout.itemsize
            if there >= _RUN and data[ahead + 4 : ahead + 6] == data[at + 4 : at + 6]:
                rows = np.frombuffer(data, layout, there, at)
                return at + _take_run(rows, batch, now_us)
    handle, _ = _HEAD.unpack_from(data, at)
    return _data_value(data, at + 4, handle, batch, now_us)


def _take_run(rows: NDArray[np.void], batch: Batch, now_us: int) -> int:
    """Take the leading rows of the same sort; return how many bytes they fill."""
    alike = (rows["mask"] == rows["mask"][0]) & (rows["kind"] == rows["kind"][0])
    if not alike.all():
        rows = rows[: int(alike.argmin())]
    names = rows.dtype.names or ()
    batch.points += rows["handle"].tolist()
    batch.values += rows["value"].tolist()
    if "status" in names and rows["status"].any():
        batch.statuses += [status_of(code) for code in rows["status"].tolist()]
    else:
        batch.statuses += [GOOD] * len(rows)
    batch.times += _times(rows, names, now_us).tolist()
    return len(rows) * rows.dtype.itemsize


def _times(
    rows: NDArray[np.void], names: tuple[str, ...], now_us: int
) -> NDArray[np.int64]:
    times = np.full(len(rows), now_us, np.int64)
    for name in ("server", "source"):
        if name in names:
            ticks = rows[name]
            known = (ticks > 0) & (ticks < _LAST_TICKS)
            times[known] = (ticks[known] - _EPOCH_TICKS) // _TICKS_PER_US
    return times


@lru_cache(maxsize=1024)
def _layout(mask: int, kind: int) -> np.dtype[np.void] | None:
    """Return how values of one sort lie, if all of that sort have the same size."""
    if kind not in _NUMPY or mask >= 2 * _SERVER_PS:
        return None
    fields = [("handle", "<u4"), ("mask", "u1"), ("kind", "u1")]
    fields.append(("value", _NUMPY[kind]))
    parts = (
        (_STATUS, "status", "<u4"),
        (_SOURCE, "source", "<i8"),
        (_SOURCE_PS, "source_ps", "<u2"),
        (_SERVER, "server", "<i8"),
        (_SERVER_PS, "server_ps", "<u2"),
    )
    fields += [(name, form) for bit, name, form in parts if mask & bit]
    return np.dtype(fields)


def _data_value(data: bytes, at: int, handle: int, batch: Batch, now_us: int) -> int:
    """Take one DataValue (IEC 62541-6, 5.2.2.17); return where it ends."""
    mask = data[at]
    at += 1
    value: Scalar = None
    status, time_us = GOOD, None
    if mask & _VALUE:
        value, at = _variant(data, at, 0)
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


def _variant(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    """Take a Variant (IEC 62541-6, 5.2.2.16)."""
    encoding = data[at]
    kind = encoding & _KIND
    if not encoding & _ARRAY:
        return _scalar(data, at + 1, kind, depth)
    [count] = _I32.unpack_from(data, at + 1)
    at = _skip_array(data, at + 5, kind, count, depth)
    if encoding & _DIMENSIONS:
        _, at = _numbers(data, at)
    return Unfit(f"it is an array of {max(count, 0)}; a point is one value"), at


def _skip_array(data: bytes, at: int, kind: int, count: int, depth: int) -> int:
    if kind in _STRUCTS:
        return _past(data, at, max(count, 0) * _STRUCTS[kind].size)
    for _ in range(count):
        if at >= len(data):
            raise Malformed("the server sent a cut-off array")
        _, at = _scalar(data, at, kind, depth)
    return at


def _scalar(data: bytes, at: int, kind: int, depth: int) -> tuple[Scalar, int]:
    form = _STRUCTS.get(kind)
    if form is not None:
        return form.unpack_from(data, at)[0], at + form.size
    if depth > _DEEPEST:
        raise Malformed("the server sent values within values without end")
    take = _TAKERS.get(kind, _take_bytes if kind else _take_nothing)
    return take(data, at, depth)


def _past(data: bytes, at: int, length: int) -> int:
    if length < 0 or at + length > len(data):
        raise Malformed("the server sent a length that leads out of its message")
    return at + length


def _chunk(data: bytes, at: int) -> tuple[bytes | None, int]:
    [length] = _I32.unpack_from(data, at)
    if length < 0:
        return None, at + 4
    end = _past(data, at + 4, length)
    return data[at + 4 : end], end


def _numbers(data: bytes, at: int) -> tuple[tuple[int, ...], int]:
    [count] = _I32.unpack_from(data, at)
    count = max(count, 0)
    end = _past(data, at + 4, 4 * count)
    return struct.unpack_from(f"<{count}I", data, at + 4), end


def _text(data: bytes, at: int) -> tuple[str | None, int]:
    chunk, at = _chunk(data, at)
    # Old devices send Latin-1; a strange letter must not cost the connection.
    return None if chunk is None else chunk.decode("utf-8", "replace"), at


def _take_nothing(_data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return None, at


def _take_text(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return _text(data, at)


def _take_time(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    time_us = us_of(_I64.unpack_from(data, at)[0])
    return None if time_us is None else iso(time_us), at + 8


def _take_guid(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    end = _past(data, at, 16)
    return str(UUID(bytes_le=data[at:end])), end


def _take_bytes(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    chunk, at = _chunk(data, at)
    return None if chunk is None else chunk.hex(), at


def _take_code(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return name_of(_U32.unpack_from(data, at)[0]), at + 4


def _take_node_id(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    return _node_id(data, at)


def _take_qualified_name(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    [namespace] = _U16.unpack_from(data, at)
    name, at = _text(data, at + 2)
    return (f"{namespace}:{name}" if namespace else name), at


def _take_localized_text(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    mask, text = data[at], None
    at += 1
    if mask & 1:
        _, at = _text(data, at)
    if mask & 2:
        text, at = _text(data, at)
    return text, at


def _take_structure(data: bytes, at: int, _depth: int) -> tuple[Scalar, int]:
    encoding, at = _node_id(data, at)
    if data[at]:
        _, at = _chunk(data, at + 1)
    else:
        at += 1
    return Unfit(f"it is a structure ({encoding}); a point is one value"), at


def _take_data_value(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    mask = data[at]
    at += 1
    if mask & _VALUE:
        _, at = _variant(data, at, depth + 1)
    sizes = ((_STATUS, 4), (_SOURCE, 8), (_SOURCE_PS, 2), (_SERVER, 8), (_SERVER_PS, 2))
    at = _past(data, at, sum(size for bit, size in sizes if mask & bit))
    return Unfit("it is a DataValue within a value; a point is one value"), at


def _take_variant(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    return _variant(data, at, depth + 1)


def _take_diagnosis(data: bytes, at: int, depth: int) -> tuple[Scalar, int]:
    """Skip a DiagnosticInfo (IEC 62541-6, 5.2.2.12)."""
    mask = data[at]
    at = _past(data, at + 1, 4 * bin(mask & 0x0F).count("1"))
    if mask & 0x10:
        _, at = _text(data, at)
    if mask & 0x20:
        at = _past(data, at, 4)
    if mask & 0x40:
        _, at = _scalar(data, at, 25, depth + 1)
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
    22: _take_structure,
    23: _take_data_value,
    24: _take_variant,
    25: _take_diagnosis,
}


def _node_id(data: bytes, at: int) -> tuple[str, int]:
    """Take a NodeId or ExpandedNodeId as text (IEC 62541-6, 5.2.2.9, 5.1.12)."""
    encoding = data[at]
    namespace, identifier, at = _identifier(data, at + 1, encoding & 0x0F)
    prefix = f"ns={namespace};" if namespace else ""
    if encoding & 0x80:
        uri, at = _text(data, at)
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
        end = _past(data, at + 2, 16)
        return namespace, f"g={UUID(bytes_le=data[at + 2 : end])}", end
    if form not in {3, 5}:
        raise Malformed("the server sent a node id of a form that there is not")
    chunk, end = _chunk(data, at + 2)
    raw = chunk or b""
    if form == 3:  # noqa: PLR2004
        return namespace, f"s={raw.decode('utf-8', 'replace')}", end
    return namespace, f"b={b64encode(raw).decode()}", end


def _open_answer(data: bytes, expected: str) -> int:
    """Return where the body of an answer begins, behind its ResponseHeader."""
    encoding, at = _node_id(data, 0)
    if encoding not in {expected, _FAULT}:
        raise Malformed(f"the server gave an answer of the wrong sort, {encoding}")
    [code] = _U32.unpack_from(data, at + 12)
    if code >> 31:
        raise Faulty(code)
    _, at = _scalar(data, at + 16, 25, 0)
    [count] = _I32.unpack_from(data, at)
    at += 4
    for _ in range(count):
        _, at = _text(data, at)
    _, at = _take_structure(data, at, 0)
    return at
