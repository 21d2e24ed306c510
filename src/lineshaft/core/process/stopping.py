"""How a program is told to end."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lineshaft.core.process.tasks import beside


@asynccontextmanager
async def told_to_stop(*, with_input: bool = False) -> AsyncIterator[asyncio.Event]:
    """Yield an event that is set on SIGTERM and Ctrl-C.

    `with_input`, it is also set when standard input ends. That is how a parent that is
    killed takes its children along, where it holds the other end of the pipe.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with beside(*([_watch_input(stopped)] if with_input else [])):
        yield stopped


async def _watch_input(stopped: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while await reader.read(1024):
            pass
        stopped.set()
    finally:
        transport.close()
