"""One session with an OPC UA server (IEC 62541-4, 5.6 and 5.7), opened and closed.

Errors of the library become ours here. `Unreachable` where waiting may help, `Refused`
where the server has said no and somebody has to change something.
"""

import asyncio
import logging
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from asyncua import Client, ua
from asyncua.common.utils import Buffer
from asyncua.crypto.uacrypto import InvalidSignature
from asyncua.ua.ua_binary import struct_from_binary

from lineshaft.core.errors import LineshaftError, Refused, Unreachable
from lineshaft.core.process.tasks import beside
from lineshaft.network.drivers.opcua.security import (
    Settings,
    check_password,
    secure,
    user_of,
)
from lineshaft.network.drivers.opcua.wire.messages import decode_values
from lineshaft.network.drivers.opcua.wire.values import Malformed, name_of

T = TypeVar("T")
R = TypeVar("R")
_LIFE_S = 60.0
"""How long a server shall keep a session of ours that could not be closed."""
_RENEWS_AFTER = 0.75
_CLOSES_WITHIN_S = 2.0
_WATCH_S, _SHORTEST_WATCH_S = 10.0, 0.2
_CAREFUL = 500
"""Items of one call for servers that do not tell their limits."""
_CODES = ua.StatusCodes
_TOO_MUCH = {
    _CODES.BadTooManyOperations,
    _CODES.BadEncodingLimitsExceeded,
    _CODES.BadRequestTooLarge,
    _CODES.BadResponseTooLarge,
    _CODES.BadTcpMessageTooLarge,
}
_NOT_WITH_THIS_USER = {
    _CODES.BadUserAccessDenied,
    _CODES.BadIdentityTokenRejected,
    _CODES.BadIdentityTokenInvalid,
    _CODES.BadUserSignatureInvalid,
}
_NOT_WITH_THIS_SECURITY = {
    _CODES.BadSecurityChecksFailed,
    _CODES.BadSecurityPolicyRejected,
    _CODES.BadSecurityModeRejected,
    _CODES.BadCertificateUntrusted,
    _CODES.BadCertificateInvalid,
    _CODES.BadCertificateTimeInvalid,
    _CODES.BadCertificateUriInvalid,
    _CODES.BadCertificateUseNotAllowed,
    _CODES.BadCertificateHostNameInvalid,
    _CODES.BadCertificateRevoked,
    _CODES.BadApplicationSignatureInvalid,
}
SERVER_IS_GONE = {
    _CODES.BadSessionIdInvalid,
    _CODES.BadSessionClosed,
    _CODES.BadSecureChannelClosed,
    _CODES.BadServerHalted,
    _CODES.BadShutdown,
    _CODES.BadTimeout,
}
_STATE = ua.NodeId(ua.ObjectIds.Server_ServerStatus_State)
_NAMESPACES = ua.NodeId(ua.ObjectIds.Server_NamespaceArray)
_LIMITS = (
    ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many items one call may have (IEC 62541-5, 6.3.11)."""

    read: int = _CAREFUL
    browse: int = _CAREFUL
    monitor: int = _CAREFUL
    translate: int = _CAREFUL


@contextmanager
def translated(url: str, action: str) -> Iterator[None]:
    """Turn what the library raises while doing `action` into our errors."""
    try:
        yield
    except ua.UaStatusCodeError as error:
        raise _meaning(error.code, url, action) from error
    except TimeoutError as error:
        raise Unreachable(f"{url} did not answer in time ({action})") from error
    except (OSError, ua.UaError, ValueError, struct.error, AssertionError) as error:
        # The library asserts that an answer is of the sort that was asked for.
        why = str(error) or type(error).__name__
        raise Unreachable(f"lost {url} ({action}): {why}") from error


def _meaning(code: int, url: str, action: str) -> LineshaftError:
    name = f"OPC UA {name_of(code)}"
    if code in _NOT_WITH_THIS_USER:
        return Refused(
            f"{url} does not accept the user: {name}; correct user and password in "
            "the settings, or ask whoever administers the server"
        )
    if code in _NOT_WITH_THIS_SECURITY:
        return Refused(
            f"{url} does not accept the secured connection: {name}; the server has to "
            "trust our certificate, and server_certificate has to be the server's own"
        )
    return Unreachable(f"{url} answered {name} ({action})")


def said_no(error: LineshaftError) -> bool:
    """Whether the server is there and does not do what it was asked."""
    cause = error.__cause__
    return isinstance(cause, ua.UaStatusCodeError) and cause.code not in SERVER_IS_GONE


class Session:
    """A session that is open. Requests are made by `ask`, or by `services`."""

    def __init__(self, client: Client, url: str, timeout_s: float) -> None:
        self.url = url
        self.timeout_s = timeout_s
        self.namespaces: tuple[str, ...] = ()
        self.limits = Limits()
        self._client = client
        self._renewed = time.monotonic()

    @property
    def client(self) -> Client:
        """The library's client, for services whose speed does not matter."""
        return self._client

    async def ask(self, request: object, action: str, timeout_s: float) -> bytes:
        """Send a request; return the bytes of the answer. 0 s waits for ever."""
        await self.renew()
        with translated(self.url, action):
            protocol = self._client.uaclient.protocol
            if protocol is None:
                raise ConnectionError("the connection is closed")
            return bytes(await protocol.send_request(request, timeout_s))

    async def renew(self) -> None:
        """Renew the secure channel when it is due (IEC 62541-4, 5.5.2.1)."""
        lifetime_s = self._client.secure_channel_timeout / 1000
        if time.monotonic() - self._renewed < lifetime_s * _RENEWS_AFTER:
            return
        self._renewed = time.monotonic()
        with translated(self.url, "renewing the secure channel"):
            await self._client.open_secure_channel(renew=True)
            self._client.uaclient.revolve_security_token()

    async def keep(self) -> None:
        """Keep the session alive while nobody asks for anything; never returns.

        A server may end a session earlier than we asked it to, and a point may be
        read once an hour. Silence here ends the connection.
        """
        # After connecting, the library has the time-out that the server chose.
        revised_s = self._client.session_timeout / 1000
        while True:
            # Often enough to renew a channel whose lifetime the server cut short, too.
            channel_s = self._client.secure_channel_timeout / 1000
            often_s = min(_WATCH_S, revised_s / 3, channel_s / 8)
            await asyncio.sleep(max(often_s, _SHORTEST_WATCH_S))
            await self.read([value_of(_STATE)], "keeping the session alive")

    async def read(self, nodes: Sequence[ua.ReadValueId], action: str) -> bytes:
        """Read attributes in one call; return the bytes of the answer."""
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.NodesToRead = list(nodes)
        return await self.ask(request, action, self.timeout_s)

    async def explore(self) -> None:
        """Ask for the namespaces and the limits."""
        self.namespaces = await self.namespaces_now()
        wanted = [value_of(ua.NodeId(number)) for number in _LIMITS]
        told = decode_values(await self.read(wanted, "reading its limits"), 0)
        sizes = [_CAREFUL] * len(_LIMITS)
        for place, value in zip(told.points, told.values, strict=True):
            if isinstance(value, int) and value > 0:
                sizes[place] = min(value, 4 * _CAREFUL)
        self.limits = Limits(*sizes)

    async def namespaces_now(self) -> tuple[str, ...]:
        """Return the names of the namespaces, in the order of their numbers."""
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = [value_of(_NAMESPACES)]
        body = await self.ask(request, "reading its namespaces", self.timeout_s)
        with translated(self.url, "reading its namespaces"):
            [told] = struct_from_binary(ua.ReadResponse, Buffer(body)).Results
            names = told.Value.Value if told.Value is not None else None
        if not isinstance(names, list):
            raise Unreachable(f"{self.url} does not tell its namespaces")
        return tuple(str(name) for name in names)


def value_of(
    node: ua.NodeId,
    attribute: ua.AttributeIds = ua.AttributeIds.Value,
    part: str | None = None,
) -> ua.ReadValueId:
    """Return what to ask for to get an attribute of a node, or a part of an array."""
    return ua.ReadValueId(NodeId=node, AttributeId=attribute, IndexRange=part)


async def in_parts(
    items: Sequence[T], most: int, call: Callable[[Sequence[T]], Awaitable[list[R]]]
) -> list[R]:
    """Call with at most `most` items at once, and with fewer if that is too much."""
    results: list[R] = []
    while len(results) < len(items):
        part = items[len(results) : len(results) + most]
        try:
            answers = await call(part)
        except LineshaftError as refusal:
            cause = refusal.__cause__
            code = cause.code if isinstance(cause, ua.UaStatusCodeError) else 0
            if code not in _TOO_MUCH or len(part) == 1:
                raise
            most = len(part) // 2
            continue
        if len(answers) != len(part):
            raise Malformed(f"the server gave {len(answers)} answers, not {len(part)}")
        results += answers
    return results


@asynccontextmanager
async def open_session(
    settings: Settings, life_s: float = _LIFE_S
) -> AsyncIterator[Session]:
    """Open a session; leaving the block closes it.

    Without a sign of life from us the server ends it after `life_s`; there is always
    one, so that a session may be idle for as long as it likes.
    """
    # What it has to say reaches the user as a reason, once.
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    client = Client(settings.url, timeout=settings.timeout_s)
    client.name = client.description = "Lineshaft"
    client.product_uri = "urn:lineshaft"
    client.session_timeout = int(1000 * life_s)
    await secure(client, settings)
    certificate = await user_of(client, settings)
    session = Session(client, settings.url, settings.timeout_s)
    try:
        with translated(settings.url, "connecting"):
            await client.connect_socket()
            await client.send_hello()
            await client.open_secure_channel()
            with _offered(settings):
                await client.create_session()
            check_password(client, settings)
            await client.activate_session(
                username=settings.user or None,
                password=settings.password_text(),
                certificate=certificate,
            )
        await session.explore()
        async with beside(session.keep()):
            yield session
    finally:
        await _close(client)


@contextmanager
def _offered(settings: Settings) -> Iterator[None]:
    """Say so when the server is another one, or has not the security asked for."""
    try:
        yield
    except ua.UaStatusCodeError:
        raise
    except (ua.UaError, InvalidSignature) as error:
        # The library has no types for these: no such endpoint, other certificate.
        raise Refused(
            f"{settings.url} does not offer what the settings ask for, security = "
            f"{settings.security.value!r} with the certificate in server_certificate: "
            f"{error}"
        ) from error


async def _close(client: Client) -> None:
    """Give the session back, so that the server does not run out of them."""
    # There is nobody left to tell that closing failed, and the socket ends anyway.
    with suppress(OSError, TimeoutError, ua.UaError, ValueError, struct.error):
        async with asyncio.timeout(_CLOSES_WITHIN_S):
            await client.close_session()
            await client.close_secure_channel()
    client.disconnect_socket()
    await asyncio.sleep(0)  # the loop closes the socket in its next turn
