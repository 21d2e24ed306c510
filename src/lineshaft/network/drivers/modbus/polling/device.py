"""Read and write the values of a Modbus device, block by block."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lineshaft.core.errors import Refused
from lineshaft.core.reading import GOOD, Status, Value, bad
from lineshaft.network.device import Batch
from lineshaft.network.drivers.modbus.address import Address, Area, Format, Order
from lineshaft.network.drivers.modbus.codec import (
    Layout,
    bits_of,
    encode,
    order_of,
    truth,
)
from lineshaft.network.drivers.modbus.connection import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    Answered,
)
from lineshaft.network.drivers.modbus.polling.plan import (
    Block,
    Limits,
    Span,
    divide,
    plan,
)
from lineshaft.network.drivers.modbus.polling.survey import Survey
from lineshaft.network.drivers.modbus.settings import Settings

_SEARCHES = {ILLEGAL_ADDRESS, ILLEGAL_VALUE}
"""Exceptions whose cause may be one register of many; others mean the whole block."""
_MOST_SEARCHED = 40
"""Requests that one read may spend on finding bad addresses; the next one goes on."""
_MOST_RECHECKED = 2
_MOST_PLANS = 64


class Asks(Protocol):
    """What carries questions: a TCP connection, or a line with several units.

    Its methods raise `Answered` for an exception and `Unreachable` for silence.
    """

    async def read(self, unit: int, area: Area, start: int, count: int) -> bytes:
        """Return the bytes of registers, or bits packed into bytes (FC 1 to 4)."""

    async def write_coil(
        self, unit: int, offset: int, *, on: bool, multiple: bool
    ) -> None:
        """Write one bit: FC 5, or FC 15 where a device knows only that."""

    async def write_registers(
        self, unit: int, offset: int, words: Sequence[int], *, multiple: bool
    ) -> None:
        """Write registers: one of them by FC 6 unless `multiple`, else FC 16."""

    async def write_bit(self, unit: int, offset: int, bit: int, *, on: bool) -> None:
        """Change one bit of a register and leave the others."""


def unit_of(address: Address, settings: Settings) -> int:
    """Return the unit that has it."""
    return settings.unit if address.unit is None else address.unit


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to read a choice of points."""

    blocks: list[Block]
    known_bad: list[list[int]]
    """Points whose registers cannot be read, those of the same registers together."""
    too_wide: list[int]
    version: int


@dataclass(slots=True)
class _Round:
    """One read: what came so far, and how many requests a search may still spend."""

    left: int
    batch: Batch = field(default_factory=Batch)


