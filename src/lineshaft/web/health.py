"""How every part of the plant is, from what each tells of itself."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.errors import Refused
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.message import read_json
from lineshaft.core.reading import iso
from lineshaft.web.shapes import PlantHealth, ServiceHealth

SILENT_AFTER_S = 3 * EVERY_S
_WORST = (State.OK, State.DEGRADED, State.DOWN)


class HealthBoard:
    """A service: `run` listens until it is cancelled."""

    def __init__(
        self,
        bus: Asks,
        expected: Sequence[str],
        plant: str,
        version: str,
        *,
        demo: bool,
    ) -> None:
        self._bus = bus
        self._expected = tuple(expected)
        self._plant = plant
        self._demo = demo
        self._began = time.monotonic()
        self._heard: dict[str, tuple[float, Health]] = {}
        self._version = version
        self.url = ""
        """Where the page is served; told with the health of the web room."""

    async def run(self) -> None:
        """Listen for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            async for _, data in self._bus.overhear("status.>"):
                try:
                    health = read_json(data, Health, "a sign of life")
                except Refused:
                    continue  # not one of ours
                self._heard[health.service] = (time.monotonic(), health)

    def plant(self) -> PlantHealth:
        """Return the health of the whole plant."""
        services = [self._service(name) for name in self._names()]
        worst = max((_WORST.index(s.state) for s in services), default=0)
        # A single machine that is away does not make the whole plant down.
        rooms = [s for s in services if not s.service.startswith("collector.")]
        down = any(s.state is State.DOWN for s in rooms)
        status = State.DOWN if down else _WORST[min(worst, 1)]
        reasons = [
            f"{s.service}: {s.reason or s.state}"
            for s in services
            if s.state is not State.OK
        ]
        now = iso(time.time_ns() // 1000)
        return PlantHealth(
            status, reasons, self._plant, self._demo, self._version, now, services
        )

    def _names(self) -> list[str]:
        unheard = [
            name
            for name in self._expected
            if not any(heard.split("/")[0] == name for heard in self._heard)
        ]
        return sorted([*self._heard, *unheard])

    def _service(self, name: str) -> ServiceHealth:
        now = time.monotonic()
        if name not in self._heard:
            waits = now - self._began < SILENT_AFTER_S
            state = State.DEGRADED if waits else State.DOWN
            return ServiceHealth(name, state, "no sign of life yet", None, None, {})
        when, health = self._heard[name]
        state, reason = health.state, health.reason
        if now - when > SILENT_AFTER_S:
            state = State.DOWN
            reason = f"no sign of life since {iso(health.time_us)}"
        return ServiceHealth(
            name,
            state,
            reason,
            iso(health.since_us),
            iso(health.time_us),
            health.figures,
        )

    async def _tell(self) -> None:
        """Tell that the web server itself is well."""
        since = time.time_ns() // 1000
        while True:
            health = Health(
                service="web",
                state=State.OK,
                since_us=since,
                figures={"url": self.url},
            )
            self._bus.tell("status.web", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)
