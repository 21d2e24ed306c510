"""All units of one line as one device; a dead unit does not slow the others."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.reading import Status, Value, bad
from lineshaft.network.device import Batch
from lineshaft.network.drivers.modbus.address import Address
from lineshaft.network.drivers.modbus.polling.device import (
    Asks,
    ModbusDevice,
    unit_of,
)
from lineshaft.network.drivers.modbus.rtu.line import BROADCAST, Silent, open_line
from lineshaft.network.drivers.modbus.settings import Settings

FIRST_REST_S = 2.0
LAST_REST_S = 60.0
_MOST_MISSED = 5
"""Units that may fall silent in one read before the rest of it is cut short."""
_SHARE = 10
"""A silent unit rests at least so many times as long as asking it took."""


@dataclass(slots=True)
class _Unit:
    """One unit, and whether it answers."""

    number: int
    device: ModbusDevice
    reason: str = ""
    """Why it is left alone; empty while it answers, or was not asked yet."""
    was_heard: bool = False
    due_s: float = 0.0
    rest_s: float = 0.0


@dataclass(slots=True)
class _Round:
    """One read of several units."""

    batch: Batch = field(default_factory=Batch)
    tries: int = 1
    """Silent units that may still be tried."""
    missed: int = 0
    heard: int = 0
    reason: str = ""


class LineDevice:
    """The units of a line. `points` are positions in `addresses`.

    A unit that falls silent reads as BAD and is left alone for a while: 2 s at first,
    then twice as long each time, up to a minute, and never less than ten times as
    long as it kept the line waiting. One read tries at most one silent unit.
    """

    def __init__(
        self,
        line: Asks,
        settings: Settings,
        addresses: Sequence[Address],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now_s = now_s
        groups: dict[int, list[int]] = {}
        for position, address in enumerate(addresses):
            groups.setdefault(unit_of(address, settings), []).append(position)
        self._groups = groups
        self._units = {
            number: _Unit(
                number,
                ModbusDevice(line, settings, [addresses[each] for each in group]),
            )
            for number, group in groups.items()
        }
        self._places = {
            position: (number, place)
            for number, group in groups.items()
            for place, position in enumerate(group)
        }

    async def read(self, points: Sequence[int]) -> Batch:
        """Ask each unit for its points; those of a silent unit read as BAD.

        `Unreachable` when no unit of the line answers any more.
        """
        now = _Round()
        for number, places in self._by_unit(points).items():
            unit = self._units[number]
            reason = self._why_not(unit, now)
            if reason:
                self._condemn(now.batch, number, places, bad(reason))
            else:
                await self._read_unit(unit, places, now)
        self._check_alive()
        return now.batch

    def _why_not(self, unit: _Unit, now: _Round) -> str:
        """Return why the unit is not asked in this read; nothing if it is."""
        if unit.number == BROADCAST:
            return "unit 0 is a broadcast: it can be written, never read"
        if unit.reason:
            if not now.tries or self._now_s() < unit.due_s:
                return unit.reason
            now.tries -= 1
        elif now.missed >= _MOST_MISSED and not unit.was_heard:
            return "not asked yet: the line waits for other units that are silent"
        elif now.missed >= _MOST_MISSED and not now.heard:
            raise Unreachable(f"{now.missed} units in a row fell silent: {now.reason}")
        return ""

    async def write(self, point: int, value: Value) -> None:
        """Write once; a broadcast returns when it was sent, for nobody answers it."""
        number, place = self._places[point]
        unit = self._units[number]
        try:
            await unit.device.write(place, value)
        except Refused:
            _return(unit)
            raise
        _return(unit)

    def _by_unit(self, points: Sequence[int]) -> Mapping[int, list[int]]:
        chosen: dict[int, list[int]] = {}
        for point in points:
            number, place = self._places[point]
            chosen.setdefault(number, []).append(place)
        return chosen

    async def _read_unit(self, unit: _Unit, places: list[int], now: _Round) -> None:
        began_s = self._now_s()
        try:
            heard = await unit.device.read(places)
        except Silent as silence:
            took_s = self._now_s() - began_s
            unit.rest_s = min(max(unit.rest_s * 2, FIRST_REST_S), LAST_REST_S)
            unit.due_s = self._now_s() + max(unit.rest_s, took_s * _SHARE)
            unit.reason = str(silence)
            self._condemn(now.batch, unit.number, places, bad(unit.reason))
            now.missed, now.reason = now.missed + 1, unit.reason
            return
        _return(unit)
        now.heard += 1
        batch, group = now.batch, self._groups[unit.number]
        batch.points += [group[place] for place in heard.points]
        batch.values += heard.values
        batch.times += heard.times
        batch.statuses += heard.statuses

    def _condemn(
        self, batch: Batch, number: int, places: list[int], status: Status
    ) -> None:
        now_us = time.time_ns() // 1000
        for place in places:
            batch.add(self._groups[number][place], None, now_us, status)

    def _check_alive(self) -> None:
        asked = [unit for unit in self._units.values() if unit.number != BROADCAST]
        if asked and all(unit.reason for unit in asked):
            more = f" (and none of the other {len(asked) - 1})" if asked[1:] else ""
            raise Unreachable(f"{asked[0].reason}{more}")


def _return(unit: _Unit) -> None:
    unit.reason, unit.rest_s, unit.was_heard = "", 0.0, True


@asynccontextmanager
async def connect_line(
    settings: Settings, addresses: Sequence[Address]
) -> AsyncIterator[LineDevice]:
    """Open the line with all its units; leaving the block closes it."""
    async with open_line(settings) as line:
        yield LineDevice(line, settings, addresses)
