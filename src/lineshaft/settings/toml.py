"""Where in a TOML file a key stands, for messages that name line and column."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from lineshaft.core.errors import ConfigError

Table = dict[str, object]
_HEADER = re.compile(r"\s*(\[+)\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[\w\"'-]+)*)\s*=")
_WHERE = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_toml(file: Path) -> tuple[Table, str]:
    """Return the tables of the file and its text; `ConfigError` names the place."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{file} does not exist; write one, `lineshaft add ADDRESS` makes a first "
            "one, or see a whole plant with `lineshaft demo`"
        ) from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text; save it as UTF-8") from error
    return parse_toml(text, file), text


def parse_toml(text: str, file: Path) -> Table:
    """Return the tables of a text; `ConfigError` names `file` and the place in it."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = _WHERE.search(said)
        where = f":{place[1]}:{place[2]}" if place else f":{text.count(chr(10)) + 1}"
        reason = _WHERE.sub("", said).strip()
        raise ConfigError(f"{file}{where}: is not TOML: {reason}") from error
    except RecursionError as error:
        raise ConfigError(f"{file} is nested without end; write it flatter") from error


def place_of(text: str, path: Sequence[str | int]) -> str:
    """Return `:line:column` of the key at `path`, or of the table that should have it.

    Empty if not even a part of the path stands in the text.
    """
    wanted = tuple(str(part) for part in path)
    best, place = 0, ""
    table: tuple[str, ...] = ()
    count: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _split(header[2])
            if header[1] == "[[":  # one of a list of tables: its number is in the path
                count[table] = count.get(table, -1) + 1
                table = (*table, str(count[table]))
            here, column = table, header.start(2) + 1
        elif key := _KEY.match(line):
            here, column = table + _split(key[1]), key.start(1) + 1
        else:
            continue
        shared = len(here) if wanted[: len(here)] == here else 0
        if shared > best:
            best, place = shared, f":{number}:{column}"
    return place


def _split(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
