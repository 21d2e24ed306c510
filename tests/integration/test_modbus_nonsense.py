"""The Modbus driver against servers that talk nonsense: never a wrong value."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from lineshaft.core.errors import LineshaftError, Unreachable
from lineshaft.core.point import Point
from lineshaft.network.device import Batch
from lineshaft.network.drivers.modbus import driver

HOST = "127.0.0.1"


def connect(
    port: int, address: str, timeout_s: float = 5.0
) -> AbstractAsyncContextManager[driver.Opened]:
    settings = driver.Settings(host=HOST, port=port, timeout_s=timeout_s)
    return driver.connect(settings, [Point(name="plant/p", address=address)])


Answerer = Callable[[bytes], Sequence[bytes]]


@asynccontextmanager
async def nonsense(answer: Answerer) -> AsyncIterator[int]:
    """Serve whatever `answer` makes of a request; an empty part hangs up."""
    ends: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(asyncio.Event())
        try:
            await talk(reader, writer)
        finally:
            writer.close()
            ends[-1].set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(300):
            for part in answer(request):
                if not part:
                    return
                writer.write(part)
                await writer.drain()

    async with await asyncio.start_server(serve, HOST, 0) as server:
        yield server.sockets[0].getsockname()[1]
    for end in ends:
        await end.wait()


def good(request: bytes, words: bytes = b"\0\7") -> bytes:
    size = len(words)
    length = (3 + size).to_bytes(2, "big")
    return request[:4] + length + request[6:8] + bytes([size]) + words


NONSENSE: dict[str, Answerer] = {
    "random bytes": lambda _: [bytes(range(200, 240))],
    "text": lambda _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "another transaction": lambda ask: [b"\x99\x99" + good(ask)[2:]],
    "no transaction": lambda ask: [b"\0\0" + good(ask)[2:]],
    "another protocol": lambda ask: [good(ask)[:2] + b"\0\1" + good(ask)[4:]],
    "another unit": lambda ask: [good(ask)[:6] + b"\x09" + good(ask)[7:]],
    "another function": lambda ask: [good(ask)[:7] + b"\x04" + good(ask)[8:]],
    "too many registers": lambda ask: [good(ask, b"\0\7\0\7")],
    "too few bytes": lambda ask: [good(ask, b"\7")],
    "a longer packet": lambda ask: [good(ask) + b"\0"],
    "an exception to another function": lambda ask: [
        ask[:4] + b"\0\3" + ask[6:7] + b"\x81\2"
    ],
    "hanging up": lambda _: [b""],
    "hanging up in the middle": lambda ask: [good(ask)[:9], b""],
}


@pytest.mark.parametrize("kind", NONSENSE)
async def test_nonsense_is_unreachable_at_once_and_never_a_value(kind: str) -> None:
    async with (
        nonsense(NONSENSE[kind]) as port,
        connect(port, "holding:0", timeout_s=30.0) as device,
    ):
        with pytest.raises(Unreachable, match=f"{port} (sent bytes|closed)"):
            await device.read([0])


async def test_half_an_answer_is_silence() -> None:
    async with (
        nonsense(lambda ask: [good(ask)[:10]]) as port,
        connect(port, "holding:0", timeout_s=0.3) as device,
    ):
        with pytest.raises(Unreachable, match=r"within 0.3 s \(only 10 bytes of it\)"):
            await device.read([0])


async def test_an_answer_in_pieces_is_put_together() -> None:
    def in_pieces(ask: bytes) -> list[bytes]:
        whole = good(ask)
        return [whole[place : place + 1] for place in range(len(whole))]

    async with nonsense(in_pieces) as port, connect(port, "holding:0") as device:
        assert (await device.read([0])).values == [7]


async def _outcome(work: Awaitable[Batch]) -> Batch | LineshaftError:
    try:
        return await work
    except LineshaftError as error:
        return error


async def test_bytes_after_an_answer_end_the_connection_without_a_wrong_value() -> None:
    async with (
        nonsense(lambda ask: [good(ask), good(ask, b"\0\x09")]) as port,
        connect(port, "holding:0", timeout_s=30.0) as device,
    ):
        first = await _outcome(device.read([0]))
        if isinstance(first, Batch):
            assert first.values == [7]
        second = await _outcome(device.read([0]))
        assert isinstance(second, Unreachable)


async def test_a_wrong_echo_does_not_confirm_a_write() -> None:
    async with (
        nonsense(lambda ask: [ask[:-2] + b"\0\0"]) as port,
        connect(port, "holding:0", timeout_s=30.0) as device,
    ):
        with pytest.raises(Unreachable, match="do not answer the question"):
            await device.write(0, 9)
