"""Every device of the configuration, kept connected; the configuration may change.

What a new configuration leaves as it was goes on undisturbed: its connection stays
open and none of its readings is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Protocol

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.process.tasks import bare
from lineshaft.network.collector import Collector, Posts
from lineshaft.network.commander import Commander, Done, TellsEvents
from lineshaft.network.drivers import sessions_of
from lineshaft.network.settings import DeviceConfig

CHECK, APPLY = b"check", b"apply"
CONFIGURATION = "configuration.collector"


class Changed(msgspec.Struct, frozen=True):
    """What a new configuration did, by names of devices."""

    started: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    unchanged: int = 0


class Service(Protocol):
    """Anything that works until it is cancelled."""

    async def run(self) -> None:
        """Work until cancelled."""


@dataclass(frozen=True, slots=True)
class _Running:
    """One device at work."""

    config: DeviceConfig
    collectors: Sequence[Collector]
    task: asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class _Made:
    """What keeps one device connected, not yet at work."""

    collectors: Sequence[Collector]
    commander: Commander


class Carries(Posts, TellsEvents, Protocol):
    """What a fleet needs from the outbox."""


class Fleet:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self,
        devices: Sequence[DeviceConfig],
        outbox: Carries,
        bus: Asks,
        read: Callable[[], Sequence[DeviceConfig]],
    ) -> None:
        """`read` returns the devices of the configuration as it is on disk now."""
        self._first = devices
        self._outbox = outbox
        self._bus = bus
        self._read = read
        self._running: dict[str, _Running] = {}
        self._done: dict[str, Done] = {}
        """What each device carried out, since a restart must not do it again."""
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Keep the devices connected, and answer on `configuration.collector`."""
        with bare():
            async with AsyncExitStack() as stack:
                group = await stack.enter_async_context(asyncio.TaskGroup())
                self._change(group, self._first, self._made(self._first))
                # While the bus is away nobody can ask, and machines are read all the
                # same.
                group.create_task(self._answer_for_ever(group))

    async def _answer_for_ever(self, group: asyncio.TaskGroup) -> None:
        async def answer(wish: bytes) -> AsyncIterator[bytes]:
            async with self._changing:
                wanted = await asyncio.to_thread(self._read)
                changed = Changed()
                if wish == APPLY:
                    made = self._made(wanted)
                    await self._stop_what_differs(wanted)
                    changed = self._change(group, wanted, made)
            yield msgspec.json.encode(changed)

        async with self._bus.answer(CONFIGURATION, answer):
            await asyncio.Event().wait()

    async def _stop_what_differs(self, wanted: Sequence[DeviceConfig]) -> None:
        new = {device.name: device for device in wanted}
        ending = []
        for name, running in self._running.items():
            if name in new and new[name].is_like(running.config):
                continue
            why = "its configuration changed" if name in new else "it was removed"
            for collector in running.collectors:
                collector.farewell = f"{why} at a reload of the configuration"
            running.task.cancel()
            ending.append(running.task)
        if ending:
            await asyncio.wait(ending)

    def _made(self, wanted: Sequence[DeviceConfig]) -> dict[str, _Made]:
        """Return what is to be started; nothing is stopped if that fails."""
        made: dict[str, _Made] = {}
        for device in wanted:
            known = self._running.get(device.name)
            if known is None or not known.config.is_like(device):
                made[device.name] = self._make(device)
        return made

    def _make(self, device: DeviceConfig) -> _Made:
        collectors = [
            Collector(device, session, points, self._outbox, self._bus)
            for session, points in sessions_of(device)
        ]
        done = self._done.setdefault(device.name, Done())
        commander = Commander(device.name, collectors, self._bus, self._outbox, done)
        return _Made(collectors, commander)

    def _change(
        self,
        group: asyncio.TaskGroup,
        wanted: Sequence[DeviceConfig],
        made: Mapping[str, _Made],
    ) -> Changed:
        """Start what was made for devices that are not at work as they are wanted."""
        before = self._running
        self._running = {}
        for device in wanted:
            new = made.get(device.name)
            self._running[device.name] = (
                before[device.name] if new is None else _started(group, device, new)
            )
        return Changed(
            started=tuple(name for name in made if name not in before),
            stopped=tuple(name for name in before if name not in self._running),
            restarted=tuple(name for name in made if name in before),
            unchanged=len(wanted) - len(made),
        )


def _started(group: asyncio.TaskGroup, device: DeviceConfig, made: _Made) -> _Running:
    work = _together([*made.collectors, made.commander])
    task = group.create_task(work, name=device.name)
    return _Running(device, made.collectors, task)


async def _together(services: Sequence[Service]) -> None:
    with bare():
        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(service.run(), name=type(service).__name__)
