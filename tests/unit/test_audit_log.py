"""The audit log: proofs that an independent engine agrees with, and every damage."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import (  # type: ignore[import-untyped]
    InmemoryTree,
    verify_consistency,
    verify_inclusion,
)

from lineshaft.core.bus import AUDIT
from lineshaft.core.bus.audit import AuditRecord, Result, tell_audit
from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.process.tasks import beside
from lineshaft.security.audit import merkle
from lineshaft.security.audit.asking import AuditClient, Search
from lineshaft.security.audit.log import Log, open_log
from lineshaft.security.audit.notes import (
    Signer,
    Verifier,
    cosigned_at,
    open_key,
    read_checkpoint,
)
from lineshaft.security.audit.service import AuditRoom
from lineshaft.security.audit.settings import Settings
from lineshaft.security.audit.tiles import WIDTH, Tiles, pack, tile_path, unpack
from lineshaft.security.audit.verifying import Proof, check_proof, prove, verify
from lineshaft.security.audit.witness import (
    Stale,
    TwoHistories,
    Witness,
    open_witness,
    request,
)
from support.bus_in_memory import BusInMemory

NAME = "osaka.example/audit"


@contextmanager
def filled(home: Path, count: int, each: int = 100) -> Iterator[Log]:
    """Open a log and add entries in groups."""
    with open_log(home, NAME) as reopen:
        log = reopen()
        for start in range(0, count, each):
            log.append(entries(start, min(start + each, count)))
        yield log


def entries(start: int, stop: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(start, stop)]


def oracle(count: int) -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for entry in entries(0, count):
        tree.append_entry(entry)
    return tree


def test_the_tree_is_that_of_the_standard() -> None:
    # RFC 6962's own construction, written out for three leaves.
    a, b, c = (merkle.leaf_hash(x) for x in (b"", b"\x00", b"\x10"))
    assert merkle.EMPTY.hex().startswith("e3b0c44298fc1c149afbf4c8996fb924")
    assert a.hex().startswith("6e340b9cffb37a989ca544e6bb780a2c")
    both = merkle.node_hash(merkle.node_hash(a, b), c)
    assert both.hex().startswith("aeb6bcfe274b70a14fb067a5e5578264")


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 700])
def test_roots_and_proofs_are_those_of_an_independent_engine(
    tmp_path: Path, count: int
) -> None:
    other = oracle(count)
    with filled(tmp_path, count) as log:
        assert log.checkpoint.root == other.get_root()
        tiles = Tiles(tmp_path, count)
        for number in {0, count // 3, count // 2, count - 1}:
            path = merkle.inclusion(tiles, number, count)
            theirs = other.prove_inclusion(number + 1, count)
            verify_inclusion(other.get_leaf(number + 1), other.get_root(), theirs)
            assert path == [bytes.fromhex(x) for x in theirs.serialize()["path"]][1:]
            leaf = merkle.leaf_hash(b"entry %d" % number)
            found = merkle.root_by_inclusion(leaf, number, count, path)
            assert found == other.get_root()
        for before in {1, count // 2 or 1, count}:
            path = merkle.consistency(tiles, before, count)
            now = (count, other.get_root())
            then = (before, other.get_root(before))
            assert merkle.is_consistent(then, now, path)
            theirs = other.prove_consistency(before, count)
            verify_consistency(then[1], now[1], theirs)
            if before < count:
                forged = (before, merkle.leaf_hash(b"forged"))
                assert not merkle.is_consistent(forged, now, path)


class Plain:
    """Hashes of entries that are all in memory."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def node(self, height: int, index: int) -> bytes:
        if not height:
            return self._leaves[index]
        return merkle.node_hash(
            self.node(height - 1, 2 * index), self.node(height - 1, 2 * index + 1)
        )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_proof_holds_and_any_other_does_not(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 70))
    number = data.draw(st.integers(0, size - 1))
    before = data.draw(st.integers(1, size))
    plain = Plain([merkle.leaf_hash(b"%d" % each) for each in range(size)])
    root = merkle.root(plain, size)
    path = merkle.inclusion(plain, number, size)
    leaf = merkle.leaf_hash(b"%d" % number)
    assert merkle.root_by_inclusion(leaf, number, size, path) == root
    steps = merkle.consistency(plain, before, size)
    then, now = (before, merkle.root(plain, before)), (size, root)
    assert merkle.is_consistent(then, now, steps)
    if steps:
        at = data.draw(st.integers(0, len(steps) - 1))
        wrong = [*steps[:at], merkle.leaf_hash(steps[at]), *steps[at + 1 :]]
        assert not merkle.is_consistent(then, now, wrong)
        assert not merkle.is_consistent(then, now, steps[:-1])
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        wrong = [*path[:at], merkle.leaf_hash(path[at]), *path[at + 1 :]]
        assert merkle.root_by_inclusion(leaf, number, size, wrong) != root
        with pytest.raises(Refused):
            merkle.root_by_inclusion(leaf, number, size, path[:-1])


