"""What was announced of important and core data, and how far it has changed.

A catalogue of important and core data is announced, and announced again within three
months when their amount or kind has changed by 30 % (measures MIIT 2022/166, art. 12;
not verified).
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from lineshaft.core.message import read_json
from lineshaft.security.data.catalogue import Entry
from lineshaft.security.data.labels import Grade

CHANGE = 0.30
FILE = "catalogue-filed.json"
_ANNOUNCED = (Grade.IMPORTANT.word, Grade.CORE.word)


class Filed(msgspec.Struct, frozen=True):
    """The catalogue that was announced: points by grade and class."""

    when: str
    points: dict[str, int]


class Change(msgspec.Struct, frozen=True):
    """How far a grade and class has changed since it was announced."""

    what: str
    before: int
    now: int

    @property
    def share(self) -> float:
        """Of the amount before; 1 if there was none."""
        return abs(self.now - self.before) / self.before if self.before else 1.0

    @property
    def is_significant(self) -> bool:
        """Whether it is to be announced again."""
        return self.share >= CHANGE


def count(entries: Iterable[Entry]) -> dict[str, int]:
    """Return the points of important and core data, by grade and class."""
    found: Counter[str] = Counter()
    for entry in entries:
        if entry.grade in _ANNOUNCED:
            for each in entry.classes:
                found[f"{entry.grade}; {each}"] += entry.points
    return dict(sorted(found.items()))


def changes(filed: Filed, entries: Iterable[Entry]) -> list[Change]:
    """Return what has changed since, however little."""
    now = count(entries)
    return [
        Change(what, filed.points.get(what, 0), now.get(what, 0))
        for what in sorted({*filed.points, *now})
        if filed.points.get(what, 0) != now.get(what, 0)
    ]


def read_filed(home: Path) -> Filed | None:
    """Return what was announced; None if nothing was."""
    file = home / FILE
    if not file.is_file():
        return None
    return read_json(file.read_bytes(), Filed, f"the announced catalogue {file}")


def write_filed(home: Path, entries: Iterable[Entry], when: str) -> None:
    """Keep what is announced now."""
    home.mkdir(parents=True, exist_ok=True)
    fresh = home / f"{FILE}.new"
    fresh.write_bytes(msgspec.json.encode(Filed(when, count(entries))))
    fresh.replace(home / FILE)
