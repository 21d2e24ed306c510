"""What happens now: one reader of the bus for all pages that look in.

Every frame is decoded once. The last value of each point is kept as a row of its
frame; a page gets the readings of the points that it shows, all of them and in order,
and a token that says how far it got. A page that comes back with its token gets what
it missed; a page that is too slow or too late is told so, and starts anew.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from lineshaft.core.bus import READINGS, Delivers
from lineshaft.core.errors import NotFound, Refused, Unreachable
from lineshaft.core.frame import Frame, decode_frame
from lineshaft.core.reading import Quality, Reading
from lineshaft.core.series import History
from lineshaft.web.live.rows import Rows, reading_at
from lineshaft.web.namespace import Namespace
from lineshaft.web.shapes import ReadingView, view

log = logging.getLogger(__name__)

RING_READINGS = 500_000
MOST_WAITING = 50_000
RETRY_S = 1.0
LOOK_BACK_S = 2.0
"""How long a page that comes back may wait for what only the bus still has."""
FRAMES_BEFORE = 512
"""What was said shortly before we began: the historian may not have it yet."""
CATCH_UP_S = 1.0
"""How long pages wait for those frames, which may have been forgotten meanwhile."""
AHEAD_US = 5_000_000
"""How far the clock of a device may be ahead of ours and still be believed."""
TOO_MUCH = "too much happened at once for this connection"
RELOADED = "the configuration of the plant changed"

Heard = tuple[int, Frame]
"""A frame and its place in the stream."""


@dataclass(slots=True, eq=False)
class Session:
    """What one page looks at, and what it has not been sent yet, as JSON."""

    names: frozenset[str] = frozenset()
    waiting: list[msgspec.Raw] = field(default_factory=list)
    sequence: int = 0
    lost: str = ""
    """Why readings are missing that were not sent."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def restart(self, names: Sequence[str], sequence: int) -> None:
        """Look at other points from this place in the stream on."""
        self.names = frozenset(names)
        self.sequence = sequence
        self.waiting = []
        self.lost = ""
        self.news.clear()

    def give(self, readings: Sequence[msgspec.Raw], sequence: int) -> None:
        """Add what is new; too much for a slow page is given up, and remembered."""
        self.sequence = sequence
        if self.lost or not readings:
            return
        if len(self.waiting) + len(readings) > MOST_WAITING:
            self.lose(TOO_MUCH)
        else:
            self.waiting += readings
            self.news.set()

    def lose(self, reason: str) -> None:
        """Give up what waits; the page begins anew and is told why."""
        self.lost = reason
        self.waiting = []
        self.news.set()


