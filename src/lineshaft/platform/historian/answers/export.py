"""How an export is written: each format as parts of bytes."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator

from lineshaft.core.reading import iso
from lineshaft.core.series import Format
from lineshaft.platform.historian.arrow import (
    Table,
    arrow_parts,
    from_table,
    names_of,
    parquet_parts,
    units_of,
)

FIELDS = ("name", "time", "value", "quality", "reason", "unit")
Row = tuple[object, ...]


def write(form: Format, parts: Iterable[Table]) -> Iterator[bytes]:
    """Yield a file: one part of bytes for each table, and what ends it."""
    writers: dict[Format, Callable[[Iterator[Table]], Iterator[bytes]]] = {
        Format.CSV: _csv,
        Format.JSON: _json,
        Format.PARQUET: parquet_parts,
        Format.ARROW: arrow_parts,
    }
    return writers[form](iter(parts))


def _csv(parts: Iterator[Table]) -> Iterator[bytes]:
    """RFC 4180, UTF-8; true and false in lower case as everywhere else."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(FIELDS)
    for part in parts:
        for name, time, value, *rest in _rows(part):
            shown = str(value).lower() if isinstance(value, bool) else value
            writer.writerow([name, time, shown, *rest])
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


def _json(parts: Iterator[Table]) -> Iterator[bytes]:
    opening = "["
    for part in parts:
        lines = []
        for row in _rows(part):
            name, time, value, *rest = row
            if isinstance(value, float) and not math.isfinite(value):
                value = None  # JSON has no word for it, and it is always BAD
            named = dict(zip(FIELDS, (name, time, value, *rest), strict=True))
            lines.append(opening + json.dumps(named, ensure_ascii=False))
            opening = ",\n"
        yield "".join(lines).encode()
    yield ("]\n" if opening != "[" else "[]\n").encode()


def _rows(table: Table) -> Iterator[Row]:
    block = from_table(table)
    names, positions = names_of(table)
    statuses = [(status.quality.value, status.reason) for status in block.statuses]
    columns = zip(
        positions.tolist(),
        block.columns.time.tolist(),
        block.columns.values(block.texts),
        block.columns.status.tolist(),
        units_of(table),
        strict=True,
    )
    for position, time, value, status, unit in columns:
        yield (names[position], iso(time), value, *statuses[status], unit)
