"""The promise of `core.bus`, kept by NATS JetStream; only this file imports nats."""

import asyncio
import contextlib
import json
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, fields

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from lineshaft.core import errors
from lineshaft.core.bus import AUDIT, EVENTS, READINGS, Answer, Message
from lineshaft.core.errors import ConfigError, LineshaftError, Refused, Unreachable
from lineshaft.core.process.tasks import bare, beside, cancellable

log = logging.getLogger(__name__)

CONNECT_WITHIN_S = 5.0
PUBLISH_WITHIN_S = 5.0
REMEMBER_IDS_S = 600.0
"""How long the server knows the id of a message; after that a repetition is stored."""
RETRY_AFTER_S = 1.0
MOST_UNSENT = 10_000

_PULL_MESSAGES = 256
_PULL_BYTES = 32 << 20
_PULL_S = 10.0
_LEFT_BEHIND_S = 60.0
_IDENTITY = "lineshaft-identity"
_ERROR_HEADER, _END_HEADER = "Lineshaft-Error", "Lineshaft-End"
_CODE_HEADER = "Lineshaft-Code"
_WORKING_HEADER = "Lineshaft-Working"
_WORKING_S, _SILENT_S = 1.0, 5.0
"""How often who makes an answer says so, and after which silence he counts as gone."""


@contextlib.asynccontextmanager
async def open_bus(
    url: str,
    *,
    most_bytes: int | None = 8 << 30,
    event_bytes: int = 256 << 20,
    patience_s: float = 30.0,
) -> AsyncIterator["NatsBus"]:
    """Connect to the bus and make sure that its streams are there.

    `most_bytes` bounds the stream of readings: when it is full, publishing fails. None
    leaves the streams as whoever runs the plant has made them.
    Raises `Unreachable` when no server answers for `patience_s`; with 0 it does not
    wait but goes on connecting in the background, and until then every publication is
    `Unreachable`.
    """
    streams = () if most_bytes is None else _streams(most_bytes, event_bytes)
    bus = NatsBus(url, streams)
    try:
        if patience_s:
            await bus.connect(patience_s)
        async with beside(bus.speak(), bus.keep_connecting()):
            yield bus
    finally:
        await bus.close()


