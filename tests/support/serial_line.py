"""A serial line of pseudo-terminals, with room for faults in the middle.

The master's end is a terminal, or a TCP port as of a serial device server. Each unit
has a terminal of its own and hears the frames that are for it, or for all: libmodbus
would take any other frame for one that must be followed by an answer.
"""

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from lineshaft.network.drivers.modbus.rtu.frames import crc16

HOST = "127.0.0.1"
MOST = 4096
Passes = Callable[[bytes], bytes]


@contextmanager
def terminal_pair() -> Iterator[tuple[int, str]]:
    """Yield our end and the name of the other, which stays open with nobody there."""
    ours, theirs = os.openpty()
    try:
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        yield ours, os.ttyname(theirs)
    finally:
        os.close(ours)
        os.close(theirs)


class SerialLine:
    """Passes bytes on; `to_master` may damage what the units say, as it comes."""

    def __init__(self, units: list[int]) -> None:
        self.to_master: Passes = bytes
        self.to_units: Passes = bytes
        self.speak: Callable[[bytes], object] = lambda data: None
        """Say something to the master, as if it came from the line."""
        self._units = units
        self._begun = b""

    def from_master(self, data: bytes) -> None:
        """Let the unit that is meant hear each whole frame, or all of them for 0."""
        self._begun += self.to_units(data)
        for stop in range(4, len(self._begun) + 1):
            body, crc = self._begun[: stop - 2], self._begun[stop - 2 : stop]
            if crc16(body) == crc:
                chosen = self._units[body[0] - 1 :][:1] if body[0] else self._units
                for unit in chosen:
                    os.write(unit, body + crc)
                self._begun = self._begun[stop:]
                return

    def from_unit(self, unit: int) -> None:
        """Let the master hear it."""
        passed = self.to_master(os.read(unit, MOST))
        if passed:
            self.speak(passed)


@asynccontextmanager
async def open_line(
    units: int, *, tcp: bool = False
) -> AsyncIterator[tuple[SerialLine, str, list[str]]]:
    """Yield a line, the master's end (a terminal or a port), and the units' ends."""
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        pairs = [stack.enter_context(terminal_pair()) for _ in range(units)]
        line = SerialLine([ours for ours, _ in pairs])
        for ours, _ in pairs:
            loop.add_reader(ours, line.from_unit, ours)
            stack.callback(loop.remove_reader, ours)
        if tcp:
            end = str(await _listen(line, stack))
        else:
            ours, end = stack.enter_context(terminal_pair())
            line.speak = lambda data: os.write(ours, data)
            loop.add_reader(ours, lambda: line.from_master(os.read(ours, MOST)))
            stack.callback(loop.remove_reader, ours)
        yield line, end, [name for _, name in pairs]


async def _listen(line: SerialLine, stack: AsyncExitStack) -> int:
    ends: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        ends.append(ended)
        line.speak = writer.write
        try:
            while data := await reader.read(MOST):
                line.from_master(data)
        except ConnectionError:
            pass  # the master may hang up as it likes
        finally:
            writer.close()
            ended.set()

    async def wait() -> None:
        for end in ends:
            await end.wait()

    stack.push_async_callback(wait)
    server = await stack.enter_async_context(await asyncio.start_server(serve, HOST, 0))
    return int(server.sockets[0].getsockname()[1])
