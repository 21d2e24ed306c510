"""A road with faults between a client and a server, in user space, for any TCP.

    async with FaultProxy("127.0.0.1", 4840, seed=1) as road:
        ...                                 # connect to road.port
        road.faults = Faults(delay_s=0.2, jitter_s=0.1)
        road.reset()                        # every connection, at once

What is random follows the seed, so a run can be had again. TCP repairs lost packets by
itself: to whoever uses it, loss is a pause, and that is what `loss` makes.
"""

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

LARGEST = 1 << 16
RETRANSMISSION_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What happens to bytes on the way, in both directions."""

    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Added to the delay, from nothing up to this."""
    loss: float = 0.0
    """Share of chunks that come a retransmission later, 0 to 1."""
    corruption: float = 0.0
    """Share of chunks in which one bit is turned over, 0 to 1."""
    piece: int | None = None
    """Most bytes that are written at once; the rest of a message comes later."""
    pause_s: float = 0.0
    """Between two pieces."""
    silent: bool = False
    """Connections are accepted, and nothing goes through any more."""


CLEAR = Faults()


@dataclass(eq=False)
class _Pair:
    """One connection: the client's side and the server's side."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class FaultProxy:
    """Listens on a free port of loopback while the block is open."""

    def __init__(self, host: str, port: int, *, seed: int) -> None:
        self._target = host, port
        self._random = random.Random(seed)
        self._pairs: set[_Pair] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._changed = asyncio.Event()
        self._faults = CLEAR
        self.port = 0
        self.done: Counter[str] = Counter()
        """What was done so far: connections, chunks, delayed, lost, corrupted ..."""

    @property
    def faults(self) -> Faults:
        """What happens on the road now; set it at any time."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._changed.set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.refuse()
        self.reset()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close in the next turn of the loop

    async def accept(self) -> None:
        """Listen, at the same port as before if there was one."""
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, limit=LARGEST
            )
            self.port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Listen no more: who connects is told that nobody is there."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def reset(self) -> None:
        """End every connection with a reset (RST), as a router that forgot it does."""
        for pair in list(self._pairs):
            self.done["reset"] += 1
            for writer in (pair.client, pair.server):
                _linger_not(writer)
                writer.transport.abort()
            for task in pair.tasks:
                task.cancel()

    def half_close(self) -> None:
        """Tell every client that no more comes (FIN), and go on listening to it."""
        for pair in list(self._pairs):
            self.done["half closed"] += 1
            pair.tasks[1].cancel()
            with contextlib.suppress(OSError):
                pair.client.write_eof()

    async def _serve(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        self.done["connections"] += 1
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._join(reader, client)
        except (OSError, asyncio.CancelledError):
            _linger_not(client)
        finally:
            client.transport.abort()
            self._serving.discard(task)

    async def _join(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        answers, server = await asyncio.open_connection(*self._target)
        pair = _Pair(client, server)
        self._pairs.add(pair)
        pair.tasks = [
            asyncio.create_task(self._carry(reader, server)),
            asyncio.create_task(self._carry(answers, client)),
        ]
        try:
            await asyncio.wait(pair.tasks)
        finally:
            self._pairs.discard(pair)
            for carrying in pair.tasks:
                carrying.cancel()
            # Both at once: whoever cancels us while we wait leaves none open.
            client.close()
            server.close()
            await asyncio.gather(*pair.tasks, return_exceptions=True)
            await _closed(client)
            await _closed(server)

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while chunk := await source.read(LARGEST):
                self.done["chunks"] += 1
                await self._wait()
                for piece in self._pieces(self._corrupted(chunk)):
                    sink.write(piece)
                    await sink.drain()
                    if self._faults.pause_s:
                        await asyncio.sleep(self._faults.pause_s)
            sink.write_eof()

    async def _wait(self) -> None:
        """Hold a chunk back for as long as the faults say."""
        while self._faults.silent:
            await self._changed.wait()
        faults = self._faults
        delay_s = faults.delay_s + self._random.uniform(0, faults.jitter_s)
        if self._happens(faults.loss):
            self.done["lost"] += 1
            delay_s += RETRANSMISSION_S
        if delay_s:
            self.done["delayed"] += 1
            await asyncio.sleep(delay_s)

    def _corrupted(self, chunk: bytes) -> bytes:
        if not self._happens(self._faults.corruption):
            return chunk
        self.done["corrupted"] += 1
        bit = self._random.randrange(len(chunk) * 8)
        wrong = bytearray(chunk)
        wrong[bit // 8] ^= 1 << bit % 8
        return bytes(wrong)

    def _pieces(self, chunk: bytes) -> list[bytes]:
        size = self._faults.piece or len(chunk)
        return [chunk[at : at + size] for at in range(0, len(chunk), size)]

    def _happens(self, share: float) -> bool:
        return share > 0 and self._random.random() < share


async def _closed(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def _linger_not(writer: asyncio.StreamWriter) -> None:
    """Let closing send a reset instead of a polite end."""
    sock: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
