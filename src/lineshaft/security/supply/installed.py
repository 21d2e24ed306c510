"""Whether what is installed is still what was installed (IEC 62443-3-3, SR 3.4).

Each package has a list of its files with their hashes, RECORD (the core metadata
specification of Python packaging). It is compared with the files. RECORD itself is not
signed: whoever can write to the installation can write there too. The hash of a release
is signed, see `release`.
"""

import base64
import hashlib
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import msgspec

from lineshaft.core.errors import NotFound
from lineshaft.core.message import read_json
from lineshaft.security.supply.parts import needed, normal

_CODE = (".py", ".pyc", ".so", ".pth", ".js", ".html", ".css", ".toml", ".json")
"""Endings of files that would be run, served or read if somebody put them there."""


class Change(msgspec.Struct, frozen=True):
    """A file that is not as it was installed."""

    package: str
    file: str
    how: str
    """`changed`, `missing` or `added`."""


class Compared(msgspec.Struct, frozen=True):
    """What was compared, and what differs."""

    packages: int
    files: int
    changes: tuple[Change, ...]
    editable: tuple[str, ...]
    """Packages that run from a source tree: there is nothing to compare with."""


def compare(root: str) -> Compared:
    """Compare `root` and everything that it needs with their lists of files.

    `NotFound` if `root` is not installed.
    """
    files, packages = 0, 0
    changes: list[Change] = []
    editable: list[str] = []
    for found in needed(root):
        name = normal(found.metadata["Name"])
        if _is_editable(found):
            editable.append(name)
            continue
        packages += 1
        count, differing = compare_one(name, found)
        files += count
        changes += differing
    return Compared(packages, files, tuple(changes), tuple(editable))


def compare_one(name: str, found: Distribution) -> tuple[int, list[Change]]:
    """Return how many files of a package have a hash, and those that differ."""
    listed = found.files
    if not listed:
        raise NotFound(f"the package {name} has no list of its files (RECORD)")
    changes: list[Change] = []
    known: set[Path] = set()
    count = 0
    for entry in listed:
        path = Path(str(found.locate_file(entry)))
        known.add(path.resolve())
        if entry.hash is None:
            continue  # RECORD itself, and what Python compiled
        count += 1
        try:
            digest = hashlib.new(entry.hash.mode, path.read_bytes()).digest()
        except OSError:
            changes.append(Change(name, str(entry), "missing"))
            continue
        told = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if told != entry.hash.value:
            changes.append(Change(name, str(entry), "changed"))
    changes += (Change(name, str(f), "added") for f in _strangers(found, known))
    return count, changes


def _strangers(found: Distribution, known: set[Path]) -> Iterator[Path]:
    """Yield files in folders of the package that its list does not have."""
    site = Path(str(found.locate_file(""))).resolve()
    shared = {site, *site.parents}
    folders = {path.parent for path in known if site in path.parents} - shared
    # A folder of which the package has only the inside belongs to several packages.
    own = {f for f in folders if (f / "__init__.py") in known}
    for folder in sorted(own):
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.suffix in _CODE and path not in known:
                yield path.relative_to(site)


class _Folder(msgspec.Struct):
    editable: bool = False


class _Origin(msgspec.Struct):
    dir_info: _Folder = msgspec.field(default_factory=_Folder)


def _is_editable(found: Distribution) -> bool:
    told = (found.read_text("direct_url.json") or "{}").encode()
    return read_json(told, _Origin, "direct_url.json").dir_info.editable
