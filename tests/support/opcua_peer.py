"""An OPC UA server on node-opcua, which shares nothing with our driver."""

import asyncio
import json
import signal
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from support.peers import need_node

HOST = "127.0.0.1"
NAMESPACE = "urn:lineshaft:peer"
PATIENCE_S = 60
COSTS = "the tests of the OPC UA driver on a server that was not written here"
NODES = {
    Kind.FLOAT: "Double",
    Kind.INT: "Int32",
    Kind.BOOL: "Boolean",
    Kind.STRING: "String",
}


def point_of(node: str, kind: Kind = Kind.FLOAT, **more: object) -> Point:
    """Return a point for a variable of the server."""
    asked = {
        "name": f"a/{node}",
        "address": f"nsu={NAMESPACE};s={node}",
        "type": kind,
        "period_s": 0.05,
        **more,
    }
    return Point(**asked)  # type: ignore[arg-type]  # the caller's words


class NodeServer:
    """The server process, and what is inside it."""

    def __init__(self, home: Path, **options: object) -> None:
        self.port = 0
        self.options = options
        self._home = home
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"opc.tcp://{HOST}:{self.port}"

    async def start(self) -> None:
        """Start it, at the port that it had before if there was one."""
        node, folder = need_node("node_opcua", costs=COSTS)
        told = {**self.options, "port": self.port, "home": str(self._home)}
        self._process = await asyncio.create_subprocess_exec(
            node,
            folder / "server.mjs",
            json.dumps(told),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        # The library may speak first, of certificates.
        while not (line := await self._line()).startswith('{"port"'):
            assert line, "node-opcua did not start"
        self.port = json.loads(line)["port"]

    async def stop(self) -> None:
        """Kill it."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def freeze(self) -> None:
        """Let it neither answer nor end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    async def tell(self, order: str, **more: object) -> object:
        """Give it an order of those listed in its source; return its answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        told = json.dumps({"do": order, **more})
        self._process.stdin.write(f"{told}\n".encode())
        while not (line := await self._line()).startswith('{"answer"'):
            assert line, "node-opcua ended"
        return cast("object", json.loads(line)["answer"])

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return (await self._process.stdout.readline()).decode()


@asynccontextmanager
async def open_server(**options: object) -> AsyncIterator[NodeServer]:
    """Run a server; leaving the block kills it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        server = NodeServer(Path(home), **options)
        try:
            await server.start()
            yield server
        finally:
            await server.stop()


class OpcUaPeer:
    """See `support.peer`. Its values are made by node-opcua."""

    def __init__(self, server: NodeServer) -> None:
        self._server = server
        self.points = [
            point_of(node, kind, writable=True) for kind, node in NODES.items()
        ]
        self.absent: Point | None = point_of("Absent")
        self.settings: dict[str, object] = {
            "url": server.url,
            "publishing_interval_s": 0.05,
            "timeout_s": 3.0,
        }

    async def set(self, point: int, value: Value) -> None:
        """Change a raw value inside the server."""
        await self._server.tell("set", name=list(NODES.values())[point], value=value)

    async def get(self, point: int) -> Value:
        """Return the raw value inside the server."""
        name = list(NODES.values())[point]
        return cast("Value", await self._server.tell("get", name=name))

    async def stop(self) -> None:
        """Kill the server's process."""
        await self._server.stop()

    async def start(self) -> None:
        """Start it again at the same address."""
        await self._server.start()


@asynccontextmanager
async def open_peer() -> AsyncIterator[OpcUaPeer]:
    """Run a server for the contract test of drivers."""
    async with open_server() as server:
        yield OpcUaPeer(server)
