"""What a server says by itself: subscriptions (IEC 62541-4, 5.13 and 5.14).

Several publish requests are always with the server, so it never waits for one of ours
to send what it has. Messages are taken in the order of their sequence numbers; one
that is missing is asked for again, and if it is gone the connection is given up, for
a new one begins with the value of every point.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary

from lineshaft.core.errors import LineshaftError, Unreachable
from lineshaft.core.point import Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import Status, bad
from lineshaft.network.device import Batch
from lineshaft.network.drivers.opcua.hearing.items import (
    Wish,
    create_items,
    filter_was_refused,
    request_of,
)
from lineshaft.network.drivers.opcua.places import Found, Place
from lineshaft.network.drivers.opcua.security import Settings
from lineshaft.network.drivers.opcua.session import Session, translated
from lineshaft.network.drivers.opcua.wire.messages import (
    DATA_CHANGE,
    EVENTS,
    STATUS_CHANGE,
    Published,
    decode_changes,
    decode_events,
    decode_message,
    decode_published,
    decode_status_change,
)
from lineshaft.network.drivers.opcua.wire.values import Scalar, name_of

OUTSTANDING = 6
"""Publish requests that are with the server at any time."""
_MOST_WAITING = 32
"""Batches that wait to be heard; then the server's queues have to take over."""
_MOST_EVENTS_WAITING = 1000
_SHORTEST_KEEP_ALIVE_S = 1.0
_LIFETIME_S = 60.0
_MOST_SUBSCRIPTIONS = 100
_LOOKS_AGAIN_S = 30.0
"""How often it is tried again to hear points that the server did not know."""
_LAST_SEQUENCE = 0xFFFF_FFFF
_HALF = 0x8000_0000
_CODES = ua.StatusCodes
_FULL = {_CODES.BadTooManyMonitoredItems, _CODES.BadOutOfMemory}


def sequence_after(number: int) -> int:
    """Return the sequence number that follows (IEC 62541-4, 7.23: never 0)."""
    return 1 if number == _LAST_SEQUENCE else number + 1


@dataclass(slots=True)
class Stream:
    """One subscription."""

    id: int
    keep_alive_s: float
    heard_s: float
    expected: int | None = None
    """Sequence number of the next message; None before the first."""


