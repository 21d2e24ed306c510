"""What protection a server offers, asked without a session."""

import logging
from dataclasses import dataclass

from asyncua import Client, ua

from lineshaft.network.drivers.opcua.security import Settings
from lineshaft.network.drivers.opcua.session import translated


@dataclass(frozen=True, slots=True)
class Offer:
    """An endpoint (IEC 62541-4, 7.14)."""

    kind: str
    """`none`, or the security policy and how messages are protected by it."""
    certificate: bytes
    """Of the server, DER; empty if it shows none."""


async def offers(settings: Settings) -> list[Offer]:
    """Return what the server offers; `Unreachable` if it does not answer."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    client = Client(settings.url, timeout=settings.timeout_s)
    with translated(settings.url, "asking for its endpoints"):
        found = await client.connect_and_get_server_endpoints()
    return [Offer(_kind(each), each.ServerCertificate or b"") for each in found]


def _kind(endpoint: ua.EndpointDescription) -> str:
    policy = str(endpoint.SecurityPolicyUri or "").rpartition("#")[2]
    mode = ua.MessageSecurityMode(endpoint.SecurityMode)
    return "none" if mode == ua.MessageSecurityMode.None_ else f"{policy} {mode.name}"
