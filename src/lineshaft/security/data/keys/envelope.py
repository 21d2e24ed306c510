"""Sealed files: their format, and how any size passes through bounded memory.

    bytes  what
    5      `LSEAL`
    1      version, 1
    2      length of the header, big endian
    ...    header, JSON: suite, key (its id), salt (32 random bytes), chunk (its size),
           about (label, names and the like, readable without the key)
    ...    chunks: each is `chunk` bytes, the last one 0 to `chunk`, and a tag of 16

The key of a file is derived from the data key, the salt and the whole header (HKDF), so
that a changed header opens nothing. The nonce of a chunk is its number (11 bytes) and
whether it is the last (1 byte): chunks can be neither reordered nor left out nor cut
off (STREAM; Hoang, Reyhanitabar, Rogaway and Vizar, CRYPTO 2015). No nonce comes twice
under a key: within a file the numbers rise, and each file has a key of its own.
"""

import base64
import binascii
import os
from collections.abc import Callable, Mapping
from typing import BinaryIO

import msgspec

from lineshaft.core.errors import Denied, Refused
from lineshaft.core.message import read_json
from lineshaft.security.data.keys.suites import TAG, Sealer, Suite

MAGIC, VERSION = b"LSEAL", 1
CHUNK = 1 << 20
SALT = 32
_LARGEST_CHUNK = 1 << 24
_PREFIX = len(MAGIC) + 1 + 2
_NUMBER = 11
"""Bytes of a chunk's number in its nonce."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sealed file says to everybody."""

    suite: Suite
    key: str
    """The id of the data key."""
    salt: str
    chunk: int
    about: dict[str, str] = {}


KeyOf = Callable[[str], bytes]
"""Returns the data key of an id; `NotFound` or `Denied` if it is not to be had."""


def seal(
    plain: BinaryIO,
    sealed: BinaryIO,
    key: tuple[str, bytes],
    suite: Suite = Suite.AES,
    about: Mapping[str, str] | None = None,
) -> None:
    """Seal a stream with a data key, given by its id and its bytes."""
    salt = base64.b64encode(os.urandom(SALT)).decode()
    header = Header(suite, key[0], salt, CHUNK, dict(about or {}))
    body = msgspec.json.encode(header)
    if len(body) >= 1 << 16:
        raise Refused("what is told about the file is too long for its header")
    start = MAGIC + bytes([VERSION]) + len(body).to_bytes(2, "big") + body
    sealed.write(start)
    work = _sealer(header, key[1], start)
    number, piece = 0, _exactly(plain, CHUNK)
    while True:
        after = _exactly(plain, CHUNK)
        nonce = _nonce(number, is_last=not after)
        sealed.write(work.seal(nonce, piece))
        if not after:
            return
        number, piece = number + 1, after


def unseal(sealed: BinaryIO, plain: BinaryIO, key_of: KeyOf) -> Header:
    """Write what a sealed stream holds; return its header.

    `Denied` if anything was changed, cut off or added; what was written until then is
    to be thrown away. `Refused` if it is no sealed file.
    """
    header, start = _read_start(sealed)
    work = _sealer(header, key_of(header.key), start)
    size = header.chunk + TAG
    number, piece = 0, _exactly(sealed, size)
    while True:
        after = _exactly(sealed, size)
        try:
            told = work.open(_nonce(number, is_last=not after), piece)
        except Denied as error:
            raise Denied(f"chunk {number} of the sealed file: {error}") from error
        plain.write(told)
        if not after:
            return header
        number, piece = number + 1, after


def read_header(sealed: BinaryIO) -> Header:
    """Return what a sealed file says to everybody; not proved without the key."""
    return _read_start(sealed)[0]


def _read_start(sealed: BinaryIO) -> tuple[Header, bytes]:
    prefix = _exactly(sealed, _PREFIX)
    if len(prefix) < _PREFIX or not prefix.startswith(MAGIC):
        raise Refused("this is no sealed file of Lineshaft")
    if prefix[len(MAGIC)] != VERSION:
        raise Refused(
            f"the file is sealed in format {prefix[len(MAGIC)]}, which a newer version "
            "of Lineshaft opens"
        )
    length = int.from_bytes(prefix[-2:], "big")
    body = _exactly(sealed, length)
    if len(body) < length:
        raise Refused("the sealed file is cut off in its header")
    header = read_json(body, Header, "the header of a sealed file")
    if not 0 < header.chunk <= _LARGEST_CHUNK:
        raise Refused(f"the sealed file has chunks of {header.chunk} bytes")
    return header, prefix + body


def _sealer(header: Header, key: bytes, start: bytes) -> Sealer:
    try:
        salt = base64.b64decode(header.salt, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("the sealed file has a salt that is none") from error
    return Sealer(header.suite, key, salt, start)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(_NUMBER, "big") + bytes([is_last])


def _exactly(source: BinaryIO, size: int) -> bytes:
    """Return so many bytes, or all that are left."""
    found = source.read(size)
    while len(found) < size and (more := source.read(size - len(found))):
        found += more
    return found
