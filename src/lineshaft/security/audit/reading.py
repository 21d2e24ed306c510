"""Reading the files of a log, also while a plant that runs goes on writing them."""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.message import read_json
from lineshaft.security.audit.asking import Entry, Numbered, Search
from lineshaft.security.audit.log import PUBLIC_KEY, checkpoint_of
from lineshaft.security.audit.notes import read_checkpoint
from lineshaft.security.audit.tiles import WIDTH, Tiles

MOST_READ = 500_000
"""Entries that one search looks at."""
ATTEMPTS = 5
Found = TypeVar("Found")


def home_of(data: Path) -> Path:
    """Return where the log of a plant is; `NotFound` if it has none yet."""
    home = data / "audit"
    if not (home / PUBLIC_KEY).exists():
        raise NotFound(
            f"{home} holds no audit log: no plant was started with this data directory "
            "yet; name the right one with --data"
        )
    return home


def steadily(home: Path, read: Callable[[int], Found]) -> Found:
    """Return what `read` makes of a log of so many entries.

    It is called again if it was `Refused` because the plant has written on meanwhile,
    and with that replaced the last file.
    """
    for _ in range(ATTEMPTS):
        before = checkpoint_of(home)
        try:
            return read(read_checkpoint(before, None).size)
        except Refused:
            if checkpoint_of(home) == before:
                raise
    raise Refused(f"{home} is written to faster than it can be read; try again")


def records(home: Path, size: int) -> Iterator[AuditRecord]:
    """Yield the records of a log, the oldest first."""
    for _, entry in Tiles(home, size).entries(0, size):
        yield read_json(entry, Entry, "an entry of the audit log").record


def search(home: Path, size: int, wanted: Search) -> Iterator[Numbered]:
    """Yield the records that are all of what is given, the newest first."""
    tiles, found, low = Tiles(home, size), 0, max(0, size - MOST_READ)
    while size > low and found < wanted.limit:
        start = (size - 1) // WIDTH * WIDTH
        for number, data in reversed(list(tiles.entries(start, size))):
            record = read_json(data, Entry, "an entry of the audit log").record
            if _is_wanted(record, wanted) and found < wanted.limit:
                found += 1
                yield Numbered(number, record)
        size = start


def _is_wanted(record: AuditRecord, wanted: Search) -> bool:
    return (
        wanted.who in ("", record.who)
        and wanted.result in ("", record.result)
        and (not wanted.kind or fnmatchcase(record.kind, wanted.kind))
        and (not wanted.name or fnmatchcase(record.name, wanted.name))
        and wanted.since_us <= record.time_us < wanted.until_us
    )
