"""One connection to an MQTT broker; the only file that knows gmqtt.

gmqtt would reconnect by itself and for ever; here a lost connection stays lost, and
says so. A message is kept until it is taken, up to a bound.
"""

import asyncio
import logging
import ssl
from asyncio import FIRST_COMPLETED
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import gmqtt
from typing_extensions import override

from lineshaft.core.errors import ConfigError, Refused, Unreachable

MOST_WAITING = 100_000
MOST_WAITING_BYTES = 64 << 20
_TOPICS_AT_ONCE = 200
_NEVER_SUBSCRIBED = "lineshaft/settled"
_FAILED = 0x80
_REFUSALS = frozenset({*range(1, 6), *range(_FAILED, 0x100)})
"""What a broker may answer to who connects (MQTT 3.1.1, 3.2.2.3; MQTT 5, 3.2.2.2)."""
_NEVER = -2
"""To gmqtt, -1 means to reconnect for ever and 0 means once."""
_BROKER_KEEPALIVE_S = 60
_PINGS_PER_TIMEOUT = 2.5
"""gmqtt gives up between two and two and a half intervals after the last answer."""
_CLOSES_WITHIN_S = 2.0
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and who we are."""

    host: str
    port: int
    client_id: str
    timeout_s: float
    user: str = ""
    password: str = ""
    tls: ssl.SSLContext | None = None
    version: int = 4
    """The protocol level: 4 for MQTT 3.1.1, 5 for MQTT 5."""

    @override
    def __str__(self) -> str:
        return f"the MQTT broker {self.host}:{self.port}"


class Message(NamedTuple):
    """What is published."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class _Receipts:
    """What gmqtt needs of a storage: it tells us which messages were confirmed."""

    def __init__(self) -> None:
        self.is_empty = True
        self.latest: asyncio.Future[None] | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def push_message(self, mid: int, package: bytes) -> None:
        del package  # it is never sent again
        self.latest = asyncio.get_running_loop().create_future()
        self._waiting[mid] = self.latest

    def remove_message_by_mid(self, mid: int) -> None:
        receipt = self._waiting.pop(mid, None)
        if receipt and not receipt.done():
            receipt.set_result(None)

    def get_all(self) -> list[tuple[int, bytes]]:
        return []

    async def wait_empty(self) -> None:
        """Return at once: nothing is ever left from an earlier connection."""

    def clear(self) -> None:
        """Keep what is waited for; gmqtt clears at the start of a session."""


