"""Take in a changed configuration while the plant runs, touching only what changed.

Everything is checked before anything is touched: with one error nothing changes.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from lineshaft.core.bus import Asks, Publishes
from lineshaft.core.bus.audit import AuditRecord, Result, tell_audit
from lineshaft.core.errors import LineshaftError, Refused
from lineshaft.core.event import Event, Severity, encode_event
from lineshaft.core.process.children import Keeper
from lineshaft.network.settings import DeviceConfig
from lineshaft.settings import Plant

log = logging.getLogger(__name__)

RELOAD = "configuration.reload"
PATIENCE_S = 120.0
WATCH_EVERY_S = 1.0
_OWNERS = {
    "historian": "historian",
    "web": "web",
    "plant": "web",
    "data": "web",
    "outbox": "collector",
    "northbound": "northbound",
    "computed": "computed",
}
"""Which room is started again when a table of lineshaft.toml has changed."""


class Reloading:
    """A service: `run` answers on `configuration.reload` until it is cancelled."""

    def __init__(
        self,
        plant: Plant,
        read: Callable[[], Plant],
        rooms: Mapping[str, Keeper],
        bus: Asks,
        publish: Publishes,
    ) -> None:
        """`read` returns the plant as it is configured on disk now."""
        self._plant = plant
        self._read = read
        self._rooms = rooms
        self._bus = bus
        self._publish = publish
        self._lock = asyncio.Lock()
        self._wanted = asyncio.Event()

    def ask(self) -> None:
        """Reload soon; what comes of it is told as an event."""
        self._wanted.set()

    async def run(self) -> None:
        """Reload whenever it is asked for."""

        async def answer(question: bytes) -> AsyncIterator[bytes]:
            by = question.decode(errors="replace")[:100]
            yield msgspec.json.encode(await self.reload(by))

        async with self._bus.answer(RELOAD, answer):
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                try:
                    await self.reload()
                except LineshaftError as error:
                    log.error("nothing was changed: %s", error)  # noqa: TRY400

    async def watch(self) -> None:
        """Reload when a file of the configuration has changed, and is done changing."""
        known = before = await asyncio.to_thread(self._stamps)
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            now = await asyncio.to_thread(self._stamps)
            if now != known and now == before:
                known = now
                self.ask()
            before = now

    async def reload(self, by: str = "") -> dict[str, Any]:  # Any: told as JSON
        """Take in the configuration; return what was done.

        `by` is who asked for it; empty: the files themselves, or a signal.

        `ConfigError` holds all that is wrong with it, `Refused` what cannot change
        while the plant runs; nothing has changed then.
        """
        async with self._lock:
            try:
                done = await self._reload()
            except LineshaftError as error:
                told = (Severity.WARNING, str(error))
                await self._tell("configuration.refused", *told, by)
                raise
        await self._tell("configuration.reloaded", Severity.INFO, _sentence(done), by)
        return done

    async def _reload(self) -> dict[str, Any]:
        new = await asyncio.to_thread(self._read)
        old = self._plant
        if new.settings.bus != old.settings.bus:
            raise Refused(
                "[bus] cannot change while the plant runs; nothing was changed. Stop "
                "the plant and start it again"
            )
        wanted = {
            "northbound": new.settings.northbound.is_wanted,
            "computed": bool(new.settings.computed.points),
        }
        for table, is_wanted in wanted.items():
            if is_wanted != (table in self._rooms):
                raise Refused(
                    f"[{table}] cannot come or go while the plant runs; nothing was "
                    "changed. Stop the plant and start it again"
                )
        # The collector alone knows drivers, so it looks first, and then it acts.
        await self._asked("configuration.collector", b"check")
        restarting = [
            room
            for room in dict.fromkeys(_OWNERS.values())
            if any(
                getattr(new.settings, table) != getattr(old.settings, table)
                for table, owner in _OWNERS.items()
                if owner == room
            )
        ]
        done: dict[str, Any] = {"rooms_restarted": restarting}
        if "collector" not in restarting:
            done |= msgspec.json.decode(
                await self._asked("configuration.collector", b"apply")
            )
        if "web" not in restarting:
            await self._asked("configuration.web", b"")
        if _has_other_points(new, old):
            # Points are looked up once, also by their labels; clients of northbound
            # connect again.
            again = {"computed", "northbound"} & self._rooms.keys() - {*restarting}
            restarting += sorted(again)
        for room in restarting:
            await self._rooms[room].restart()
        self._plant = new
        return done

    async def _asked(self, subject: str, wish: bytes) -> bytes:
        parts = [part async for part in self._bus.ask(subject, wish, PATIENCE_S)]
        return b"".join(parts)

    def _stamps(self) -> dict[str, int]:
        """Return when each file was changed last."""
        folder = self._plant.file.parent
        devices = self._plant.settings.devices.values()
        lists = [folder / device.points for device in devices]
        computed = self._plant.settings.computed.points
        lists += [folder / computed] if computed else []
        files = [self._plant.file, *lists]
        return {str(file): file.stat().st_mtime_ns for file in files if file.exists()}

    async def _tell(self, kind: str, severity: Severity, text: str, by: str) -> None:
        event = Event(kind=kind, source="lineshaft.toml", severity=severity, text=text)
        subject, number = f"events.{kind}", f"{kind}:{event.time_us}"
        await self._publish.publish(subject, encode_event(event), number)
        is_done = severity is Severity.INFO
        record = AuditRecord(
            kind=kind,
            who=by,
            name="lineshaft.toml",
            result=Result.SUCCESS if is_done else Result.FAILURE,
            text=text,
            origin="command line" if by else "file or signal",
        )
        await tell_audit(self._publish, record)


def _has_other_points(new: Plant, old: Plant) -> bool:
    """Whether other points are there, or may leave the plant."""
    alike = _are_like(new.devices, old.devices) and new.computed == old.computed
    return not alike or new.settings.data != old.settings.data


def _are_like(some: Sequence[DeviceConfig], others: Sequence[DeviceConfig]) -> bool:
    return len(some) == len(others) and all(map(DeviceConfig.is_like, some, others))


def _sentence(done: Mapping[str, Any]) -> str:
    parts = [
        f"{word} {', '.join(done[key])}"
        for key, word in (
            ("started", "started"),
            ("stopped", "stopped"),
            ("restarted", "restarted"),
            ("rooms_restarted", "restarted the room"),
        )
        if done.get(key)
    ]
    return "Configuration reloaded: " + ("; ".join(parts) or "nothing differed") + "."
