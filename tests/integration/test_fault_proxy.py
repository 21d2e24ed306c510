"""The road with faults does what it says, so that tests on it prove something."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from support.fault_proxy import CLEAR, FaultProxy, Faults


@asynccontextmanager
async def echo() -> AsyncIterator[int]:
    """Run a server that says again what it hears."""
    speaking: set[asyncio.StreamWriter] = set()

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        speaking.add(writer)
        with contextlib.suppress(OSError):
            while chunk := await reader.read(1 << 16):
                writer.write(chunk)
                await writer.drain()
        await close(writer)

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in speaking:
            await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Client:
    """Says something over the road and hears the answer."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, said: bytes) -> bytes:
        self.writer.write(said)
        return await self.reader.readexactly(len(said))


@asynccontextmanager
async def road(seed: int = 1) -> AsyncIterator[tuple[FaultProxy, Client]]:
    async with echo() as port, FaultProxy("127.0.0.1", port, seed=seed) as proxy:
        client = Client(*await asyncio.open_connection("127.0.0.1", proxy.port))
        try:
            assert await client.ask(b"hello") == b"hello"
            yield proxy, client
        finally:
            await close(client.writer)


async def test_without_faults_everything_goes_through_unchanged() -> None:
    async with road() as (proxy, client):
        said = bytes(range(256)) * 4096
        assert await client.ask(said) == said
        assert set(proxy.done) == {"connections", "chunks"}


async def test_a_delay_holds_back_both_ways() -> None:
    async with road() as (proxy, client):
        proxy.faults = Faults(delay_s=0.1, jitter_s=0.05)
        began = time.monotonic()
        assert await client.ask(b"slow") == b"slow"
        assert time.monotonic() - began >= 0.2
        proxy.faults = CLEAR


async def test_loss_is_a_pause_and_loses_nothing() -> None:
    async with road() as (proxy, client):
        proxy.faults = Faults(loss=1.0)
        assert await client.ask(b"again") == b"again"
        assert proxy.done["lost"] == 2


async def test_corruption_turns_over_one_bit() -> None:
    async with road() as (proxy, client):
        proxy.faults = Faults(corruption=1.0)
        heard = await client.ask(b"\x00" * 64)
        # One bit on the way there, one on the way back: two, or the same one twice.
        assert sum(byte.bit_count() for byte in heard) in (0, 2)
        assert proxy.done["corrupted"] == 2


async def test_the_same_seed_makes_the_same_faults() -> None:
    heard = []
    for _ in range(2):
        async with road(seed=7) as (proxy, client):
            proxy.faults = Faults(corruption=0.5)
            heard.append([await client.ask(b"\x00" * 8) for _ in range(20)])
    assert heard[0] == heard[1]
    assert len(set(heard[0])) > 1


async def test_slow_and_partial_writes_come_in_pieces() -> None:
    async with road() as (proxy, client):
        proxy.faults = Faults(piece=1, pause_s=0.02)
        began = time.monotonic()
        client.writer.write(b"abcdefgh")
        first = await client.reader.read(100)
        assert len(first) < 8
        assert first + await client.reader.readexactly(8 - len(first)) == b"abcdefgh"
        assert time.monotonic() - began >= 0.1


async def test_a_silent_road_holds_everything_until_it_speaks_again() -> None:
    async with road() as (proxy, client):
        proxy.faults = Faults(silent=True)
        asking = asyncio.ensure_future(client.ask(b"anyone"))
        _, waiting = await asyncio.wait([asking], timeout=0.3)
        assert waiting
        proxy.faults = CLEAR
        assert await asking == b"anyone"


async def test_a_reset_ends_every_connection_at_once() -> None:
    async with road() as (proxy, client):
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await client.reader.readexactly(1)
        assert proxy.done["reset"] == 1


async def test_half_closed_the_client_hears_the_end_and_may_still_speak() -> None:
    async with road() as (proxy, client):
        proxy.half_close()
        assert await client.reader.read() == b""
        client.writer.write(b"still here")
        await client.writer.drain()
        assert not client.writer.is_closing()


async def test_who_is_refused_can_come_back_to_the_same_port() -> None:
    async with road() as (proxy, _):
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        await proxy.accept()
        _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await close(writer)
