"""What every point says now, for those who tell it to the outside."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from lineshaft.core.bus import READINGS, Bus
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.frame import Frame, decode_frame
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.message import read_json
from lineshaft.core.point import Point
from lineshaft.core.reading import Quality, Status, Value, bad, uncertain

SILENT_AFTER_S = 3 * EVERY_S
EVERYTHING = "**"
NOT_YET = bad("no value yet")
_STALE = "the collector of {} gives no sign of life; this is the last known value"


class Served(NamedTuple):
    """A point that is told to the outside, and the device it belongs to."""

    point: Point
    device: str


class Said(NamedTuple):
    """What a point says, or whether it can still be trusted."""

    position: int
    """Of the point among those that are served."""
    value: Value | None
    status: Status
    time_us: int
    is_stale: bool = False
    """Whether nobody vouches for it any more, and its status says so."""


def said_in(frame: Frame, position: Mapping[str, int]) -> Iterator[Said]:
    """Yield what a frame says of the points that have a position."""
    columns = frame.columns
    positions = [position.get(name, -1) for name in frame.names]
    rows = zip(
        columns.point.tolist(),
        columns.values(frame.texts),
        columns.status.tolist(),
        columns.time.tolist(),
        strict=True,
    )
    for row, value, status, time_us in rows:
        at = positions[row]
        if at >= 0:
            yield Said(at, value, frame.statuses[status], time_us)


class Lasts(Protocol):
    """Knows the newest reading of each point."""

    async def last(self, pattern: str) -> Frame:
        """Return the newest reading of each point that the pattern means."""


Hear = Callable[[Sequence[Said]], Awaitable[None]]


class Mirror:
    """Follows the bus and tells each listener: `run` works until it is cancelled.

    It begins with the last values of the historian. While the collector of a device
    is silent its good values are told as uncertain, since nobody vouches for them.
    """

    def __init__(self, served: Sequence[Served], bus: Bus, history: Lasts) -> None:
        self._served = served
        self._bus = bus
        self._history = history
        self._position = {each.point.name: at for at, each in enumerate(served)}
        self._of_device: dict[str, list[int]] = {}
        for at, each in enumerate(served):
            self._of_device.setdefault(each.device, []).append(at)
        self._now = [Said(at, None, NOT_YET, 0) for at in range(len(served))]
        self._parts: dict[str, dict[str, float]] = {}
        self._down: dict[str, set[str]] = {}
        self._stale = set(self._of_device)
        self._listeners: list[Hear] = []
        self.values = 0
        """Counts what was heard."""
        self.lag_s = 0.0
        """Age of the newest reading of the last frame when it was passed on."""

    def listen(self, hear: Hear) -> None:
        """Let `hear` be told what changes from now on."""
        self._listeners.append(hear)

    def everything(self) -> list[Said]:
        """Return what each point says now."""
        return [self._shown(said) for said in self._now]

    def is_alive(self, device: str) -> bool:
        """Whether its collector is heard, and reaches the device or a part of it."""
        parts, down = self._parts.get(device, {}), self._down.get(device, set())
        return device not in self._stale and len(down) < len(parts)

    async def run(self) -> None:
        """Follow for ever."""
        after = await self._bus.last_sequence(READINGS)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(after))
            group.create_task(self._fill())
            group.create_task(self._hear_health())
            group.create_task(self._watch())

    async def _follow(self, after: int) -> None:
        async for batch in self._bus.batches(READINGS, after=after):
            for message in batch:
                try:
                    frame = decode_frame(message.data)
                except Refused:
                    continue  # the historian tells of it
                if not frame.is_import:
                    # What waited in an outbox is the past, for those who store.
                    said = said_in(frame, self._position)
                    now = self._now
                    await self._take(
                        [s for s in said if s.time_us >= now[s.position].time_us]
                    )
            await asyncio.sleep(0)

    async def _fill(self) -> None:
        """Begin with what the historian knows; nothing that is newer is undone."""
        while True:
            try:
                lasts = await self._history.last(EVERYTHING)
            except Unreachable:
                await asyncio.sleep(EVERY_S)
                continue
            known = (
                Said(self._position[r.name], r.value, r.status, r.time_us)
                for r in lasts.readings()
                if r.name in self._position
            )
            await self._take([k for k in known if not self._now[k.position].time_us])
            return

    async def _hear_health(self) -> None:
        async for _, data in self._bus.overhear("status.collector.>"):
            try:
                health = read_json(data, Health, "a health")
            except Refused:
                continue  # not one of ours
            device = health.service.removeprefix("collector.").partition("/")[0]
            self._parts.setdefault(device, {})[health.service] = time.monotonic()
            down = self._down.setdefault(device, set())
            is_down = health.state is State.DOWN
            (down.add if is_down else down.discard)(health.service)
            if device in self._stale and not is_down:
                await self._judge(device)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            for device in self._of_device:
                await self._judge(device)

    async def _judge(self, device: str) -> None:
        """Say when a device's collector fell silent, and when it is back."""
        heard = self._parts.get(device, {}).values()
        oldest = min(heard, default=-SILENT_AFTER_S)
        is_stale = time.monotonic() - oldest > SILENT_AFTER_S or not heard
        if is_stale == (device in self._stale):
            return
        (self._stale.add if is_stale else self._stale.discard)(device)
        await self._pass_on([self._now[at] for at in self._of_device[device]])

    async def _take(self, news: list[Said]) -> None:
        for said in news:
            self._now[said.position] = said
        self.values += len(news)
        await self._pass_on(news)
        if news:
            self.lag_s = time.time() - max(said.time_us for said in news) / 1e6

    async def _pass_on(self, news: Sequence[Said]) -> None:
        shown = [self._shown(said) for said in news]
        for hear in self._listeners:
            await hear(shown)

    def _shown(self, said: Said) -> Said:
        device = self._served[said.position].device
        if device in self._stale and said.status.quality is Quality.GOOD:
            return said._replace(status=uncertain(_STALE.format(device)), is_stale=True)
        return said
