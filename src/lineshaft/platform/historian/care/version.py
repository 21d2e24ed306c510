"""Which format the files of a history have, and how an older one becomes this one.

1  no file says so: a Delta table without properties (before 0.2)
2  `format.json`; the table keeps its log of commits short
"""

from pathlib import Path

import msgspec

from lineshaft.core.errors import ConfigError, Refused
from lineshaft.core.message import read_json

FORMAT = 2
FORMAT_FILE = "format.json"


class _Told(msgspec.Struct, frozen=True):
    format: int


def format_of(home: Path) -> int:
    """Return the format of a history; that of a new one if there is none yet.

    `ConfigError` when it is newer than what this version knows.
    """
    file = home / FORMAT_FILE
    if not file.exists():
        return 1 if (home / "readings" / "_delta_log").is_dir() else FORMAT
    try:
        found = read_json(file.read_bytes(), _Told, "a format").format
    except (OSError, Refused) as error:
        raise ConfigError(f"{file} cannot be understood: {error}") from error
    if found > FORMAT:
        raise ConfigError(
            f"the history in {home} has format {found}, this version of lineshaft "
            f"knows up to {FORMAT}: install the version that wrote it, or restore a "
            "back-up from before with `lineshaft restore`"
        )
    return found


def write_format(home: Path) -> None:
    """Say that a history has the format of this version."""
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"{FORMAT_FILE}.new"
    fresh.write_bytes(msgspec.json.encode(_Told(FORMAT)))
    fresh.replace(home / FORMAT_FILE)
