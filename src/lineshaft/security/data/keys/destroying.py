"""Destroying data by destroying their key, with a certificate.

The key's file is overwritten and removed. Since a disk may keep what was overwritten
(flash memory does), the master key is replaced too: an old copy of the data key's file
is wrapped by a master that is no more. What no program can reach are copies of the
folder that somebody made elsewhere; the certificate says so.
"""

import os
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from lineshaft.core.errors import NotFound
from lineshaft.security.data.keys.ring import (
    DataKey,
    Ring,
    SealedFile,
)
from lineshaft.security.kept import sync_folder, write_private

LIMITS = (
    "Copies of the key folder that were made elsewhere, and data that were never "
    "sealed with these keys, such as the open history, are not covered."
)


class GoneKey(msgspec.Struct, frozen=True):
    """A key that was destroyed."""

    id: str
    place: str
    suite: str
    made: str
    fingerprint: str


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """What was destroyed, when, by whom and why."""

    place: str
    keys: tuple[GoneKey, ...]
    files: tuple[SealedFile, ...]
    """The files that cannot be read any more, as far as they were written down."""
    above: tuple[str, ...]
    """Places above with keys of their own: files of theirs can hold these data too."""
    copies: tuple[str, ...] = ()
    """Copies of these keys that travelled with back-ups, and what became of them."""
    destroyed: str
    by: str
    why: str
    approval: str = ""
    method: str = (
        "key file overwritten with random bytes, synchronized and removed; master key "
        "replaced and likewise destroyed (NIST SP 800-88 rev. 1: cryptographic erase)"
    )
    limits: str = LIMITS

    @property
    def text(self) -> str:
        """Return it for people."""
        lines = [
            "CERTIFICATE OF DESTRUCTION",
            "",
            f"Data of:    {self.place or 'the whole plant'}",
            f"Destroyed:  {self.destroyed}",
            f"By:         {self.by}",
            f"Reason:     {self.why}",
            f"Approval:   {self.approval or 'none was asked for'}",
            f"Method:     {self.method}",
            "",
            "Keys:",
            *(
                f"  {key.id}  {key.suite}  of {key.place or 'the whole plant'}, made "
                f"{key.made}, SHA-256 begins with {key.fingerprint}"
                for key in self.keys
            ),
            "",
            "Copies of the keys with back-ups:",
            *(f"  {each}" for each in self.copies or ("none were made",)),
            "",
            "Files that cannot be read any more:",
            *(f"  {each.file} (key {each.key}, {each.time})" for each in self.files),
            *(() if self.files else ("  none was written down",)),
            "",
            f"Places above that have keys of their own: {', '.join(self.above) or '-'}",
            f"Limits: {self.limits}",
        ]
        return "\n".join(lines) + "\n"


def destroy(
    ring: Ring, place: str, who: tuple[str, str], now: datetime, approval: str = ""
) -> Certificate:
    """Destroy the keys of a place and all below it; return the certificate.

    `who` is the person, and why. `NotFound` if there is no such key. The certificate is
    on disk before the first key goes; asked again after an interruption it ends what
    is left.
    """
    with ring.alone():
        return _destroy(ring, place, who, now, approval)


def _destroy(
    ring: Ring, place: str, who: tuple[str, str], now: datetime, approval: str
) -> Certificate:
    keys = ring.keys()
    gone = [key for key in keys if _is_in(key.place, place)]
    if not gone:
        known = ", ".join(key.place or "the whole plant" for key in keys) or "none"
        raise NotFound(f"there is no key of {place or 'the plant'}; there are: {known}")
    files = ring.sealed_with(key.id for key in gone)
    copies = [each for each in files if _is_copy(each)]
    certificate = Certificate(
        place=place,
        keys=tuple(
            GoneKey(k.id, k.place, str(k.suite), k.made, k.fingerprint) for k in gone
        ),
        files=tuple(each for each in files if each not in copies),
        copies=tuple(_fate(each.file) for each in copies),
        above=_above(keys, place),
        destroyed=now.isoformat(timespec="seconds"),
        by=who[0],
        why=who[1],
        approval=approval,
    )
    for each in copies:
        if Path(each.file).is_file():
            overwrite(Path(each.file))
    old = ring.renew_master([key for key in keys if key not in gone], now)
    folder = ring.home / "destroyed"
    folder.mkdir(mode=0o700, exist_ok=True)
    told = msgspec.json.format(msgspec.json.encode(certificate), indent=2)
    for key in gone:
        write_private(folder / f"{key.id}.json", told)
        write_private(folder / f"{key.id}.txt", certificate.text.encode())
        overwrite(ring.home / f"{key.id}.json")
    for master in old:
        overwrite(master)
    sync_folder(ring.home)
    return certificate


def overwrite(file: Path) -> None:
    """Fill a file with random bytes, see them onto the disk, and remove it."""
    with file.open("r+b", buffering=0) as out:
        out.write(secrets.token_bytes(file.stat().st_size))
        os.fsync(out.fileno())
    file.unlink()


def _is_copy(sealed: SealedFile) -> bool:
    return Path(sealed.file).name == f"{sealed.key}.json"


def _fate(file: str) -> str:
    if Path(file).is_file():
        return f"{file}: overwritten and removed"
    return f"{file}: NOT THERE NOW; destroy it where it went"


def _is_in(place: str, root: str) -> bool:
    return not root or place == root or place.startswith(f"{root}/")


def _above(keys: Sequence[DataKey], place: str) -> tuple[str, ...]:
    upper = {k.place for k in keys if k.place != place and _is_in(place, k.place)}
    return tuple(sorted(each or "the whole plant" for each in upper))
