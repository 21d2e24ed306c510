"""Point lists: CSV files beside lineshaft.toml, edited in a spreadsheet."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from lineshaft.core.errors import ConfigError
from lineshaft.core.name import check_name, did_you_mean
from lineshaft.core.point import Kind, Point

COLUMNS = (
    "name",
    "address",
    "type",
    "unit",
    "scale",
    "offset",
    "deadband",
    "period",
    "description",
    "writable",
    "source_unit",
)
COMPUTED = ("name", "expression", "type", "unit", "deadband", "description")
WRITTEN = COLUMNS[:-1]
"""What `write_points` writes: the unit of a device that was looked at is kept."""
_PERIOD = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_YES_NO = {
    "yes": True,
    "true": True,
    "1": True,
    "no": False,
    "false": False,
    "0": False,
}
_KINDS = {kind.value: kind for kind in Kind}
_SOURCE_UNIT = "source_unit"
_ADDRESSES = {"address", "expression"}
_REQUIRED = {"name", *_ADDRESSES}
_FEWEST = 2


@dataclass(slots=True)
class PointList:
    """The good rows of a file, where each stands, and what is wrong with the rest."""

    points: list[Point] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_points(
    file: Path,
    check_address: Callable[[str], None],
    known: tuple[str, ...] = COLUMNS,
) -> PointList:
    """Read a point list; every problem names file, line and column.

    `known` are the columns that there may be; the first two must be. The separator is
    a comma, a semicolon or a tab, whichever the first line has.
    """
    found = PointList()
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        found.problems.append(f"{file}: cannot be read: {error.strerror}")
        return found
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found.problems.append(
            f"{file}:{line}: is not UTF-8 text; save it as 'CSV UTF-8' in your "
            "spreadsheet program"
        )
        return found
    rows = _rows(file, text, found.problems)
    columns = _header(file, next(rows, (1, [])), known, found.problems)
    if columns is None:
        return found
    for line, cells in rows:
        if any(cells):
            _take_row(_Row(file, line, cells, columns), check_address, found)
    return found


def write_points(file: Path, points: list[Point]) -> None:
    """Write a point list in the form that `read_points` reads."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(WRITTEN)
        for point in points:
            writer.writerow(
                [
                    point.name,
                    point.address,
                    point.type.value,
                    point.unit,
                    f"{point.scale:g}",
                    f"{point.offset:g}",
                    f"{point.deadband:g}",
                    f"{point.period_s:g}",
                    point.description,
                    "yes" if point.writable else "no",
                ]
            )


