"""Run the press line as a process of its own.

    python -m lineshaft.network.drivers.opcua.simulator --port 0 --die-with-parent

It prints one line of JSON, `{"url": ...}`, once it can be connected, and ends on
SIGTERM or, with `--die-with-parent`, when its standard input ends.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence

from lineshaft.core.process.stopping import told_to_stop
from lineshaft.core.process.tasks import beside
from lineshaft.network.drivers.opcua.simulator.server import open_line


async def serve(port: int, fault_every_s: float, *, with_parent: bool) -> None:
    """Serve until told to stop."""
    async with (
        told_to_stop(with_input=with_parent) as stopped,
        open_line(port) as (line, url),
        beside(line.run(fault_every_s)),
    ):
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        await stopped.wait()


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
