"""How long a change in a device takes until it is on the live stream of the page.

A whole plant runs as a user starts it (`lineshaft up`): node-opcua changes 5,000
variables a second, and a page follows all of them over its WebSocket. The delay runs
from the source time that the server gives to the moment at which the message is there.
"""

import asyncio
import json
import os
import tempfile
import time
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect

from support.opcua_peer import NAMESPACE, NodeServer, open_server
from support.plant import RunningPlant, started

Row = dict[str, object]
VARIABLES, HZ = 5000, 1.0
SECONDS = float(os.environ.get("LINESHAFT_BENCH_LIVE_SECONDS", "20"))
QUIET_S = 3.0


class Reading(msgspec.Struct):
    """What we look at of a reading on the live stream."""

    name: str
    value: float | None
    time: datetime | None


class Message(msgspec.Struct):
    """What we look at of a message on the live stream."""

    readings: list[Reading] = []


def write_plant(folder: Path, url: str) -> Path:
    rows = [f"bench/v{n},nsu={NAMESPACE};s=V{n},float,0.1" for n in range(VARIABLES)]
    (folder / "points.csv").write_text(
        "name,address,type,period\n" + "\n".join(rows) + "\n"
    )
    file = folder / "lineshaft.toml"
    file.write_text(
        "[bus]\nport = 0\n[devices.server]\n"
        'driver = "opcua"\npoints = "points.csv"\npublishing_interval_s = 0.1\n'
        f'url = "{url}"\n'
    )
    return file


async def listen(socket: ClientConnection) -> tuple[list[float], int]:
    """Return the delays in ms of what comes until it is quiet, and how many jumps."""
    decoder = msgspec.json.Decoder(Message)
    delays: list[float] = []
    last: dict[str, float] = {}
    jumps = 0
    while True:
        try:
            async with asyncio.timeout(QUIET_S):
                text = await socket.recv()
        except TimeoutError:
            return sorted(delays), jumps
        now = time.time()
        for reading in decoder.decode(text).readings:
            value = reading.value or 0.0
            if reading.time is not None and value > 0:
                delays.append((now - reading.time.timestamp()) * 1e3)
                jumps += value != last.get(reading.name, 0.0) + 1
                last[reading.name] = value


async def measure(plant: RunningPlant, server: NodeServer) -> list[Row]:
    address = plant.url.replace("http", "ws", 1) + "/api/v1/live?"
    async with connect(
        address + urlencode({"pattern": "bench/*"}), max_size=None, proxy=None
    ) as socket:
        listening = asyncio.ensure_future(listen(socket))
        await server.tell("begin")
        await asyncio.sleep(SECONDS)
        ended = await server.tell("end")
        delays, jumps = await listening
    assert isinstance(ended, dict)
    changed = int(ended["changed"])
    p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
    arrived = 100 * len(delays) / changed
    return [
        _row("changes offered by the server", changed / SECONDS, "1/s", None),
        _row("changes that arrived on the page's stream", arrived, "%", None),
        _row("changes out of order or left out", jumps, "", None),
        _row("device to live stream, p50", p50, "ms", None),
        _row("device to live stream, p99", p99, "ms", 300.0),
    ]


def _row(name: str, value: float, unit: str, most: float | None) -> Row:
    ok = most is None or value <= most
    return {"name": name, "value": round(value, 2), "unit": unit, "bar": most, "ok": ok}


async def _run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_server(count=VARIABLES, hz=HZ) as server:
            config = write_plant(folder, server.url)
            arguments = ["up", "--config", str(config)]
            with started(arguments, folder / "data") as plant:
                await asyncio.to_thread(
                    plant.until, lambda: _all_good(plant), "every point has a value"
                )
                return await measure(plant, server)


def _all_good(plant: RunningPlant) -> bool:
    readings = plant.get("/readings", pattern="bench/*")
    return len(readings) == VARIABLES and all(r["quality"] == "good" for r in readings)


def rows() -> list[Row]:
    """Return what was measured."""
    return asyncio.run(_run())


if __name__ == "__main__":
    for row in rows():
        print(json.dumps(row))
