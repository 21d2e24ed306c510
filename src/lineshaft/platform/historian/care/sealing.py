"""What a back-up asks of whoever seals its files; it knows no keys itself."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from lineshaft.core.errors import ConfigError, Unreachable
from lineshaft.platform.historian.care.manifest import Entry, digest

SUFFIX = ".sealed"


class Seals(Protocol):
    """Seals files and opens them again."""

    @property
    def key(self) -> str:
        """The id of the key that `seal` uses."""

    def seal(self, source: Path, target: Path) -> None:
        """Write the sealed content of a file."""

    def open(self, source: Path, target: Path) -> None:
        """Write what a sealed file holds; one of our errors if it was changed."""


def sealed(source: Path, part: Path, work: Path, seals: Seals) -> str:
    """Seal a file, open it again and compare; return the hash of its content.

    What is opened lies for a moment below `work`, on the disk of the plant.
    """
    wanted = digest(source)
    seals.seal(source, part)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        opened = Path(folder) / "opened"
        seals.open(part, opened)
        if digest(opened) != wanted:
            raise Unreachable(f"{part} is not what was written; look at that disk")
    return wanted


def bring_back(entry: Entry, source: Path, there: Path, seals: Seals | None) -> None:
    """Open one sealed file of a back-up and compare it."""
    if seals is None:
        raise ConfigError(
            f"the back-up is sealed with the key {entry.key}; set the passphrase that "
            "it was made with in LINESHAFT_KEY_PASSPHRASE"
        )
    seals.open(source, there)
    if digest(there) != entry.plain_sha256:
        raise Unreachable(f"{there} is not what was written; look at that disk")


def open_all(
    entries: Iterable[Entry], root: Path, home: Path, seals: Seals | None
) -> None:
    """Open the sealed files of a back-up below another directory."""
    for entry in entries:
        there = home / entry.path
        there.parent.mkdir(parents=True, exist_ok=True)
        bring_back(entry, root / entry.stored, there, seals)
