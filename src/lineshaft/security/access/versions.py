"""The policies that were accepted: each kept whole, with who, when and its hash.

`DATA/policy/000001.toml` is the text of version 1, and `versions.jsonl` has a line for
each version, written after the text is on disk. A version is never changed; to take
one back is to accept its text again under a new number.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path

import msgspec

from lineshaft.core.errors import NotFound, Refused

LIST_FILE = "versions.jsonl"


class Version(msgspec.Struct, frozen=True):
    """A policy that was accepted."""

    number: int
    """Counts from 1."""
    time: str
    """RFC 3339, UTC."""
    by: str
    """Who accepted it."""
    sha256: str
    """Of its text, in hexadecimal."""
    note: str = ""
    """Why it was changed."""


class Versions:
    """The accepted policies in the directory `home`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._list = home / LIST_FILE

    def all(self) -> list[Version]:
        """Return every version, the oldest first; `Refused` if the list is damaged."""
        try:
            lines = self._list.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        try:
            found = [msgspec.json.decode(line, type=Version) for line in lines]
        except (msgspec.DecodeError, RecursionError) as error:
            raise Refused(
                f"{self._list} is damaged ({error}); restore it from a back-up"
            ) from error
        if [version.number for version in found] != list(range(1, len(found) + 1)):
            raise Refused(
                f"{self._list} is damaged: versions are missing or in another order; "
                "restore it from a back-up"
            )
        return found

    def newest(self) -> Version | None:
        """Return the version that was accepted last."""
        known = self.all()
        return known[-1] if known else None

    def get(self, number: int) -> Version:
        """Return a version; `NotFound` if there is none of that number."""
        known = self.all()
        if not 1 <= number <= len(known):
            told = f"versions are 1 to {len(known)}" if known else "none was accepted"
            raise NotFound(f"there is no policy version {number}; {told}")
        return known[number - 1]

    def text(self, number: int) -> str:
        """Return the text of a version; `Refused` if it is not what was accepted."""
        version, file = self.get(number), self._file(number)
        try:
            kept = file.read_bytes()
        except FileNotFoundError as error:
            raise Refused(f"{file} is missing; restore it from a back-up") from error
        if hashlib.sha256(kept).hexdigest() != version.sha256:
            raise Refused(
                f"{file} is not the text that {version.by} accepted on {version.time}: "
                "its SHA-256 differs; restore it from a back-up"
            )
        return kept.decode()

    def accept(self, text: str, *, by: str, time: str, note: str = "") -> Version:
        """Keep a text as the next version; on disk when this returns.

        `Refused` when it is the newest version already.
        """
        data = text.encode()
        digest = hashlib.sha256(data).hexdigest()
        with self._alone():
            known = self.all()
            if known and known[-1].sha256 == digest:
                raise Refused(f"this is version {known[-1].number} already, unchanged")
            number = len(known) + 1
            version = Version(number, time, by, digest, note)
            lines = [msgspec.json.encode(each) + b"\n" for each in (*known, version)]
            _write(self._file(number), data)
            _write(self._list, b"".join(lines))
        return version

    def _file(self, number: int) -> Path:
        return self._home / f"{number:06d}.toml"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let nobody else accept a version while the block is open."""
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._home, os.O_RDONLY)
        try:
            flock(descriptor, LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def digest_of(text: str) -> str:
    """Return what a version of this text has as its hash."""
    return hashlib.sha256(text.encode()).hexdigest()


def _write(file: Path, data: bytes) -> None:
    """Put a file in its place whole, and on disk before this returns."""
    fresh = file.with_name(f"{file.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
