"""A pump skid that exists only here: two pumps, their physics, and their faults."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from lineshaft.network.drivers.mqtt.address import NAMESPACE
from lineshaft.network.drivers.mqtt.sparkplug.payload import DataType

GROUP, EDGE = "lineshaft_demo", "pump_skid"
PUMPS = ("pump1", "pump2")
VALVE = "valve_position"
FAULT_LASTS_S = 10.0
_AMBIENT_C = 21.0
_RATED_FLOW, _RATED_SPEED, _RATED_CURRENT = 32.0, 2900.0, 11.5
_VALVE_SPEED = 20.0
"""Percent per second."""
_HOURS = {"pump1": 8123, "pump2": 7940}


class Fault(StrEnum):
    """What goes wrong, in this order."""

    LINK_LOSS = "link loss"
    STUCK = "stuck sensor"
    DRIFT = "drift"


@dataclass(frozen=True, slots=True)
class Signal:
    """A metric of a pump."""

    name: str
    datatype: DataType
    unit: str
    text: str
    step: float = 0.0
    """A smaller change is not reported."""

    @property
    def kind(self) -> Kind:
        """Return the type of a point that holds it."""
        kinds = {
            DataType.BOOLEAN: Kind.BOOL,
            DataType.STRING: Kind.STRING,
            DataType.INT64: Kind.INT,
        }
        return kinds.get(self.datatype, Kind.FLOAT)


SIGNALS = (
    Signal("flow", DataType.FLOAT, "m³/h", "Flow at the outlet", 0.05),
    Signal("inlet_pressure", DataType.FLOAT, "bar", "Pressure before the pump", 0.005),
    Signal("outlet_pressure", DataType.FLOAT, "bar", "Pressure after the pump", 0.01),
    Signal("speed", DataType.FLOAT, "{rev}/min", "Speed of the shaft", 1.0),
    Signal("motor_current", DataType.FLOAT, "A", "Current of the motor", 0.02),
    Signal("motor_temperature", DataType.DOUBLE, "°C", "Winding temperature", 0.05),
    Signal("bearing_temperature", DataType.DOUBLE, "°C", "Bearing temperature", 0.05),
    Signal("vibration_rms", DataType.FLOAT, "mm/s", "Vibration velocity, RMS", 0.02),
    Signal(VALVE, DataType.FLOAT, "%", "Opening of the outlet valve", 0.05),
    Signal("running", DataType.BOOLEAN, "", "Whether the motor turns"),
    Signal("state", DataType.STRING, "", "starting, running, throttled or stopped"),
    Signal("operating_hours", DataType.INT64, "h", "Hours since it was built"),
)
NODE_SIGNALS = (
    Signal("supply_voltage", DataType.FLOAT, "V", "Supply of the cabinet", 0.1),
    Signal("cabinet_temperature", DataType.DOUBLE, "°C", "Inside the cabinet", 0.05),
)


def point_list(prefix: str) -> list[Point]:
    """Return a point for each metric, like `<prefix>/pump1/flow`."""
    points = [
        _point(f"{prefix}/{pump}/{signal.name}", f"{EDGE}/{pump}", signal)
        for pump in PUMPS
        for signal in SIGNALS
    ]
    return points + [
        _point(f"{prefix}/{signal.name}", EDGE, signal) for signal in NODE_SIGNALS
    ]


def _point(name: str, owner: str, signal: Signal) -> Point:
    return Point(
        name=name,
        address=f"{NAMESPACE}/{GROUP}/{owner}:{signal.name}",
        type=signal.kind,
        unit=signal.unit,
        description=signal.text,
        writable=signal.name == VALVE,
    )


@dataclass(slots=True)
class Pump:
    """One pump: what it measures, as time goes by."""

    name: str
    random: random.Random
    wanted_valve: float = 80.0
    valve: float = 80.0
    heat: float = 0.0
    drift_c: float = 0.0
    ran_s: float = 0.0
    stuck: dict[str, Value] = field(default_factory=dict)

    def step(self, passed_s: float, fault: Fault | None) -> Mapping[str, Value]:
        """Let time pass; return all metrics by name."""
        self.ran_s += passed_s
        way = self.wanted_valve - self.valve
        self.valve += math.copysign(min(abs(way), _VALVE_SPEED * passed_s), way)
        load = math.sqrt(self.valve / 100)
        self.heat += (load - self.heat) * min(1.0, passed_s / 120)
        ill = fault is Fault.DRIFT and self.name == PUMPS[0]
        self.drift_c = self.drift_c + 0.8 * passed_s if ill else self.drift_c * 0.9
        values = self._measure(load)
        if fault is Fault.STUCK and self.name == PUMPS[1]:
            self.stuck = self.stuck or {"flow": values["flow"]}
        else:
            self.stuck = {}
        return {**values, **self.stuck}

    def _measure(self, load: float) -> dict[str, Value]:
        noise = self.random.gauss
        speed = _RATED_SPEED - 40 * load + noise(0, 1.5)
        flow = _RATED_FLOW * load + noise(0, 0.15)
        return {
            "flow": max(flow, 0.0),
            "inlet_pressure": 1.2 - 0.15 * load + noise(0, 0.005),
            "outlet_pressure": 6.4 - 2.1 * load**2 + noise(0, 0.02),
            "speed": speed,
            "motor_current": _RATED_CURRENT * (0.45 + 0.55 * load) + noise(0, 0.04),
            "motor_temperature": _AMBIENT_C + 44 * self.heat + noise(0, 0.03),
            "bearing_temperature": _AMBIENT_C
            + 27 * self.heat
            + self.drift_c
            + noise(0, 0.03),
            "vibration_rms": 1.4 + 0.05 * self.drift_c + abs(noise(0, 0.05)),
            VALVE: self.valve,
            "running": True,
            "state": "running" if self.valve > 30 else "throttled",  # noqa: PLR2004
            "operating_hours": _HOURS[self.name] + int(self.ran_s / 3600),
        }


@dataclass(slots=True)
class Skid:
    """The whole skid; the key of the edge node's own metrics is empty."""

    seed: int = 1
    pumps: dict[str, Pump] = field(default_factory=dict)
    ran_s: float = 0.0

    def __post_init__(self) -> None:
        for number, name in enumerate(PUMPS):
            self.pumps[name] = Pump(name, random.Random(self.seed + number))  # noqa: S311  # noise

    def step(
        self, passed_s: float, fault: Fault | None
    ) -> dict[str, Mapping[str, Value]]:
        """Let time pass; return the metrics of each device."""
        self.ran_s += passed_s
        day = math.sin(self.ran_s / 900)
        own: Mapping[str, Value] = {
            "supply_voltage": 24.0 + 0.3 * day,
            "cabinet_temperature": 31.0 + 2.5 * day,
        }
        return {
            "": own,
            **{name: pump.step(passed_s, fault) for name, pump in self.pumps.items()},
        }


def fault_at(passed_s: float, every_s: float) -> Fault | None:
    """Return what is wrong: each `every_s` another fault, for ten seconds at most."""
    if every_s <= 0 or passed_s < every_s:
        return None
    count, within_s = divmod(passed_s, every_s)
    faults = list(Fault)
    lasts_s = min(FAULT_LASTS_S, every_s / 2)
    return faults[(int(count) - 1) % len(faults)] if within_s < lasts_s else None
