"""What happens now: one reader of the bus for all pages that look in.

Every frame is decoded once. The last value of each point is kept as a place in its
frame; a page gets the readings of the points that it shows, all of them and in order,
and a token that says how far it got. A page that comes back with its token gets what
it missed; a page that is too slow or too late is told so, and starts anew.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lineshaft.core.bus import READINGS, Bus
from lineshaft.core.errors import NotFound, Refused, Unreachable
from lineshaft.core.frame import Frame, decode_frame
from lineshaft.core.reading import Quality, Reading
from lineshaft.core.series import History
from lineshaft.web.namespace import Namespace
from lineshaft.web.shapes import ReadingView, view

log = logging.getLogger(__name__)

RING_READINGS = 500_000
MOST_WAITING = 50_000
RETRY_S = 1.0


@dataclass(slots=True, eq=False)
class Session:
    """What one page looks at, and what it has not been sent yet."""

    names: frozenset[str]
    waiting: list[Reading] = field(default_factory=list)
    sequence: int = 0
    overrun: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def give(self, readings: list[Reading], sequence: int) -> None:
        """Add what is new; too much for a slow page is given up, and remembered."""
        self.sequence = sequence
        if not readings:
            return
        if len(self.waiting) + len(readings) > MOST_WAITING:
            self.overrun = True
            self.waiting.clear()
        if not self.overrun:
            self.waiting += readings
        self.news.set()


class Live:
    """A service: `run` follows the bus until it is cancelled."""

    def __init__(self, bus: Bus, history: History, namespace: Namespace) -> None:
        self._bus = bus
        self._history = history
        self._namespace = namespace
        self._last: dict[str, tuple[Frame, int] | Reading] = {}
        self._ring: deque[tuple[int, Frame]] = deque()
        self._ring_readings = 0
        self._before_ring = 0
        self._sessions: set[Session] = set()
        self._identity = ""
        self.sequence = 0

    async def run(self) -> None:
        """Follow the bus for ever."""
        self._identity = await self._bus.identity(READINGS)
        self.sequence = await self._bus.last_sequence(READINGS)
        self._before_ring = self.sequence
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recall())
            async for batch in self._bus.batches(READINGS, after=self.sequence):
                for message in batch:
                    self._take(message.sequence, message.data)
                await asyncio.sleep(0)

    def last(self, name: str) -> Reading | None:
        """Return the newest reading of a point, if any is known."""
        known = self._last.get(name)
        if known is None or isinstance(known, Reading):
            return known
        frame, row = known
        return next(_rows(frame, [row]))

    def views(self, names: Sequence[str]) -> list[ReadingView]:
        """Return the newest reading of each point as the API shows it."""
        return [self._view(name) for name in names]

    def token(self, sequence: int) -> str:
        """Return what a page says when it comes back."""
        return f"{self._identity}:{sequence}"

    def join(self, names: Sequence[str]) -> Session:
        """Begin to collect for a page that has seen everything up to now."""
        session = Session(frozenset(names), sequence=self.sequence)
        self._sessions.add(session)
        return session

    def resume(self, names: Sequence[str], token: str) -> Session | None:
        """Begin with what came after `token`; None when that is not kept any more."""
        identity, _, number = token.partition(":")
        if identity != self._identity or not number.isdecimal():
            return None
        after = int(number)
        if not self._before_ring <= after <= self.sequence:
            return None
        session = self.join(names)
        for sequence, frame in self._ring:
            if sequence > after:
                session.give(list(_wanted(frame, session.names)), sequence)
        return None if session.overrun else session

    def leave(self, session: Session) -> None:
        """Stop collecting for a page."""
        self._sessions.discard(session)

    def _take(self, sequence: int, data: bytes) -> None:
        self.sequence = sequence
        try:
            frame = decode_frame(data)
        except Refused as refusal:
            log.debug("left out: %s", refusal)  # the historian tells everyone
            return
        self._remember(frame)
        if frame.is_import:
            return  # of the past, which pages ask for when they show it
        self._ring.append((sequence, frame))
        self._ring_readings += len(frame)
        while self._ring_readings > RING_READINGS:
            self._before_ring, oldest = self._ring.popleft()
            self._ring_readings -= len(oldest)
        for session in self._sessions:
            session.give(list(_wanted(frame, session.names)), sequence)

    def _remember(self, frame: Frame) -> None:
        columns = frame.columns
        order = np.lexsort((columns.time, columns.point))
        ordered = columns.point[order]
        ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
        for row in order[ends].tolist() if len(order) else ():
            name = frame.names[columns.point[row]]
            time = self._time_of(name)
            if time is None or time <= columns.time[row]:
                self._last[name] = (frame, row)

    def _time_of(self, name: str) -> int | None:
        known = self._last.get(name)
        if known is None:
            return None
        if isinstance(known, Reading):
            return known.time_us
        frame, row = known
        return int(frame.columns.time[row])

    async def _recall(self) -> None:
        """Ask the historian for the last values, until it is there."""
        while True:
            try:
                readings = await self._history.last("**")
            except (Unreachable, NotFound) as trouble:
                log.debug("%s", trouble)
                await asyncio.sleep(RETRY_S)
                continue
            for reading in readings:
                time = self._time_of(reading.name)
                if time is None or time < reading.time_us:
                    self._last[reading.name] = reading
            for session in self._sessions:
                wanted = [r for r in readings if r.name in session.names]
                session.give(wanted, session.sequence)
            return

    def _view(self, name: str) -> ReadingView:
        reading = self.last(name)
        if reading is not None:
            return view(reading)
        unit = self._namespace.unit(name)
        return ReadingView(name, None, Quality.BAD, "never read", None, unit)


def _wanted(frame: Frame, names: frozenset[str]) -> Iterator[Reading]:
    chosen = [place for place, name in enumerate(frame.names) if name in names]
    if not chosen:
        return iter(())
    if len(chosen) == len(frame.names):
        return frame.readings()
    return _rows(frame, np.flatnonzero(np.isin(frame.columns.point, chosen)).tolist())


def _rows(frame: Frame, rows: Sequence[int]) -> Iterator[Reading]:
    part = Frame(
        frame.device,
        frame.epoch,
        frame.number,
        frame.names,
        frame.units,
        frame.texts,
        frame.statuses,
        frame.columns.take(np.array(rows, np.intp)),
    )
    return part.readings()
