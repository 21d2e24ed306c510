"""Readings as Arrow tables: how they lie in the store, and how they leave the house.

Only this file imports pyarrow. The columns of a table of readings:

    name     string     day   date32, UTC, by source time (the partition)
    time     timestamp[us, UTC], source time
    type     string     float, int, bool, string, or none without a value
    value    double     numbers, and bools as 0 or 1; null for strings and none
    integer  int64      only where a double cannot hold the integer exactly
    text     string     the value of type string
    quality  string     good, uncertain, bad
    reason   string     null when the quality is good
    unit     string
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from typing_extensions import Buffer, override

from lineshaft.core.frame import (
    KIND_BOOL,
    KIND_FLOAT,
    KIND_INT,
    KIND_NONE,
    KIND_STRING,
    Columns,
)
from lineshaft.core.reading import Quality, Status
from lineshaft.platform.historian.block import Block, Points

TYPES = ("none", "float", "int", "bool", "string")
_DAY_US = 86_400_000_000
_EXACT = 1 << 53
_GROUP = 1 << 17
_REPEATED = ["name", "type", "value", "text", "quality", "reason", "unit"]
SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("day", pa.date32()),
        ("time", pa.timestamp("us", "UTC")),
        ("type", pa.string()),
        ("value", pa.float64()),
        ("integer", pa.int64()),
        ("text", pa.string()),
        ("quality", pa.string()),
        ("reason", pa.string()),
        ("unit", pa.string()),
    ]
)
_DAY_COLUMN = 1
Table: TypeAlias = pa.Table


class FileFacts(NamedTuple):
    """What a file of the store has: rows, and names and source times at its ends."""

    rows: int
    names: list[str]
    times_us: list[int]


def to_table(block: Block, points: Points) -> Table:
    """Return the block as a table of `SCHEMA`, strings as dictionaries."""
    columns = block.columns
    used, name = np.unique(columns.point, return_inverse=True)
    names = [points.names[each] for each in used]
    units = [points.units[each] for each in used]
    whole = columns.kind == KIND_INT
    huge = whole & (np.abs(columns.bits.astype(np.float64)) >= _EXACT)
    numbers = columns.numbers()
    day = (columns.time // _DAY_US).astype(np.int32)
    arrays = [
        _dictionary(name, names),
        pa.array(day).cast(pa.date32()),
        pa.array(columns.time, pa.timestamp("us", "UTC")),
        _dictionary(columns.kind, TYPES),
        pa.array(numbers, mask=~(whole | _has_number(columns.kind))),
        pa.array(columns.bits, pa.int64(), mask=~huge),
        _texts(columns, block.texts),
        _dictionary(columns.status, [s.quality.value for s in block.statuses]),
        _dictionary(columns.status, [s.reason or None for s in block.statuses]),
        _dictionary(name, units),
    ]
    return pa.table(arrays, names=SCHEMA.names)


def from_table(table: Table, number: int = 0) -> Block:
    """Return a table's readings, all of them as readings of point `number`."""
    count = table.num_rows
    kind = _positions(table["type"], TYPES)
    integer = table["integer"]
    numbers = _filled(table["value"], 0.0)
    bits = numbers.view(np.int64).copy()
    huge = ~np.asarray(integer.is_null())
    whole = ((kind == KIND_INT) | (kind == KIND_BOOL)) & ~huge
    bits[whole] = numbers[whole].astype(np.int64)
    bits[huge] = _filled(integer, 0)[huge]
    texts, positions = _encoded(table["text"])
    strings = kind == KIND_STRING
    bits[strings] = positions[strings]
    bits[kind == KIND_NONE] = 0
    statuses, status = _statuses(table)
    columns = Columns(
        np.full(count, number, np.uint32),
        np.asarray(table["time"].cast(pa.int64())),
        kind.astype(np.uint8),
        bits,
        status,
    )
    return Block(columns, texts, statuses)


def names_of(table: Table) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct names of a table, and the position of each row's name."""
    names, positions = _encoded(table["name"])
    return list(names), positions


def table_columns(table: Table) -> dict[str, NDArray[np.float64]]:
    """Return the columns of numbers of a table; NaN for what is null.

    Times in microseconds lose nothing before the year 2255.
    """
    return {
        name: np.asarray(_number(table[name]))
        for name in table.column_names
        if name != "name"
    }


def _number(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.float64(), safe=False).fill_null(float("nan"))


def units_of(table: Table) -> list[str]:
    """Return the unit of each row."""
    units: list[str] = table["unit"].to_pylist()
    return [unit or "" for unit in units]


