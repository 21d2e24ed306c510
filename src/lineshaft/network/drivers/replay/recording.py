"""A recording in a CSV file, read row by row however large it is."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

from lineshaft.core.errors import Unreachable
from lineshaft.core.name import did_you_mean
from lineshaft.core.point import Kind
from lineshaft.core.reading import GOOD, Status, Value, bad, to_us

UNIX_S, UNIX_MS = "unix_s", "unix_ms"
_US = {UNIX_S: 1_000_000, UNIX_MS: 1_000}
_TRUE = {"true", "1", "1.0", "yes", "on"}
_FALSE = {"false", "0", "0.0", "no", "off"}
_SHOWN = 40

Cell = tuple[Value | None, Status]


@dataclass(frozen=True, slots=True)
class Shape:
    """How the file is written."""

    delimiter: str
    decimal: str
    time_column: str
    """Empty for the first column."""
    time_format: str
    """Empty for ISO 8601, a `strptime` pattern, `unix_s` or `unix_ms`."""
    zone: tzinfo
    """Of times that name none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number as an editor counts lines of records, the header being 1."""

    number: int
    time_us: int | None
    """None when the time cannot be read; `cells` then holds no values either."""
    cells: Sequence[Cell | None]
    """Per point; None for a point whose column is not there."""


@contextmanager
def open_recording(
    path: Path, shape: Shape, columns: Sequence[tuple[str, Kind]]
) -> Iterator["Recording"]:
    """Open a file; `Unreachable` says why it cannot be played."""
    try:
        # Bytes that are no UTF-8 spoil their own cell, not the file.
        file = path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise Unreachable(f"{path} cannot be opened: {error.strerror}") from error
    with file:
        try:
            reader = csv.reader(file, delimiter=shape.delimiter)
            recording = Recording(path.name, reader, shape, columns)
        except (OSError, csv.Error) as error:
            raise Unreachable(f"{path} cannot be read: {error}") from error
        yield recording


class _Place(NamedTuple):
    """Where the values of a point are."""

    place: int
    column: str
    parse: Callable[[str], Value]

    def read(self, number: int, cells: Sequence[str]) -> Cell:
        """Return the value in row `number`, or why there is none."""
        try:
            return self.parse(cells[self.place].strip()), GOOD
        except IndexError:
            return None, bad(f"row {number} ends before column {self.column!r}")
        except ValueError as error:
            shown = cells[self.place].strip()[:_SHOWN]
            text = f"{shown!a} {error}" if shown else "the cell is empty"
            return None, bad(f"row {number}, column {self.column!r}: {text}")


class Recording:
    """A file whose header has been read."""

    def __init__(
        self,
        name: str,
        cells: Iterator[list[str]],
        shape: Shape,
        columns: Sequence[tuple[str, Kind]],
    ) -> None:
        """Take the column and kind of each point; `Unreachable` without a time."""
        self._cells = cells
        self._shape = shape
        header = [column.strip() for column in next(cells, [])]
        if not header:
            raise Unreachable(f"{name} is empty; its first line must name the columns")
        self._time_name = shape.time_column or header[0]
        if self._time_name not in header:
            raise Unreachable(
                f"{name} has no column {self._time_name!r} for the time; set "
                "time_column to one of its columns"
                + did_you_mean(self._time_name, header)
            )
        self._time_place = header.index(self._time_name)
        self._places: list[_Place | None] = [
            _Place(header.index(column), column, _parser(kind, shape.decimal))
            if column in header
            else None
            for column, kind in columns
        ]
        self.missing = {
            point: bad(f"{name} has no column {column!r}{did_you_mean(column, header)}")
            for point, (column, _) in enumerate(columns)
            if column not in header
        }
        """Why a point has no values: its column is not there."""

    def rows(self) -> Iterator[Row]:
        """Yield every row that is not blank; `Unreachable` if that is impossible."""
        try:
            for number, cells in enumerate(self._cells, 2):
                if cells:
                    yield self._row(number, cells)
        except (OSError, csv.Error) as error:
            raise Unreachable(f"the recording cannot be read: {error}") from error

    def _row(self, number: int, cells: Sequence[str]) -> Row:
        try:
            time_us = self._time(cells[self._time_place].strip())
        except (ValueError, IndexError, OverflowError):
            shown = cells[self._time_place :][:1] or ["nothing"]
            status = bad(
                f"row {number}, column {self._time_name!r}: "
                f"{shown[0][:_SHOWN]!r} is not a time"
            )
            spoilt = [(None, status) if place else None for place in self._places]
            return Row(number, None, spoilt)
        found = [place and place.read(number, cells) for place in self._places]
        return Row(number, time_us, found)

    def _time(self, text: str) -> int:
        form = self._shape.time_format
        if form in _US:
            return _scaled(text, _US[form])
        time = datetime.strptime(text, form) if form else datetime.fromisoformat(text)  # noqa: DTZ007 - the next line
        if time.tzinfo is None:
            time = time.replace(tzinfo=self._shape.zone)
        return to_us(time.astimezone(UTC))


def _scaled(text: str, factor: int) -> int:
    """Return a decimal number times a factor, exact to the microsecond."""
    if "." not in text:
        return int(text) * factor
    whole, _, part = text.partition(".")
    if not part.isdecimal():
        raise ValueError(text)
    sign = -1 if whole.startswith("-") else 1
    fraction = int(part) * factor // int("1" + "0" * len(part))
    return int(whole) * factor + sign * fraction


def _parser(kind: Kind, decimal: str) -> Callable[[str], Value]:
    """Return what turns a cell into a value, or raises ValueError with a reason."""

    def number(cell: str) -> float:
        text = cell.replace(decimal, ".") if decimal != "." else cell
        try:
            value = float(text)
        except ValueError:
            raise ValueError("is not a number") from None
        # Python would read 1_000 as a number; no recorder writes that.
        if "_" in text or not math.isfinite(value):
            raise ValueError("is not a number to work with")
        return value

    def whole(cell: str) -> int:
        try:
            value = int(cell)
        except ValueError:
            found = number(cell)
            if not found.is_integer():
                raise ValueError("is not a whole number") from None
            return int(found)
        if "_" in cell:
            raise ValueError("is not a whole number")
        return value

    parsers: dict[Kind, Callable[[str], Value]] = {
        Kind.FLOAT: number,
        Kind.INT: whole,
        Kind.BOOL: _truth,
        Kind.STRING: _text,
    }
    return parsers[kind]


def _truth(cell: str) -> bool:
    word = cell.lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("is neither true nor false")


def _text(cell: str) -> str:
    try:
        cell.encode()
    except UnicodeEncodeError:
        raise ValueError("is not text in UTF-8") from None
    return cell
