"""Run the press line as a process of its own.

    python -m lineshaft.network.drivers.opcua.simulator --port 0 --die-with-parent

It prints one line of JSON, `{"url": ...}`, once it can be connected, and ends on
SIGTERM or, with `--die-with-parent`, when its standard input ends.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence

from lineshaft.core.process.tasks import beside
from lineshaft.network.drivers.opcua.simulator.server import open_line


async def serve(port: int, fault_every_s: float, *, with_parent: bool) -> None:
    """Serve until told to stop."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with open_line(port) as (line, url):
        works = [line.run(fault_every_s)]
        if with_parent:
            works.append(_until_input_ends(stopped))
        async with beside(*works):
            sys.stdout.write(json.dumps({"url": url}) + "\n")
            sys.stdout.flush()
            await stopped.wait()


async def _until_input_ends(stopped: asyncio.Event) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while await reader.read(1024):
            pass
        stopped.set()
    finally:
        transport.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the simulator from a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lineshaft.network.drivers.opcua.simulator",
        description="Three presses with an OPC UA server.",
    )
    parser.add_argument("--port", type=int, default=0, help="0 for any free one")
    parser.add_argument(
        "--fault-every",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="begin a fault this often; 0 for none",
    )
    parser.add_argument("--die-with-parent", action="store_true")
    chosen = parser.parse_args(arguments)
    asyncio.run(
        serve(chosen.port, chosen.fault_every, with_parent=chosen.die_with_parent)
    )


if __name__ == "__main__":
    main()
