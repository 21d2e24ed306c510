"""The tree of hashes over the entries of a log (RFC 6962, 2.1; RFC 9162, 2.1).

`Hashes` gives the root of any run of entries; everything else follows from it.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol

from lineshaft.core.errors import Refused

SIZE = 32
EMPTY = hashlib.sha256().digest()
"""The root of a log without entries."""


class Hashes(Protocol):
    """Knows the roots of complete subtrees."""

    def node(self, height: int, index: int) -> bytes:
        """Return the root of the entries `index << height` to the next such."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Hashes, size: int) -> bytes:
    """Return the root of the first `size` entries."""
    return _root(hashes, 0, size) if size else EMPTY


def inclusion(hashes: Hashes, number: int, size: int) -> list[bytes]:
    """Return the proof that entry `number` is among the first `size` (2.1.1)."""
    if not 0 <= number < size:
        raise Refused(f"there is no entry {number} among the first {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _half(high - low)
        if number < middle:
            path.append(_root(hashes, middle, high))
            high = middle
        else:
            path.append(_root(hashes, low, middle))
            low = middle
    return path[::-1]


def consistency(hashes: Hashes, before: int, size: int) -> list[bytes]:
    """Return the proof that the first `before` entries are as they were (2.1.2)."""
    if not 0 < before <= size:
        raise Refused(f"a log of {size} entries proves nothing about {before}")
    path: list[bytes] = []
    low, high, is_known = 0, size, True
    while before != high:
        middle = low + _half(high - low)
        if before <= middle:
            path.append(_root(hashes, middle, high))
            high = middle
        else:
            path.append(_root(hashes, low, middle))
            low, is_known = middle, False
    if not is_known:
        path.append(_root(hashes, low, high))
    return path[::-1]


def root_by_inclusion(
    leaf: bytes, number: int, size: int, path: Sequence[bytes]
) -> bytes:
    """Return the root that a proof leads to (RFC 9162, 2.1.3.2); `Refused` for none."""
    if not 0 <= number < size:
        raise Refused(f"there is no entry {number} among the first {size}")
    first, last, found = number, size - 1, leaf
    for step in path:
        if last == 0:
            raise Refused("the proof is longer than the tree is high")
        if first & 1 or first == last:
            found = node_hash(step, found)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            found = node_hash(found, step)
        first, last = first >> 1, last >> 1
    if last:
        raise Refused("the proof is shorter than the tree is high")
    return found


def is_consistent(
    before: tuple[int, bytes], now: tuple[int, bytes], path: Sequence[bytes]
) -> bool:
    """Whether a proof shows that one tree is the begin of another (RFC 9162, 2.1.4.2).

    Both are given as size and root.
    """
    (size_1, root_1), (size_2, root_2) = before, now
    if size_1 == size_2 or not size_1:
        return not path and (not size_1 or root_1 == root_2)
    if size_1 > size_2 or not path:
        return False
    steps = list(path) if size_1 & (size_1 - 1) else [root_1, *path]
    first, last = size_1 - 1, size_2 - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new = node_hash(new, step)
        first, last = first >> 1, last >> 1
    return old == root_1 and new == root_2 and last == 0


def _half(count: int) -> int:
    """Return the largest power of two below a count of two or more."""
    return 1 << ((count - 1).bit_length() - 1)


def _root(hashes: Hashes, low: int, high: int) -> bytes:
    """Return the root of the entries from `low` on, of which subtrees are complete."""
    parts: list[bytes] = []
    while low < high:
        height = (high - low).bit_length() - 1
        if low:
            height = min(height, (low & -low).bit_length() - 1)
        parts.append(hashes.node(height, low >> height))
        low += 1 << height
    found = parts.pop()
    while parts:
        found = node_hash(parts.pop(), found)
    return found