class Connection:
    """A connection that is open until it is lost."""

    def __init__(self, broker: Broker, client: gmqtt.Client) -> None:
        self.broker = broker
        self._client = client
        self._receipts = client._persistent_storage  # noqa: SLF001  # our own
        self._messages: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._news = asyncio.Event()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._subscribing: dict[int, asyncio.Future[Sequence[int]]] = {}
        self._settling: dict[int, asyncio.Future[None]] = {}
        client.on_message = self._on_message
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_disconnect = self._on_disconnect

    async def subscribe(self, topics: Sequence[str], qos: int = 1) -> set[str]:
        """Subscribe; return the topics that the broker refused."""
        refused: set[str] = set()
        for start in range(0, len(topics), _TOPICS_AT_ONCE):
            some = topics[start : start + _TOPICS_AT_ONCE]
            mid = self._client.subscribe([gmqtt.Subscription(t, qos) for t in some])
            granted: asyncio.Future[Sequence[int]] = (
                asyncio.get_running_loop().create_future()
            )
            self._subscribing[mid] = granted
            codes = await self._answer(granted, f"subscribing to {some[0]}")
            pairs = zip(some, codes, strict=False)
            refused |= {topic for topic, code in pairs if code >= _FAILED}
        return refused

    async def publish(self, message: Message) -> None:
        """Publish with QoS 1; return when the broker confirmed it (PUBACK).

        `Unreachable` means that no confirmation came: it may have arrived or not.
        """
        self._refuse_if_lost()
        self._client.publish(
            gmqtt.Message(message.topic, message.payload, 1, message.retain)
        )
        receipt = self._receipts.latest
        await self._answer(receipt, f"publishing to {message.topic}")

    def send(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 0: it arrives or it does not."""
        if not self._lost.done():
            self._client.publish(gmqtt.Message(topic, payload))

    def send_confirmed(self, message: Message) -> None:
        """Publish with QoS 1, but do not wait for the confirmation."""
        if not self._lost.done():
            self._client.publish(
                gmqtt.Message(message.topic, message.payload, 1, message.retain)
            )

    async def settle(self) -> None:
        """Return when the broker has taken everything that was sent before.

        What is sent with QoS 0 is not confirmed. But a broker reads in order and must
        answer an UNSUBSCRIBE, also of what was never subscribed (MQTT 3.1.1, 3.10.4).
        """
        self._refuse_if_lost()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settling[self._client.unsubscribe(_NEVER_SUBSCRIBED)] = done
        await self._answer(done, "taking what was sent")

    async def messages(self, within_s: float) -> list[tuple[str, bytes]]:
        """Return all messages that wait, in order; none if none come in time.

        `Unreachable` is raised when the connection was lost, or when messages came
        faster than they were taken, after the last message was taken.
        """
        if not self._messages:
            self._refuse_if_lost()
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._news.wait()
        taken = list(self._messages)
        self._messages.clear()
        self._waiting_bytes = 0
        return taken

    def drop(self) -> None:
        """Cut the connection without goodbye, so that the broker tells our will."""
        self._lose("we cut the connection")
        self._client._connection._transport.abort()  # noqa: SLF001  # no other way

    def _refuse_if_lost(self) -> None:
        if self._lost.done():
            raise Unreachable(f"{self.broker}: {self._lost.result()}")

    async def _answer(self, answer: "asyncio.Future[T]", doing: str) -> T:
        """Return the broker's answer; `Unreachable` when there is none in time."""
        patience_s = self.broker.timeout_s
        await asyncio.wait(
            (answer, self._lost), timeout=patience_s, return_when=FIRST_COMPLETED
        )
        if answer.done():
            return answer.result()
        if self._lost.done():
            raise Unreachable(f"{self.broker}: {self._lost.result()} while {doing}")
        raise Unreachable(
            f"{self.broker} did not answer within {patience_s:g} s to {doing}"
        )

    def _on_message(
        self, client: object, topic: str, payload: bytes, *rest: object
    ) -> int:
        if not self._lost.done():
            self._messages.append((topic, payload))
            self._waiting_bytes += len(payload)
            if (
                len(self._messages) > MOST_WAITING
                or self._waiting_bytes > MOST_WAITING_BYTES
            ):
                self._lose(
                    f"it sent faster than we could take: {len(self._messages)} "
                    "messages waited; the connection was given up, for some would be "
                    "lost. Subscribe to less, or give the collector more processor"
                )
                self.drop()
            self._news.set()
        return 0

    def _on_subscribe(
        self, client: object, mid: int, codes: Sequence[int], properties: object
    ) -> None:
        granted = self._subscribing.pop(mid, None)
        if granted and not granted.done():
            granted.set_result(codes)

    def _on_unsubscribe(self, client: object, mid: int, codes: object) -> None:
        settled = self._settling.pop(mid, None)
        if settled and not settled.done():
            settled.set_result(None)

    def _on_disconnect(self, client: object, packet: object, *rest: object) -> None:
        self._lose("the connection was lost")

    def _lose(self, reason: str) -> None:
        if not self._lost.done():
            self._lost.set_result(reason)
        self._news.set()


@asynccontextmanager
async def open_connection(
    broker: Broker, will: Message | None = None
) -> AsyncIterator[Connection]:
    """Connect with a clean session; leaving the block disconnects.

    A clean session, because readings that a broker kept for us while we were away
    would come as if they were new; what is retained comes anyway. `Unreachable` when
    there is no answer, `Refused` when the broker does not want us.
    """
    client = _client(broker, will)
    connection = Connection(broker, client)
    try:
        await _connect(broker, client)
        yield connection
    finally:
        await _close(client)


def _client(broker: Broker, will: Message | None) -> gmqtt.Client:
    # What gmqtt would warn of becomes an error here; it would be told twice.
    silent = logging.Logger("gmqtt", logging.CRITICAL + 1)  # noqa: LOG001  # alone
    client = gmqtt.Client(
        broker.client_id,
        clean_session=True,
        will_message=gmqtt.Message(will.topic, will.payload, will.qos, will.retain)
        if will
        else None,
        persistent_storage=_Receipts(),
        logger=silent,
    )
    client.reconnect_retries = _NEVER
    if broker.user:
        client.set_auth_credentials(broker.user, broker.password or None)
    return client


async def _connect(broker: Broker, client: gmqtt.Client) -> None:
    try:
        async with asyncio.timeout(broker.timeout_s):
            await client.connect(
                broker.host,
                broker.port,
                ssl=broker.tls or False,
                keepalive=_BROKER_KEEPALIVE_S,
                version=broker.version,
            )
    except TimeoutError as error:
        raise Unreachable(
            f"{broker} did not let us in within {broker.timeout_s:g} s"
        ) from error
    except gmqtt.MQTTConnectError as error:
        if error._code not in _REFUSALS:  # noqa: SLF001  # it has no other name
            raise Unreachable(
                f"{broker} answers what no MQTT broker says; is something else there?"
            ) from error
        raise Refused(f"{broker} refused us: {error}") from error
    except ssl.SSLError as error:
        raise Unreachable(
            f"{broker} and we found no common TLS: {error.reason}; see ca_file, "
            "certificate and private_key"
        ) from error
    except OSError as error:
        raise Unreachable(f"{broker} does not answer: {error}") from error
    # The broker allows us a minute of silence, but we notice its own sooner.
    link = client._connection  # noqa: SLF001  # gmqtt has no other place for it
    link.keepalive = broker.timeout_s / _PINGS_PER_TIMEOUT


async def _close(client: gmqtt.Client) -> None:
    link = client._connection  # noqa: SLF001  # gmqtt has no other place for it
    if link is None:
        return
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CLOSES_WITHIN_S):
            await (link.close() if link.is_closing() else client.disconnect())


def tls_context(ca_file: str, certificate: str, private_key: str) -> ssl.SSLContext:
    """Return how to encrypt; `ConfigError` names a file that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
        if certificate:
            context.load_cert_chain(certificate, private_key or None)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(filter(None, (ca_file, certificate, private_key)))
        raise ConfigError(f"TLS cannot be set up with {files}: {error}") from error
    return context
