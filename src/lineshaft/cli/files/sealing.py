"""encrypt, decrypt, keys, destroy: files that are sealed with the keys of a plant."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
from typing_extensions import override

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.cli.files import telling
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.errors import ConfigError, NotFound
from lineshaft.security.data.gate import Gate, Passage, Stage
from lineshaft.security.data.keys.destroying import Certificate, destroy
from lineshaft.security.data.keys.envelope import read_header, seal, unseal
from lineshaft.security.data.keys.ring import FOLDER, PASSPHRASE, Ring, SealedFile
from lineshaft.security.data.keys.suites import Suite
from lineshaft.security.data.telling import record_of

SUITES = {"aes": Suite.AES, "sm4": Suite.SM4}


class Parts(io.RawIOBase):
    """An iterable of bytes, read as a file."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._rest = iter(parts), b""

    @override
    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes; none at the end."""
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return b""
            self._rest = part
        found, self._rest = self._rest[:size], self._rest[size:]
        return found


def ring_of(data: Path) -> Ring:
    """Return the keys of the plant with this data directory."""
    return Ring(data / FOLDER, os.environ.get(PASSPHRASE, ""))


def common_place(pattern: str) -> str:
    """Return the place that has all points of a pattern; empty for the whole plant."""
    levels = pattern.split("/")
    first = next((n for n, each in enumerate(levels) if "*" in each), len(levels) - 1)
    return "/".join(levels[:first])


def seal_parts(
    data: Path,
    parts: Iterable[bytes],
    out: Path,
    place: str,
    about: Callable[[], dict[str, str]] = dict,
    suite: Suite = Suite.AES,
) -> None:
    """Seal a file with the key of a place, while it comes; `about` is asked late."""
    source = Parts(parts)
    first = source.read(1)  # whoever sends says with it what it is worth, or refuses
    ring, now = ring_of(data), datetime.now(UTC)
    key = ring.key_for(place, suite, now)
    told = {"place": place, "file": out.name, **about()}
    whole = Parts(_again(first, source))
    with _whole(out) as target:
        seal(cast("BinaryIO", whole), target, key, suite, told)
    stamp = now.isoformat(timespec="seconds")
    label = told.get("label", "")
    ring.note(SealedFile(key=key[0], file=str(out.resolve()), time=stamp, label=label))
    record = AuditRecord(
        kind="data.seal",
        who=telling.who(),
        name=place,
        text=f"{out.name} was sealed with the key {key[0]}",
        origin=telling.ORIGIN,
        detail={"key": key[0], "file": str(out.resolve()), "suite": str(suite)},
    )
    telling.tell(data, record)
    screen.complain(f"{out}: sealed with the key {key[0]} of {place or 'the plant'}")


def encrypt(data: Path, file: Path, place: str, suite: str, out: Path | None) -> None:
    """Seal a file that is there; it stays."""
    target = out or file.with_name(f"{file.name}.sealed")
    try:
        with file.open("rb") as source:
            pieces = iter(lambda: source.read(1 << 20), b"")
            seal_parts(data, pieces, target, place, suite=SUITES[suite])
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error


def decrypt(data: Path, file: Path, out: Path) -> None:
    """Write what a sealed file holds; nothing if any of it was changed."""
    ring = ring_of(data)
    try:
        with file.open("rb") as source, _whole(out) as target:
            header = unseal(source, target, ring.key_of)
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error
    record = AuditRecord(
        kind="data.open",
        who=telling.who(),
        name=header.about.get("place", ""),
        text=f"{file.name} was opened with the key {header.key}",
        origin=telling.ORIGIN,
        detail={"key": header.key, "file": str(file.resolve())},
    )
    telling.tell(data, record)
    screen.complain(f"{out}: {out.stat().st_size:,} bytes")


def keys(data: Path, *, as_json: bool) -> None:
    """Print the keys of the plant, without what is secret of them."""
    found = ring_of(data).keys()
    if as_json:
        rows = [msgspec.to_builtins(key) for key in found]
        hidden = ("wrapped", "master")
        screen.write_json(
            [{k: v for k, v in row.items() if k not in hidden} for row in rows]
        )
        return
    shown = [(k.id, k.place or "the whole plant", k.suite, k.made) for k in found]
    screen.table(("key", "place", "cipher", "made"), shown)


def describe(file: Path, *, as_json: bool) -> None:
    """Print what a sealed file says of itself."""
    try:
        with file.open("rb") as source:
            header = read_header(source)
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}") from error
    told = {"suite": str(header.suite), "key": header.key, **header.about}
    if as_json:
        screen.write_json(told)
    else:
        screen.table(("what", "value"), list(told.items()))


def end(config: Path, data: Path, place: str, why: str, *, as_json: bool) -> None:
    """Destroy the keys of a place; print and keep the certificate.

    `Denied` if its grade asks for an approval that nobody gave.
    """
    if not why.strip():
        raise ConfigError("--why is empty; say why the data are destroyed")
    now, me = datetime.now(UTC), telling.who()
    approval = _permitted(config, data, place, now)
    ring = ring_of(data)
    certificate = destroy(ring, place, (me, why), now, approval)
    for key in certificate.keys:
        record = AuditRecord(
            kind="data.destroy.key",
            who=me,
            name=key.place,
            text=f"the key {key.id} was destroyed: {why}",
            origin=telling.ORIGIN,
            detail={"key": key.id, "fingerprint": key.fingerprint},
        )
        telling.tell(data, record)
    _show(certificate, as_json=as_json)
    folder = ring.home / "destroyed"
    for key in certificate.keys:
        screen.complain(f"certificate: {folder / key.id}.json and .txt")


def _permitted(config: Path, data: Path, place: str, now: datetime) -> str:
    """Return the approval by which data may be destroyed; empty if none is needed."""
    plant = settings.load(config, data, drivers=False)
    wanted = plant.settings.data
    if wanted is None:
        return ""
    names = [point.name for point, _, _ in plant.points()]
    inside = [name for name in names if not place or name.startswith(f"{place}/")]
    asked = inside or [place]

    def decided(passage: Passage, about: Sequence[str]) -> None:
        del about
        told = record_of(passage, asked, telling.who(), telling.ORIGIN)
        telling.tell(data, told)

    gate = Gate(wanted, decided)
    return gate.pass_on(Stage.DESTROY, asked, "", now).approval


def _show(certificate: Certificate, *, as_json: bool) -> None:
    if as_json:
        screen.write_json(msgspec.to_builtins(certificate))
    else:
        screen.say(certificate.text.rstrip("\n"))


def _again(first: bytes, rest: Parts) -> Iterator[bytes]:
    yield first
    while part := rest.read(1 << 20):
        yield part


@contextmanager
def _whole(out: Path) -> Iterator[BinaryIO]:
    """Open a file that bears its name only when it is whole."""
    partial = out.with_name(f"{out.name}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(partial, flags, 0o600), "wb") as target:
            yield target
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
