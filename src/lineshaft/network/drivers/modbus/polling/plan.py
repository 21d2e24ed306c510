"""Which blocks to ask for, so that few requests fetch many values; no sockets.

A request costs a device about the same for one register as for a hundred. So values
that lie near one another are fetched in one block, with the registers between them
read for nothing. A device may answer such a block with "illegal data address" because
of one register in a gap, or because of one value: then the block is divided until the
cause is found, and a *fence* keeps later blocks from crossing it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lineshaft.network.drivers.modbus.address import Area

BITS_PER_REGISTER = 16


class Span(NamedTuple):
    """The place of one value; sorts in the order in which it is read."""

    unit: int
    area: Area
    start: int
    width: int

    @property
    def stop(self) -> int:
        """The first offset behind it."""
        return self.start + self.width


class Fence(NamedTuple):
    """A stretch that no block may reach across; of no width, a seam."""

    unit: int
    area: Area
    start: int
    stop: int


class Block(NamedTuple):
    """One request, and the positions of the values that its answer holds."""

    unit: int
    area: Area
    start: int
    size: int
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a device can take in one request."""

    max_registers: int
    max_bits: int
    max_gap: int
    """Registers that may be read for nothing to join two values; 0: never."""

    def largest(self, area: Area) -> int:
        """Return the most bits or registers of one request."""
        return self.max_bits if area.holds_bits else self.max_registers

    def widest_gap(self, area: Area) -> int:
        """Return how much may be read for nothing; 16 bits cost like a register."""
        return self.max_gap * (BITS_PER_REGISTER if area.holds_bits else 1)


def plan(
    spans: Sequence[Span],
    wanted: Iterable[int],
    limits: Limits,
    fences: Iterable[Fence] = (),
) -> list[Block]:
    """Return the blocks that hold each of the `wanted` spans whole, and once.

    No span may be wider than the limits allow.
    """
    blocks: list[Block] = []
    closed = sorted(fences)
    group: list[int] = []
    stop = 0
    for member in sorted(wanted, key=spans.__getitem__):
        span = spans[member]
        if group and not _joins(spans[group[0]], stop, span, limits, closed):
            blocks.append(_block(spans, group))
            group = []
        stop = max(stop, span.stop) if group else span.stop
        group.append(member)
    if group:
        blocks.append(_block(spans, group))
    return blocks


def _joins(
    first: Span, stop: int, span: Span, limits: Limits, fences: Sequence[Fence]
) -> bool:
    if (span.unit, span.area) != (first.unit, first.area):
        return False
    if max(stop, span.stop) - first.start > limits.largest(span.area):
        return False
    if span.start - stop > limits.widest_gap(span.area):
        return False
    low, high = sorted((stop, span.start))
    return not any(
        fence[:2] == span[:2] and fence.start <= high and fence.stop >= low
        for fence in fences
    )


def _block(spans: Sequence[Span], members: Sequence[int]) -> Block:
    first = spans[members[0]]
    stop = max(spans[member].stop for member in members)
    return Block(
        first.unit, first.area, first.start, stop - first.start, tuple(members)
    )


def divide(spans: Sequence[Span], block: Block) -> tuple[Block, Block, Fence] | None:
    """Return two smaller blocks and what lies between them; None for a single span.

    The widest gap is where the cause most likely is; without one, it is the middle.
    """
    cuts = _cuts(spans, block)
    if not cuts:
        return None
    middle = len(block.members) / 2
    gap, cut, stop = max(
        cuts, key=lambda found: (max(found[0], 0), -abs(found[1] - middle))
    )
    left, right = block.members[:cut], block.members[cut:]
    fence = Fence(block.unit, block.area, *sorted((stop, stop + gap)))
    return _block(spans, left), _block(spans, right), fence


def _cuts(spans: Sequence[Span], block: Block) -> list[tuple[int, int, int]]:
    """Return each place between two different spans as (gap, position, stop)."""
    cuts = []
    stop = spans[block.members[0]].stop
    for cut in range(1, len(block.members)):
        before, here = spans[block.members[cut - 1]], spans[block.members[cut]]
        stop = max(stop, before.stop)
        if here != before:
            cuts.append((here.start - stop, cut, stop))
    return cuts
