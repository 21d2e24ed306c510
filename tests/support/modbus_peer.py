"""A Modbus server on libmodbus (C), which shares nothing with our driver."""

import asyncio
import hashlib
import os
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from support.peers import need

SOURCE = Path(__file__).with_name("libmodbus_server.c")
HOST = "127.0.0.1"
PATIENCE_S = 20
COSTS = "the tests of the Modbus driver on a server that was not written here"
PLACES = {
    Kind.FLOAT: "holding:10:float32",
    Kind.INT: "holding:20:int32",
    Kind.BOOL: "coil:30",
    Kind.STRING: "holding:40:string[8]",
}


def build_server() -> Path:
    """Compile the server, once per version of its source; return the program."""
    compiler = need("cc", package="gcc", costs=COSTS)
    pkg_config = need("pkg-config", package="pkg-config", costs=COSTS)
    flags = subprocess.run(
        [
            pkg_config,
            "--cflags",
            "--libs",
            "libmodbus",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if flags.returncode:
        # A header is no program; its description for pkg-config is what is missing.
        need("modbus.pc", package="libmodbus-dev", costs=COSTS)
    version = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    program = Path(tempfile.gettempdir()) / f"lineshaft-libmodbus-{version}"
    if not program.exists():
        fresh = program.with_suffix(f".{os.getpid()}")
        command = [compiler, "-O2", "-Wall", "-Wextra", "-o", str(fresh), str(SOURCE)]
        subprocess.run([*command, *flags.stdout.split()], check=True)
        fresh.rename(program)
    return program


class LibmodbusServer:
    """The server process, and what is inside it."""

    def __init__(self, terminals: Sequence[str] = ()) -> None:
        self.port = 0
        self._terminals = terminals
        """Where its units 1, 2 ... are, if it speaks RTU."""
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it, at the port that it had before if there was one."""
        self._process = await asyncio.create_subprocess_exec(
            build_server(), *self._arguments(), stdin=PIPE, stdout=PIPE, stderr=DEVNULL
        )
        self.port = int(await self._line())

    def _arguments(self) -> list[str]:
        return ["rtu", *self._terminals] if self._terminals else [str(self.port)]

    async def stop(self) -> None:
        """Kill it."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def tell(self, order: str) -> str:
        """Give it an order of those listed in its source; return its answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())
        answer = await self._line()
        assert not answer.startswith("cannot obey"), answer
        return answer

    async def poke(
        self, offset: int, *words: int, unit: int = 1, area: str = "h"
    ) -> None:
        """Put raw words, or bits, side by side."""
        for place, word in enumerate(words, offset):
            await self.tell(f"set {unit} {area} {place} {word}")

    async def peek(
        self, offset: int, count: int, unit: int = 1, area: str = "h"
    ) -> list[int]:
        """Return raw words, or bits."""
        places = range(offset, offset + count)
        return [int(await self.tell(f"get {unit} {area} {place}")) for place in places]

    async def requests(self, unit: int | None = None) -> int:
        """Return how many requests came so far, to one unit or to all."""
        return int(await self.tell("requests" if unit is None else f"requests {unit}"))

    async def _line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return (await self._process.stdout.readline()).decode().strip()


@asynccontextmanager
async def open_server(terminals: Sequence[str] = ()) -> AsyncIterator[LibmodbusServer]:
    """Run a server; leaving the block kills it."""
    server = LibmodbusServer(terminals)
    try:
        await server.start()
        yield server
    finally:
        await server.stop()


class ModbusPeer:
    """See `support.peer`. Its values are made by libmodbus and by hand."""

    def __init__(self, server: LibmodbusServer) -> None:
        self._server = server
        self.points = [
            Point(name=f"a/{kind}", address=address, type=kind, writable=True)
            for kind, address in PLACES.items()
        ]
        self.absent: Point | None = Point(name="a/absent", address="holding:60000")
        self.settings: dict[str, object] = {
            "host": HOST,
            "port": server.port,
            "timeout_s": 2.0,
        }

    async def set(self, point: int, value: Value) -> None:
        """Change a raw value inside the server."""
        server = self._server
        if point == 0:
            await server.tell(f"float 1 10 abcd {float(value)!r}")
        elif point == 1:
            raw = int(value) & 0xFFFFFFFF
            await server.poke(20, raw >> 16, raw & 0xFFFF)
        elif point == 2:
            await server.poke(30, int(value), area="c")
        else:
            raw_text = str(value).encode().ljust(8, b"\0")
            pairs = zip(raw_text[::2], raw_text[1::2], strict=True)
            await server.poke(40, *(high << 8 | low for high, low in pairs))

    async def get(self, point: int) -> Value:
        """Return the raw value inside the server."""
        server = self._server
        if point == 0:
            return float(await server.tell("float? 1 10 abcd"))
        if point == 1:
            high, low = await server.peek(20, 2)
            raw = high << 16 | low
            return raw - (1 << 32) if raw >> 31 else raw
        if point == 2:
            return (await server.peek(30, 1, area="c")) == [1]
        words = await server.peek(40, 4)
        text = b"".join(bytes([word >> 8, word & 0xFF]) for word in words)
        return text.rstrip(b"\0").decode()

    async def stop(self) -> None:
        """Kill the server's process."""
        await self._server.stop()

    async def start(self) -> None:
        """Start it again at the same address."""
        await self._server.start()


@asynccontextmanager
async def open_peer() -> AsyncIterator[ModbusPeer]:
    """Run a server for the contract test of drivers."""
    async with open_server() as server:
        yield ModbusPeer(server)
