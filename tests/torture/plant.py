"""The plant that is tortured: who can be killed, and how one sees that he is back."""

import asyncio
import contextlib
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from lineshaft.core.reading import iso
from lineshaft.network.drivers.modbus.meters import point_list as meter_points
from lineshaft.settings.points import write_points
from support.fault_proxy import FaultProxy
from support.opcua_peer import NAMESPACE, NodeServer
from support.plant import RunningPlant, started
from torture.generator import BEGIN_US, EACH, NAMES, confirmed

HERE = Path(__file__).parent
VARIABLES, HZ = 200, 5.0
ROOMS: Mapping[str, str] = {
    "collector": "run collector",
    "historian": "run historian",
    "web": "run web",
    "nats-server": "nats-server",
}
MACHINES = ("opcua machine", "modbus machine")
VICTIMS = (*ROOMS, "generator", *MACHINES)
_MODBUS = "lineshaft.network.drivers.modbus.simulator"


class Script:
    """A program of ours beside the plant, which we start again ourselves."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.process: Process | None = None

    async def start(self) -> None:
        """Start it."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *self._arguments
        )

    async def end(self) -> None:
        """Kill it."""
        await self._end(signal.SIGKILL)

    async def polite_end(self) -> None:
        """Ask it to end and wait until it has done what it must."""
        await self._end(signal.SIGTERM)

    async def _end(self, how: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(how)
            await self.process.wait()


@dataclass(eq=False)
class Tortured:
    """A running plant with its machines, and the roads to them."""

    plant: RunningPlant
    home: Path
    node: NodeServer
    generator: Script
    meters: Script
    roads: dict[str, FaultProxy]

    async def kill(self, victim: str) -> None:
        """Kill it with -9; what the plant does not watch over is started again."""
        if victim in ROOMS:
            for process in self.plant.running(ROOMS[victim]):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        elif victim == "generator":
            await self.generator.end()
            await self.generator.start()
        elif victim == "modbus machine":
            await self.meters.end()
            await self.meters.start()
        else:
            await self.node.stop()
            await self.node.start()
            await self.node.tell("begin")

    def frames(self) -> int:
        """Return how many frames were confirmed."""
        return confirmed(self.home / "generator")

    async def until_back(self, victim: str, killed_s: float, frames: int) -> None:
        """Wait until news from after the kill come where it was on the way."""
        while not await asyncio.to_thread(  # noqa: ASYNC110  we look from outside
            self._is_back, victim, killed_s, frames
        ):
            await asyncio.sleep(0.1)

    def _is_back(self, victim: str, killed_s: float, frames: int) -> bool:
        try:
            return self._has_news(victim, killed_s, frames)
        except (OSError, ValueError):
            return False  # the page is away

    def _has_news(self, victim: str, killed_s: float, frames: int) -> bool:
        if victim in ("collector", "opcua machine"):
            return self._is_fresh("torture/opcua/v0", killed_s)
        if victim == "modbus machine":
            return self._is_fresh("torture/meters/meter1/voltage_l1", killed_s)
        if victim == "generator":
            return self.frames() > frames
        # Whoever carries it from the bus to the page: the page asks the historian.
        past = self.plant.get(
            "/history", name=NAMES[0], limit="1", **{"from": iso(end_of(frames))}
        )
        return len(past["series"][0]["time"]) > 0

    def _is_fresh(self, name: str, killed_s: float) -> bool:
        told = self.plant.value(name)
        after = iso(int(killed_s * 1e6))
        return told["quality"] == "good" and str(told["time"]) > after


def end_of(frames: int) -> int:
    """Return the source time (us) behind the last value of so many frames."""
    return BEGIN_US + frames * EACH * 1000


@contextlib.asynccontextmanager
async def tortured(folder: Path, seed: int) -> AsyncIterator[Tortured]:
    """Start everything; leaving the block stops it, the plant politely."""
    (folder / "node").mkdir()
    node = NodeServer(folder / "node", count=VARIABLES, hz=HZ)
    meters_port = free_port()
    meters = Script("-m", _MODBUS, "--port", str(meters_port))
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(node.stop)
        stack.push_async_callback(meters.end)
        await node.start()
        await meters.start()
        roads = {
            "opcua machine": FaultProxy("127.0.0.1", node.port, seed=seed),
            "modbus machine": FaultProxy("127.0.0.1", meters_port, seed=seed + 1),
        }
        for road in roads.values():
            await stack.enter_async_context(road)
        config = write_plant(folder, {name: road.port for name, road in roads.items()})
        plant = await stack.enter_async_context(_up(config, folder / "data"))
        generator = Script(
            str(HERE / "generator.py"), plant.bus, str(folder / "generator")
        )
        stack.push_async_callback(generator.end)
        await node.tell("begin")
        await generator.start()
        yield Tortured(plant, folder, node, generator, meters, roads)


@contextlib.asynccontextmanager
async def _up(config: Path, data: Path) -> AsyncIterator[RunningPlant]:
    """Start the plant without stopping the roads meanwhile."""
    running = started(["up", "--config", str(config)], data)
    plant = await asyncio.to_thread(running.__enter__)
    try:
        yield plant
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def write_plant(folder: Path, ports: Mapping[str, int]) -> Path:
    """Write lineshaft.toml and its point lists; return the file."""
    rows = [
        f"torture/opcua/v{n},nsu={NAMESPACE};s=V{n},float,0.05\n"
        for n in range(VARIABLES)
    ]
    (folder / "opcua.csv").write_text("name,address,type,period\n" + "".join(rows))
    write_points(folder / "meters.csv", list(meter_points("torture/meters")))
    file = folder / "lineshaft.toml"
    file.write_text(
        "[bus]\nport = 0\n[historian]\ncommit_every_s = 1.0\n"
        '[devices.counters]\ndriver = "opcua"\npoints = "opcua.csv"\n'
        f'url = "opc.tcp://127.0.0.1:{ports["opcua machine"]}"\n'
        "queue_size = 1000\npublishing_interval_s = 0.1\n"
        '[devices.meters]\ndriver = "modbus"\npoints = "meters.csv"\n'
        f'host = "127.0.0.1"\nport = {ports["modbus machine"]}\ntimeout_s = 2.0\n'
    )
    return file


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
