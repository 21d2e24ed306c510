"""The points of the fake plant, and what they were worth at any moment."""

import math
from datetime import UTC, datetime

Json = dict[str, object]

BAD = (1500.0, 1320.0)
"""Seconds ago between which the temperatures were bad at the start of the plant."""


def text(moment: float) -> str:
    """Return RFC 3339 text of seconds since 1970."""
    at = datetime.fromtimestamp(moment, UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Plant:
    """Points with made-up values; `said` holds what a test or a visitor wrote."""

    def __init__(self, now: float, *, many: int = 3000) -> None:
        self.born = now
        self.said: dict[str, float | bool | str] = {}
        self.events: list[Json] = []
        self.points: dict[str, Json] = {}
        for line in ("press_1", "press_2"):
            self._machine(f"acme/osaka/stamping/{line}")
        self._machine("acme/kyoto/packing/robot")
        for n in range(many):
            self._add(f"acme/osaka/meters/m{n:04}/power", "kW", description="Meter")

    def _machine(self, place: str) -> None:
        self._add(f"{place}/temperature", "°C", description="Oil temperature")
        self._add(f"{place}/force", "kN", description="Ram force", deadband=0.5)
        self._add(f"{place}/running", "", type="bool")
        self._add(f"{place}/parts", "", type="int", description="Good parts")
        self._add(f"{place}/setpoint", "°C", writable=True, description="Set point")
        self._add(f"{place}/state", "", type="string", description="<b>State</b>")

    def _add(self, name: str, unit: str, **more: object) -> None:
        self.points[name] = {
            "name": name,
            "type": "float",
            "unit": unit,
            "description": "",
            "device": name.split("/")[-2],
            "protocol": "modbus",
            "address": f"holding:{len(self.points)}",
            "period_s": 1.0,
            "deadband": 0.0,
            "writable": False,
        } | more

    def value(self, name: str, at: float) -> float | bool | str:
        """Return what the point is worth at a moment."""
        if name in self.said:
            return self.said[name]
        seed = sum(map(ord, name)) % 97
        kind = name.rpartition("/")[2]
        wave = math.sin((at + seed * 20) / 47) + 0.2 * math.sin(at * 1.7 + seed)
        values: dict[str, float | bool | str] = {
            "temperature": 61.0 + 4 * wave + (18 if int(at) % 900 == seed else 0),
            "force": 1250.0 + 220 * round(wave * 4) / 4,
            "running": (at + seed) % 300 > 40,
            "parts": int(at - self.born + 86_400) // 7,
            "setpoint": 60.0,
            "state": "run" if (at + seed) % 300 > 40 else "wait",
        }
        return values.get(kind, 12.0 + 3 * wave)

    def quality(self, name: str, at: float) -> tuple[str, str]:
        """Return the quality at a moment, and its reason."""
        ago = self.born - at
        if name.endswith("temperature") and BAD[1] < ago < BAD[0]:
            return "bad", "modbus: the device did not answer within 3 s"
        if name == "acme/kyoto/packing/robot/force":
            return "bad", "modbus exception 2: illegal data address"
        if name == "acme/kyoto/packing/robot/temperature":
            return "uncertain", "sensor out of calibration"
        return "good", ""

    def reading(self, name: str, at: float) -> Json:
        """Return the reading of a point at a moment."""
        quality, reason = self.quality(name, at)
        return {
            "name": name,
            "value": None if quality == "bad" else self.value(name, at),
            "quality": quality,
            "reason": reason,
            "time": text(at),
            "unit": self.points[name]["unit"],
        }

    def silent(self, at: float) -> bool:
        """Whether nothing at all was recorded then."""
        return 2400 < self.born - at < 2700

    def level(self, place: str) -> Json:
        """Return one level of the namespace."""
        start = f"{place}/" if place else ""
        inside = [name for name in self.points if name.startswith(start)]
        below: dict[str, int] = {}
        here: list[Json] = []
        for name in inside:
            head, *rest = name[len(start) :].split("/")
            if rest:
                below[head] = below.get(head, 0) + 1
            else:
                here.append(self.points[name])
        places = [
            {"name": name, "path": start + name, "points": count}
            for name, count in below.items()
        ]
        return {"place": place, "places": places, "points": here}

    def health(self, now: float) -> Json:
        """Return a plant that works, but for one device."""
        services = [
            self._service("collector.press_1", "ok", "", {"readings_per_s": 12.4}, now),
            self._service(
                "collector.robot",
                "degraded",
                "1 of 6 points is bad: modbus exception 2",
                {"readings_per_s": 6.0, "bad_points": 1},
                now,
            ),
            self._service(
                "historian", "ok", "", {"rows": 1_204_331, "lag_s": 0.4}, now
            ),
        ]
        return {
            "status": "degraded",
            "reasons": ["collector.robot: 1 of 6 points is bad"],
            "plant": "Osaka works",
            "demo": True,
            "version": "0.1.0",
            "time": text(now),
            "services": services,
        }

    def _service(
        self, name: str, state: str, reason: str, figures: Json, now: float
    ) -> Json:
        return {
            "service": name,
            "state": state,
            "reason": reason,
            "since": text(self.born),
            "time": text(now),
            "figures": figures,
        }


def raw_series(plant: Plant, name: str, start: float, end: float) -> Json:
    """Return each reading of a window, one a second."""
    moments = [
        float(at)
        for at in range(math.ceil(start), math.floor(end) + 1)
        if not plant.silent(at)
    ]
    readings = [plant.reading(name, at) for at in moments]
    series: Json = {"name": name, "unit": plant.points[name]["unit"]}
    for key in ("time", "value", "quality", "reason"):
        series[key] = [reading[key] for reading in readings]
    return series


BUCKET = ("time", "min", "max", "mean", "time_mean", "first", "last", "count", "good")


def bucket_series(
    plant: Plant, name: str, start: float, end: float, every: float
) -> Json:
    """Return buckets of a window, each from eight moments within it."""
    rows: dict[str, list[object]] = {key: [] for key in BUCKET}
    begin = math.floor(start / every) * every
    while begin < end:
        moments = [begin + every * n / 8 for n in range(8)]
        heard = [at for at in moments if not plant.silent(at) and at <= end]
        fine = [at for at in heard if plant.quality(name, at)[0] != "bad"]
        values = [plant.value(name, at) for at in fine]
        numbers = [float(one) for one in values if not isinstance(one, str)]
        mean = sum(numbers) / len(numbers) if numbers else None
        row = {
            "time": text(begin),
            "min": min(numbers, default=None),
            "max": max(numbers, default=None),
            "mean": mean,
            "time_mean": mean,
            "first": values[0] if values else None,
            "last": values[-1] if values else None,
            "count": len(heard),
            "good": len(fine) / len(heard) if heard else None,
        }
        for key, cell in row.items():
            rows[key].append(cell)
        begin += every
    return {"name": name, "unit": plant.points[name]["unit"], **rows}
