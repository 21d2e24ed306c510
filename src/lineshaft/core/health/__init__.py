"""How a part of the system is, and why."""

import time
from enum import StrEnum

import msgspec

from lineshaft.core.health.meaning import Meaning, Spread


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
    code: str = ""
    """The code of the reason, for `lineshaft explain`; empty when all is well."""
    since_us: int
    time_us: int = msgspec.field(default_factory=lambda: time.time_ns() // 1000)
    figures: dict[str, float | int | str] = {}
    """Rates and depths, with the unit in the key: `readings_per_s`, `lag_s`."""
    meanings: dict[str, Meaning] = {}
    """What the figures, tables and spreads are; one without has no known kind."""
    tables: dict[str, dict[str, int]] = {}
    """Figures of several things at once, such as `errors` by code."""
    spreads: dict[str, Spread] = {}
    """How figures of many readings are spread, such as `latency`."""


EVERY_S = 2.0
"""How often each service tells its health; silence for three of these is DOWN."""
