"""Whether the files of a log are what its checkpoint, and earlier ones, speak of."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lineshaft.core.errors import Refused
from lineshaft.security.audit import merkle
from lineshaft.security.audit.log import CHECKPOINT, PUBLIC_KEY, checkpoint_of
from lineshaft.security.audit.notes import Checkpoint, Verifier, read_checkpoint
from lineshaft.security.audit.tiles import (
    ENTRIES,
    HEIGHT,
    WIDTH,
    Tiles,
    rows_above,
    tile_path,
    unpack,
)

MOST_TOLD = 20


class Verdict(msgspec.Struct, frozen=True):
    """What was found."""

    size: int
    root: str
    origin: str
    problems: list[str]
    """What is wrong, with the file and the entry; empty: nothing."""

    @property
    def holds(self) -> bool:
        """Whether everything is as it was written."""
        return not self.problems


class Proof(msgspec.Struct, frozen=True):
    """That an entry is in a log, for whoever has the log's public key."""

    number: int
    entry: str
    path: list[str]
    checkpoint: str


def verify(home: Path, key: str = "", earlier: Sequence[str] = ()) -> Verdict:
    """Read every file of a log and compare all with all.

    `key` is the public key that its owner has kept elsewhere: without it the one beside
    the log is taken, which whoever changes the log could change as well. `earlier` are
    checkpoints that were kept elsewhere. `Refused` if there is no log at all.
    """
    try:
        note = (home / CHECKPOINT).read_text("utf-8")
        verifier = Verifier(key or (home / PUBLIC_KEY).read_text("utf-8"))
    except OSError as error:
        raise Refused(f"{error.filename} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Refused(f"the checkpoint or key in {home} is no text") from error
    problems: list[str] = []
    try:
        checkpoint = read_checkpoint(note, verifier)
    except Refused as error:
        return Verdict(0, "", verifier.name, [f"{CHECKPOINT}: {error}"])
    tiles = Tiles(home, checkpoint.size)
    leaves = _check_entries(tiles, problems)
    roots = _check_levels(tiles, leaves, problems)
    if not problems and _root_of(roots, checkpoint.size) != checkpoint.root:
        problems.append(f"{CHECKPOINT}: its root is not that of the entries")
    for number, text in enumerate(earlier, 1):
        problems += _against(text, verifier, tiles, checkpoint, number)
    return Verdict(
        checkpoint.size, checkpoint.root.hex(), checkpoint.origin, problems[:MOST_TOLD]
    )


def prove(home: Path, number: int) -> Proof:
    """Return the proof that an entry is in the log."""
    note = checkpoint_of(home)
    checkpoint = read_checkpoint(note, None)
    tiles = Tiles(home, checkpoint.size)
    path = merkle.inclusion(tiles, number, checkpoint.size)
    [(_, entry)] = tiles.entries(number, number + 1)
    return Proof(number, entry.decode(), [step.hex() for step in path], note)


def check_proof(proof: Proof, key: str) -> Checkpoint:
    """Return the checkpoint that a proof leads to; `Refused` if it leads nowhere."""
    checkpoint = read_checkpoint(proof.checkpoint, Verifier(key))
    try:
        path = [bytes.fromhex(step) for step in proof.path]
    except ValueError as error:
        raise Refused("the proof is not written in hexadecimal") from error
    leaf = merkle.leaf_hash(proof.entry.encode())
    found = merkle.root_by_inclusion(leaf, proof.number, checkpoint.size, path)
    if found != checkpoint.root:
        raise Refused(f"the proof does not hold: entry {proof.number} is another one")
    return checkpoint


def _check_entries(tiles: Tiles, problems: list[str]) -> list[list[bytes]]:
    """Return the leaf hashes tile by tile, as the entries make them."""
    found: list[list[bytes]] = []
    for index in range(-(-tiles.size // WIDTH)):
        width = tiles.width(0, index)
        path = tile_path(ENTRIES, index, width)
        try:
            entries = unpack(tiles.read(path), path)
            if len(entries) != width:
                raise Refused(f"{path} has {len(entries)} entries instead of {width}")  # noqa: TRY301  told like any other
        except Refused as error:
            problems.append(str(error))
            entries = []
        found.append([merkle.leaf_hash(entry) for entry in entries])
    return found


def _check_levels(
    tiles: Tiles, made: list[list[bytes]], problems: list[str]
) -> list[list[bytes]]:
    """Compare the hashes of each level with those that the level below makes.

    Returns the hashes of each level that are in no full tile: the right edge.
    """
    level, edges = 0, []
    while (count := tiles.size >> (HEIGHT * level)) > 0:
        above: list[bytes] = []
        edge: list[bytes] = []
        for index in range(-(-count // WIDTH)):
            width = tiles.width(level, index)
            wanted = _part(made, index)[:width]
            try:
                kept = tiles.hashes(level, index)
            except Refused as error:
                problems.append(str(error))
                kept = wanted
            _compare(kept, wanted, (level, index, width), problems)
            if width == WIDTH:
                above.append(rows_above(kept)[-1][0])
            else:
                edge = kept
        edges.append(edge)
        made = [above[at : at + WIDTH] for at in range(0, len(above), WIDTH)]
        level += 1
    return edges


def _part(made: list[list[bytes]], index: int) -> list[bytes]:
    return made[index] if index < len(made) else []


def _compare(
    kept: list[bytes],
    wanted: list[bytes],
    where: tuple[int, int, int],
    problems: list[str],
) -> None:
    level, index, width = where
    if not wanted or kept == wanted:
        return
    place = next(
        i for i, (a, b) in enumerate(zip(kept, wanted, strict=False)) if a != b
    )
    path = tile_path(level, index, width)
    number = (index * WIDTH + place) << (HEIGHT * level)
    what = f"entry {number}" if not level else f"the entries from {number} on"
    problems.append(f"{path}: {what} and its hash do not belong together")


def _root_of(edges: list[list[bytes]], size: int) -> bytes:
    if not size:
        return merkle.EMPTY
    found: bytes | None = None
    for edge in edges:
        parts: list[bytes] = []
        low, high = 0, len(edge)
        while low < high:
            count = 1 << ((high - low).bit_length() - 1)
            parts.append(rows_above(edge[low : low + count])[-1][0])
            low += count
        for part in reversed(parts):
            found = part if found is None else merkle.node_hash(part, found)
    return found or merkle.EMPTY


def _against(
    text: str, verifier: Verifier, tiles: Tiles, now: Checkpoint, number: int
) -> list[str]:
    """Compare with a checkpoint that was kept elsewhere."""
    here = f"earlier checkpoint {number}"
    try:
        earlier = read_checkpoint(text, verifier)
        if earlier.size > now.size:
            cut = earlier.size - now.size
            return [f"{here}: {cut} entries that were there then are missing"]
        if earlier.size and merkle.root(tiles, earlier.size) != earlier.root:
            return [f"{here}: the first {earlier.size} entries are not as they were"]
    except (Refused, IndexError) as error:
        return [f"{here}: {error}"]
    return []
