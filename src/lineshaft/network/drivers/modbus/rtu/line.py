"""One line with several units: a question at a time, and no answer believed too soon.

RTU frames bear no number, so a late answer looks like the answer to the next question
of the same function. Therefore, a unit that left a question open is first asked for
something by another function (a *sounding*): units answer in order, so with the answer
to that, be it a value or an exception, the open question is settled, whether its own
answer came late or never.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lineshaft.core.errors import Unreachable
from lineshaft.network.drivers.modbus.address import Area
from lineshaft.network.drivers.modbus.connection import (
    GATEWAY,
    ILLEGAL_FUNCTION,
    Answered,
    exception_text,
)
from lineshaft.network.drivers.modbus.rtu.frames import (
    Question,
    exception_of,
    find_answer,
    frame,
    question,
    silence_s,
    travel_s,
)
from lineshaft.network.drivers.modbus.rtu.roads import Road, open_road
from lineshaft.network.drivers.modbus.settings import Settings

BROADCAST = 0
"""To no unit, so to all; nobody answers. V1.02, 2.1."""
_READ = {Area.COIL: 1, Area.DISCRETE: 2, Area.HOLDING: 3, Area.INPUT: 4}
_WRITE_COIL, _WRITE_REGISTER, _WRITE_COILS, _WRITE_REGISTERS = 5, 6, 15, 16
_MASK_WRITE = 22
_ON = 0xFF00
_PAYLOAD = 3
_SHOWN = 16
_SETTLES_S = 0.05
"""Adapters and device servers deliver a frame in pieces, at most so far apart."""
_LATE_S = 5.0
"""No answer comes later than so long after its time; then nothing is open any more."""
_SOUNDINGS = (3, 4, 1, 2)
"""Functions to sound with, the best known first. One register or bit is asked for."""


class Silent(Unreachable):
    """One unit did not answer; the line itself is well."""


@dataclass(slots=True)
class _Debt:
    """What a unit has not answered."""

    functions: set[int] = field(default_factory=set)
    asked_s: float = 0.0
    """When the last of these questions was asked."""


class Line:
    """Asks; raises `Answered`, `Silent` for one unit, `Unreachable` for the line."""

    def __init__(
        self,
        road: Road,
        settings: Settings,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.where = road.where
        self._road = road
        self._settings = settings
        self._now_s = now_s
        self._lock = asyncio.Lock()
        baud = settings.baud if settings.serial else None
        self._silence_s = max(settings.pause_s, silence_s(baud) if baud else 0.0)
        self._baud = baud
        self._free_s = 0.0
        """When the next frame may begin."""
        self._open: dict[int, _Debt] = {}
        """Units that left questions open."""

    async def read(self, unit: int, area: Area, start: int, count: int) -> bytes:
        """Return the bytes of registers, or bits packed into bytes (FC 1 to 4)."""
        pdu = bytes([_READ[area]]) + _words(start, count)
        async with self._lock:
            was_well = unit not in self._open
            try:
                answer = await self._ask(unit, pdu)
            except Silent:
                if not was_well or unit not in self._open:
                    raise
                # Noise can hit any frame once. To a dead unit this is one sounding.
                answer = await self._ask(unit, pdu)
        return answer[_PAYLOAD:]

    async def write_coil(
        self, unit: int, offset: int, *, on: bool, multiple: bool
    ) -> None:
        """Write one bit: FC 5, or FC 15 where a device knows only that."""
        if multiple:
            pdu = bytes([_WRITE_COILS]) + _words(offset, 1) + bytes([1, on])
        else:
            pdu = bytes([_WRITE_COIL]) + _words(offset, _ON if on else 0)
        async with self._lock:
            await self._tell(unit, pdu)

    async def write_registers(
        self, unit: int, offset: int, words: Sequence[int], *, multiple: bool
    ) -> None:
        """Write registers: one of them by FC 6 unless `multiple`, else FC 16."""
        if multiple or len(words) > 1:
            head = bytes([_WRITE_REGISTERS]) + _words(offset, len(words))
            pdu = head + bytes([2 * len(words)]) + _words(*words)
        else:
            pdu = bytes([_WRITE_REGISTER]) + _words(offset, words[0])
        async with self._lock:
            await self._tell(unit, pdu)

    async def write_bit(self, unit: int, offset: int, bit: int, *, on: bool) -> None:
        """Change one bit of a register, by FC 22; else by reading and writing it."""
        mask = 1 << bit
        masks = _words(offset, 0xFFFF ^ mask, mask if on else 0)
        async with self._lock:
            try:
                await self._tell(unit, bytes([_MASK_WRITE]) + masks)
            except Answered as refusal:
                if refusal.code != ILLEGAL_FUNCTION:
                    raise
            else:
                return
            pdu = bytes([_READ[Area.HOLDING]]) + _words(offset, 1)
            old = int.from_bytes((await self._ask(unit, pdu))[_PAYLOAD:], "big")
            word = old | mask if on else old & ~mask
            await self._tell(unit, bytes([_WRITE_REGISTER]) + _words(offset, word))

    async def _tell(self, unit: int, pdu: bytes) -> None:
        if unit != BROADCAST:
            await self._ask(unit, pdu)
            return
        await self._send(frame(unit, pdu))
        self._free_s += self._settings.turnaround_s

    async def _ask(self, unit: int, pdu: bytes) -> bytes:
        """Send one request and return the unit and the data of its answer."""
        await self._settle(unit, pdu)
        answer = await self._transact(question(unit, pdu))
        code = exception_of(answer)
        if code in GATEWAY:
            raise Silent(f"unit {unit} at {self.where}: {exception_text(code)}")
        if code is not None:
            raise Answered(code)
        return answer

    async def _settle(self, unit: int, pdu: bytes) -> None:
        """Make sure that no late answer could be taken for the one to `pdu`."""
        debt = self._open.get(unit)
        if debt is None:
            return
        if self._now_s() - debt.asked_s > _LATE_S + self._settings.answer_s:
            del self._open[unit]
            return
        if pdu[0] not in debt.functions:
            return
        free = [each for each in _SOUNDINGS if each not in debt.functions]
        if not free:
            raise Silent(
                f"unit {unit} at {self.where} owes the answers to "
                f"{len(debt.functions)} questions; it is asked again after {_LATE_S:g} "
                "s of silence"
            )
        await self._transact(question(unit, bytes([free[0]]) + pdu[1:3] + _words(1)))

    async def _transact(self, asked: Question) -> bytes:
        debt = self._open.setdefault(asked.unit, _Debt())
        debt.functions.add(asked.function)
        debt.asked_s = self._now_s()
        await self._send(asked.request)
        debt.asked_s = self._now_s()
        heard = await self._hear(asked)
        answer = find_answer(heard, asked)
        if answer is None or self._hears_itself(asked, heard):
            raise Silent(self._reason(asked, heard))
        # Units answer in order: whatever was asked before is settled, too.
        del self._open[asked.unit]
        return answer

    async def _send(self, request: bytes) -> None:
        """Wait until the line is free, then send."""
        while (wait_s := self._free_s - self._now_s()) > 0:
            await asyncio.sleep(wait_s)
            if self._road.drain():
                # A late or foreign frame; it must end before ours begins.
                self._free_s = self._now_s() + self._silence_s
        self._road.drain()
        await self._road.send(request)
        sent_s = travel_s(len(request), self._baud) if self._baud else 0.0
        self._free_s = self._now_s() + sent_s + self._silence_s

    async def _hear(self, asked: Question) -> bytes:
        """Return all that is heard until the answer is there or must be given up."""
        echo = asked.request if self._settings.echo else b""
        heard = b""
        patience_s = self._settings.answer_s
        if self._baud:
            patience_s += travel_s(len(asked.request) + asked.length, self._baud)
        try:
            async with asyncio.timeout(patience_s):
                while echo or find_answer(heard, asked) is None:
                    async with asyncio.timeout(self._quiet_s(heard, asked)):
                        heard += await self._road.hear()
                    if echo and echo in heard:
                        # Before its echo, nothing can be the answer.
                        heard, echo = heard.partition(echo)[2], b""
        except TimeoutError:
            pass  # what came so far tells the reason
        self._free_s = self._now_s() + self._silence_s
        # An echo that never came whole may look like an answer itself.
        return b"" if echo else heard

    def _quiet_s(self, heard: bytes, asked: Question) -> float | None:
        """Return how long more may keep us waiting, once a damaged answer was heard."""
        damaged = asked.begins[:1] in heard and len(heard) >= asked.length
        return max(_SETTLES_S, self._silence_s) if damaged else None

    def _hears_itself(self, asked: Question, heard: bytes) -> bool:
        """Whether an echo came that the settings do not know of.

        It would look like the confirmation of a write.
        """
        is_read = asked.function in _READ.values()
        return is_read and heard.startswith(asked.request)

    def _reason(self, asked: Question, heard: bytes) -> str:
        unit, within = asked.unit, f"within {self._settings.answer_s:g} s"
        if self._hears_itself(asked, heard):
            return (
                f"the line at {self.where} returned our own question to unit {unit}; "
                "if its adapter does that always, set echo = true"
            )
        if not heard:
            return f"unit {unit} at {self.where} did not answer {within}"
        return (
            f"unit {unit} at {self.where} did not answer the question {within}; heard "
            f"{len(heard)} bytes that are damaged or of others: "
            f"{heard[:_SHOWN].hex(' ')}"
        )


@asynccontextmanager
async def open_line(settings: Settings) -> AsyncIterator[Line]:
    """Open a line; leaving the block closes it."""
    async with open_road(settings) as road:
        yield Line(road, settings)


def _words(*words: int) -> bytes:
    return b"".join(word.to_bytes(2, "big") for word in words)
