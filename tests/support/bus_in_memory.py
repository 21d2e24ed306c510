"""A bus in memory that keeps the promises of `lineshaft.core.bus` for tests."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from lineshaft.core.bus import AUDIT, EVENTS, READINGS, Answer, Message
from lineshaft.core.errors import Unreachable


class BusInMemory:
    """Streams as lists; at most one consumer batch size, so that batches are many."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self.streams: dict[str, list[Message]] = defaultdict(list)
        self.told: list[tuple[str, bytes]] = []
        self._sequence: dict[str, int] = defaultdict(int)
        self._ids: dict[str, set[str]] = defaultdict(set)
        self._news = asyncio.Event()
        self._answers: dict[str, Answer] = {}
        self._ears: list[tuple[str, asyncio.Queue[tuple[str, bytes]]]] = []

    async def publish(self, subject: str, data: bytes, message_id: str) -> None:
        first = subject.partition(".")[0]
        stream = {"events": EVENTS, "audit": AUDIT}.get(first, READINGS)
        if message_id in self._ids[stream]:
            return
        self._ids[stream].add(message_id)
        self._sequence[stream] += 1
        message = Message(subject, data, self._sequence[stream])
        self.streams[stream].append(message)
        self._overhear(subject, data)
        self._wake()

    async def batches(
        self, stream: str, *, after: int, subject: str = ">"
    ) -> AsyncIterator[list[Message]]:
        while True:
            news = self._news
            found = [m for m in self.streams[stream] if m.sequence > after]
            wanted = [m for m in found[: self._most] if _matches(subject, m.subject)]
            if found:
                after = found[: self._most][-1].sequence
            if wanted:
                yield wanted
            if not found:
                await news.wait()

    async def identity(self, stream: str) -> str:
        return f"memory-{id(self)}"

    async def last_sequence(self, stream: str) -> int:
        return self._sequence[stream]

    async def forget(self, stream: str, *, through: int) -> None:
        self.streams[stream] = [
            message for message in self.streams[stream] if message.sequence > through
        ]

    async def ask(
        self, subject: str, data: bytes, timeout_s: float = 10.0
    ) -> AsyncIterator[bytes]:
        if subject not in self._answers:
            raise Unreachable(f"asking {subject}: nobody is there to answer")
        async for part in self._answers[subject](data):
            yield part

    @asynccontextmanager
    async def answer(self, subject: str, answer: Answer) -> AsyncIterator[None]:
        self._answers[subject] = answer
        self._wake()
        try:
            yield
        finally:
            del self._answers[subject]

    def tell(self, subject: str, data: bytes) -> None:
        self.told.append((subject, data))
        self._overhear(subject, data)
        self._wake()

    async def overhear(self, subject: str) -> AsyncIterator[tuple[str, bytes]]:
        queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._ears.append((subject, queue))
        while True:
            yield await queue.get()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that comes with a message, an answer or a word."""
        async with asyncio.timeout(30):
            while not condition():
                # Not everything that is waited for rings the bell.
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.05)

    def _overhear(self, subject: str, data: bytes) -> None:
        for wanted, queue in self._ears:
            if _matches(wanted, subject):
                queue.put_nowait((subject, data))

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def _matches(wanted: str, subject: str) -> bool:
    tokens, words = wanted.split("."), subject.split(".")
    for position, token in enumerate(tokens):
        if token == ">":
            return len(words) > position
        if position >= len(words) or token not in ("*", words[position]):
            return False
    return len(tokens) == len(words)