def test_tiles_lie_where_the_standard_says() -> None:
    assert tile_path(0, 0, 5) == "tile/0/000.p/5"
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    assert tile_path("entries", 7) == "tile/entries/007"
    assert unpack(pack([b"", b"abc"])) == [b"", b"abc"]


def test_a_log_without_entries_holds_and_says_so(tmp_path: Path) -> None:
    with open_log(tmp_path, NAME) as reopen:
        assert reopen().size == 0
    verdict = verify(tmp_path)
    assert (verdict.holds, verdict.size) == (True, 0)


def test_any_changed_missing_or_swapped_byte_is_found_and_named(tmp_path: Path) -> None:
    with filled(tmp_path, 600):
        pass
    assert verify(tmp_path).holds
    files = sorted(file for file in tmp_path.rglob("tile/**/*") if file.is_file())
    assert len(files) == 7
    for file in [*files, tmp_path / "checkpoint"]:
        before = file.read_bytes()
        for at in {0, len(before) // 2, len(before) - 1}:
            file.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
            verdict = verify(tmp_path)
            assert not verdict.holds, (file, at)
            where = str(file.relative_to(tmp_path)).replace("entries", "0")
            told = " ".join(verdict.problems).replace("entries/", "0/")
            assert where in told, verdict
        file.write_bytes(before[:-1])
        assert not verify(tmp_path).holds
        if file.name != "checkpoint":
            file.unlink()
            assert str(file.relative_to(tmp_path)) in verify(tmp_path).problems[0]
        file.write_bytes(before)
    assert verify(tmp_path).holds


def test_an_entry_that_was_changed_with_all_hashes_is_found_by_the_root(
    tmp_path: Path,
) -> None:
    with filled(tmp_path, 10):
        pass
    changed = entries(0, 10)
    changed[3] = b"entry 3!"
    (tmp_path / tile_path("entries", 0, 10)).write_bytes(pack(changed))
    hashes = b"".join(merkle.leaf_hash(entry) for entry in changed)
    (tmp_path / tile_path(0, 0, 10)).write_bytes(hashes)
    assert "root" in verify(tmp_path).problems[0]
    with pytest.raises(Refused, match="not those"), open_log(tmp_path, NAME) as reopen:
        reopen()


def test_whoever_has_the_key_and_writes_another_history_is_found_by_what_was_kept(
    tmp_path: Path,
) -> None:
    with filled(tmp_path / "a", 300):
        kept = (tmp_path / "a" / "checkpoint").read_text()
    (tmp_path / "b").mkdir()
    for name in ("key", "key.pub"):
        (tmp_path / "b" / name).write_bytes((tmp_path / "a" / name).read_bytes())
    with open_log(tmp_path / "b", NAME) as reopen:
        reopen().append([b"other", *entries(1, 400)])
    with open_log(tmp_path / "a", NAME) as reopen:
        reopen().append(entries(300, 400))
    assert verify(tmp_path / "a", earlier=[kept]).holds
    assert verify(tmp_path / "b").holds
    [told] = verify(tmp_path / "b", earlier=[kept]).problems
    assert "the first 300 entries are not as they were" in told
    longer = (tmp_path / "a" / "checkpoint").read_text()
    (tmp_path / "a" / "checkpoint").write_text(kept)
    told = verify(tmp_path / "a", earlier=[longer]).problems[-1]
    assert "100 entries that were there then are missing" in told


def test_a_proof_convinces_whoever_has_the_key_and_no_file(tmp_path: Path) -> None:
    with filled(tmp_path, 1000):
        proof = prove(tmp_path, 512)
        key = (tmp_path / "key.pub").read_text()
    assert check_proof(proof, key).size == 1000
    with pytest.raises(Refused, match="does not hold"):
        check_proof(msgspec.structs.replace(proof, entry="entry 513"), key)
    other = Signer(NAME, open_key(tmp_path / "other")).verifier
    with pytest.raises(Refused, match="not signed"):
        check_proof(proof, other)
    with pytest.raises(Refused, match="no entry 1000"):
        prove(tmp_path, 1000)


CRASHING = """
import sys
from pathlib import Path
from lineshaft.security.audit.log import open_log
with open_log(Path(sys.argv[1]), "osaka.example/audit") as reopen:
    log = reopen()
    print(log.size, flush=True)
    while True:
        log.append([b"entry %d" % (log.size + each) for each in range(37)])
        print(log.size, flush=True)
"""


def test_killed_at_any_moment_it_has_all_that_was_confirmed_and_nothing_twice(
    tmp_path: Path,
) -> None:
    confirmed = 0
    for attempt in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", CRASHING, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert int(child.stdout.readline()) >= confirmed
        for _ in range(3 + attempt):
            confirmed = int(child.stdout.readline())
        time.sleep(0.001 * attempt)
        child.send_signal(signal.SIGKILL)
        rest = child.communicate()[0].split()
        confirmed = int(rest[-1]) if rest and rest[-1].isdigit() else confirmed
        assert verify(tmp_path).holds
    with open_log(tmp_path, NAME) as reopen:
        log = reopen()
        assert log.size >= confirmed
        found = [entry for _, entry in Tiles(tmp_path, log.size).entries(0, log.size)]
    assert found == entries(0, len(found))


def test_two_processes_do_not_write_one_log(tmp_path: Path) -> None:
    with (
        filled(tmp_path, 1),
        pytest.raises(Refused, match="another process"),
        open_log(tmp_path, NAME),
    ):
        pass


def test_keys_are_for_us_alone(tmp_path: Path) -> None:
    with filled(tmp_path / "log", 1):
        assert (tmp_path / "log" / "key").stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "log").stat().st_mode & 0o777 == 0o700