def as_table(arrow: object) -> Table:
    """Return whatever speaks the Arrow C interface as a table.

    Views of strings, which engines like and few functions take, become strings.
    """
    table = pa.table(arrow)
    fields = [
        field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def write_store_file(file: Path, tables: Iterator[Table], most: int) -> FileFacts:
    """Write tables of `SCHEMA`, until the file has about `most` bytes.

    The rows stay in the order of the tables; the file is on disk on return. The day
    is not written: it is in the name of the partition.
    """
    rows, names, times = 0, [], []
    with file.open("wb") as sink:
        with pq.ParquetWriter(
            sink,
            SCHEMA.remove(_DAY_COLUMN),
            compression="zstd",
            compression_level=3,
            use_dictionary=_REPEATED,
            # Times of a point follow each other at about the same distance.
            column_encoding={"time": "DELTA_BINARY_PACKED"},
        ) as writer:
            for table in tables:
                if not table.num_rows:
                    continue
                writer.write_table(table.drop_columns("day"), row_group_size=_GROUP)
                rows += table.num_rows
                names += [table["name"][0].as_py(), table["name"][-1].as_py()]
                span = pc.min_max(table["time"].cast(pa.int64())).as_py()
                times += [span["min"], span["max"]]
                if sink.tell() >= most:
                    break
        sink.flush()
        os.fsync(sink.fileno())
    return FileFacts(rows, names, times)


def for_export(table: Table) -> Table:
    """Return what leaves the house: one column for the value of each type."""
    return table.select(
        [
            "name",
            "time",
            "type",
            "value",
            "integer",
            "text",
            "quality",
            "reason",
            "unit",
        ]
    )


def parquet_parts(parts: Iterator[Table]) -> Iterator[bytes]:
    """Yield a Parquet file in parts."""
    yield from _written(parts, pq.ParquetWriter)


def arrow_parts(parts: Iterator[Table]) -> Iterator[bytes]:
    """Yield an Arrow IPC stream in parts."""
    yield from _written(parts, pa.ipc.new_stream)


def _written(
    parts: Iterator[Table],
    opener: Callable[..., Any],  # Any: the writers of pyarrow have no types
) -> Iterator[bytes]:
    sink = _Drain()
    with opener(sink, for_export(SCHEMA.empty_table()).schema) as writer:
        for part in parts:
            writer.write_table(for_export(part.cast(SCHEMA)))
            yield sink.take()
    yield sink.take()


class _Drain(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    @override
    def writable(self) -> bool:
        return True

    @override
    def tell(self) -> int:
        return self._written

    @override
    def write(self, data: Buffer, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _has_number(kind: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((kind == KIND_FLOAT) | (kind == KIND_BOOL), bool)


def _dictionary(
    positions: NDArray[np.integer], table: Sequence[str | None]
) -> pa.DictionaryArray:
    missing = np.array([each is None for each in table], np.bool_)[positions]
    return pa.DictionaryArray.from_arrays(
        pa.array(positions.astype(np.int32), mask=missing),
        pa.array([each or "" for each in table], pa.string()),
    )


def _texts(columns: Columns, texts: Sequence[str]) -> pa.DictionaryArray:
    strings = columns.kind == KIND_STRING
    positions = np.where(strings, columns.bits, 0).astype(np.int32)
    return pa.DictionaryArray.from_arrays(
        pa.array(positions, mask=~strings), pa.array(texts, pa.string())
    )


def _filled(column: pa.ChunkedArray, value: float) -> NDArray[np.generic]:
    return np.asarray(column.fill_null(value))


def _encoded(column: pa.ChunkedArray) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    positions = np.asarray(encoded.indices.fill_null(0)).astype(np.int64)
    return tuple(encoded.dictionary.to_pylist()), positions


def _positions(column: pa.ChunkedArray, table: Sequence[str]) -> NDArray[np.int64]:
    found, positions = _encoded(column)
    places = np.array([table.index(each) for each in found] or [0], np.int64)
    return places[positions] if len(positions) else positions


def _statuses(table: Table) -> tuple[tuple[Status, ...], NDArray[np.uint16]]:
    qualities, quality = _encoded(table["quality"])
    reasons, reason = _encoded(table["reason"].cast(pa.string()).fill_null(""))
    pairs, status = np.unique(
        quality * (len(reasons) + 1) + reason, return_inverse=True
    )
    statuses = tuple(
        Status(Quality(qualities[q]), reasons[r])
        for q, r in (divmod(int(pair), len(reasons) + 1) for pair in pairs)
    )
    return statuses, status.astype(np.uint16)
