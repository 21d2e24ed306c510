"""How a part of the system is, and why."""

import time
from enum import StrEnum

import msgspec


class State(StrEnum):
    """How well something works."""

    OK = "ok"
    DEGRADED = "degraded"
    """It works, but not as it should; the reason says what is missing."""
    DOWN = "down"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The health of one service or connection, told on `status.<service>`."""

    service: str
    """`collector.<device>`, `historian`, `web`, `bus`."""
    state: State
    reason: str = ""
    since_us: int
    time_us: int = msgspec.field(default_factory=lambda: time.time_ns() // 1000)
    figures: dict[str, float | int | str] = {}
    """Rates and depths, with the unit in the key: `readings_per_s`, `lag_s`."""


EVERY_S = 2.0
"""How often each service tells its health; silence for three of these is DOWN."""
