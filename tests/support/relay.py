"""A road to a server that can be made bad: cut, silent, or with wrong bytes on it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Relay:
    """Passes on what is said; how well, can be changed at any time."""

    def __init__(self, port: int) -> None:
        self.port = 0
        """Where it listens, on loopback."""
        self.is_silent = False
        """Whether what the server says is swallowed."""
        self.garble: random.Random | None = None
        """Where wrong bytes come from; None: all bytes are right."""
        self.passed = 0
        """Bytes that came from the server."""
        self._server_port = port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Carry one connection until either side ends it."""
        try:
            there = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there[1]}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, there[1], is_answer=False))
                group.create_task(self._carry(there[0], writer, is_answer=True))
        finally:
            for each in (writer, there[1]):
                self._writers.discard(each)
                each.transport.abort()

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        is_answer: bool,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if is_answer:
                    self.passed += len(data)
                    if self.is_silent:
                        continue
                    data = self._spoilt(data)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def _spoilt(self, data: bytes) -> bytes:
        if self.garble is None:
            return data
        spoilt = bytearray(data)
        for _ in range(self.garble.randint(1, 4)):
            spoilt[self.garble.randrange(len(spoilt))] = self.garble.randrange(256)
        return bytes(spoilt)


@asynccontextmanager
async def open_relay(port: int) -> AsyncIterator[Relay]:
    """Listen on a free port; leaving the block cuts what is connected."""
    relay = Relay(port)
    async with await asyncio.start_server(relay.serve, "127.0.0.1", 0) as server:
        relay.port = server.sockets[0].getsockname()[1]
        try:
            yield relay
        finally:
            relay.cut()
            await asyncio.sleep(0)
