"""A release: files, their SHA-256 in one file, and a signature over that."""

import hashlib
import re
from pathlib import Path

import msgspec

from lineshaft.core.errors import ConfigError, Denied, NotFound, Refused
from lineshaft.security.supply.minisign import (
    SigningKey,
    parse_public_key,
    verify,
)

SUMS = "SHA256SUMS"
SIGNATURE = f"{SUMS}.minisig"
_LINE = re.compile(r"^([0-9a-f]{64}) [ *]([^/\0]+)$")
_PIECE = 1 << 20


class Verified(msgspec.Struct, frozen=True):
    """A release that is as it was signed."""

    files: tuple[str, ...]
    key: str
    comment: str


def write_sums(folder: Path) -> Path:
    """Write the hashes of all files there, as `sha256sum --check` reads them."""
    names = sorted(_names(folder))
    if not names:
        raise ConfigError(f"{folder} holds no files of a release")
    lines = [f"{_digest(folder / name)}  {name}\n" for name in names]
    file = folder / SUMS
    file.write_text("".join(lines), "utf-8")
    return file


def sign(folder: Path, key: SigningKey, comment: str) -> Path:
    """Write the hashes of a release and sign them; return the signature's file."""
    sums = write_sums(folder)
    file = folder / SIGNATURE
    file.write_text(key.sign(sums.read_bytes(), comment), "utf-8")
    return file


def verify_release(folder: Path, key_text: str) -> Verified:
    """Return what the release holds, if it is as the owner of the key signed it.

    `NotFound` if it has no sums or signature, `Denied` if any file is changed, missing
    or not among the signed ones; all of these are told at once.
    """
    key = parse_public_key(key_text)
    sums, signature = _read(folder / SUMS), _read(folder / SIGNATURE)
    comment = verify(key, sums, signature.decode("utf-8", "replace"))
    told = _parse(sums.decode("utf-8", "replace"))
    wrong = [
        f"{name} is missing"
        if not (folder / name).is_file()
        else f"{name} is not as it was signed"
        for name, digits in told.items()
        if not (folder / name).is_file() or _digest(folder / name) != digits
    ]
    wrong += [f"{name} was not signed" for name in sorted(_names(folder) - set(told))]
    if wrong:
        raise Denied(f"do not install this release: {'; '.join(wrong)}")
    return Verified(tuple(told), key.name, comment)


def _parse(text: str) -> dict[str, str]:
    told = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or match[2] in (".", ".."):
            raise Refused(f"{SUMS} has a line that names no file: {line[:80]!r}")
        told[match[2]] = match[1]
    return told


def _names(folder: Path) -> set[str]:
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    ours = {SUMS, SIGNATURE}
    return {path.name for path in folder.iterdir() if path.name not in ours}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFound(f"{file}: {error.strerror}; it is no signed release") from error


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
