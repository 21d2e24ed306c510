"""A key that travels with a back-up, wrapped by a passphrase.

A sealed back-up whose keys burn with the machine would be none. So its key lies beside
it, wrapped by a passphrase that is not there; `destroying` destroys these copies too.
"""

import base64
import os
from pathlib import Path

import msgspec

from lineshaft.core.errors import ConfigError, Denied, NotFound
from lineshaft.core.message import read_json
from lineshaft.security.data.keys.envelope import seal, unseal
from lineshaft.security.data.keys.ring import PASSPHRASE
from lineshaft.security.data.keys.suites import key_of_passphrase, unwrap, wrap
from lineshaft.security.kept import write_private

FOLDER = "keys"
_SALT = 16


class _Kept(msgspec.Struct, frozen=True):
    id: str
    salt: str
    wrapped: str


class BackupKey:
    """Seals the files of back-ups; the key lies wrapped in a folder beside them."""

    def __init__(self, target: Path, passphrase: str) -> None:
        """`target` is the directory of all back-ups."""
        if not passphrase:
            raise ConfigError(
                f"{PASSPHRASE} is not set: a sealed back-up carries its key, wrapped "
                "by that passphrase. Set it, and keep it where the back-up is not"
            )
        self._folder, self._passphrase = target / FOLDER, passphrase
        self._keys: dict[str, bytes] = {}
        self.key = ""

    def use(self, name: str, raw: bytes) -> Path:
        """Seal with this key from now on; return where it is kept, wrapped."""
        self.key = name
        self._keys[name] = raw
        file = self._folder / f"{name}.json"
        if file.is_file():
            if self._read(name) != raw:
                raise ConfigError(
                    f"{file} is another key of the same name; use another directory"
                )
            return file
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        salt = os.urandom(_SALT)
        outer = key_of_passphrase(self._passphrase, salt)
        wrapped = wrap(outer, raw, name.encode())
        kept = _Kept(name, _text(salt), _text(wrapped))
        write_private(file, msgspec.json.encode(kept))
        return file

    def seal(self, source: Path, target: Path) -> None:
        """Write the sealed content of a file."""
        with source.open("rb") as plain, target.open("wb") as out:
            seal(plain, out, (self.key, self._keys[self.key]))

    def open(self, source: Path, target: Path) -> None:
        """Write what a sealed file holds; `Denied` if it was changed."""
        with source.open("rb") as sealed, target.open("wb") as out:
            unseal(sealed, out, self._key_of)

    def _key_of(self, name: str) -> bytes:
        if name not in self._keys:
            self._keys[name] = self._read(name)
        return self._keys[name]

    def _read(self, name: str) -> bytes:
        file = self._folder / f"{name}.json"
        try:
            kept = read_json(file.read_bytes(), _Kept, f"the key {file}")
        except OSError as error:
            raise NotFound(
                f"the key {name} of the back-up is gone: {file}: {error.strerror}"
            ) from error
        outer = key_of_passphrase(self._passphrase, base64.b64decode(kept.salt))
        try:
            return unwrap(outer, base64.b64decode(kept.wrapped), kept.id.encode())
        except Denied as error:
            raise Denied(f"{PASSPHRASE} is not that of {file}") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
