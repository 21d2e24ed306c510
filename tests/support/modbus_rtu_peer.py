"""libmodbus as unit 1 of a serial line, or behind a serial device server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.modbus_peer import HOST, ModbusPeer, open_server
from support.serial_line import open_line


@asynccontextmanager
async def open_peer(*, tcp: bool = False) -> AsyncIterator[ModbusPeer]:
    """Run a server for the contract test of drivers."""
    async with (
        open_line(1, tcp=tcp) as (_, end, units),
        open_server(units) as server,
    ):
        peer = ModbusPeer(server)
        road = (
            {"host": HOST, "port": int(end), "framing": "rtu"}
            if tcp
            else {"serial": end, "baud": 115_200, "parity": "none"}
        )
        peer.settings = {**road, "answer_s": 1.0, "timeout_s": 2.0}
        yield peer
