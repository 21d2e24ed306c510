"""Walk to a device layer by layer, and stop at the first that fails."""

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from pydantic import BaseModel

from lineshaft.cli import screen
from lineshaft.cli.machines.address import Target, look, open_settings, parse
from lineshaft.cli.machines.doctor import FAULT, OK, WARNING, Finding, tell
from lineshaft.core.errors import (
    Denied,
    LineshaftError,
    NotFound,
    Refused,
    Unreachable,
)
from lineshaft.core.reading import Quality
from lineshaft.network.device import Found

_STEP_S = 10.0


class _Offer(Protocol):
    """One way in which a server protects messages."""

    @property
    def kind(self) -> str: ...

    @property
    def certificate(self) -> bytes: ...


class _Offers(Protocol):
    async def offers(self, settings: BaseModel) -> Sequence[_Offer]: ...


async def walk(address: str, *, as_json: bool) -> int:
    """Walk to a device layer by layer; stop at the first that fails."""
    target = parse(address)
    found: list[Finding] = []
    async with contextlib.AsyncExitStack() as device:
        for layer, step, do in _layers(target, device):
            began = time.monotonic()
            try:
                async with asyncio.timeout(_STEP_S):
                    said = await step()
            except (LineshaftError, OSError, TimeoutError) as error:
                reason = str(error) or f"no answer within {_STEP_S:.0f} s"
                found.append(Finding(layer, FAULT, reason, do))
                break
            took = (time.monotonic() - began) * 1000
            text, warning = said if isinstance(said, Doubtful) else (said, "")
            state = WARNING if warning else OK
            found.append(Finding(layer, state, f"{text} ({took:.0f} ms)", warning))
    return tell(found, as_json=as_json)


class Doubtful(NamedTuple):
    """A layer that works, and what to do about it all the same."""

    text: str
    do: str


Step = Callable[[], Awaitable[str | Doubtful]]


def _layers(
    target: Target, device: contextlib.AsyncExitStack
) -> list[tuple[str, Step, str]]:
    """Return each layer, how to reach it from the one below, and what may be wrong."""
    seen: list[AsyncIterator[Found]] = []

    async def session() -> str:
        seen.append(await device.enter_async_context(look(target)))
        return f"{target.protocol} session is open"

    async def browse() -> str:
        first = await anext(seen[0], None)
        if first is None:
            raise Unreachable("it answers, but shows nothing that can be read")
        seen[0] = _again(first, seen[0])
        return f"it has {'/'.join(first.path)}"

    async def read() -> str:
        reason = "it has places, but no value"
        async for found in seen[0]:
            if found.type and found.status.quality is not Quality.BAD:
                return f"{'/'.join(found.path)} = {screen.shown(found.value)}"
            reason = found.status.reason or reason
        raise Unreachable(f"nothing can be read: {reason}")

    return [
        *_road(target),
        ("session", session, "is this its protocol, and may we log in?"),
        (
            "browse",
            browse,
            "may this user see its address space? name other registers?",
        ),
        ("read", read, "may this user read? does the machine behind it run?"),
    ]


def _road(target: Target) -> list[tuple[str, Step, str]]:
    """Return the layers below the session."""
    if not target.port:
        port = functools.partial(_see, target)
        do = "is the adapter plugged in, and is this user in the group dialout?"
        return [("serial port", port, do)]
    host = functools.partial(_resolve, target)
    port = functools.partial(_connect, target)
    return [
        ("name", host, "is the host name right, and known to this network?"),
        ("TCP", port, "is it switched on, and does a firewall let us through?"),
        *_protection(target),
    ]


def _protection(target: Target) -> list[tuple[str, Step, str]]:
    """Return the layer that protects messages, if the address asks for one."""
    if target.settings.get("tls"):
        step = functools.partial(_shake_hands, target)
        return [("TLS", step, "compare its certificate, ca_file and both clocks")]
    if target.protocol == "opcua":
        step = functools.partial(_endpoints, target)
        return [("security", step, "set security in its table, as the server offers")]
    return []


async def _shake_hands(target: Target) -> str | Doubtful:
    from lineshaft.cli.machines import tls

    authorities = str(target.settings.get("ca_file", ""))
    seen = await tls.shake_hands(target.host, target.port, authorities)
    return Doubtful(seen.text, seen.warning) if seen.warning else seen.text


async def _endpoints(target: Target) -> str | Doubtful:
    """Ask an OPC UA server what protection it offers (IEC 62541-4, 5.5.4)."""
    from lineshaft.cli.machines import tls

    driver, settings = open_settings(target)
    offers = await cast("_Offers", driver).offers(settings)
    kinds = list(dict.fromkeys(offer.kind for offer in offers))
    if "none" not in kinds:
        raise Refused(
            f"{target.where} offers no endpoint without protection, only "
            f"{', '.join(kinds) or 'nothing at all'}"
        )
    words = ["no protection" if kind == "none" else kind for kind in kinds]
    text = f"it offers {', '.join(words)}"
    certificate = next((o.certificate for o in offers if o.certificate), b"")
    if not certificate:
        return text
    try:
        seen = tls.look(certificate)
    except Refused as doubt:
        # Without protection it does not matter yet, with it it will.
        return Doubtful(text, str(doubt))
    said = f"{text}; certificate of {seen.text}"
    return Doubtful(said, seen.warning) if seen.warning else said


async def _see(target: Target) -> str:
    port = Path(target.host)
    if not await asyncio.to_thread(port.is_char_device):
        raise NotFound(f"{port} is not there, or is no serial port")
    if not os.access(port, os.R_OK | os.W_OK):
        raise Denied(f"{port} may not be opened by this user")
    return f"{port} is there"


async def _again(first: Found, rest: AsyncIterator[Found]) -> AsyncIterator[Found]:
    yield first
    async for found in rest:
        yield found


async def _resolve(target: Target) -> str:
    loop = asyncio.get_running_loop()
    try:
        addresses = await loop.getaddrinfo(target.host, target.port)
    except OSError as error:
        raise NotFound(f"{target.host}: {error.strerror}") from error
    return ", ".join(sorted({str(each[4][0]) for each in addresses}))


async def _connect(target: Target) -> str:
    where = f"{target.host}:{target.port}"
    try:
        _, writer = await asyncio.open_connection(target.host, target.port)
    except OSError as error:
        # The loop puts a sentence of its own where the reason should be.
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Unreachable(f"{where} does not take connections: {reason}") from error
    writer.close()
    await writer.wait_closed()
    return f"{where} takes connections"