class Live:
    """A service: `run` follows the bus until it is cancelled."""

    def __init__(self, bus: Delivers, history: History, namespace: Namespace) -> None:
        self._bus = bus
        self._history = history
        self._namespace = namespace
        self._last: dict[str, tuple[Frame, int] | Reading] = {}
        self._ring: deque[Heard] = deque()
        self._ring_readings = 0
        self._before_ring = 0
        self._sessions: set[Session] = set()
        self._identity = ""
        self._following = asyncio.Event()
        self.sequence = 0

    @property
    def pages(self) -> int:
        """Return how many pages look in now."""
        return len(self._sessions)

    async def run(self) -> None:
        """Follow the bus for ever."""
        self._identity = await self._bus.identity(READINGS)
        newest = await self._bus.last_sequence(READINGS)
        self._begin_ring(max(0, newest - FRAMES_BEFORE))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recall())
            group.create_task(self._catch_up(newest))
            async for batch in self._bus.batches(READINGS, after=self.sequence):
                for message in batch:
                    self._take(message.sequence, message.data)
                if self.sequence >= newest:
                    self._following.set()
                await asyncio.sleep(0)

    def last(self, name: str) -> Reading | None:
        """Return the newest reading of a point, if any is known."""
        known = self._last.get(name)
        return reading_at(*known) if isinstance(known, tuple) else known

    def views(self, names: Sequence[str]) -> list[ReadingView]:
        """Return the newest reading of each point as the API shows it."""
        return [self._view(name) for name in names]

    def token(self, session: Session) -> str:
        """Return what a page says when it comes back: it has all up to here."""
        return f"{self._identity}:{session.sequence}"

    async def begin(self, session: Session, names: Sequence[str]) -> list[ReadingView]:
        """Begin with the newest readings of these points; return them."""
        await self._following.wait()
        # Nothing may happen between the look at the values and the begin of the
        # session, so there is no await from here on.
        session.restart(names, self.sequence)
        self._sessions.add(session)
        return self.views(names)

    async def resume(
        self, session: Session, names: Sequence[str], token: str
    ) -> str | None:
        """Begin with what came after `token`; else return the reason why not."""
        await self._following.wait()
        identity, _, number = token.rpartition(":")
        if identity != self._identity or not number.isdecimal():
            return "the token is not of this plant's stream"
        after = int(number)
        if after > self.sequence:
            return "the token is from the future of this plant's stream"
        older: list[Heard] | None = []
        if after < self._before_ring:
            older = await self._look_back(after, self._before_ring)
        missed = self._since(after, older)
        if missed is None:
            return "what came after the token is not kept any more"
        session.restart(names, after)
        for sequence, frame in missed:
            _give(session, Rows(frame), sequence)
        session.sequence = self.sequence
        if session.lost:
            return "more came after the token than is sent in one go"
        self._sessions.add(session)
        return None

    def leave(self, session: Session) -> None:
        """Stop collecting for a page."""
        self._sessions.discard(session)

    def renew(self) -> None:
        """Let every page begin anew: there may be other points now."""
        for session in self._sessions:
            session.lose(RELOADED)

    def _since(self, after: int, older: list[Heard] | None) -> list[Heard] | None:
        """Return all behind `after`: what the bus had, then what is in the ring."""
        if older is None:
            return None
        reached = older[-1][0] if older else after
        if reached < self._before_ring:
            return None  # the ring went on while we looked back
        return older + [heard for heard in self._ring if heard[0] > reached]

    async def _look_back(self, after: int, until: int) -> list[Heard] | None:
        """Ask the bus for what is older than the ring; None if any of it is gone."""
        found: list[Heard] = []
        try:
            async with asyncio.timeout(LOOK_BACK_S):
                async for batch in self._bus.batches(READINGS, after=after):
                    for message in batch:
                        if message.sequence != after + 1:
                            return None
                        after = message.sequence
                        if (frame := _decode(message.data)) is not None:
                            found.append((after, frame))
                        if after == until:
                            return found
        except (TimeoutError, Unreachable) as silence:
            log.debug("looking back to %d: %s", after, silence)
        return None

    async def _catch_up(self, newest: int) -> None:
        """Let pages in, at the latest now; there may be nothing to wait for."""
        if newest:
            await asyncio.sleep(CATCH_UP_S)
        if not self._following.is_set():
            self._begin_ring(newest)
            self._following.set()

    def _begin_ring(self, sequence: int) -> None:
        """Go on behind this place in the stream; what was before is not kept."""
        self._ring.clear()
        self._ring_readings = 0
        self._before_ring = self.sequence = sequence

    def _take(self, sequence: int, data: bytes) -> None:
        if sequence != self.sequence + 1:
            self._begin_ring(sequence - 1)
            for session in self._sessions:
                session.lose("the bus has forgotten readings that were not sent yet")
        self.sequence = sequence
        frame = _decode(data)
        if frame is None:
            return
        self._remember(frame)
        if frame.is_import:
            return  # of the past, which pages ask for when they show it
        self._ring.append((sequence, frame))
        self._ring_readings += len(frame)
        while self._ring_readings > RING_READINGS:
            self._before_ring, oldest = self._ring.popleft()
            self._ring_readings -= len(oldest)
        rows = Rows(frame)
        for session in self._sessions:
            _give(session, rows, sequence)

    def _remember(self, frame: Frame) -> None:
        """Keep the newest reading of each point of the frame, unless it is old.

        What is ahead of our clock hides nothing that comes later: a clock was wrong.
        """
        ahead_us = _now_us() + AHEAD_US
        for row in _newest_rows(frame):
            name = frame.names[frame.columns.point[row]]
            time_us = self._time_of(name)
            newer = time_us is None or time_us <= frame.columns.time[row]
            if newer or (time_us or 0) > ahead_us:
                self._last[name] = (frame, row)

    def _time_of(self, name: str) -> int | None:
        known = self._last.get(name)
        if isinstance(known, tuple):
            frame, row = known
            return int(frame.columns.time[row])
        return None if known is None else known.time_us

    async def _recall(self) -> None:
        """Ask the historian for the last values, until it is there."""
        while True:
            try:
                known = await self._history.last("**")
            except (Unreachable, NotFound) as trouble:
                log.debug("last values: %s", trouble)
                await asyncio.sleep(RETRY_S)
                continue
            self._recalled(list(known.readings()))
            return

    def _recalled(self, readings: Sequence[Reading]) -> None:
        """Take in last values, but none that is older than what the bus has said."""
        new = []
        for reading in readings:
            time_us = self._time_of(reading.name)
            if time_us is None or time_us < reading.time_us:
                self._last[reading.name] = reading
                new.append(reading)
        encode = msgspec.json.encode
        for session in self._sessions:
            wanted = [r for r in new if r.name in session.names]
            session.give([msgspec.Raw(encode(view(r))) for r in wanted], self.sequence)

    def _view(self, name: str) -> ReadingView:
        reading = self.last(name)
        if reading is not None:
            return view(reading)
        if name not in self._namespace:
            reason = "this point is not in the configuration any more"
            return ReadingView(name, None, Quality.BAD, reason, None, "")
        unit = self._namespace.unit(name)
        return ReadingView(name, None, Quality.BAD, "never read", None, unit)


def _give(session: Session, rows: Rows, sequence: int) -> None:
    """Give a page its part of a frame, unless it has been lost already."""
    if session.lost:
        session.sequence = sequence
    elif rows.count(session.names) > MOST_WAITING:
        session.sequence = sequence
        session.lose(TOO_MUCH)
    else:
        session.give(rows.chosen(session.names), sequence)


def _decode(data: bytes) -> Frame | None:
    try:
        return decode_frame(data)
    except Refused as refusal:
        log.debug("left out: %s", refusal)  # the historian tells everyone
        return None


def _newest_rows(frame: Frame) -> Iterator[int]:
    """Yield the row of the newest reading of each point."""
    columns = frame.columns
    if not len(columns):
        return
    order = np.lexsort((columns.time, columns.point))
    ordered = columns.point[order]
    yield from order[np.r_[ordered[1:] != ordered[:-1], True]].tolist()


def _now_us() -> int:
    return time.time_ns() // 1000
