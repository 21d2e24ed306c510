"""import: readings of the past, from a CSV file into the historian.

The file becomes numbered frames under a name that its content gives it, so importing it
again changes nothing, and an import that was interrupted is finished by repeating it.
"""

import csv
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError
from lineshaft.core.frame import IMPORTS, Columns, Frame, pack_values
from lineshaft.core.name import check_name, did_you_mean, place_of, subject_of
from lineshaft.core.reading import Quality, Status, Value
from lineshaft.web.api.past.times import parse_time

COLUMNS = ("name", "time", "value", "type", "quality", "reason", "unit")
REQUIRED = ("name", "time", "value")
MOST_READINGS = 50_000
MOST_LETTERS = 1_500_000
"""Of all texts in a frame, so that the bus takes it whatever the script."""
_TRUTH = {"true": True, "false": False}
_KINDS = ("float", "int", "bool", "string")
_INT = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = ("nan", "inf", "-inf")
_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(slots=True)
class Rows:
    """Readings as columns, in the order of the file."""

    names: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[Value | None] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)


def read_rows(file: Path, problems: list[str]) -> Rows:
    """Read all rows that are right; what is wrong goes into `problems`."""
    rows = Rows()
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            for line, columns, cells in _lines(file, source, problems):
                _take(rows, columns, cells, f"{file}:{line}", problems)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text; save it as UTF-8") from error
    return rows


def frames(rows: Rows, file: Path) -> Iterator[tuple[str, Frame]]:
    """Yield subjects and frames, one place each, numbered from 1 within the file.

    What is in the file is what tells it from others, and not how it is called.
    """
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    device = f"{IMPORTS}file"
    places: dict[str, list[int]] = {}
    for row, name in enumerate(rows.names):
        places.setdefault(place_of(name), []).append(row)
    number = 0
    for place, inside in places.items():
        for part in _parts(rows, inside):
            number += 1
            yield subject_of(place), _frame(rows, part, device, (digest, number))


def _parts(rows: Rows, inside: Sequence[int]) -> Iterator[list[int]]:
    """Cut the readings of a place into what one frame holds."""
    part: list[int] = []
    letters = 0
    for row in inside:
        texts = (rows.names[row], rows.units[row], rows.statuses[row].reason)
        value = rows.values[row]
        more = sum(map(len, texts)) + (len(value) if isinstance(value, str) else 0)
        if len(part) == MOST_READINGS or (part and letters + more > MOST_LETTERS):
            yield part
            part, letters = [], 0
        part.append(row)
        letters += more
    yield part


async def run(file: Path, bus_url: str, *, skip_bad: bool) -> None:
    """Read the file, and publish it; `ConfigError` holds all that is wrong with it."""
    from lineshaft.core.bus.nats import open_bus
    from lineshaft.core.frame import encode_frame

    problems: list[str] = []
    rows = read_rows(file, problems)
    if problems and not (skip_bad and rows):
        problems[-1] += "\nnothing was imported; mend these rows or add --skip-bad"
        raise ConfigError(problems)
    for problem in problems:
        screen.complain(f"left out: {problem}")
    async with open_bus(bus_url, most_bytes=None) as bus:
        with screen.progress("readings", len(rows)) as count:
            for subject, frame in frames(rows, file):
                await bus.publish(subject, encode_frame(frame), frame.id)
                count(len(frame))
    screen.say(f"{file}: {len(rows):,} readings imported")


