"""Messages of OPC UA as far as they hold readings and events (IEC 62541-6, 5.2).

A notification may carry a thousand values, so values of fixed size in a row are taken
out as columns at once, and no object is made for a value.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.reading import GOOD
from lineshaft.network.device import Batch
from lineshaft.network.drivers.opcua.wire.values import (
    EPOCH_TICKS,
    LAST_TICKS,
    TICKS_PER_US,
    Faulty,
    Malformed,
    Scalar,
    data_value_at,
    node_id_at,
    numbers_at,
    past,
    scalar_at,
    status_of,
    structure_at,
    text_at,
    variant_at,
)

DATA_CHANGE, STATUS_CHANGE, EVENTS = 811, 820, 916
"""Binary encoding ids of the notifications that we ask for (IEC 62541-6, A.3)."""
_PUBLISH, _REPUBLISH, _READ = "i=829", "i=835", "i=634"
_FAULT = "i=397"
_RUN = 12
"""From so many alike values on, a column is cheaper than a loop."""
_NUMPY = {
    1: "?", 2: "<i1", 3: "<u1", 4: "<i2", 5: "<u2", 6: "<i4", 7: "<u4", 8: "<i8",
    9: "<u8", 10: "<f4", 11: "<f8",
}  # fmt: skip
_VALUE, _STATUS, _SOURCE, _SERVER, _SOURCE_PS, _SERVER_PS = 1, 2, 4, 8, 16, 32
_HEAD = struct.Struct("<IB")
_EVENT = struct.Struct("<Ii")
_U32, _I32 = struct.Struct("<I"), struct.Struct("<i")


@dataclass(frozen=True, slots=True)
class Published:
    """What one PublishResponse says (IEC 62541-4, 5.14.5)."""

    subscription: int
    sequence: int
    available: tuple[int, ...]
    notifications: tuple[tuple[int, int, int], ...]
    """Encoding id, start and end in the bytes of each notification."""


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
    available, at = numbers_at(body, at + 4)
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
        encoding, at = node_id_at(body, at)
        if body[at] != 1:
            raise Malformed("the server sent a notification that is not binary")
        [length] = _I32.unpack_from(body, at + 1)
        start, at = at + 5, past(body, at + 5, length)
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
            at = data_value_at(body, at, row, batch, now_us)
    except (struct.error, IndexError) as error:
        raise Malformed(f"the server sent a cut-off read response: {error}") from error
    return batch


def decode_events(body: bytes, start: int, end: int) -> list[tuple[int, list[Scalar]]]:
    """Return the client handle and the fields of each event that is told."""
    data = body[start:end]
    events: list[tuple[int, list[Scalar]]] = []
    try:
        [count] = _I32.unpack_from(data, 0)
        at = 4
        for _ in range(count):
            handle, width = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            fields: list[Scalar] = []
            for _ in range(width):
                field, at = variant_at(data, at, 0)
                fields.append(field)
            events.append((handle, fields))
    except (struct.error, IndexError) as error:
        raise Malformed(f"the server sent a cut-off event: {error}") from error
    return events


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
    return data_value_at(data, at + 4, handle, batch, now_us)


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
            known = (ticks > 0) & (ticks < LAST_TICKS)
            times[known] = (ticks[known] - EPOCH_TICKS) // TICKS_PER_US
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


def _open_answer(data: bytes, expected: str) -> int:
    """Return where the body of an answer begins, behind its ResponseHeader."""
    encoding, at = node_id_at(data, 0)
    if encoding not in {expected, _FAULT}:
        raise Malformed(f"the server gave an answer of the wrong sort, {encoding}")
    [code] = _U32.unpack_from(data, at + 12)
    if code >> 31:
        raise Faulty(code)
    _, at = scalar_at(data, at + 16, 25, 0)
    [count] = _I32.unpack_from(data, at)
    at += 4
    for _ in range(count):
        _, at = text_at(data, at)
    _, at = structure_at(data, at, 0)
    return at
