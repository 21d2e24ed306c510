"""The conversation with one page over its WebSocket, message by message."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from lineshaft.core.errors import Refused
from lineshaft.core.message import read_json
from lineshaft.web.events import EventBook
from lineshaft.web.health import HealthBoard
from lineshaft.web.live.stream import Live, Session
from lineshaft.web.namespace import Namespace
from lineshaft.web.shapes import EventView, PlantHealth, ReadingView

BATCH_S = 0.05
HEALTH_S = 1.0
SIGN_OF_LIFE_S = 10.0
"""A page that hears nothing for three of these takes the stream for dead."""
CALM_S = 1.0
"""A page that lost readings begins anew at most so often."""
END_WITHIN_S = 0.5
LARGEST_WISH = 1 << 20
"""Bytes of one message of a page."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page may say: which points it shows now."""

    patterns: list[str]


class Line(Protocol):
    """The open connection."""

    async def send(self, data: bytes) -> None:
        """Send one message; returns when the page takes more."""

    def hear(self) -> AsyncIterator[bytes]:
        """Yield what the page says, until it goes."""


class Sees(Protocol):
    """Whoever looks on, and what they may see."""

    @property
    def namespace(self) -> Namespace:
        """Return the points that they may see now."""

    def sees(self, event: EventView) -> bool:
        """Whether they may hear of an event."""

    def health(self) -> PlantHealth:
        """Return the health of the plant, as far as it is theirs."""

    async def until_changed(self) -> None:
        """Wait until they may see something else; raise when they must go."""


class Over(Exception):
    """We stop; the page may come back with its token when we are there again."""


class Open:
    """The conversations that are going on, so that all can be ended together."""

    def __init__(self) -> None:
        self._count = 0
        self._over = asyncio.Event()
        self._changed = asyncio.Event()

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *_: object) -> None:
        self._count -= 1
        self._changed.set()

    async def until_over(self) -> None:
        """Wait for the end, and raise `Over`."""
        await self._over.wait()
        raise Over

    async def end(self) -> None:
        """End them all; return when every page was told, or after half a second."""
        self._over.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN_S):
                while self._count:
                    self._changed.clear()
                    await self._changed.wait()


@dataclass(frozen=True, slots=True)
class Told:
    """Whatever a page is told of."""

    namespace: Namespace
    live: Live
    events: EventBook
    health: HealthBoard
    open: Open = field(default_factory=Open)


class Talk:
    """Sends a page what it looks at; `run` returns when the page is gone."""

    def __init__(self, line: Line, told: Told, looker: Sees) -> None:
        self._line = line
        self._told = told
        self._looker = looker
        self._session = Session()
        self._patterns: Sequence[str] = ()
        self._sending = asyncio.Lock()

    async def run(self, patterns: Sequence[str], resume: str | None) -> None:
        """Talk until the page goes.

        `Over` when we stop; `NotFound` or `Refused` for what makes no sense, and
        whatever the looker raises when they must go.
        """
        live = self._told.live
        self._patterns = patterns
        try:
            await self._begin(self._looker.namespace.find(patterns), resume)
            async with asyncio.TaskGroup() as group:
                speaking = [
                    group.create_task(self._told.open.until_over()),
                    group.create_task(self._send_readings()),
                    group.create_task(self._send_events()),
                    group.create_task(self._send_health()),
                    group.create_task(self._follow_rights()),
                ]
                async for said in self._line.hear():
                    await self._listen(said)
                for task in speaking:
                    task.cancel()
        finally:
            live.leave(self._session)

    async def _begin(self, names: Sequence[str], resume: str | None) -> None:
        """Take up where the page was, or show it everything as it is now."""
        if resume is not None:
            reason = await self._told.live.resume(self._session, names, resume)
            if reason is None:
                return
            await self._start_anew(names, reason)
        else:
            await self._show(await self._told.live.begin(self._session, names))

    async def _start_anew(self, names: Sequence[str], reason: str) -> None:
        views = await self._told.live.begin(self._session, names)
        token = self._told.live.token(self._session)
        await self._say("gap", token=token, reason=reason)
        await self._show(views, token)

    async def _show(self, views: list[ReadingView], token: str | None = None) -> None:
        token = token or self._told.live.token(self._session)
        await self._say("snapshot", token=token, readings=views)

    async def _listen(self, said: bytes) -> None:
        if len(said) > LARGEST_WISH:
            raise Refused(f"a message of {len(said)} bytes is too long")
        wish = read_json(said, Wish, "a message that is understood")
        names = self._looker.namespace.find(wish.patterns)
        async with self._sending:
            self._patterns = wish.patterns
            await self._show(await self._told.live.begin(self._session, names))

    async def _follow_rights(self) -> None:
        while True:
            await self._looker.until_changed()
            self._session.lose("what you may see has changed")

    async def _send_readings(self) -> None:
        while True:
            await self._session.news.wait()
            if self._session.lost:
                await asyncio.sleep(CALM_S)
            async with self._sending:
                await self._send_waiting(self._session)
            await asyncio.sleep(BATCH_S)

    async def _send_waiting(self, session: Session) -> None:
        if session.lost:
            # Not the names of before: the configuration may be another now.
            names = self._looker.namespace.find(self._patterns)
            await self._start_anew(names, session.lost)
            return
        session.news.clear()
        readings, session.waiting = session.waiting, []
        token = self._told.live.token(session)
        if readings:
            await self._say("readings", token=token, readings=readings)

    async def _send_events(self) -> None:
        queue = self._told.events.listen()
        try:
            while True:
                event = await queue.get()
                if self._looker.sees(event):
                    await self._say("event", event=event)
        finally:
            self._told.events.forget(queue)

    async def _send_health(self) -> None:
        last: object = None
        silent_s = 0.0
        while True:
            health = self._looker.health()
            silent_s += HEALTH_S
            if (news := _summary(health)) != last or silent_s > SIGN_OF_LIFE_S:
                last, silent_s = news, 0.0
                await self._say("health", health=health)
            await asyncio.sleep(HEALTH_S)

    async def _say(self, kind: str, **parts: object) -> None:
        await self._line.send(msgspec.json.encode({"kind": kind} | parts))


def _summary(health: PlantHealth) -> object:
    """Return what has changed when a page must hear of it."""
    return health.status, [(s.service, s.state, s.reason) for s in health.services]
