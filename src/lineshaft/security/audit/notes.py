"""Checkpoints: the size and root of a log, signed (C2SP checkpoint and signed-note)."""

import hashlib
from base64 import b64decode, b64encode
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from lineshaft.core.errors import Refused
from lineshaft.security.kept import create_private

PLAIN, COSIGNED = 1, 4
"""Kinds of signature: of a log, and of a witness with the time (C2SP signed-note)."""
_DASH = "\u2014"
_ID = 4
_TIME = 8


class Checkpoint(msgspec.Struct, frozen=True):
    """What a log says of itself: so many entries, with this root."""

    origin: str
    """The name of the log; no other log has it."""
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


class Verifier:
    """A public key under its name, as people hand it around: `name+id+base64`."""

    def __init__(self, text: str) -> None:
        """Take the text of the key; `Refused` if it is none."""
        try:
            self.name, said, key = text.strip().split("+", 2)
            data = b64decode(key, validate=True)
            self.kind, self._key = data[0], Ed25519PublicKey.from_public_bytes(data[1:])
        except (ValueError, IndexError) as error:
            raise Refused(f"{text[:80]!r} is no public key of a log") from error
        self.id = _key_id(self.name, data)
        if self.kind not in (PLAIN, COSIGNED) or said != self.id.hex():
            raise Refused(f"{text[:80]!r} is no public key of a log: its id is wrong")

    def signed_at(self, text: str, signature: bytes) -> int | None:
        """Return when a text was signed, in seconds, 0 if not told; None if wrongly."""
        time_s, said, signed = 0, signature, text
        if self.kind == COSIGNED:
            time_s, said = int.from_bytes(signature[:_TIME], "big"), signature[_TIME:]
            signed = f"cosignature/v1\ntime {time_s}\n{text}"
        try:
            self._key.verify(said, signed.encode())
        except InvalidSignature:
            return None
        return time_s


class Signer:
    """A private key under its name."""

    def __init__(self, name: str, key: Ed25519PrivateKey, kind: int = PLAIN) -> None:
        self.name, self.kind, self._key = name, kind, key
        public = key.public_key().public_bytes_raw()
        self._data = bytes([kind]) + public
        self.id = _key_id(name, self._data)

    @property
    def verifier(self) -> str:
        """Return the text of the public key."""
        return f"{self.name}+{self.id.hex()}+{b64encode(self._data).decode()}"

    def line(self, text: str, time_s: int = 0) -> str:
        """Return the line that signs a text; a witness signs the time as well."""
        if self.kind == COSIGNED:
            signed = f"cosignature/v1\ntime {time_s}\n{text}"
            said = time_s.to_bytes(_TIME, "big") + self._key.sign(signed.encode())
        else:
            said = self._key.sign(text.encode())
        return f"{_DASH} {self.name} {b64encode(self.id + said).decode()}\n"

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the signed checkpoint."""
        return f"{checkpoint.text}\n{self.line(checkpoint.text)}"


def open_key(file: Path) -> Ed25519PrivateKey:
    """Return the key in a file; it is made, for us alone, if there is none.

    `Refused` if there is one that cannot be read.
    """
    if not file.exists():
        key = Ed25519PrivateKey.generate()
        data = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        create_private(file, data)
        return key
    try:
        found = serialization.load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise Refused(
            f"{file} holds no key: {error}; restore it from a back-up"
        ) from error
    if not isinstance(found, Ed25519PrivateKey):
        raise Refused(f"{file} holds a key of another kind than Ed25519")
    return found


def read_checkpoint(note: str, verifier: Verifier | None) -> Checkpoint:
    """Return a signed checkpoint; `Refused` unless the key has signed it.

    Without a verifier no signature is looked at.
    """
    text, signatures = _split(note)
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], int(lines[1]), b64decode(lines[2], validate=True)
    except (ValueError, IndexError) as error:
        raise Refused("this is no checkpoint of a log") from error
    checkpoint = Checkpoint(origin, size, root)
    if len(root) != hashlib.sha256().digest_size or size < 0 or str(size) != lines[1]:
        raise Refused("this is no checkpoint of a log: its size or root makes no sense")
    if verifier is not None and not any(
        signed_by(text, line, verifier) is not None for line in signatures
    ):
        raise Refused(f"{verifier.name} has not signed this checkpoint")
    return checkpoint


def cosigned_at(note: str, verifier: Verifier) -> int | None:
    """Return when a witness cosigned a checkpoint, in seconds; None if it did not."""
    text, signatures = _split(note)
    times = (signed_by(text, line, verifier) for line in signatures)
    return next((time_s for time_s in times if time_s is not None), None)


def signed_by(text: str, line: str, verifier: Verifier) -> int | None:
    """Return when a line says that a key signed a text; None if it does not."""
    mark, _, rest = line.partition(" ")
    name, _, coded = rest.rpartition(" ")
    if mark != _DASH or name != verifier.name:
        return None
    try:
        data = b64decode(coded, validate=True)
    except ValueError:
        return None
    if data[:_ID] != verifier.id:
        return None
    return verifier.signed_at(text, data[_ID:])


def _split(note: str) -> tuple[str, list[str]]:
    text, blank, rest = note.partition("\n\n")
    if not blank or not rest.endswith("\n"):
        raise Refused("this is no signed note: it has no signatures, or is cut off")
    return text + "\n", [line for line in rest.split("\n") if line]


def _key_id(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + data).digest()[:_ID]
