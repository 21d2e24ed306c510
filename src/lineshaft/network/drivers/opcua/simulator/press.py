"""Three forging presses that behave like presses; what the simulator serves.

Everything is a function of the time, so that the past can be made as well as the
present, and the values of a press fit together: the force rises where the ram meets
the part, just before the bottom, and current, pressure and vibration follow it.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value

NAMESPACE = "urn:lineshaft:demo:press-line"
PRESSES = (1, 2, 3)
_SHIFT_S, _WORK_S = 900.0, 840.0
"""A coil lasts for 14 minutes, and changing it takes one more."""
_STROKE_S = {1: 5.0, 2: 6.0, 3: 4.0}
"""Each divides the work time, so a press stops with its ram at the top."""
_STROKE_MM = {1: 400.0, 2: 500.0, 3: 320.0}
FORCE_KN = {1: 1600.0, 2: 2500.0, 3: 1000.0}
_OFFSET_S = 300.0
_CONTACT, _WIDTH = 0.485, 0.022
"""Share of the stroke at which the force peaks (0 is top, 0.5 bottom), and how long."""
_HOT_C, _COLD_C, _HEATS_S, _COOLS_S = 78.0, 25.0, 260.0, 150.0
_TOO_HOT_C = 85.0
_COMMISSIONED_S = 1_735_689_600.0
"""When the counters began: 2025-01-01 UTC."""
_STROKES_PER_REJECT = 173
_DRIFT_C_PER_S = 0.6
_SHARE = 0.4


class Disturbance(StrEnum):
    """What can go wrong."""

    STUCK = "stuck"
    """The oil pressure of a press stands still."""
    DRIFT = "drift"
    """The die temperature of a press creeps away."""
    LINK_LOSS = "link loss"
    """The server closes its connections and takes no new ones."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A disturbance of one press, and for how long it has lasted."""

    press: int
    kind: Disturbance
    age_s: float


