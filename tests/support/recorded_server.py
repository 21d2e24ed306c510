"""An OPC UA server that says what a CSV file has, row by row, when told to go.

    python recorded_server.py FILE PORT

It prints `ready`, waits for a line on its standard input, plays all rows with their own
times as source timestamps, prints `done`, and ends with its standard input.
"""

import asyncio
import csv
import sys
from datetime import UTC, datetime
from pathlib import Path

from asyncua import Server, ua

PAUSE_S = 0.008


async def main(file: Path, port: int) -> None:
    rows = list(csv.DictReader(file.read_text().splitlines(), delimiter=";"))
    columns = [name for name in rows[0] if name != "datetime"]
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/")
    index = await server.register_namespace("urn:test:recorded")
    nodes = {}
    for name in columns:
        node_id = ua.NodeId(name, index)
        nodes[name] = await server.nodes.objects.add_variable(
            node_id, name, float(rows[0][name])
        )
    loop = asyncio.get_running_loop()
    async with server:
        await say(nodes, rows[0])
        print("ready", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)
        for row in rows[1:]:
            await say(nodes, row)
            await asyncio.sleep(PAUSE_S)
        print("done", flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)


async def say(nodes: dict, row: dict[str, str]) -> None:  # type: ignore[type-arg]
    time = datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC)
    for name, node in nodes.items():
        value = ua.Variant(float(row[name]), ua.VariantType.Double)
        await node.write_value(ua.DataValue(value, SourceTimestamp=time))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