def _rows(
    file: Path, text: str, problems: list[str]
) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line on which it ends."""
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = io.StringIO(text, newline="")
    # Strict: a quote that nobody closes would swallow all points that follow.
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    begins = 1
    try:
        for cells in reader:
            yield reader.line_num, [cell.strip() for cell in cells]
            begins = reader.line_num + 1
    except csv.Error as error:
        problems.append(
            f"{file}:{begins}: is not CSV from here on: {error}; look for a quote "
            "that is not closed, and write two for one inside a text"
        )


def _header(
    file: Path,
    first: tuple[int, list[str]],
    known: tuple[str, ...],
    problems: list[str],
) -> tuple[str, ...] | None:
    columns = tuple(cell.lower() for cell in first[1])
    faults = [
        f"{file}:1:{position}: there is no column {column!r}"
        + (did_you_mean(column, list(known)) or f"; columns are {', '.join(known)}")
        for position, column in enumerate(columns, 1)
        if column not in known
    ]
    faults += [
        f"{file}:1:{columns.index(column) + 1}: column {column!r} stands there twice"
        for column in set(columns)
        if columns.count(column) > 1
    ]
    faults += [
        f"{file}:1: the column {column!r} is missing"
        for column in known[:2]
        if column not in columns
    ]
    problems.extend(faults)
    return None if faults else columns


@dataclass(slots=True)
class _Row:
    file: Path
    line: int
    cells: list[str]
    columns: tuple[str, ...]

    def problem(self, column: str, text: str) -> str:
        position = self.columns.index(column) + 1
        return f"{self.file}:{self.line}:{position}: {column}: {text}"


def _take_row(
    row: _Row, check_address: Callable[[str], None], found: PointList
) -> None:
    if not _FEWEST <= len(row.cells) <= len(row.columns):
        found.problems.append(
            f"{row.file}:{row.line}: has {len(row.cells)} cells, the header has "
            f"{len(row.columns)}; put text that holds a separator in quotes"
        )
        return
    values: dict[str, object] = {}
    faults: list[str] = []
    for column, cell in zip(row.columns, row.cells, strict=False):
        try:
            if cell or column in _REQUIRED:
                field_name, read = _READ[column]
                values[field_name] = read(cell)
            if column in _ADDRESSES:
                check_address(cell)
        except ConfigError as error:
            faults += [row.problem(column, text) for text in error.problems]
    if _SOURCE_UNIT in values and not faults:
        faults += _convert(row, values)
    if faults:
        found.problems += faults
        return
    found.points.append(Point(**values))  # type: ignore[arg-type]  # read by column
    found.lines.append(row.line)


def _convert(row: _Row, values: dict[str, object]) -> list[str]:
    """Let `scale` and `offset` lead to the plant's unit; return what is wrong.

    The columns `scale` and `offset` lead from the raw value to the source unit; the
    deadband is in the plant's unit already.
    """
    # It takes half a second to import, which most point lists do not need.
    from lineshaft.settings.units import conversion  # noqa: PLC0415

    source, unit = str(values.pop(_SOURCE_UNIT)), str(values.get("unit", ""))
    if values.get("type", Kind.FLOAT) not in {Kind.FLOAT, Kind.INT}:
        return [row.problem(_SOURCE_UNIT, "only a float or an int can be converted")]
    if not unit:
        text = "needs the column 'unit': what the plant sees"
        return [row.problem(_SOURCE_UNIT, text)]
    try:
        factor, shift = conversion(source, unit)
    except ConfigError as error:
        return [row.problem(_SOURCE_UNIT, text) for text in error.problems]
    scale, offset = values.get("scale", 1.0), values.get("offset", 0.0)
    if isinstance(scale, float) and isinstance(offset, float):
        values["scale"], values["offset"] = scale * factor, offset * factor + shift
    return []


def _text(cell: str) -> str:
    return cell


def _address(cell: str) -> str:
    if not cell:
        raise ConfigError("is empty; write where the value is in the device")
    return cell


def _expression(cell: str) -> str:
    if not cell:
        raise ConfigError("is empty; write what the point is computed from")
    return cell


def _number(cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        hint = f"; write {cell.replace(',', '.')}" if "," in cell else ""
        raise ConfigError(f"{cell!r} is not a number{hint}") from None
    if not abs(number) < float("inf"):
        raise ConfigError(f"{cell!r} is not a finite number")
    return number


def _scale(cell: str) -> float:
    number = _number(cell)
    if number == 0:
        raise ConfigError("0 would lose every value; write 1 to leave it as it is")
    return number


def _deadband(cell: str) -> float:
    number = _number(cell)
    if number < 0:
        raise ConfigError(f"{cell!r} is negative; it is the smallest change reported")
    return number


def _period(cell: str) -> float:
    match = _PERIOD.fullmatch(cell)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise ConfigError(f"{cell!r} is not a period; write 0.5, 500ms, 10s or 1m")
    return seconds


def _type(cell: str) -> Kind:
    kind = _KINDS.get(cell) or _KINDS.get(cell.lower())
    if kind is None:
        raise ConfigError(
            f"{cell!r} is not a type"
            + (did_you_mean(cell, list(_KINDS)) or f"; types are {', '.join(_KINDS)}")
        )
    return kind


def _yes_no(cell: str) -> bool:
    if cell.lower() not in _YES_NO:
        raise ConfigError(f"{cell!r} is neither yes nor no")
    return _YES_NO[cell.lower()]


def _once(read: Callable[[str], object]) -> Callable[[str], object]:
    """Read each spelling once: columns other than names and places repeat a few."""
    return lru_cache(maxsize=1024)(read)


_READ: dict[str, tuple[str, Callable[[str], object]]] = {
    "name": ("name", check_name),
    "address": ("address", _address),
    "expression": ("address", _expression),
    "type": ("type", _once(_type)),
    "unit": ("unit", _text),
    "scale": ("scale", _once(_scale)),
    "offset": ("offset", _once(_number)),
    "deadband": ("deadband", _once(_deadband)),
    "period": ("period_s", _once(_period)),
    "description": ("description", _text),
    "writable": ("writable", _once(_yes_no)),
    _SOURCE_UNIT: (_SOURCE_UNIT, _text),
}
"""The field of `Point` that a column fills, and what reads its cells."""
