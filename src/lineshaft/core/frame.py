"""A frame: many readings of one device, as columns. What travels and what is kept.

In memory a frame is a handful of numpy arrays of equal length n, with small tables
beside them, so that nothing on a hot path makes an object per value:

    point   uint32  position in `names` and `units`
    time    int64   source time, microseconds since 1970 UTC
    kind    uint8   what `bits` holds: one of the `KIND_` numbers
    bits    int64   float: its IEEE 754 bits; int: itself; bool: 0 or 1;
                    string: position in `texts`; none: 0
    status  uint16  position in `statuses`

On the wire it is MessagePack of the tables and of the columns as little-endian bytes,
compressed with Zstandard (RFC 8878). docs/decisions/0003-frame-encoding.md has the
measurement behind that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import zstandard
from numpy.typing import NDArray

from lineshaft.core.errors import Refused
from lineshaft.core.reading import Quality, Reading, Status, Value

KIND_NONE, KIND_FLOAT, KIND_INT, KIND_BOOL, KIND_STRING = range(5)
KIND_OF: dict[type, int] = {
    type(None): KIND_NONE,
    float: KIND_FLOAT,
    int: KIND_INT,
    bool: KIND_BOOL,
    str: KIND_STRING,
}
MOST_READINGS = 1_000_000
IMPORTS = "import/"
"""Begins the device name of frames that were made from a file."""
LARGEST = 64 << 20
"""Bytes of an unpacked frame; more is refused before memory is spent on it."""

_VERSION = 1
_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of readings, without the tables that their positions lead to."""

    point: NDArray[np.uint32]
    time: NDArray[np.int64]
    kind: NDArray[np.uint8]
    bits: NDArray[np.int64]
    status: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Columns":
        """Return only those rows."""
        return Columns(
            self.point[rows],
            self.time[rows],
            self.kind[rows],
            self.bits[rows],
            self.status[rows],
        )

    def numbers(self) -> NDArray[np.float64]:
        """Return each value as a float; NaN for strings and where there is none."""
        return numbers_of(self.kind, self.bits, np.empty(len(self)))

    def values(self, texts: Sequence[str]) -> list[Value | None]:
        """Return each value as it was said."""
        floats = self.bits.view(np.float64).tolist()
        whole = self.bits.tolist()
        read: dict[int, Callable[[int], Value | None]] = {
            KIND_NONE: lambda _: None,
            KIND_FLOAT: lambda row: float(floats[row]),
            KIND_INT: lambda row: int(whole[row]),
            KIND_BOOL: lambda row: bool(whole[row]),
            KIND_STRING: lambda row: texts[whole[row]],
        }
        return [read[kind](row) for row, kind in enumerate(self.kind.tolist())]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Readings of one device, published together; equal if their wire form is."""

    device: str
    epoch: str
    """Which life of the publisher made it."""
    number: int
    """Counts up by one per device and epoch; a number is never used twice."""
    names: tuple[str, ...]
    units: tuple[str, ...]
    texts: tuple[str, ...]
    statuses: tuple[Status, ...]
    columns: Columns

    @property
    def id(self) -> str:
        """Return what makes publishing it again harmless."""
        return f"{self.device}:{self.epoch}:{self.number}"

    @property
    def is_import(self) -> bool:
        """Whether it tells the past, from a file, and not what happens now."""
        return self.device.startswith(IMPORTS)

    def __len__(self) -> int:
        return len(self.columns)

    def readings(self) -> Iterator[Reading]:
        """Yield each reading as an object; for people and tests, not for hot paths."""
        columns = self.columns
        rows = zip(
            columns.point.tolist(),
            columns.values(self.texts),
            columns.status.tolist(),
            columns.time.tolist(),
            strict=True,
        )
        for point, value, status, time in rows:
            name, unit = self.names[point], self.units[point]
            yield Reading(name, value, self.statuses[status], time, unit)


def numbers_of(
    kind: NDArray[np.uint8], bits: NDArray[np.int64], into: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `into` with each value as a float; NaN where there is no number."""
    np.copyto(into, bits.view(np.float64))
    whole = (kind == KIND_INT) | (kind == KIND_BOOL)
    into[whole] = bits[whole]
    into[(kind == KIND_NONE) | (kind == KIND_STRING)] = np.nan
    return into


