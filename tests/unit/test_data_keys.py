"""Data are sealed, found out when changed, and gone when their key is."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from lineshaft.core.errors import ConfigError, Denied, LineshaftError, NotFound, Refused
from lineshaft.security.data.keys import envelope
from lineshaft.security.data.keys.destroying import destroy
from lineshaft.security.data.keys.envelope import CHUNK, read_header, seal, unseal
from lineshaft.security.data.keys.ring import Ring, SealedFile
from lineshaft.security.data.keys.suites import NONCE, TAG, Sealer, Suite

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
KEY = ("00112233445566aa", bytes(range(32)))
SUITES = pytest.mark.parametrize("suite", list(Suite))


def sealed(plain: bytes, suite: Suite = Suite.AES, **about: str) -> bytes:
    out = io.BytesIO()
    seal(io.BytesIO(plain), out, KEY, suite, about)
    return out.getvalue()


def opened(data: bytes, key: bytes = KEY[1]) -> bytes:
    out = io.BytesIO()
    unseal(io.BytesIO(data), out, lambda _: key)
    return out.getvalue()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envelope, "CHUNK", 16)


@SUITES
@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_is_sealed_is_opened(suite: Suite, size: int) -> None:
    plain = bytes(i % 251 for i in range(256)) * (size // 256 + 1)
    data = sealed(plain[:size], suite, label="important; production")
    assert opened(data) == plain[:size]
    assert read_header(io.BytesIO(data)).about == {"label": "important; production"}


@given(st.binary(max_size=200), st.sampled_from(Suite))
@settings(max_examples=50)
def test_any_content_passes(plain: bytes, suite: Suite) -> None:
    data = sealed(plain, suite)
    assert opened(data) == plain
    assert len(plain) < 8 or plain not in data


@SUITES
def test_every_changed_bit_is_found(suite: Suite, small_chunks: None) -> None:
    data = sealed(b"16 bytes of them" * 2 + b"more", suite, label="core")
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(LineshaftError):
            opened(bytes(changed))


def test_nothing_can_be_cut_off_added_or_moved(small_chunks: None) -> None:
    data = sealed(b"A" * 16 + b"B" * 16 + b"C" * 16)
    start, size = len(data) - 3 * (16 + TAG), 16 + TAG
    first, second, third = (data[start + i * size :][:size] for i in range(3))
    head = data[:start]
    assert opened(head + first + second + third) == b"A" * 16 + b"B" * 16 + b"C" * 16
    for body in (
        first + second,
        first,
        b"",
        second + first + third,
        first + second + third + third,
        first + second + third + b"x",
        first + third,
    ):
        with pytest.raises(Denied, match="chunk"):
            opened(head + body)


@SUITES
def test_another_key_opens_nothing(suite: Suite) -> None:
    with pytest.raises(Denied, match="another key"):
        opened(sealed(b"secret recipe", suite), bytes(32))


@given(st.binary(max_size=120))
def test_random_bytes_are_refused(noise: bytes) -> None:
    for data in (noise, b"LSEAL\x01\x00\x20" + noise):
        with pytest.raises((Refused, Denied)):
            opened(data)


def test_a_newer_format_is_told() -> None:
    with pytest.raises(Refused, match=r"format 9.*newer"):
        opened(b"LSEAL\x09\x00\x00")


def test_no_nonce_comes_twice_under_a_key(
    monkeypatch: pytest.MonkeyPatch, small_chunks: None
) -> None:
    used: list[tuple[bytes, bytes]] = []
    before = Sealer.seal

    def noted(self: Sealer, nonce: bytes, plain: bytes, about: bytes = b"") -> bytes:
        used.append((self._key, nonce))
        return before(self, nonce, plain, about)

    monkeypatch.setattr(Sealer, "seal", noted)
    for _ in range(50):
        sealed(b"x" * 100)
    assert len(used) == 50 * 7
    assert len(set(used)) == len(used)
    assert len({key for key, _ in used}) == 50
    assert {len(nonce) for _, nonce in used} == {NONCE}


class Endless(io.RawIOBase):
    """So many bytes, of which never more than was asked for exist."""

    def __init__(self, size: int) -> None:
        self.left, self.largest = size, 0

    @override
    def read(self, size: int = -1) -> bytes:
        assert size > 0, "the whole file was asked for at once"
        self.largest = max(self.largest, size)
        size = min(size, self.left)
        self.left -= size
        return b"\0" * size


class Counted(io.RawIOBase):
    """Takes any number of bytes and keeps none."""

    def __init__(self) -> None:
        self.total = self.largest = 0

    @override
    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.total += len(data)
        self.largest = max(self.largest, len(data))
        return len(data)


def test_a_large_file_is_never_in_memory_at_once() -> None:
    plain: BinaryIO = Endless(64 * CHUNK)  # type: ignore[assignment]
    out: BinaryIO = Counted()  # type: ignore[assignment]
    seal(plain, out, KEY)
    assert out.total > 64 * CHUNK  # type: ignore[attr-defined]
    assert out.largest == CHUNK + TAG  # type: ignore[attr-defined]
    assert plain.largest == CHUNK  # type: ignore[attr-defined]


def test_a_place_has_one_key_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "keys")
    first = ring.key_for("acme/osaka", Suite.AES, NOW)
    assert ring.key_for("acme/osaka", Suite.AES, NOW) == first
    assert ring.key_for("acme/kyoto", Suite.AES, NOW) != first
    assert ring.key_for("acme/osaka", Suite.SM4, NOW) != first
    assert ring.key_of(first[0]) == first[1]
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert modes == {0o600}
    held = b"".join(path.read_bytes() for path in (tmp_path / "keys").iterdir())
    assert first[1] not in held


def test_several_at_once_make_one_key(tmp_path: Path) -> None:
    def make(_: int) -> tuple[str, bytes]:
        return Ring(tmp_path).key_for("acme", Suite.AES, NOW)

    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(make, range(32)))
    assert len(made) == 1
    assert len(Ring(tmp_path).keys()) == 1


def test_with_a_passphrase_the_folder_alone_opens_nothing(tmp_path: Path) -> None:
    name, raw = Ring(tmp_path, "correct horse").key_for("acme", Suite.AES, NOW)
    assert Ring(tmp_path, "correct horse").key_of(name) == raw
    with pytest.raises(Denied, match="is not that of"):
        Ring(tmp_path, "wrong horse").key_of(name)
    with pytest.raises(ConfigError, match="LINESHAFT_KEY_PASSPHRASE"):
        Ring(tmp_path).key_of(name)


def test_a_key_that_was_moved_to_another_place_is_refused(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    name, _ = ring.key_for("acme/osaka", Suite.AES, NOW)
    file = tmp_path / f"{name}.json"
    file.write_bytes(file.read_bytes().replace(b"acme/osaka", b"acme/kyoto"))
    with pytest.raises(Denied, match="changed"):
        ring.key_of(name)


@pytest.mark.parametrize("name", ["../master", "", "0" * 16])
def test_a_key_that_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFound):
        Ring(tmp_path).key_of(name)


def test_a_destroyed_key_leaves_its_files_unreadable(tmp_path: Path) -> None:
    ring = Ring(tmp_path / "keys")
    oven = ring.key_for("acme/osaka/oven", Suite.AES, NOW)
    kyoto = ring.key_for("acme/kyoto", Suite.AES, NOW)
    plant = ring.key_for("", Suite.AES, NOW)
    out = io.BytesIO()
    seal(io.BytesIO(b"recipe"), out, oven)
    ring.note(SealedFile(key=oven[0], file="oven.csv.sealed", time="now"))
    stolen = {p.name: p.read_bytes() for p in (tmp_path / "keys").glob("*.json")}

    certificate = destroy(ring, "acme/osaka", ("anna", "contract ended"), NOW)

    assert [key.id for key in certificate.keys] == [oven[0]]
    assert [each.file for each in certificate.files] == ["oven.csv.sealed"]
    assert certificate.above == ("the whole plant",)
    for said in ("anna", "contract ended", "oven.csv.sealed", oven[0]):
        assert said in certificate.text
    with pytest.raises(NotFound, match="was destroyed"):
        unseal(io.BytesIO(out.getvalue()), io.BytesIO(), ring.key_of)
    assert ring.key_of(kyoto[0]) == kyoto[1]
    assert ring.key_of(plant[0]) == plant[1]
    left = b"".join(p.read_bytes() for p in (tmp_path / "keys").rglob("*.*"))
    assert oven[1] not in left
    # Whoever kept a copy of the key's file, but not of the master's, has nothing.
    (tmp_path / "keys" / f"{oven[0]}.json").write_bytes(stolen[f"{oven[0]}.json"])
    with pytest.raises(NotFound, match="master key"):
        ring.key_of(oven[0])


def test_destroying_what_has_no_key_changes_nothing(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    kept = ring.key_for("acme/osaka", Suite.AES, NOW)
    with pytest.raises(NotFound, match="acme/osaka"):
        destroy(ring, "acme/os", ("anna", "why"), NOW)
    assert ring.key_of(kept[0]) == kept[1]


def test_an_interrupted_destruction_loses_no_other_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = Ring(tmp_path)
    gone = ring.key_for("acme/osaka", Suite.AES, NOW)
    kept = ring.key_for("acme/kyoto", Suite.AES, NOW)

    def crash(*_: object) -> None:
        raise OSError("no power")

    with monkeypatch.context() as broken:
        broken.setattr("lineshaft.security.data.keys.destroying.overwrite", crash)
        with pytest.raises(OSError, match="no power"):
            destroy(ring, "acme/osaka", ("anna", "why"), NOW)
    assert ring.key_of(kept[0]) == kept[1]
    destroy(ring, "acme/osaka", ("anna", "why"), NOW)
    assert ring.key_of(kept[0]) == kept[1]
    assert len(list(tmp_path.glob("master-*"))) == 1
    with pytest.raises(NotFound, match="destroyed"):
        ring.key_of(gone[0])
