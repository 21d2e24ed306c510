"""The files of a log (C2SP tlog-tiles): 256 hashes, or 256 entries, in each.

A file that is full never changes. The last one of each level is partial; a longer one
takes its place, and the shorter is removed once the checkpoint speaks of the longer.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from lineshaft.core.errors import Refused
from lineshaft.security.audit.merkle import SIZE, leaf_hash, node_hash
from lineshaft.security.kept import sync_folder

WIDTH, HEIGHT = 256, 8
ENTRIES = "entries"
LONGEST_ENTRY = 65_535
MOST_TILES = 64


def tile_path(level: int | str, index: int, width: int = WIDTH) -> str:
    """Return where a tile is, below the folder of the log."""
    parts = [f"{index % 1000:03}"]
    while index := index // 1000:
        parts.append(f"x{index % 1000:03}")
    short = f".p/{width}" if width < WIDTH else ""
    return f"tile/{level}/{'/'.join(reversed(parts))}{short}"


def pack(entries: Sequence[bytes]) -> bytes:
    """Return entries as a file of entries holds them."""
    return b"".join(len(e).to_bytes(2, "big") + e for e in entries)


def unpack(data: bytes, path: str = "a file of entries") -> list[bytes]:
    """Return the entries of a file; `Refused`, naming `path`, if it is cut off."""
    found: list[bytes] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        entry = data[at + 2 : at + 2 + size]
        if len(entry) < size or at + 2 > len(data):
            raise Refused(f"{path} ends within its entry {len(found)}")
        found.append(entry)
        at += 2 + size
    return found


class Tiles:
    """The files of a log of `size` entries, for reading. They are not trusted."""

    def __init__(self, home: Path, size: int) -> None:
        self._home = home
        self.size = size
        self._known: OrderedDict[tuple[int, int, int], list[list[bytes]]]
        self._known = OrderedDict()

    def width(self, level: int, index: int) -> int:
        """Return how many hashes a tile has in a log of this size."""
        return min(WIDTH, (self.size >> (HEIGHT * level)) - index * WIDTH)

    def hashes(self, level: int, index: int) -> list[bytes]:
        """Return the hashes of a tile; `Refused` if the file is not as it must be."""
        width = self.width(level, index)
        path = tile_path(level, index, width)
        data = self.read(path)
        if len(data) != width * SIZE:
            raise Refused(f"{path} has {len(data)} bytes instead of {width * SIZE}")
        return [data[at : at + SIZE] for at in range(0, len(data), SIZE)]

    def entries(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Yield entries with their numbers, read file by file."""
        for index in range(start // WIDTH, -(-min(stop, self.size) // WIDTH)):
            path = tile_path(ENTRIES, index, self.width(0, index))
            found = unpack(self.read(path), path)
            if len(found) != self.width(0, index):
                raise Refused(
                    f"{path} has {len(found)} entries instead of {self.width(0, index)}"
                )
            for place, entry in enumerate(found):
                if start <= (number := index * WIDTH + place) < stop:
                    yield number, entry

    def node(self, height: int, index: int) -> bytes:
        """Return the root of a complete subtree; see `merkle.Hashes`."""
        level, above = divmod(height, HEIGHT)
        tile, place = divmod(index << above, WIDTH)
        return self._rows(level, tile)[above][place >> above]

    def read(self, path: str) -> bytes:
        """Return the bytes of a file of the log; `Refused` if it is not there."""
        try:
            return (self._home / path).read_bytes()
        except OSError as error:
            raise Refused(f"{path} cannot be read ({error.strerror})") from error

    def _rows(self, level: int, tile: int) -> list[list[bytes]]:
        """Return the hashes of a tile, and row by row those above them inside it."""
        key = (level, tile, self.width(level, tile))
        rows = self._known.get(key)
        if rows is None:
            rows = rows_above(self.hashes(level, tile))
            self._known[key] = rows
            if len(self._known) > MOST_TILES:
                self._known.popitem(last=False)
        return rows


def rows_above(hashes: list[bytes]) -> list[list[bytes]]:
    """Return hashes and the complete rows above them, up to the root of 256."""
    rows = [hashes]
    while len(below := rows[-1]) > 1:
        pairs = zip(below[::2], below[1::2], strict=False)
        rows.append([node_hash(left, right) for left, right in pairs])
    return rows


class Growing:
    """The right edge of the tree: the last tile of each level, to be added to."""

    def __init__(self, tiles: Tiles) -> None:
        self.size = tiles.size
        self._edges: list[list[bytes]] = []
        self._entries: list[bytes] = []
        level = 0
        while (count := self.size >> (HEIGHT * level)) > 0:
            index, width = divmod(count, WIDTH)
            self._edges.append(tiles.hashes(level, index) if width else [])
            level += 1
        if self.size % WIDTH:
            first = self.size - self.size % WIDTH
            self._entries = [entry for _, entry in tiles.entries(first, self.size)]

    def add(self, entries: Sequence[bytes]) -> dict[str, bytes]:
        """Add entries; return the files that they make, by path."""
        made: dict[str, bytes] = {}
        changed: set[int] = set()
        for entry in entries:
            self._entries.append(entry)
            self.size += 1
            if len(self._entries) == WIDTH:
                made[tile_path(ENTRIES, self.size // WIDTH - 1)] = pack(self._entries)
                self._entries = []
            self._push(0, leaf_hash(entry), made, changed)
        if self._entries:
            width = len(self._entries)
            path = tile_path(ENTRIES, self.size // WIDTH, width)
            made[path] = pack(self._entries)
        for level in changed:
            edge = self._edges[level]
            if edge:
                index = (self.size >> (HEIGHT * level)) // WIDTH
                made[tile_path(level, index, len(edge))] = b"".join(edge)
        return made

    def node(self, height: int, index: int) -> bytes:
        """Return the root of a complete subtree of those that the whole root is of."""
        level, above = divmod(height, HEIGHT)
        edge = self._edges[level]
        at = (index << above) - ((self.size >> (HEIGHT * level)) - len(edge))
        return rows_above(edge[at : at + (1 << above)])[-1][0]

    def _push(
        self, level: int, hashed: bytes, made: dict[str, bytes], changed: set[int]
    ) -> None:
        if level == len(self._edges):
            self._edges.append([])
        edge = self._edges[level]
        edge.append(hashed)
        changed.add(level)
        if len(edge) == WIDTH:
            index = (self.size >> (HEIGHT * level)) // WIDTH - 1
            made[tile_path(level, index)] = b"".join(edge)
            self._edges[level] = []
            self._push(level + 1, rows_above(edge)[-1][0], made, changed)


def write_all(home: Path, files: dict[str, bytes]) -> None:
    """Write files so that all of them are on disk when this returns."""
    folders = set()
    for path, data in files.items():
        file = home / path
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        number = os.open(file, flags, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(number, view) :]
            os.fsync(number)
        finally:
            os.close(number)
        folders.add(file.parent)
    for folder in folders:
        sync_folder(folder)


def paths_of(tiles: Tiles) -> Iterator[str]:
    """Yield the path of every file that a log of this size has."""
    for index in range(-(-tiles.size // WIDTH)):
        yield tile_path(ENTRIES, index, tiles.width(0, index))
    level = 0
    while (count := tiles.size >> (HEIGHT * level)) > 0:
        for index in range(-(-count // WIDTH)):
            yield tile_path(level, index, tiles.width(level, index))
        level += 1