def pack_values(
    values: Sequence[Value | None],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Return the columns `kind` and `bits` of the values, and their table of texts.

    A number outside the 64-bit signed integers is kept as the nearest float.
    """
    kinds = [KIND_OF[type(value)] for value in values]
    kind = np.array(kinds, np.uint8)
    if kinds and kinds.count(KIND_FLOAT) == len(kinds):
        return kind, np.array(values, np.float64).view(np.int64), ()
    texts: dict[str, int] = {}
    bits = np.zeros(len(values), np.int64)
    floats = bits.view(np.float64)
    for row, value in enumerate(values):
        if isinstance(value, str):
            bits[row] = texts.setdefault(value, len(texts))
        elif isinstance(value, float):
            floats[row] = value
        elif value is None:
            continue
        elif value in _INT64:
            bits[row] = value
        else:
            floats[row] = float(value)
            kind[row] = KIND_FLOAT
    return kind, bits, tuple(texts)


class _Wire(msgspec.Struct, array_like=True):
    version: int
    device: str
    epoch: str
    number: int
    names: tuple[str, ...]
    units: tuple[str, ...]
    texts: tuple[str, ...]
    statuses: tuple[tuple[Quality, str], ...]
    point: bytes
    time: bytes
    kind: bytes
    bits: bytes
    status: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)
_COLUMN_TYPES: dict[str, np.dtype[Any]] = {  # Any: one of three integer types
    "point": np.dtype("<u4"),
    "time": np.dtype("<i8"),
    "kind": np.dtype("u1"),
    "bits": np.dtype("<i8"),
    "status": np.dtype("<u2"),
}


def encode_frame(frame: Frame) -> bytes:
    """Return the wire form of the frame."""
    columns = {
        name: getattr(frame.columns, name).astype(kind, copy=False).tobytes()
        for name, kind in _COLUMN_TYPES.items()
    }
    wire = _Wire(
        _VERSION,
        frame.device,
        frame.epoch,
        frame.number,
        frame.names,
        frame.units,
        frame.texts,
        frame.statuses,
        **columns,
    )
    return zstandard.ZstdCompressor(level=1).compress(_encoder.encode(wire))


def decode_frame(data: bytes) -> Frame:
    """Return the frame whose wire form `data` is; `Refused` for anything else."""
    try:
        wire = _decoder.decode(_unpack(data))
    except (
        zstandard.ZstdError,
        msgspec.MsgspecError,
        UnicodeDecodeError,
        RecursionError,
    ) as error:
        raise Refused(f"this is not a frame: {error}") from error
    if wire.version != _VERSION:
        raise Refused(f"frame version {wire.version} is unknown, this is {_VERSION}")
    columns = _columns_of(wire)
    _check(wire, columns)
    statuses = tuple(Status(quality, reason) for quality, reason in wire.statuses)
    return Frame(
        wire.device,
        wire.epoch,
        wire.number,
        wire.names,
        wire.units,
        wire.texts,
        statuses,
        columns,
    )


def _unpack(data: bytes) -> bytes:
    size = zstandard.frame_content_size(data)
    if not 0 < size <= LARGEST:
        raise Refused(f"this is not a frame: it says that it unpacks to {size} bytes")
    return zstandard.ZstdDecompressor().decompress(data)


def _columns_of(wire: _Wire) -> Columns:
    arrays = []
    for name, kind in _COLUMN_TYPES.items():
        raw: bytes = getattr(wire, name)
        if len(raw) % kind.itemsize:
            raise Refused(f"frame of {wire.device!r}: column {name} is cut off")
        arrays.append(np.frombuffer(raw, kind))
    return Columns(*arrays)


def _check(wire: _Wire, columns: Columns) -> None:
    """Refuse positions that lead nowhere, so that no reader has to look again."""
    count = len(columns)
    lengths = {len(getattr(columns, name)) for name in _COLUMN_TYPES}
    if lengths != {count} or count > MOST_READINGS:
        raise Refused(f"frame of {wire.device!r}: columns differ in length")
    if len(wire.names) != len(wire.units):
        raise Refused(f"frame of {wire.device!r}: names and units differ in number")
    if not count:
        return
    text_rows = columns.bits[columns.kind == KIND_STRING]
    in_tables = (
        columns.point.max() < len(wire.names)
        and columns.status.max() < len(wire.statuses)
        and columns.kind.max() <= KIND_STRING
        and (not len(text_rows) or _inside(text_rows, len(wire.texts)))
    )
    if not in_tables:
        raise Refused(f"frame of {wire.device!r}: a position leads out of its table")


def _inside(positions: NDArray[np.int64], size: int) -> bool:
    return bool(positions.min() >= 0 and positions.max() < size)