def without_password(url: str) -> str:
    """Return an address as people may read it."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _streams(most_bytes: int, event_bytes: int) -> tuple[StreamConfig, ...]:
    return (
        StreamConfig(
            name=READINGS,
            subjects=["readings.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=most_bytes,
            duplicate_window=REMEMBER_IDS_S,
        ),
        StreamConfig(
            name=EVENTS,
            subjects=["events.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_bytes=event_bytes,
            duplicate_window=REMEMBER_IDS_S,
        ),
        # Full, it refuses the new: whoever tells it then knows, and says so.
        StreamConfig(
            name=AUDIT,
            subjects=["audit.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            max_bytes=event_bytes,
            duplicate_window=REMEMBER_IDS_S,
        ),
    )


def _differs(wanted: StreamConfig, there: StreamConfig) -> bool:
    """Whether a stream is not as we want it, in what we say of it."""
    said = (f.name for f in fields(wanted) if getattr(wanted, f.name) is not None)
    return any(getattr(wanted, key) != getattr(there, key) for key in said)


class NatsBus:
    """A connection to the bus; it finds its way back after a restart of the server."""

    def __init__(self, url: str, streams: tuple[StreamConfig, ...]) -> None:
        self._url = url
        self._where = without_password(url)
        self._streams = streams
        self._client = Client()
        self._stream = self._client.jetstream(timeout=PUBLISH_WITHIN_S)
        self._ready = asyncio.Event()
        self._why_not = ""
        self._pulls: set[_Pull] = set()
        self._unsent: deque[tuple[str, bytes]] = deque(maxlen=MOST_UNSENT)
        self._something_to_tell = asyncio.Event()

    async def connect(self, patience_s: float) -> None:
        """Connect, trying for `patience_s`; from then on it reconnects by itself."""
        try:
            async with asyncio.timeout(patience_s):
                # Each turn is an attempt of its own: there is no event to await.
                while not await self._try_to_connect():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise Unreachable(
                f"the bus at {self._where} cannot be used{self._why_not}; does it run, "
                "and is the address (bus.url) right?"
            ) from error

    async def keep_connecting(self) -> None:
        """Connect if that was not done yet; return when it is."""
        while not self._ready.is_set():
            if not await self._try_to_connect():
                await asyncio.sleep(RETRY_AFTER_S)

    async def ready(self) -> None:
        """Return when the bus was reached for the first time."""
        await self._ready.wait()

    async def _try_to_connect(self) -> bool:
        async def note(error: Exception) -> None:
            log.debug("bus: %s", error)

        async def start_pulls_anew() -> None:
            for pull in self._pulls:
                pull.interrupt()

        try:
            if not self._client.is_connected:
                with cancellable():
                    await self._client.connect(
                        self._url,
                        name="lineshaft",
                        connect_timeout=int(CONNECT_WITHIN_S),
                        reconnect_time_wait=1,
                        max_reconnect_attempts=-1,
                        error_cb=note,
                        reconnected_cb=start_pulls_anew,
                    )
            for stream in self._streams:
                await self._ensure(stream)
        except (OSError, NatsError, TimeoutError, Unreachable) as error:
            log.debug("bus: %s", error)
            self._why_not = f": {error}" if str(error) else ""
            return False
        self._ready.set()
        return True

    async def close(self) -> None:
        """Leave; what was told but not sent is dropped."""
        with contextlib.suppress(NatsError, TimeoutError):
            await asyncio.wait_for(self._client.close(), CONNECT_WITHIN_S)

    async def _ensure(self, config: StreamConfig) -> None:
        with _translated(f"stream {config.name}"):
            try:
                info = await self._stream.stream_info(config.name or "")
            except NotFoundError:
                mark = {_IDENTITY: secrets.token_hex(8)}
                await self._stream.add_stream(config, metadata=mark)
            else:
                if _differs(config, info.config):
                    mark = info.config.metadata or {}
                    await self._stream.update_stream(config, metadata=mark)

    async def publish(self, subject: str, data: bytes, message_id: str) -> None:
        """Store a message; see `core.bus.Publishes`."""
        if not self._client.is_connected:
            raise Unreachable(f"the bus at {self._where} is not connected")
        with _translated(f"publishing on {subject}"):
            await self._stream.publish(
                subject, data, headers={"Nats-Msg-Id": message_id}
            )

    async def identity(self, stream: str) -> str:
        """Return what tells this stream from others; see `core.bus.Delivers`."""
        with _translated(f"stream {stream}"):
            info = await self._stream.stream_info(stream)
        return (info.config.metadata or {}).get(_IDENTITY, stream)

    async def last_sequence(self, stream: str) -> int:
        """Return the sequence of the newest message; see `core.bus.Delivers`."""
        with _translated(f"stream {stream}"):
            return (await self._stream.stream_info(stream)).state.last_seq

    async def forget(self, stream: str, *, through: int) -> None:
        """Remove messages up to and including `through`; see `core.bus.Delivers`."""
        with _translated(f"stream {stream}"):
            await self._stream.purge_stream(stream, seq=through + 1)

    async def batches(
        self, stream: str, *, after: int, subject: str = ">"
    ) -> AsyncIterator[list[Message]]:
        """Yield what is stored behind `after`, for ever; see `core.bus.Delivers`."""
        while True:
            try:
                async with self._pull(stream, after, subject) as pull:
                    while batch := await pull.next():
                        after = batch[-1].sequence
                        yield batch
            except (NatsError, TimeoutError) as error:
                log.debug("bus: reading %s again after %s: %s", stream, after, error)
                await asyncio.sleep(RETRY_AFTER_S)

    @contextlib.asynccontextmanager
    async def _pull(
        self, name: str, after: int, subject: str
    ) -> AsyncIterator["_Pull"]:
        """Make a consumer that starts behind `after` and goes when we go."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=after + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=_LEFT_BEHIND_S,
            filter_subject=None if subject == ">" else subject,
            mem_storage=True,
        )
        with cancellable():
            made = await self._stream.add_consumer(name, config)
        inbox = self._client.new_inbox()
        pull = _Pull(
            self._client, f"$JS.API.CONSUMER.MSG.NEXT.{name}.{made.name}", inbox
        )
        # Bounded by what one request may bring, so the client never drops any.
        arriving = await self._client.subscribe(
            inbox, cb=pull.arrive, pending_bytes_limit=-1
        )
        self._pulls.add(pull)
        try:
            yield pull
        finally:
            self._pulls.discard(pull)
            with contextlib.suppress(NatsError, TimeoutError):
                await arriving.unsubscribe()
                await self._stream.delete_consumer(name, made.name)

    async def ask(
        self, subject: str, data: bytes, timeout_s: float = 10.0
    ) -> AsyncIterator[bytes]:
        """Yield the parts of the answer; see `core.bus.Asks`."""
        inbox = self._client.new_inbox()
        with _translated(f"asking {subject}"):
            answers = await self._client.subscribe(inbox)
            try:
                await self._client.publish(subject, data, reply=inbox)
                while True:
                    part = await self._next_part(answers, timeout_s)
                    _raise_error_of(part, subject)
                    if part.headers and _END_HEADER in part.headers:
                        return
                    yield part.data
                    # The next part is sent when this one was taken, so that a slow
                    # reader of a large answer is never overrun.
                    await part.respond(b"")
            finally:
                await answers.unsubscribe()

    async def _next_part(self, answers: Subscription, timeout_s: float) -> Msg:
        """Wait for a part as long as whoever makes it gives a sign of life."""
        async with asyncio.timeout(timeout_s):
            while True:
                part: Msg = await answers.next_msg(min(timeout_s, _SILENT_S))
                if not (part.headers and _WORKING_HEADER in part.headers):
                    return part

    async def inquire(self, subject: str) -> bytes:
        """Return what the server of the bus itself answers; see `core.bus.watch`."""
        with _translated(f"asking {subject}"):
            answer = await self._client.request(subject, timeout=PUBLISH_WITHIN_S)
            return bytes(answer.data)

    @contextlib.asynccontextmanager
    async def answer(self, subject: str, answer: Answer) -> AsyncIterator[None]:
        """Answer questions while the block is open; see `core.bus.Asks`."""
        with bare():
            async with asyncio.TaskGroup() as group:

                async def take(question: Msg) -> None:
                    group.create_task(self._reply(question, answer), name=subject)

                await self.ready()
                with _translated(f"answering {subject}"):
                    asked = await self._client.subscribe(subject, cb=take)
                    await self._client.flush()  # now the server knows it too
                try:
                    yield
                finally:
                    with contextlib.suppress(NatsError):
                        await asked.unsubscribe()

    async def _reply(self, question: Msg, answer: Answer) -> None:
        end = {_END_HEADER: "1"}
        reason = b""
        try:
            async with beside(self._say_working(question.reply)):
                async for part in answer(question.data):
                    with cancellable():
                        await self._client.request(
                            question.reply, part, timeout=PUBLISH_WITHIN_S
                        )
        except LineshaftError as error:
            end[_ERROR_HEADER] = type(error).__name__
            end[_CODE_HEADER] = error.stable_code
            reason = str(error).encode()
        except (NatsError, TimeoutError):
            return  # whoever asked is gone
        with contextlib.suppress(NatsError):
            await self._client.publish(question.reply, reason, headers=end)

    async def _say_working(self, asker: str) -> None:
        """Give a sign of life while an answer is made, so that a death is noticed."""
        while True:
            await asyncio.sleep(_WORKING_S)
            with contextlib.suppress(NatsError):
                await self._client.publish(asker, b"", headers={_WORKING_HEADER: "1"})

    def tell(self, subject: str, data: bytes) -> None:
        """Say something to whoever listens now; see `core.bus.Asks`."""
        self._unsent.append((subject, data))
        self._something_to_tell.set()

    async def speak(self) -> None:
        """Send what `tell` was given, for ever; the oldest is dropped when it waits."""
        while True:
            await self._something_to_tell.wait()
            self._something_to_tell.clear()
            while self._unsent:
                subject, data = self._unsent.popleft()
                if self._client.is_connected:
                    with contextlib.suppress(NatsError):
                        await self._client.publish(subject, data)

    async def overhear(self, subject: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield what is said from now on; see `core.bus.Asks`."""
        await self.ready()
        with _translated(f"listening to {subject}"):
            heard = await self._client.subscribe(subject)
            await self._client.flush()
        try:
            async for message in heard.messages:
                yield message.subject, message.data
        finally:
            with contextlib.suppress(NatsError):
                await heard.unsubscribe()


@dataclass(slots=True, eq=False)
class _Pull:
    """Pulls from a consumer of its own, one request at a time, checking the count."""

    client: Client
    request_subject: str
    inbox: str
    arrived: deque[Msg] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    taken: int = 0
    interrupted: bool = False

    async def arrive(self, message: Msg) -> None:
        """Take a message from the connection."""
        self.arrived.append(message)
        self.news.set()

    def interrupt(self) -> None:
        """End it: the connection was lost, and requests and messages with it."""
        self.interrupted = True
        self.news.set()

    async def next(self) -> list[Message]:
        """Return what is there, at least one message; nothing when it must restart."""
        while True:
            if self.asked <= 0:
                await self._ask()
            async with asyncio.timeout(_PULL_S * 1.5):
                await self.news.wait()
            self.news.clear()
            if self.interrupted:
                return []
            batch, intact = self._take()
            if batch or not intact:
                return batch

    async def _ask(self) -> None:
        wish = {
            "batch": _PULL_MESSAGES,
            "max_bytes": _PULL_BYTES,
            "expires": int(_PULL_S * 1e9),
        }
        self.asked = _PULL_MESSAGES
        await self.client.publish(
            self.request_subject, json.dumps(wish).encode(), reply=self.inbox
        )

    def _take(self) -> tuple[list[Message], bool]:
        """Return the messages that came, and whether none was skipped on the way."""
        batch: list[Message] = []
        while self.arrived:
            message = self.arrived.popleft()
            if message.headers and "Status" in message.headers:
                # 404 nothing there, 408 time is up, 409 the request is at an end
                self.asked = 0
                if "Consumer Deleted" in message.headers.get("Description", ""):
                    return batch, False
                continue
            place = message.metadata.sequence
            if place.consumer != self.taken + 1:
                return batch, False
            self.taken += 1
            self.asked -= 1
            batch.append(Message(message.subject, message.data, place.stream))
        return batch, True


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        with cancellable():
            yield
    except NoRespondersError as error:
        raise Unreachable(f"{doing}: nobody is there to answer") from error
    except MaxPayloadError as error:
        raise Refused(f"{doing}: the message is larger than the bus allows") from error
    except APIError as error:
        raise Unreachable(f"{doing}: {error.description}") from error
    except (NatsError, TimeoutError, OSError) as error:
        said = str(error) or "no answer in time"
        raise Unreachable(f"{doing}: {said}") from error


def _raise_error_of(part: Msg, subject: str) -> None:
    headers = part.headers or {}
    if headers.get("Status") == "503":
        raise Unreachable(f"asking {subject}: nobody is there to answer")
    if name := headers.get(_ERROR_HEADER):
        kind = getattr(errors, name, LineshaftError)
        text = part.data.decode(errors="replace")
        code = headers.get(_CODE_HEADER, "")
        if kind is ConfigError:
            raise ConfigError(text.split("\n"), code=code)
        raise kind(text, code=code)