class ModbusDevice:
    """A connected Modbus device. `points` are positions in its `addresses`."""

    def __init__(
        self,
        connection: Asks,
        settings: Settings,
        addresses: Sequence[Address],
        survey: Survey | None = None,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._addresses = addresses
        self._spans = [
            Span(
                unit_of(address, settings), address.area, address.offset, address.width
            )
            for address in addresses
        ]
        self._limits = Limits(
            settings.max_registers, settings.max_bits, settings.max_gap
        )
        self._survey = survey or Survey()
        self._plans: dict[tuple[int, ...], _Plan] = {}
        self._layouts: dict[Block, Layout] = {}

    async def read(self, points: Sequence[int]) -> Batch:
        """Ask once for each of `points`; a bad point reads as BAD with the reason."""
        return await self._read(points, budget=_MOST_SEARCHED)

    async def search(self, points: Sequence[int]) -> Batch:
        """Read, however many requests it takes to find what can be read."""
        return await self._read(points, budget=4 * len(points))

    async def _read(self, points: Sequence[int], *, budget: int) -> Batch:
        now = _Round(budget)
        current = self._plan_of(tuple(points))
        for block in current.blocks:
            await self._collect(block, now)
        await self._recheck(current.known_bad, now)
        if current.too_wide:
            most = self._settings.max_registers
            reason = bad(f"it takes more than max_registers = {most} in one read")
            _add(now.batch, current.too_wide, reason)
        return now.batch

    def _plan_of(self, points: tuple[int, ...]) -> _Plan:
        known = self._plans.get(points)
        if known is not None and known.version == self._survey.version:
            return known
        if known is not None or len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
            self._layouts.clear()
        self._plans[points] = made = self._make_plan(points)
        return made

    def _make_plan(self, points: tuple[int, ...]) -> _Plan:
        good: list[int] = []
        wide: list[int] = []
        condemned: dict[Span, list[int]] = {}
        for point in points:
            span = self._spans[point]
            if span.width > self._limits.largest(span.area):
                wide.append(point)
            elif self._survey.is_bad(span):
                condemned.setdefault(span, []).append(point)
            else:
                good.append(point)
        blocks = plan(self._spans, good, self._limits, self._survey.fences)
        return _Plan(blocks, list(condemned.values()), wide, self._survey.version)

    async def _collect(self, block: Block, now: _Round) -> bool:
        """Add the block's readings; return whether there was trouble of known cause."""
        try:
            payload = await self._connection.read(*block[:4])
        except Answered as refusal:
            return await self._divide(block, refusal, now)
        self._decode(block, payload, now.batch)
        return False

    async def _divide(self, block: Block, refusal: Answered, now: _Round) -> bool:
        """Ask for the parts of a block that was refused, until the cause is found."""
        parts = divide(self._spans, block) if refusal.code in _SEARCHES else None
        if parts is None or now.left <= 0:
            if refusal.code in _SEARCHES and parts is None:
                span = self._spans[block.members[0]]
                self._survey.condemn(span, str(refusal))
            looking = "" if parts is None else " (looking for the address at fault)"
            _add(now.batch, block.members, bad(f"{refusal}{looking}"))
            return True
        left, right, fence = parts
        now.left -= 2
        found = [await self._collect(part, now) for part in (left, right)]
        if refusal.code == ILLEGAL_VALUE or not any(found):
            # Too much for one answer; or each part can be read and the whole cannot.
            self._survey.fence(fence)
        return True

    async def _recheck(self, known_bad: Sequence[list[int]], now: _Round) -> None:
        left = _MOST_RECHECKED
        for points in known_bad:
            span = self._spans[points[0]]
            reason = self._survey.reason(span)
            if reason and not (left and self._survey.is_due(span)):
                _add(now.batch, points, bad(reason))
                continue
            # Without a reason, it was found good meanwhile, by another read.
            left -= bool(reason)
            if not await self._collect(Block(*span, tuple(points)), now):
                self._survey.acquit(span)

    def _decode(self, block: Block, payload: bytes, batch: Batch) -> None:
        now = time.time_ns() // 1000
        count = len(block.members)
        if block.area.holds_bits:
            places = [
                self._spans[member].start - block.start for member in block.members
            ]
            batch.values.extend(bits_of(payload, places))
            batch.statuses.extend([GOOD] * count)
        else:
            values, statuses = self._layout(block).decode(payload)
            batch.values.extend(values)
            batch.statuses.extend(statuses)
        batch.points.extend(block.members)
        batch.times.extend([now] * count)

    def _layout(self, block: Block) -> Layout:
        layout = self._layouts.get(block)
        if layout is None:
            default = self._settings.order
            layout = self._layouts[block] = Layout(
                [
                    (address.offset - block.start, address, order_of(address, default))
                    for address in map(self._addresses.__getitem__, block.members)
                ]
            )
        return layout

    async def write(self, point: int, value: Value) -> None:
        """Write once; return when the device's answer has confirmed it."""
        address, unit = self._addresses[point], self._spans[point].unit
        if not address.area.is_writable:
            raise Refused(f"a Modbus {address.area} can only be read")
        connection, multiple = self._connection, self._settings.write_multiple
        offset = address.offset
        if address.format is Format.BOOL:
            on = truth(value)
            await connection.write_coil(unit, offset, on=on, multiple=multiple)
        elif address.bit is not None:
            order = order_of(address, self._settings.order)
            swapped = order in {Order.BADC, Order.DCBA}
            bit = address.bit ^ 8 if swapped else address.bit
            await connection.write_bit(unit, offset, bit, on=truth(value))
        else:
            words = encode(address, order_of(address, self._settings.order), value)
            await connection.write_registers(unit, offset, words, multiple=multiple)


def _add(batch: Batch, points: Sequence[int], status: Status) -> None:
    now = time.time_ns() // 1000
    for point in points:
        batch.add(point, None, now, status)