def witnessed(home: Path, log_home: Path) -> Witness:
    witness = open_witness(home, "w", [(log_home / "key.pub").read_text().strip()])
    assert witness is not None
    return witness


def show(witness: Witness, home: Path, old: int) -> str:
    note = (home / "checkpoint").read_text()
    size = read_checkpoint(note, None).size
    path = merkle.consistency(Tiles(home, size), old, size) if old else []
    return witness.add(request(old, path, note))


def test_a_witness_signs_what_follows_and_says_when_it_sees_two_histories(
    tmp_path: Path,
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    with filled(a, 300):
        pass
    witness = witnessed(tmp_path / "w", a)
    note = (a / "checkpoint").read_text()
    signed = note + show(witness, a, 0)
    when = cosigned_at(signed, Verifier(witness.verifier))
    assert when is not None
    assert abs(when - time.time()) < 3600
    with open_log(a, NAME) as reopen:
        reopen().append(entries(300, 500))
    with pytest.raises(Stale) as stale:
        show(witness, a, 17)
    assert stale.value.size == 300
    # It remembers, whatever happens to its process.
    witness = witnessed(tmp_path / "w", a)
    show(witness, a, 300)
    b.mkdir()
    for name in ("key", "key.pub"):
        (b / name).write_bytes((a / name).read_bytes())
    with open_log(b, NAME) as reopen:
        reopen().append([b"other", *entries(1, 900)])
    with pytest.raises(TwoHistories, match="two histories"):
        show(witness, b, 500)
    stranger = tmp_path / "c"
    with open_log(stranger, "someone/else") as reopen:
        reopen().append(entries(0, 3))
    with pytest.raises(NotFound):
        show(witness, stranger, 0)


@given(st.binary(max_size=300))
def test_a_witness_refuses_nonsense(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as home, pytest.raises((Refused, NotFound)):
        Witness(Path(home), "w", {}).add(data)


class Opening:
    """Opens a log whose disk can be full."""

    def __init__(self, home: Path, signer: Signer) -> None:
        self._home, self._signer = home, signer
        self.full = False

    def __call__(self) -> Log:
        return _Full(self._home, self._signer, self)


class _Full(Log):
    def __init__(self, home: Path, signer: Signer, disk: Opening) -> None:
        super().__init__(home, signer)
        self._disk = disk

    def append(self, entries: Sequence[bytes]) -> None:  # type: ignore[explicit-override]
        if self._disk.full:
            raise OSError(28, "No space left on device")
        super().append(entries)


def room(home: Path, bus: BusInMemory) -> tuple[AuditRoom, Opening]:
    home.mkdir(parents=True, exist_ok=True)
    opening = Opening(home, Signer(NAME, open_key(home / "key")))

    def post(_: str, __: bytes) -> tuple[int, bytes]:
        raise AssertionError("there is no witness")

    return AuditRoom(home, Settings(), bus, opening, post, None), opening


async def test_the_room_writes_each_record_once_in_order_across_restarts(
    tmp_path: Path,
) -> None:
    bus = BusInMemory(most=10)
    for turn in range(3):
        works, _ = room(tmp_path, bus)
        async with beside(works.run()):
            for number in range(25):
                await tell_audit(bus, record(turn, number))
            # Whoever is unsure tells it again.
            await bus.publish("audit.x", msgspec.json.encode(record(turn, 3)), "again")
            await until_size(bus, works, 25 * (turn + 1))
            found = await AuditClient(bus).search(Search(kind="login.*", limit=3))
            proof = await AuditClient(bus).prove(0)
        assert [each.record.who for each in found] == [
            f"{turn}-{number}" for number in (24, 23, 22)
        ]
        assert isinstance(proof, Proof)
    await bus.until(lambda: not bus.streams[AUDIT] or len(bus.streams[AUDIT]) < 3)
    assert works._log.size == 75


async def until_size(bus: BusInMemory, works: AuditRoom, size: int) -> None:
    await bus.until(lambda: works._log.size == size)


def record(turn: int, number: int) -> AuditRecord:
    name = f"{turn}-{number}"
    return AuditRecord(kind="login.password", who=name, id=name, result=Result.SUCCESS)


async def test_a_full_disk_holds_records_back_on_the_bus_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lineshaft.security.audit.service.RETRY_S", 0.01)
    bus = BusInMemory()
    works, disk = room(tmp_path, bus)
    disk.full = True
    async with beside(works.run()):
        await tell_audit(bus, record(0, 0))
        while not works._health().reason:  # noqa: ASYNC110  nobody tells it
            await asyncio.sleep(0.01)
        assert "cannot be written" in works._health().reason
        assert len(bus.streams[AUDIT]) == 1
        disk.full = False
        await bus.until(lambda: works._log.size == 1)
        await bus.until(lambda: not bus.streams[AUDIT])
        assert works._health().reason == ""
    assert verify_with_key(tmp_path)


def verify_with_key(home: Path) -> bool:
    return verify(home, Signer(NAME, open_key(home / "key")).verifier).holds


async def test_what_is_no_record_is_kept_as_such(tmp_path: Path) -> None:
    bus = BusInMemory()
    works, _ = room(tmp_path, bus)
    async with beside(works.run()):
        await bus.publish("audit.odd", b"\x00not json", "odd")
        await bus.publish("audit.long", msgspec.json.encode(
            AuditRecord(kind="x", who="y", text="z" * 100_000)), "long")  # fmt: skip
        large = AuditRecord(kind="x", who="é" * 70_000, name="n" * 70_000)
        await bus.publish("audit.wide", msgspec.json.encode(large), "wide")
        await bus.until(lambda: works._log.size == 3)
        odd, long, wide = reversed(await AuditClient(bus).search(Search()))
    assert odd.record.kind == "audit.refused"
    assert long.record.text == "z" * 1000
    assert long.record.detail["text"] == 100_000
    assert len(str(long.record.detail["cut"])) == 64
    assert (len(wide.record.who), wide.record.detail["name"]) == (1000, 70_000)


def test_a_log_of_three_levels_is_consistent_at_its_edges(tmp_path: Path) -> None:
    # Two levels of full tiles: 65,536 entries and a few more.
    with open_log(tmp_path, NAME) as reopen:
        log = reopen()
        log.append(entries(0, WIDTH * WIDTH))
        log.append(entries(WIDTH * WIDTH, WIDTH * WIDTH + 3))
        log = reopen()
        log.append(entries(WIDTH * WIDTH + 3, WIDTH * WIDTH + 600))
    assert verify(tmp_path).holds
    proof = prove(tmp_path, WIDTH * WIDTH + 1)
    found = check_proof(proof, (tmp_path / "key.pub").read_text())
    assert found == log.checkpoint
    assert (tmp_path / tile_path(2, 0, 1)).exists()
