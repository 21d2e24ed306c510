"""libmodbus as a unit behind a serial device server: RTU over TCP."""

from contextlib import AbstractAsyncContextManager

from support.modbus_peer import ModbusPeer
from support.modbus_rtu_peer import open_peer as open_rtu_peer


def open_peer() -> AbstractAsyncContextManager[ModbusPeer]:
    """Run a server for the contract test of drivers."""
    return open_rtu_peer(tcp=True)
