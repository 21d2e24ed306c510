"""How every part of the plant is, from what each tells of itself."""

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.errors import Refused
from lineshaft.core.errors.codes import Code
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import gauge
from lineshaft.core.message import read_json
from lineshaft.core.reading import iso
from lineshaft.web.health.openmetrics import openmetrics
from lineshaft.web.health.tree import tree
from lineshaft.web.shapes import PlantHealth, ServiceHealth

SILENT_AFTER_S = 3 * EVERY_S
_MEANINGS = {"pages": gauge("web_pages", "Pages that follow the live stream.")}


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
        self.expected = tuple(expected)
        """Services that must tell their health; the others are shown when heard."""
        self._plant = plant
        self._demo = demo
        self._began = time.monotonic()
        self._since = iso(time.time_ns() // 1000)
        self._heard: dict[str, tuple[float, Health]] = {}
        self._version = version
        self.url = ""
        """Where the page is served; told with the health of the web room."""
        self.pages: Callable[[], int] = lambda: 0
        """Tells how many pages follow the live stream."""
        self.troubles: Callable[[], Sequence[str]] = tuple
        """Tells what is wrong with the web room itself; empty texts are nothing."""

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

    def expect(self, services: Sequence[str]) -> None:
        """Expect these from now on; what is heard no more is forgotten."""
        gone = set(self.expected) - set(services)
        self.expected = tuple(services)
        self._heard = {
            name: heard
            for name, heard in self._heard.items()
            if name.split("/")[0] not in gone
        }

    def plant(self) -> PlantHealth:
        """Return the health of the whole plant."""
        services = [self._service(name) for name in self._names()]
        whole = tree(self._plant, services)
        reasons = [
            f"{s.service}: {s.reason or s.state}"
            for s in services
            if s.state is not State.OK
        ]
        now = iso(time.time_ns() // 1000)
        return PlantHealth(
            whole.state,
            reasons,
            self._plant,
            self._demo,
            self._version,
            now,
            services,
            whole,
        )

    def metrics(self) -> bytes:
        """Return what monitoring systems read; see `web.health.openmetrics`."""
        now, told = time.monotonic(), []
        for name in self._names():
            seen = self._service(name)
            when, health = self._heard.get(name, (self._began, None))
            if health is None:
                silence = int((time.time() - (now - when)) * 1e6)
                health = Health(service=name, state=seen.state, since_us=silence)
            told.append((msgspec.structs.replace(health, state=seen.state), now - when))
        return openmetrics(told)

    def _names(self) -> list[str]:
        unheard = [
            name
            for name in self.expected
            if not any(heard.split("/")[0] == name for heard in self._heard)
        ]
        return sorted([*self._heard, *unheard])

    def _service(self, name: str) -> ServiceHealth:
        now = time.monotonic()
        if name not in self._heard:
            waits = now - self._began < SILENT_AFTER_S
            state = State.DEGRADED if waits else State.DOWN
            silent = Code.STARTS if waits else Code.NO_SIGN_OF_LIFE
            return ServiceHealth(
                name, state, "no sign of life yet", self._since, None, {}, silent
            )
        when, health = self._heard[name]
        state, reason = health.state, health.reason
        code: str = health.code
        since = iso(health.since_us)
        if now - when > SILENT_AFTER_S:
            state, code = State.DOWN, Code.NO_SIGN_OF_LIFE
            since = iso(health.time_us)
            reason = f"no sign of life since {since}"
        return ServiceHealth(
            name, state, reason, since, iso(health.time_us), health.figures, code
        )

    async def _tell(self) -> None:
        """Tell that the web server itself is well."""
        since, before = time.time_ns() // 1000, ""
        while True:
            reason = "; ".join(filter(None, self.troubles()))
            if reason != before:
                since, before = time.time_ns() // 1000, reason
            health = Health(
                service="web",
                state=State.DEGRADED if reason else State.OK,
                reason=reason,
                since_us=since,
                figures={"url": self.url, "pages": self.pages()},
                meanings=_MEANINGS,
            )
            self._bus.tell("status.web", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)
