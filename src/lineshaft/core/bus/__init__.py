"""The one road between rooms: what it promises, whoever keeps the promise.

Subjects are words joined by dots. `readings.<place>` carries frames, `events.<kind>`
events and `audit.<kind>` who did what; all are stored before they count as delivered.
`commands.<device>`, `historian.<question>` and `status.<service>` are not stored:
nobody wants an answer, a command or a state from yesterday.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

Answer = Callable[[bytes], AsyncIterator[bytes]]
"""Turns a question into the parts of its answer."""

READINGS = "READINGS"
EVENTS = "EVENTS"
AUDIT = "AUDIT"


@dataclass(frozen=True, slots=True)
class Message:
    """A stored message and its place in the stream."""

    subject: str
    data: bytes
    sequence: int
    """Position in its stream, from 1; never used twice."""


class Publishes(Protocol):
    """Stores messages."""

    async def publish(self, subject: str, data: bytes, message_id: str) -> None:
        """Store a message; return once the bus has confirmed it.

        `Unreachable` (also of a stream that is full) leaves the outcome unknown:
        publish again with the same id, and it is stored once. `Refused` means that
        the bus will never take this message.
        """


class Delivers(Protocol):
    """Gives back what was stored, in order."""

    def batches(
        self, stream: str, *, after: int, subject: str = ">"
    ) -> AsyncIterator[list[Message]]:
        """Yield every message behind sequence `after`, for ever, in order.

        Batches hold what is there, up to some hundreds; none is empty. It survives
        restarts of the bus. What was removed from the stream is passed over.
        """

    async def identity(self, stream: str) -> str:
        """Return what tells this stream from any other that had its name."""

    async def last_sequence(self, stream: str) -> int:
        """Return the sequence of the newest message; 0 for an empty stream."""

    async def forget(self, stream: str, *, through: int) -> None:
        """Remove messages up to and including sequence `through`."""


class Asks(Protocol):
    """Carries questions and answers that are not stored."""

    def ask(
        self, subject: str, data: bytes, timeout_s: float = 10.0
    ) -> AsyncIterator[bytes]:
        """Yield the parts of the answer; raise the `LineshaftError` it ended with.

        `Unreachable` when nobody answers, or not for `timeout_s` between parts.
        """

    def answer(self, subject: str, answer: Answer) -> AbstractAsyncContextManager[None]:
        """Answer questions on `subject` while the block is open."""

    def tell(self, subject: str, data: bytes) -> None:
        """Say something to whoever listens now; nobody may."""

    def overhear(self, subject: str) -> AsyncIterator[tuple[str, bytes]]:
        """Yield the subject and data of what is told or stored from now on."""


class Bus(Publishes, Delivers, Asks, Protocol):
    """All of it."""
