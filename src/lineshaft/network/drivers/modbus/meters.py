"""Three energy meters that behave like a factory's; what the simulator serves.

Everything is a function of the time, so that a week of the past can be made as well
as the present, and both fit together: the energy is the integral of the power, and
the power is voltage times current times power factor, summed over the phases.
"""

import math
import struct
from dataclasses import dataclass
from enum import StrEnum

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value

UNITS = (1, 2, 3)
_DAY_S = 86_400.0
_RATED_KW = {1: 120.0, 2: 75.0, 3: 200.0}
_BASE_LOAD = 0.55
_WAVES = ((0.27, _DAY_S), (0.08, _DAY_S / 2), (0.05, 900.0), (0.03, 47.0), (0.015, 7.3))
"""Share of the rated load and period in seconds: shifts, breaks, machines."""
_COMMISSIONED_S = 1_735_689_600.0
"""When the counters began: 2025-01-01 UTC."""
_ALARM_LOAD = 0.85
_PHASES = ("l1", "l2", "l3")
_SHARES = (0.34, 0.325, 0.335)
_HOUR_S = 3600.0
_RECORD = struct.Struct(">10fQh10x12s")
"""Input registers 0 to 35; 25 to 29 are unused, as in many a real map."""
INPUTS = _RECORD.size // 2


class Disturbance(StrEnum):
    """What can go wrong with a meter."""

    STUCK = "stuck"
    """All its values stand still."""
    DRIFT = "drift"
    """Its temperature creeps away."""
    SILENT = "silent"
    """The line between gateway and meter is cut."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A disturbance of one meter, and for how long it has lasted."""

    unit: int
    kind: Disturbance
    age_s: float


def fault_at(elapsed_s: float, every_s: float, units: tuple[int, ...]) -> Fault | None:
    """Return the fault at that time since the start, if there is one.

    One begins every `every_s` seconds and lasts for 0.4 of that; the kinds take turns
    and so do the meters.
    """
    turn, age = divmod(elapsed_s, every_s) if every_s > 0 else (0.0, 0.0)
    if turn < 1 or age > every_s * 0.4:
        return None
    place = int(turn) - 1
    kinds = list(Disturbance)
    return Fault(units[place % len(units)], kinds[place % len(kinds)], age)


def _rated_kw(unit: int) -> float:
    return _RATED_KW.get(unit, 100.0)


def _load(unit: int, time_s: float) -> float:
    """Share of the rated load, never below 0.1 nor above 1."""
    return _BASE_LOAD + sum(
        part * math.sin(math.tau * (time_s / period - 0.3 - unit * 0.05))
        for part, period in _WAVES
    )


def _load_integral_s(unit: int, time_s: float) -> float:
    """Integral of `_load` over time, up to a constant."""
    return _BASE_LOAD * time_s - sum(
        part
        * period
        / math.tau
        * math.cos(math.tau * (time_s / period - 0.3 - unit * 0.05))
        for part, period in _WAVES
    )


def energy_kwh(unit: int, time_s: float) -> float:
    """Return what the meter's counter shows if its relay was never opened."""
    passed = _load_integral_s(unit, time_s) - _load_integral_s(unit, _COMMISSIONED_S)
    return passed * _rated_kw(unit) / _HOUR_S


