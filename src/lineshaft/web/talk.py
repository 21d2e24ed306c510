"""The conversation with one page over its WebSocket, message by message."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec

from lineshaft.core.errors import NotFound, Refused
from lineshaft.web.events import EventBook
from lineshaft.web.health import HealthBoard
from lineshaft.web.live import Live, Session
from lineshaft.web.namespace import Namespace
from lineshaft.web.shapes import PlantHealth, view

BATCH_S = 0.1
HEALTH_S = 1.0
MOST_PATTERNS = 2_000


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a page may say: which points it shows now."""

    patterns: list[str]


class Line(Protocol):
    """The open connection."""

    async def send(self, data: bytes) -> None:
        """Send one message; returns when the page takes more."""

    def hear(self) -> AsyncIterator[bytes]:
        """Yield what the page says, until it goes."""


class Talk:
    """Sends a page what it looks at; `run` returns when the page is gone."""

    def __init__(
        self,
        line: Line,
        live: Live,
        namespace: Namespace,
        events: EventBook,
        health: HealthBoard,
    ) -> None:
        self._line = line
        self._live = live
        self._namespace = namespace
        self._events = events
        self._health = health
        self._names: list[str] = []
        self._session: Session | None = None
        self._sending = asyncio.Lock()

    async def run(self, patterns: Sequence[str], resume: str | None) -> None:
        """Talk until the page goes."""
        await self._begin(self._namespace.find(patterns[:MOST_PATTERNS]), resume)
        try:
            async with asyncio.TaskGroup() as group:
                speaking = [
                    group.create_task(self._send_readings()),
                    group.create_task(self._send_events()),
                    group.create_task(self._send_health()),
                ]
                async for said in self._line.hear():
                    await self._listen(said)
                for task in speaking:
                    task.cancel()
        finally:
            if self._session is not None:
                self._live.leave(self._session)

    async def _begin(self, names: list[str], resume: str | None) -> None:
        """Take up where the page was, or show it everything as it is now."""
        self._names = names
        if resume is not None:
            resumed = self._live.resume(names, resume)
            if resumed is not None:
                self._session = resumed
                return
            await self._say("gap", reason="what was missed is not kept any more")
        await self._show_all()

    async def _show_all(self) -> None:
        if self._session is not None:
            self._live.leave(self._session)
        # Nothing may happen between the look at the values and the begin of the
        # session, so there is no await here.
        self._session = self._live.join(self._names)
        views = self._live.views(self._names)
        token = self._live.token(self._session.sequence)
        await self._say("snapshot", token=token, readings=views)

    async def _listen(self, said: bytes) -> None:
        try:
            wish = msgspec.json.decode(said, type=Wish)
            names = self._namespace.find(wish.patterns[:MOST_PATTERNS])
        except (msgspec.MsgspecError, NotFound) as error:
            await self._say("refused", reason=str(error))
            return
        async with self._sending:
            self._names = names
            await self._show_all()

    async def _send_readings(self) -> None:
        while True:
            session = self._session
            if session is None:
                raise Refused("a page without a session")
            await session.news.wait()
            await asyncio.sleep(BATCH_S)
            async with self._sending:
                if session is self._session:
                    await self._send_waiting(session)

    async def _send_waiting(self, session: Session) -> None:
        session.news.clear()
        if session.overrun:
            await self._say("gap", reason="the page was too slow for all readings")
            await self._show_all()
            return
        readings, session.waiting = session.waiting, []
        token = self._live.token(session.sequence)
        views = [view(reading) for reading in readings]
        await self._say("readings", token=token, readings=views)

    async def _send_events(self) -> None:
        queue = self._events.listen()
        try:
            while True:
                await self._say("event", event=await queue.get())
        finally:
            self._events.forget(queue)

    async def _send_health(self) -> None:
        told: object = None
        while True:
            health = self._health.plant()
            if (news := _summary(health)) != told:
                told = news
                await self._say("health", health=health)
            await asyncio.sleep(HEALTH_S)

    async def _say(self, kind: str, **parts: object) -> None:
        await self._line.send(msgspec.json.encode({"kind": kind} | parts))


def _summary(health: PlantHealth) -> object:
    return health.status, [(s.service, s.state, s.reason) for s in health.services]