class Subscriptions:
    """A device that speaks by itself."""

    vouches = True

    def __init__(
        self, session: Session, settings: Settings, points: Sequence[Point]
    ) -> None:
        self._session = session
        self._settings = settings
        self._points = points
        self._streams: dict[int, Stream] = {}
        self._acknowledge: list[ua.SubscriptionAcknowledgement] = []
        self._waiting: asyncio.Queue[Batch | LineshaftError] = asyncio.Queue(
            _MOST_WAITING
        )
        self._aside: deque[Batch] = deque()
        self.events: asyncio.Queue[tuple[int, list[Scalar]]] = asyncio.Queue(
            _MOST_EVENTS_WAITING
        )
        """Client handle and fields of each event that was heard."""
        self._in_order = asyncio.Lock()
        self._failed: LineshaftError | None = None
        self._unheard: list[Wish] = []
        self._looked_s = time.monotonic()

    async def start(self, places: Sequence[Found]) -> int:
        """Ask for every variable; those that cannot be heard read as BAD.

        Return the number of the first subscription.
        """
        wishes: list[Wish] = []
        gone = Batch()
        for position, place in enumerate(places):
            if isinstance(place, Status):
                gone.add(position, None, time.time_ns() // 1000, place)
            elif isinstance(place, Place):
                wishes.append(Wish.of(position, place, self._points[position]))
        first = await self._create_stream()
        for batch in (gone, await self._hear(wishes)):
            if len(batch):
                self._waiting.put_nowait(batch)
        return first.id

    def say(self, batch: Batch) -> None:
        """Let `listen` yield this too, as soon as it can."""
        self._aside.append(batch)
        if self._waiting.empty():
            self._waiting.put_nowait(Batch())

    async def publish(self) -> None:
        """Keep one publish request with the server until something fails."""
        try:
            while self._failed is None:
                await self._publish_once()
        except LineshaftError as error:
            self._failed = self._failed or error
            await self._waiting.put(error)

    async def listen(self) -> AsyncIterator[Batch]:
        """Yield what changes; `Unreachable` when the server does not keep its word."""
        resumed_s = time.monotonic()
        while True:
            try:
                async with asyncio.timeout(self._patience_s(resumed_s)):
                    said = await self._waiting.get()
            except TimeoutError:
                self._check_silence(resumed_s)
                continue
            if isinstance(said, LineshaftError):
                raise said
            while self._aside:
                yield self._aside.popleft()
            if len(said):
                yield said
                resumed_s = time.monotonic()
            if self._unheard and time.monotonic() - self._looked_s > _LOOKS_AGAIN_S:
                yield await self._hear(self._unheard)

    def _patience_s(self, resumed_s: float) -> float:
        return max(0.01, self._silent_from(resumed_s) - time.monotonic())

    def _silent_from(self, resumed_s: float) -> float:
        """Return when a subscription counts as dead; keep-alives come in between."""
        return min(
            max(stream.heard_s, resumed_s) + stream.keep_alive_s
            for stream in self._streams.values()
        ) + max(self._settings.timeout_s, 1.0)

    def _check_silence(self, resumed_s: float) -> None:
        if time.monotonic() >= self._silent_from(resumed_s):
            raise Unreachable(
                f"{self._session.url} has stopped to keep its subscription alive"
            )

    async def _publish_once(self) -> None:
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = self._acknowledge
        self._acknowledge = []
        try:
            body = await self._session.ask(request, "listening", 0)
        except Unreachable as error:
            cause = error.__cause__
            if isinstance(cause, ua.UaStatusCodeError) and cause.code == (
                _CODES.BadTimeout
            ):
                return
            raise
        published = decode_published(body)
        async with self._in_order:
            await self._take(published, body)

    async def _take(self, published: Published, body: bytes) -> None:
        stream = self._streams.get(published.subscription)
        if stream is None:
            return
        stream.heard_s = time.monotonic()
        if not published.notifications:
            await self._catch_up(stream, published, only=set(published.available))
            await self._waiting.put(Batch())
            return
        if not _is_old(stream, published.sequence):
            await self._catch_up(stream, published, only=None)
            await self._deliver(published, body)
            stream.expected = sequence_after(published.sequence)
        self._confirm(stream, published.sequence)

    async def _catch_up(
        self, stream: Stream, published: Published, only: set[int] | None
    ) -> None:
        """Ask for the messages between the last one and this one.

        A keep-alive names the number that comes next, and some servers are wrong by
        one there, so it makes us ask for those messages only that the server has.
        """
        while stream.expected not in (None, published.sequence):
            missing = stream.expected
            if only is not None and missing not in only:
                return
            if _is_old(stream, published.sequence):
                return
            request = ua.RepublishRequest()
            request.Parameters.SubscriptionId = stream.id
            request.Parameters.RetransmitSequenceNumber = missing
            body = await self._session.ask(
                request, "asking for a lost message", self._session.timeout_s
            )
            await self._deliver(decode_message(body), body)
            stream.expected = sequence_after(missing)
            self._confirm(stream, missing)

    async def _deliver(self, published: Published, body: bytes) -> None:
        now_us = time.time_ns() // 1000
        for encoding, start, end in published.notifications:
            if encoding == DATA_CHANGE:
                batch = decode_changes(body, start, end, now_us)
                if batch.points and max(batch.points) >= len(self._points):
                    raise Unreachable(f"{self._session.url} sent what nobody asked for")
                await self._waiting.put(batch)
            elif encoding == EVENTS:
                for event in decode_events(body, start, end):
                    await self.events.put(event)
            elif encoding == STATUS_CHANGE:
                name = name_of(decode_status_change(body, start))
                raise Unreachable(
                    f"{self._session.url} ended the subscription: OPC UA {name}"
                )

    def _confirm(self, stream: Stream, sequence: int) -> None:
        self._acknowledge.append(
            ua.SubscriptionAcknowledgement(
                SubscriptionId=stream.id, SequenceNumber=sequence
            )
        )

    async def _create_stream(self) -> Stream:
        interval_s = self._settings.publishing_interval_s
        request = ua.CreateSubscriptionRequest()
        wanted = request.Parameters
        wanted.RequestedPublishingInterval = interval_s * 1000
        alive = max(1, round(_SHORTEST_KEEP_ALIVE_S / interval_s))
        wanted.RequestedMaxKeepAliveCount = alive
        wanted.RequestedLifetimeCount = max(3 * alive, round(_LIFETIME_S / interval_s))
        wanted.PublishingEnabled = True
        action = "creating a subscription"
        body = await self._session.ask(request, action, self._session.timeout_s)
        with translated(self._session.url, action):
            answer = struct_from_binary(ua.CreateSubscriptionResponse, Buffer(body))
        made = answer.Parameters
        keep_alive_s = made.RevisedPublishingInterval * made.RevisedMaxKeepAliveCount
        stream = Stream(made.SubscriptionId, keep_alive_s / 1000, time.monotonic())
        self._streams[stream.id] = stream
        return stream

    async def _hear(self, wishes: Sequence[Wish]) -> Batch:
        """Ask for `wishes`, in as many subscriptions as they need."""
        self._looked_s = time.monotonic()
        failed: list[Wish] = []
        batch = Batch()
        left = list(wishes)
        while left:
            stream = list(self._streams.values())[-1]
            codes = await self._monitor(stream, left)
            full = [w for w, code in zip(left, codes, strict=True) if code in _FULL]
            more = len(full) < len(left) and len(self._streams) < _MOST_SUBSCRIPTIONS
            for wish, code in zip(left, codes, strict=True):
                if code >> 31 and not (more and code in _FULL):
                    reason = bad(f"OPC UA {name_of(code)}")
                    batch.add(wish.point, None, time.time_ns() // 1000, reason)
                    failed.append(wish)
            left = full if more else []
            if left:
                await self._create_stream()
        self._unheard = failed
        return batch

    async def _monitor(self, stream: Stream, wishes: Sequence[Wish]) -> list[int]:
        """Return the status code of each wish, without its filter if that fails."""
        codes = await self._create_items(stream, wishes)
        again = [n for n, code in enumerate(codes) if filter_was_refused(code)]
        plain = [wishes[n].without_filter() for n in again]
        for place, code in zip(
            again, await self._create_items(stream, plain), strict=True
        ):
            codes[place] = code
        return codes

    async def _create_items(self, stream: Stream, wishes: Sequence[Wish]) -> list[int]:
        asked = [request_of(wish, self._settings.queue_size) for wish in wishes]
        return await create_items(self._session, stream.id, asked)


def _is_old(stream: Stream, sequence: int) -> bool:
    """Whether the message was taken before; numbers begin again after the last."""
    if stream.expected is None:
        return False
    return (sequence - stream.expected) & _LAST_SEQUENCE >= _HALF


@asynccontextmanager
async def subscribe(
    session: Session,
    settings: Settings,
    points: Sequence[Point],
    places: Sequence[Found],
) -> AsyncIterator[tuple[Subscriptions, int]]:
    """Subscribe to every point; leaving the block ends the subscriptions.

    Yields them and the number of the first, to which events can be added.
    """
    device = Subscriptions(session, settings, points)
    first = await device.start(places)
    async with beside(*(device.publish() for _ in range(OUTSTANDING))):
        yield device, first
