"""What a back-up says of itself, and whether it is true."""

import hashlib
from pathlib import Path

import msgspec

from lineshaft.core.errors import ConfigError, NotFound, Refused
from lineshaft.core.message import read_json

NAME, SUM = "manifest.json", "manifest.sha256"
FORMAT = 2
"""2 can have sealed files."""
_BLOCK = 1 << 20
_MOST_TOLD = 10


class Entry(msgspec.Struct, frozen=True):
    """A file of the back-up."""

    path: str
    """Where it belongs: below the data directory."""
    stored: str
    """Where it is: below the directory of all back-ups."""
    size: int
    sha256: str
    """Of the file as it is stored."""
    key: str = ""
    """The key that it is sealed with; empty: it is not sealed."""
    plain_sha256: str = ""
    """Of what is sealed."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one back-up."""

    format: int
    lineshaft: str
    """The version that made it."""
    made: str
    history_format: int
    version: int
    """Of the table: the number of its last commit."""
    rows: int
    begin: str | None = None
    end: str | None = None
    """Source times of the oldest and the newest reading."""
    reached: dict[str, int] = {}
    """How far the newest commits got on the bus, by writer, as far as the log tells."""
    files: list[Entry]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    found = hashlib.sha256()
    with file.open("rb") as source:
        while block := source.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put the manifest into a back-up; it is the last step of making one."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (folder / SUM).write_text(hashlib.sha256(data).hexdigest() + "\n", "utf-8")
    fresh = folder / f"{NAME}.new"
    fresh.write_bytes(data)
    fresh.replace(folder / NAME)


def read_manifest(folder: Path) -> Manifest:
    """Return what a back-up says of itself.

    `Refused` when it was changed, `ConfigError` when a newer version wrote it.
    """
    try:
        data = (folder / NAME).read_bytes()
        told = (folder / SUM).read_text("utf-8").strip()
    except OSError as error:
        raise NotFound(f"{folder} holds no whole back-up: {error}") from error
    if hashlib.sha256(data).hexdigest() != told:
        raise Refused(f"{folder / NAME} was changed or damaged; use another back-up")
    try:
        manifest = read_json(data, Manifest, "a manifest")
    except Refused as error:
        raise ConfigError(
            f"{folder / NAME} was written by another version of lineshaft ({error}); "
            "use that version"
        ) from error
    if manifest.format > FORMAT:
        raise ConfigError(
            f"{folder / NAME} was written by lineshaft {manifest.lineshaft}, which is "
            "newer than this one; use that version"
        )
    return manifest


def backups_in(target: Path) -> list[Path]:
    """Return the whole back-ups below a directory, oldest first."""
    return sorted(path.parent for path in target.glob(f"*/{NAME}"))


def find(source: Path) -> Path:
    """Return the back-up at `source`, or the newest below it; `NotFound` if none."""
    if (source / NAME).exists():
        return source
    found = backups_in(source)
    if not found:
        raise NotFound(
            f"{source} holds no back-up; name the directory that `lineshaft backup` "
            "wrote to"
        )
    return found[-1]


def verify(folder: Path) -> Manifest:
    """Return the manifest of a back-up after every file was read and compared.

    `Refused` names what is missing or differs.
    """
    manifest = read_manifest(folder)
    problems = [
        problem
        for entry in manifest.files
        if (problem := _problem(folder.parent / entry.stored, entry))
    ]
    if problems:
        more = len(problems) - _MOST_TOLD
        told = problems[:_MOST_TOLD] + ([f"and {more} more"] if more > 0 else [])
        raise Refused(
            f"{folder} is not whole: {'; '.join(told)}. Use another back-up, or make a "
            "new one in another directory"
        )
    return manifest


def _problem(file: Path, entry: Entry) -> str:
    try:
        if file.stat().st_size != entry.size:
            return f"{file} has {file.stat().st_size} bytes, not {entry.size}"
        if digest(file) != entry.sha256:
            return f"{file} has changed"
    except OSError as error:
        return f"{file}: {error.strerror}"
    return ""