def fault_at(elapsed_s: float, every_s: float) -> Fault | None:
    """Return the fault at that time since the start, if there is one.

    One begins every `every_s` seconds and lasts for 0.4 of that; the kinds take turns
    and so do the presses.
    """
    turn, age_s = divmod(elapsed_s, every_s) if every_s > 0 else (0.0, 0.0)
    if turn < 1 or age_s > every_s * _SHARE:
        return None
    kinds = tuple(Disturbance)
    place = int(turn) - 1
    press = PRESSES[place // len(kinds) % len(PRESSES)]
    return Fault(press, kinds[place % len(kinds)], age_s)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One variable of a press."""

    name: str
    kind: Kind
    unit: str
    low: float
    high: float
    code: str = ""
    """UN/CEFACT common code of the unit (Recommendation 20)."""
    deadband: float = 0.0
    period_s: float = 0.25
    writable: bool = False


QUANTITIES = (
    Quantity("ram_position", Kind.FLOAT, "mm", 0, 500, "MMT", 0.5),
    Quantity("ram_speed", Kind.FLOAT, "mm/s", -600, 600, "C16", 1.0),
    Quantity("force", Kind.FLOAT, "kN", 0, 3000, "B47", 2.0),
    Quantity(
        "force_setpoint",
        Kind.FLOAT,
        "kN",
        100,
        3000,
        "B47",
        period_s=1.0,
        writable=True,
    ),
    Quantity("stroke_rate", Kind.FLOAT, "1/min", 0, 30, "C94", 0.0, 1.0),
    Quantity("strokes", Kind.INT, "", 0, 4e9, "", 0.0, 1.0),
    Quantity("rejects", Kind.INT, "", 0, 4e9, "", 0.0, 1.0),
    Quantity("die_temperature", Kind.FLOAT, "°C", 0, 150, "CEL", 0.05, 1.0),
    Quantity("oil_temperature", Kind.FLOAT, "°C", 0, 120, "CEL", 0.05, 1.0),
    Quantity("oil_pressure", Kind.FLOAT, "bar", 0, 400, "BAR", 0.2),
    Quantity("motor_current", Kind.FLOAT, "A", 0, 400, "AMP", 0.2),
    Quantity("motor_power", Kind.FLOAT, "kW", 0, 250, "KWT", 0.1),
    Quantity("vibration", Kind.FLOAT, "mm/s", 0, 40, "C16", 0.05),
    Quantity("state", Kind.STRING, "", 0, 0, "", 0.0, 1.0),
    Quantity("running", Kind.BOOL, "", 0, 1, "", 0.0, 1.0),
    Quantity("fault", Kind.BOOL, "", 0, 1, "", 0.0, 1.0),
)


def values_at(
    press: int, time_s: float, setpoint_kn: float | None = None, drift_s: float = 0.0
) -> dict[str, Value]:
    """Return all values of a press at a time in seconds since 1970 UTC.

    `drift_s` is for how long the sensor of its die temperature has drifted.
    """
    wanted = FORCE_KN[press] if setpoint_kn is None else setpoint_kn
    coil, worked_s = _coil(press, time_s)
    running = worked_s < _WORK_S
    stroke_s = _STROKE_S[press]
    done = (coil * _WORK_S + min(worked_s, _WORK_S)) / stroke_s
    phase = done % 1.0 if running else 0.0
    force = wanted * _bell(phase) * (1 + 0.012 * _wobble(done, 1.7)) if running else 0.0
    turn = 2 * math.pi * phase
    half = _STROKE_MM[press] / 2
    speed = -half * 2 * math.pi / stroke_s * math.sin(turn) if running else 0.0
    current = 38 + 0.035 * abs(speed) + 0.06 * force if running else 21.5
    current += 0.3 * _wobble(time_s, 0.9)
    die_c = _die_temperature(worked_s) + _DRIFT_C_PER_S * drift_s
    strokes = int(done)
    hot = die_c > _TOO_HOT_C
    return {
        "ram_position": round(half * (1 + math.cos(turn)), 2),
        "ram_speed": round(speed, 2),
        "force": round(force, 1),
        "force_setpoint": wanted,
        "stroke_rate": 60 / stroke_s if running else 0.0,
        "strokes": strokes,
        "rejects": strokes // _STROKES_PER_REJECT,
        "die_temperature": round(die_c + 0.1 * _wobble(time_s, 0.31), 2),
        "oil_temperature": round(46 + 3 * _wobble(time_s, 0.0021), 2),
        "oil_pressure": round(118 + 0.045 * force + 0.4 * _wobble(time_s, 0.77), 2),
        "motor_current": round(current, 2),
        "motor_power": round(math.sqrt(3) * 0.4 * 0.86 * current, 2),
        "vibration": round(0.6 + 0.004 * force + 0.1 * abs(_wobble(time_s, 2.3)), 3),
        "state": "die too hot" if hot else "running" if running else "coil change",
        "running": running,
        "fault": hot,
    }


def _coil(press: int, time_s: float) -> tuple[int, float]:
    """Return how many coils are used up, and for how long the present one runs."""
    since_s = time_s - _COMMISSIONED_S + press * _OFFSET_S
    coils, worked_s = divmod(since_s, _SHIFT_S)
    return int(coils), worked_s


def _bell(phase: float) -> float:
    return math.exp(-(((phase - _CONTACT) / _WIDTH) ** 2))


def _wobble(time_s: float, speed: float) -> float:
    """Return something between -1 and 1 that looks like chance."""
    return (
        math.sin(speed * time_s)
        + math.sin(2.399 * speed * time_s + 1)
        + math.sin(0.618 * speed * time_s + 2)
    ) / 3


@lru_cache(maxsize=1)
def _coldest() -> float:
    """Return the temperature with which a die begins, which is how the last ended."""
    heats = math.exp(-_WORK_S / _HEATS_S)
    cools = math.exp(-(_SHIFT_S - _WORK_S) / _COOLS_S)
    ends = _COLD_C + (_HOT_C * (1 - heats) - _COLD_C) * cools
    return ends / (1 - heats * cools)


def _die_temperature(worked_s: float) -> float:
    working_s = min(worked_s, _WORK_S)
    warm = _HOT_C - (_HOT_C - _coldest()) * math.exp(-working_s / _HEATS_S)
    resting_s = worked_s - working_s
    return _COLD_C + (warm - _COLD_C) * math.exp(-resting_s / _COOLS_S)


def point_list(prefix: str) -> list[Point]:
    """Return the points of the line, named `<prefix>/press<number>/<quantity>`."""
    return [
        Point(
            name=f"{prefix}/press{press}/{quantity.name}",
            address=f"nsu={NAMESPACE};s=Press{press}.{quantity.name}",
            type=quantity.kind,
            unit=quantity.unit,
            deadband=quantity.deadband,
            period_s=quantity.period_s,
            description=f"Press {press}, {quantity.name.replace('_', ' ')}",
            writable=quantity.writable,
        )
        for press in PRESSES
        for quantity in QUANTITIES
    ]