def values_at(unit: int, time_s: float, *, relay: bool = True) -> dict[str, Value]:
    """Return the scaled values of a meter, by the last segment of the points' names.

    `time_s` is seconds since 1970 UTC. An open relay leaves voltage and no current.
    """
    load = _load(unit, time_s) if relay else 0.0
    power_kw = load * _rated_kw(unit)
    power_factor = 0.86 + 0.1 * load + 0.01 * math.sin(time_s / 31)
    values: dict[str, Value] = {}
    for phase, share in zip(_PHASES, _SHARES, strict=True):
        wave = math.sin(time_s / 613 + ord(phase[1])) + 0.3 * math.sin(
            time_s / 5.7 + unit
        )
        voltage = 231.0 - 3.0 * load + 1.2 * wave
        values[f"voltage_{phase}"] = voltage
        values[f"current_{phase}"] = power_kw * 1000 * share / voltage / power_factor
    values["active_power"] = power_kw
    values["reactive_power"] = power_kw * math.tan(math.acos(power_factor))
    values["power_factor"] = power_factor
    values["frequency"] = (
        50.0 + 0.02 * math.sin(time_s / 97) + 0.01 * math.sin(time_s / 11)
    )
    values["energy"] = energy_kwh(unit, time_s)
    values["temperature"] = (
        28.0 + 22.0 * load + 2.0 * math.sin(math.tau * time_s / _DAY_S)
    )
    values["serial_number"] = f"LS-EM3-{2600 + unit}"
    values["alarm"] = load > _ALARM_LOAD
    values["relay"] = relay
    values["tariff"] = 1
    return values


def input_registers(values: dict[str, Value]) -> list[int]:
    """Return the input registers that say these values."""
    floats = [
        *(float(values[f"voltage_{phase}"]) for phase in _PHASES),
        *(float(values[f"current_{phase}"]) for phase in _PHASES),
        *(
            float(values[name])
            for name in ("active_power", "reactive_power", "power_factor", "frequency")
        ),
    ]
    record = _RECORD.pack(
        *floats,
        round(float(values["energy"]) * 1000),
        round(float(values["temperature"]) * 10),
        str(values["serial_number"]).encode(),
    )
    return list(struct.unpack(f">{INPUTS}H", record))


_LIST: tuple[tuple[str, str, Kind, str, float, str], ...] = (
    *(
        (f"voltage_{phase}", f"input:{place * 2}:float32", Kind.FLOAT, "V", 1.0, "")
        for place, phase in enumerate(_PHASES)
    ),
    *(
        (f"current_{phase}", f"input:{6 + place * 2}:float32", Kind.FLOAT, "A", 1.0, "")
        for place, phase in enumerate(_PHASES)
    ),
    ("active_power", "input:12:float32", Kind.FLOAT, "kW", 1.0, "Active power"),
    ("reactive_power", "input:14:float32", Kind.FLOAT, "kvar", 1.0, "Reactive power"),
    ("power_factor", "input:16:float32", Kind.FLOAT, "", 1.0, "Power factor"),
    ("frequency", "input:18:float32", Kind.FLOAT, "Hz", 1.0, "Mains frequency"),
    ("energy", "input:20:uint64", Kind.FLOAT, "kWh", 0.001, "Energy counter"),
    ("temperature", "input:24:int16", Kind.FLOAT, "°C", 0.1, "Inside the cabinet"),
    ("serial_number", "input:30:string[12]", Kind.STRING, "", 1.0, "Serial number"),
    ("alarm", "discrete:0", Kind.BOOL, "", 1.0, "Load above 85 % of the rating"),
    ("relay", "coil:0", Kind.BOOL, "", 1.0, "Closed when true; may be switched"),
    ("tariff", "holding:0:uint16", Kind.INT, "", 1.0, "Tariff, 1 to 4; may be set"),
)
_WRITABLE = {"relay", "tariff"}
_SLOW = {"serial_number", "tariff", "relay"}


def point_list(prefix: str, units: tuple[int, ...] = UNITS) -> list[Point]:
    """Return the points of the meters, named `<prefix>/meter<unit>/<what>`."""
    return [
        Point(
            name=f"{prefix}/meter{unit}/{name}",
            address=f"{unit}/{address}",
            type=kind,
            unit=symbol,
            scale=scale,
            period_s=5.0 if name in _SLOW else 1.0,
            description=text or name.replace("_", " ").replace(" l", ", phase L"),
            writable=name in _WRITABLE,
        )
        for unit in units
        for name, address, kind, symbol, scale, text in _LIST
    ]
