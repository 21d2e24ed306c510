"""Signatures of files that the program `minisign` also makes and verifies.

Ed25519 over the BLAKE2b-512 hash of the file, and a second signature over the first
and a comment that can therefore be trusted. See the page "minisign" of its author,
section "signature format".
"""

import base64
import binascii
import hashlib
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from lineshaft.core.errors import ConfigError, Denied, Refused
from lineshaft.security.kept import create_private

_PURE, _HASHED = b"Ed", b"ED"
_ID, _KEY, _SIGNATURE = 8, 32, 64
_UNTRUSTED, _TRUSTED = "untrusted comment: ", "trusted comment: "


class PublicKey(msgspec.Struct, frozen=True):
    """Whose signatures are believed."""

    id: bytes
    """8 bytes that only help to find the right key."""
    raw: bytes

    @property
    def text(self) -> str:
        """Return it as a file has it."""
        body = base64.b64encode(_PURE + self.id + self.raw).decode()
        return f"{_UNTRUSTED}minisign public key {self.name}\n{body}\n"

    @property
    def name(self) -> str:
        """Return its id as people read it."""
        return self.id[::-1].hex().upper()


class SigningKey:
    """A secret key, from a file that only its owner may read."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        raw = key.public_key().public_bytes_raw()
        # Our own ids follow from the key, so that a key needs nothing beside it.
        self.public = PublicKey(hashlib.blake2b(raw, digest_size=_ID).digest(), raw)

    def sign(self, content: bytes, comment: str) -> str:
        """Return the signature file of a content, with a comment in one line."""
        signature = self._key.sign(hashlib.blake2b(content).digest())
        first = base64.b64encode(_HASHED + self.public.id + signature).decode()
        told = comment.replace("\n", " ")
        second = base64.b64encode(self._key.sign(signature + told.encode())).decode()
        return (
            f"{_UNTRUSTED}signature of key {self.public.name}\n{first}\n"
            f"{_TRUSTED}{told}\n{second}\n"
        )


def make_key(file: Path) -> SigningKey:
    """Write a new secret key (PKCS #8, PEM) that nobody else may read.

    `ConfigError` if there is a file already: keys are not written over.
    """
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        create_private(file, pem)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; name another file") from error
    return SigningKey(key)


def read_key(file: Path) -> SigningKey:
    """Return the secret key of a file; `ConfigError` if others may read it too."""
    try:
        mode, pem = file.stat().st_mode, file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    if mode & 0o077:
        raise ConfigError(f"others may read the key {file}; `chmod 600 {file}`")
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{file} holds no key that we can read: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{file} holds a key that is not Ed25519")
    return SigningKey(key)


def parse_public_key(text: str) -> PublicKey:
    """Return the key of a file, or of the one line that has it."""
    body = _decoded(text.strip().splitlines()[-1:], "a public key")
    if len(body) != len(_PURE) + _ID + _KEY or body[:2] != _PURE:
        raise Refused("this is no public key of minisign")
    return PublicKey(body[2 : 2 + _ID], body[2 + _ID :])


def verify(key: PublicKey, content: bytes, signature: str) -> str:
    """Return the comment that can be trusted.

    `Refused` if the file is no signature, `Denied` if it is not that of this key over
    this content.
    """
    lines = signature.splitlines()
    if len(lines) < 4 or not lines[2].startswith(_TRUSTED):  # noqa: PLR2004  its lines
        raise Refused("this is no signature of minisign: it has four lines")
    body, second = (
        _decoded(lines[1:2], "a signature"),
        _decoded(lines[3:4], "a signature"),
    )
    if len(body) != 2 + _ID + _SIGNATURE or body[:2] not in (_PURE, _HASHED):
        raise Refused("this is no signature of minisign")
    comment = lines[2].removeprefix(_TRUSTED)
    if body[2 : 2 + _ID] != key.id:
        name = PublicKey(body[2 : 2 + _ID], b"").name
        raise Denied(f"it is signed by the key {name}, not by {key.name}")
    first = body[2 + _ID :]
    signed = hashlib.blake2b(content).digest() if body[:2] == _HASHED else content
    public = Ed25519PublicKey.from_public_bytes(key.raw)
    try:
        public.verify(first, signed)
        public.verify(second, first + comment.encode())
    except InvalidSignature as error:
        raise Denied(
            f"the signature is not that of the key {key.name} over this content: it "
            "was changed after signing"
        ) from error
    return comment


def _decoded(lines: list[str], what: str) -> bytes:
    try:
        return base64.b64decode("".join(lines).encode(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"this is not {what} of minisign: {error}") from error