def _lines(
    file: Path, source: Iterable[str], problems: list[str]
) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield line, columns and cells of each row, none under a wrong header."""
    reader = csv.reader(source)
    try:
        columns = _header(file, next(reader, []), problems)
        for cells in reader if columns else ():
            yield reader.line_num, columns, cells
    except csv.Error as error:
        line = reader.line_num
        raise ConfigError(f"{file}:{line}: is not CSV: {error}") from error


def _header(file: Path, cells: list[str], problems: list[str]) -> list[str]:
    columns = [cell.strip().lower() for cell in cells]
    faults = [
        f"{file}:1:{place}: there is no column {column!r}"
        + (did_you_mean(column, list(COLUMNS)) or f"; there are {', '.join(COLUMNS)}")
        for place, column in enumerate(columns, 1)
        if column not in COLUMNS
    ]
    faults += [
        f"{file}:1: the column {column!r} stands there twice"
        for column in COLUMNS
        if columns.count(column) > 1
    ]
    missing = [column for column in REQUIRED if column not in columns]
    faults += [f"{file}:1: the column {column!r} is missing" for column in missing]
    problems += faults
    return [] if faults else columns


def _take(
    rows: Rows, columns: Sequence[str], cells: list[str], at: str, problems: list[str]
) -> None:
    if not any(cells):
        return
    if len(cells) != len(columns):
        problems.append(f"{at}: has {len(cells)} cells, the header has {len(columns)}")
        return
    given = dict(zip(columns, cells, strict=True))
    quality = given.get("quality", "")
    read: dict[str, Callable[[], object]] = {
        "name": lambda: check_name(given["name"]),
        "time": lambda: _time(given["time"]),
        "value": lambda: _value(given["value"], given.get("type", ""), quality),
        "quality": lambda: _status(quality, given.get("reason", ""), given["value"]),
    }
    found: dict[str, object] = {}
    faults: list[str] = []
    for column, work in read.items():
        try:
            found[column] = work()
        except ConfigError as error:
            faults += [_at(columns, column, at, text) for text in error.problems]
    problems += faults
    if not faults:
        rows.units.append(given.get("unit", ""))
        rows.names.append(cast("str", found["name"]))
        rows.times.append(cast("int", found["time"]))
        rows.values.append(cast("Value | None", found["value"]))
        rows.statuses.append(cast("Status", found["quality"]))


def _at(columns: Sequence[str], column: str, at: str, text: str) -> str:
    """Return a problem with its place; it may name a column of its own."""
    named = text.partition(":")[0]
    place = columns.index(named if named in columns else column) + 1
    return f"{at}:{place}: {text}"


def _value(text: str, kind: str, quality: str) -> Value | None:
    """Return a value; without a type it is what it looks like."""
    if not text:
        return None
    if kind not in ("", *_KINDS):
        hint = did_you_mean(kind, list(_KINDS)) or f"; there are {', '.join(_KINDS)}"
        raise ConfigError(f"type: {kind!r} is none{hint}")
    kind = kind or _looks_like(text)
    if kind == "string":
        return text
    if kind == "bool" and text.lower() in _TRUTH:
        return _TRUTH[text.lower()]
    if kind == "int" and _is_int(text):
        return int(text)
    if kind == "float" and text in _NOT_FINITE and quality == Quality.BAD:
        return float(text)
    if kind == "float" and _NUMBER.fullmatch(text) and np.isfinite(float(text)):
        return float(text)
    raise ConfigError(f"value: {text!r} is not of type {kind}")


def _looks_like(text: str) -> str:
    if text.lower() in _TRUTH:
        return "bool"
    if _is_int(text):
        return "int"
    return "float" if text in _NOT_FINITE or _NUMBER.fullmatch(text) else "string"


def _is_int(text: str) -> bool:
    """Whether it is a whole number that fits where readings keep theirs."""
    return _INT.fullmatch(text) is not None and int(text) in _INT64


def _time(text: str) -> int:
    if text == "now" or text.startswith("-"):
        # The same file must mean the same readings tomorrow.
        raise ConfigError(f"time: {text!r} is relative; write 2026-01-31T08:00:00Z")
    try:
        return parse_time(text)
    except ConfigError as error:
        raise ConfigError(
            f"time: {text!r} is not a time; write 2026-01-31T08:00:00Z"
        ) from error


def _status(quality: str, reason: str, value: str) -> Status:
    if not quality:
        return Status(Quality.GOOD) if value else _NO_VALUE
    known = [each.value for each in Quality]
    if quality not in known:
        hint = did_you_mean(quality, known) or f"; there are {', '.join(known)}"
        raise ConfigError(f"quality: {quality!r} is none{hint}")
    return Status(Quality(quality), reason)


_NO_VALUE = Status(Quality.BAD, "the file has no value")


def _frame(rows: Rows, part: list[int], device: str, which: tuple[str, int]) -> Frame:
    points = {rows.names[row]: rows.units[row] for row in part}
    numbers = {name: number for number, name in enumerate(points)}
    statuses: dict[Status, int] = {}
    status = [statuses.setdefault(rows.statuses[r], len(statuses)) for r in part]
    kind, bits, texts = pack_values([rows.values[row] for row in part])
    columns = Columns(
        np.array([numbers[rows.names[row]] for row in part], np.uint32),
        np.array([rows.times[row] for row in part], np.int64),
        kind,
        bits,
        np.array(status, np.uint16),
    )
    epoch, number = which
    return Frame(
        device,
        epoch,
        number,
        tuple(points),
        tuple(points.values()),
        texts,
        tuple(statuses),
        columns,
    )
