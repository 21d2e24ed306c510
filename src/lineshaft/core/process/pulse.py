"""What each process of a plant tells of itself, whatever it does."""

import asyncio
import os
import time
from collections import Counter
from typing import Protocol

import msgspec

from lineshaft.core.errors.codes import Code
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import Meaning, counter, gauge
from lineshaft.core.process.census import MEANINGS, burden


class Tells(Protocol):
    """What a pulse needs from the bus."""

    def tell(self, subject: str, data: bytes) -> None:
        """Say something to whoever listens now."""


class Pulse:
    """A service: tells on `status.process.<room>` what this process takes."""

    def __init__(self, room: str, bus: Tells) -> None:
        self._service = f"process.{room}"
        self._bus = bus
        self._since_us = time.time_ns() // 1000

    async def run(self) -> None:
        """Tell it for ever."""
        while True:
            health = Health(
                service=self._service,
                state=State.OK,
                since_us=self._since_us,
                figures={"pid": str(os.getpid()), **burden()},
                meanings=MEANINGS,
            )
            self._bus.tell(f"status.{self._service}", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)


RECENTLY_S = 60.0
"""How long a program that had to be started again is a reason to look."""
_SUPERVISED: dict[str, Meaning] = {
    "restarts": counter(
        "restarts", "How often a program was started again.", label="program"
    ),
    "programs": gauge("programs", "Programs that are kept running."),
}


class Roll:
    """A service: tells on `status.supervisor` which programs were started again."""

    def __init__(self, bus: Tells, programs: int) -> None:
        self._bus = bus
        self._programs = programs
        self._restarts: Counter[str] = Counter()
        self._since_us = time.time_ns() // 1000
        self._latest: tuple[float, str] | None = None

    def note(self, program: str, code: int) -> None:
        """Remember that a program ended with an exit code and is started again."""
        self.tell(program, f"{program} ended with code {code} and was started again")

    def tell(self, program: str, reason: str) -> None:
        """Remember that a program is started again, and why."""
        self._restarts[program] += 1
        self._since_us = time.time_ns() // 1000
        self._latest = (time.monotonic(), reason)

    async def run(self) -> None:
        """Tell it for ever."""
        while True:
            health = self.health(time.monotonic())
            self._bus.tell("status.supervisor", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)

    def health(self, now: float) -> Health:
        """Return how it is at a moment of the monotonic clock."""
        recent = self._latest and now - self._latest[0] < RECENTLY_S
        return Health(
            service="supervisor",
            state=State.DEGRADED if recent else State.OK,
            reason=self._latest[1] if self._latest and recent else "",
            code=Code.STARTED_AGAIN if recent else "",
            since_us=self._since_us,
            figures={"programs": self._programs, **burden()},
            tables={"restarts": dict(self._restarts)},
            meanings=_SUPERVISED | MEANINGS,
        )
