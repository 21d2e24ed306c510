"""What the contract test of drivers needs from a peer of each protocol."""

from typing import Protocol

from lineshaft.core.point import Point
from lineshaft.core.reading import Value


class Peer(Protocol):
    """A server of a protocol, in a process of its own, on a free loopback port.

    Each driver has `tests/support/<driver>_peer.py` with
    `open_peer() -> AbstractAsyncContextManager[Peer]`.
    """

    settings: dict[str, object]
    """What the driver's `Settings` needs to reach it, with short time-outs."""
    points: list[Point]
    """At least one writable point of each `Kind` that the protocol can carry."""
    absent: Point | None
    """A point that the server does not have."""

    async def set(self, point: int, value: Value) -> None:
        """Change a raw value inside the server (not through the driver)."""

    async def get(self, point: int) -> Value:
        """Return the raw value inside the server."""

    async def stop(self) -> None:
        """Kill the server's process."""

    async def start(self) -> None:
        """Start it again at the same address."""
