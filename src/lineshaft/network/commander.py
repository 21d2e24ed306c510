"""Take commands off the bus to the device, once, and say what became of them."""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.bus.audit import AuditRecord, Result
from lineshaft.core.command import Command, Outcome, Verdict
from lineshaft.core.errors import LineshaftError, Refused, Unreachable
from lineshaft.core.event import Event, Severity
from lineshaft.core.message import read_json
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from lineshaft.network.device import Device, Writes

log = logging.getLogger(__name__)

MOST_REMEMBERED = 10_000
_PYTHON_TYPE: dict[Kind, type] = {Kind.BOOL: bool, Kind.STRING: str, Kind.INT: int}
_MOVES = {
    Verdict.CONFIRMED: ("command.confirmed", Severity.INFO),
    Verdict.REFUSED: ("command.refused", Severity.WARNING),
    Verdict.UNKNOWN: ("command.unknown", Severity.ERROR),
}


_RESULTS = {
    Verdict.CONFIRMED: Result.SUCCESS,
    Verdict.REFUSED: Result.DENIED,
    Verdict.UNKNOWN: Result.FAILURE,
}


class Connection(Protocol):
    """What the commander needs from a collector."""

    name: str
    points: Sequence[Point]
    device: Device | None


class TellsEvents(Protocol):
    """What the commander needs from the outbox."""

    async def tell(self, event: Event) -> None:
        """Record an event."""

    async def tell_audit(self, record: AuditRecord) -> None:
        """Record who did what."""


class Done:
    """What became of the newest commands, by their ids."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, Outcome] = OrderedDict()

    def outcome(self, command_id: str) -> Outcome | None:
        """Return what became of a command; None if it was not carried out."""
        return self._outcomes.get(command_id)

    def remember(self, outcome: Outcome) -> None:
        """Know it from now on; the oldest of very many is forgotten."""
        self._outcomes[outcome.id] = outcome
        if len(self._outcomes) > MOST_REMEMBERED:
            self._outcomes.popitem(last=False)


class Commander:
    """Carries out the commands for one device: `run` works until it is cancelled."""

    def __init__(
        self,
        device: str,
        connections: Sequence[Connection],
        bus: Asks,
        outbox: TellsEvents,
        done: Done,
    ) -> None:
        """`done` outlives this: who comes after repeats nothing."""
        self._device = device
        self._bus = bus
        self._outbox = outbox
        self._where = {
            point.name: (connection, position)
            for connection in connections
            for position, point in enumerate(connection.points)
        }
        self._done = done
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Answer on `commands.<device>` for ever."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                self._bus.answer(f"commands.{self._device}", self._answer)
            )
            await asyncio.Event().wait()

    async def _answer(self, data: bytes) -> AsyncIterator[bytes]:
        command = read_json(data, Command, "a command")
        # One after the other: two writes to a device must not race.
        async with self._lock:
            outcome = self._done.outcome(command.id)
            if outcome is None:
                outcome = await self._carry_out(command)
                self._done.remember(outcome)
                await self._record(command, outcome)
        yield msgspec.json.encode(outcome)

    async def _carry_out(self, command: Command) -> Outcome:
        left_s = command.deadline_us / 1e6 - time.time()
        try:
            connection, position = self._find(command)
            point = connection.points[position]
            raw = to_raw(point, command.value)
            device = connection.device
            if device is None:
                raise Refused(f"{connection.name} is not connected")
            if not isinstance(device, Writes):
                raise Refused(f"{connection.name} cannot be written to")
            if left_s <= 0:
                raise Refused("its deadline has passed")
            async with asyncio.timeout(left_s):
                answer = await device.write(position, raw)
        except (Unreachable, TimeoutError) as error:
            reason = str(error) or f"no answer within {left_s:.1f} s"
            return Outcome(id=command.id, verdict=Verdict.UNKNOWN, reason=reason)
        except LineshaftError as error:
            return Outcome(id=command.id, verdict=Verdict.REFUSED, reason=str(error))
        return Outcome(id=command.id, verdict=Verdict.CONFIRMED, answer=answer or "")

    def _find(self, command: Command) -> tuple[Connection, int]:
        if command.name not in self._where:
            raise Refused(f"{self._device} has no point {command.name!r}")
        connection, position = self._where[command.name]
        if not connection.points[position].writable:
            raise Refused(
                f"{command.name} is not writable; set writable to yes in the point "
                f"list of {self._device} to allow it"
            )
        return connection, position

    async def _record(self, command: Command, outcome: Outcome) -> None:
        kind, severity = _MOVES[outcome.verdict]
        said = outcome.reason or outcome.answer
        reason = f": {said}" if said else ""
        await self._outbox.tell(
            Event(
                kind=kind,
                source=command.name,
                severity=severity,
                text=f"{command.by} wrote {command.value!r} to {command.name}: "
                f"{outcome.verdict}{reason}",
                detail={"id": command.id, "value": command.value, "by": command.by},
            )
        )
        await self._outbox.tell_audit(
            AuditRecord(
                kind="command.carried-out",
                who=command.by,
                name=command.name,
                result=_RESULTS[outcome.verdict],
                text=f"{command.value!r}: {outcome.verdict}{reason}",
                origin=f"collector.{self._device}",
                # The same command is never written down twice.
                id=command.id,
            )
        )


def to_raw(point: Point, value: Value) -> Value:
    """Return the device's own value for a value in the point's type and unit.

    `Refused` when the value is not of the point's type.
    """
    wanted = _PYTHON_TYPE.get(point.type, float)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is int and type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not wanted:
        raise Refused(f"{point.name} takes a value of type {point.type}, not {value!r}")
    if isinstance(value, bool | str) or (point.scale == 1 and point.offset == 0):
        return value
    raw = (value - point.offset) / point.scale
    # 12.3 / 0.1 is 123.00000000000001, which no integer register would take.
    whole = float(round(raw))
    return whole if math.isclose(raw, whole, rel_tol=1e-12, abs_tol=1e-12) else raw
