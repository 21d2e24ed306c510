"""The keys of a plant: `DATA/keys`, for nobody but its owner.

    master-ID.json   wraps the data keys; in the clear, or wrapped by a passphrase
    ID.json          a data key: of which place, of which suite, wrapped by which master
    files.jsonl      what was sealed with which key
    destroyed/       certificates of destroyed keys

A data key is made when it is first needed. Whoever has the folder without a passphrase
has the keys: keep it out of back-ups that others hold.
"""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from fcntl import LOCK_EX, flock
from pathlib import Path

import msgspec

from lineshaft.core.errors import ConfigError, Denied, NotFound
from lineshaft.core.message import read_json
from lineshaft.security.data.keys.suites import (
    KEY,
    Suite,
    key_of_passphrase,
    unwrap,
    wrap,
)
from lineshaft.security.kept import write_private

FOLDER = "keys"
PASSPHRASE = "LINESHAFT_KEY_PASSPHRASE"  # noqa: S105  its name
_ID = re.compile(r"[0-9a-f]{16}")
_SALT = 16


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """A data key as its file has it."""

    id: str
    place: str
    """Empty: the whole plant."""
    suite: Suite
    made: str
    fingerprint: str
    """The first 32 hex digits of the key's SHA-256."""
    master: str
    wrapped: str

    @property
    def bound(self) -> bytes:
        """What the wrapping is bound to."""
        return f"lineshaft data key {self.id} {self.suite} {self.place}".encode()


class _Master(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    made: str
    key: str
    """In the clear, or wrapped if there is a salt."""
    salt: str = ""


class SealedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was sealed with one of the keys."""

    key: str
    file: str
    time: str
    label: str = ""


class Ring:
    """The keys in a folder. `passphrase` is needed if the master key has one."""

    def __init__(self, home: Path, passphrase: str = "") -> None:
        self.home = home
        self._passphrase = passphrase

    def keys(self) -> list[DataKey]:
        """Return all data keys, by place."""
        found = [
            read_json(path.read_bytes(), DataKey, f"the key {path}")
            for path in sorted(self.home.glob("*.json"))
            if _ID.fullmatch(path.stem)
        ]
        return sorted(found, key=lambda key: (key.place, key.made))

    def key_for(self, place: str, suite: Suite, now: datetime) -> tuple[str, bytes]:
        """Return id and bytes of the key of a place; it is made if there is none."""
        with self.alone():
            for key in self.keys():
                if (key.place, key.suite) == (place, suite):
                    return key.id, self._unwrap(key)
            return self._make_key(place, suite, now)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes from making or destroying keys meanwhile."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self.home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            flock(lock, LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _make_key(self, place: str, suite: Suite, now: datetime) -> tuple[str, bytes]:
        raw, name = secrets.token_bytes(KEY), secrets.token_hex(8)
        master = self._master(now)
        made = DataKey(
            id=name,
            place=place,
            suite=suite,
            made=now.isoformat(timespec="seconds"),
            fingerprint=hashlib.sha256(raw).hexdigest()[:32],
            master=master.id,
            wrapped="",
        )
        self._write(made, wrap(self._open(master), raw, made.bound))
        return name, raw

    def key_of(self, name: str) -> bytes:
        """Return the key of an id; `NotFound` if it is not here, or was destroyed."""
        file = self.home / f"{name}.json"
        if not _ID.fullmatch(name) or not file.is_file():
            gone = self.home / "destroyed" / f"{name}.json"
            if _ID.fullmatch(name) and gone.is_file():
                raise NotFound(
                    f"the key {name} was destroyed; {gone} says when and why"
                )
            raise NotFound(f"the key {name} is not in {self.home}")
        return self._unwrap(read_json(file.read_bytes(), DataKey, f"the key {file}"))

    def note(self, sealed: SealedFile) -> None:
        """Remember that a file was sealed, for the day when its key is destroyed."""
        file = self.home / "files.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(os.open(file, flags, 0o600), "ab") as ledger:
            ledger.write(msgspec.json.encode(sealed) + b"\n")
            ledger.flush()
            os.fsync(ledger.fileno())

    def sealed_with(self, keys: Iterable[str]) -> list[SealedFile]:
        """Return the files that were sealed with these keys."""
        wanted, file = set(keys), self.home / "files.jsonl"
        lines = file.read_bytes().splitlines() if file.is_file() else []
        found = [read_json(line, SealedFile, f"a line of {file}") for line in lines]
        return [each for each in found if each.key in wanted]

    def renew_master(self, keep: Iterable[DataKey], now: datetime) -> list[Path]:
        """Wrap these keys anew; return the files of the masters that wrap no more.

        Interrupted at any moment, every key still has its master.
        """
        fresh = self._make_master(now)
        master = self._open(fresh)
        old = [path for path in self._masters() if path.stem != f"master-{fresh.id}"]
        for key in keep:
            raw = self._unwrap(key)
            moved = msgspec.structs.replace(key, master=fresh.id)
            self._write(moved, wrap(master, raw, moved.bound))
        return old

    def _write(self, key: DataKey, wrapped: bytes) -> None:
        told = base64.b64encode(wrapped).decode()
        made = msgspec.structs.replace(key, wrapped=told)
        write_private(self.home / f"{key.id}.json", msgspec.json.encode(made))

    def _unwrap(self, key: DataKey) -> bytes:
        file = self.home / f"master-{key.master}.json"
        if not file.is_file():
            raise NotFound(f"the master key {file} is missing: the key {key.id} of "
                           f"{key.place or 'the plant'} cannot be used")  # fmt: skip
        master = read_json(file.read_bytes(), _Master, f"the master key {file}")
        wrapped = base64.b64decode(key.wrapped)
        return unwrap(self._open(master), wrapped, key.bound)

    def _masters(self) -> list[Path]:
        return sorted(self.home.glob("master-*.json"))

    def _master(self, now: datetime) -> _Master:
        """Return the newest master key; it is made if there is none."""
        found = [
            read_json(path.read_bytes(), _Master, f"the master key {path}")
            for path in self._masters()
        ]
        newest = max(found, key=lambda each: each.made, default=None)
        return newest or self._make_master(now)

    def _make_master(self, now: datetime) -> _Master:
        raw, name = secrets.token_bytes(KEY), secrets.token_hex(8)
        kept, salt = raw, b""
        if self._passphrase:
            salt = os.urandom(_SALT)
            kept = wrap(key_of_passphrase(self._passphrase, salt), raw, name.encode())
        made = _Master(
            id=name,
            made=now.isoformat(),
            key=base64.b64encode(kept).decode(),
            salt=base64.b64encode(salt).decode(),
        )
        write_private(self.home / f"master-{name}.json", msgspec.json.encode(made))
        return made

    def _open(self, master: _Master) -> bytes:
        kept = base64.b64decode(master.key)
        if not master.salt:
            return kept
        if not self._passphrase:
            raise ConfigError(
                f"the master key in {self.home} has a passphrase; give it in "
                f"{PASSPHRASE}"
            )
        salt = base64.b64decode(master.salt)
        outer = key_of_passphrase(self._passphrase, salt)
        try:
            return unwrap(outer, kept, master.id.encode())
        except Denied as error:
            raise Denied(f"{PASSPHRASE} is not that of {self.home}") from error
