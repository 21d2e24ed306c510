"""Read and write Modbus devices: TCP, units behind a gateway, or an RTU line."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal

from lineshaft.core.point import Kind, Point
from lineshaft.network.device import Found
from lineshaft.network.drivers.modbus.address import LAST_OFFSET, Area, parse_address
from lineshaft.network.drivers.modbus.connection import open_connection
from lineshaft.network.drivers.modbus.polling.device import (
    Asks,
    ModbusDevice,
    unit_of,
)
from lineshaft.network.drivers.modbus.rtu.device import LineDevice, connect_line
from lineshaft.network.drivers.modbus.rtu.line import open_line
from lineshaft.network.drivers.modbus.settings import Settings

__all__ = [
    "ModbusDevice",
    "Opened",
    "Settings",
    "check_address",
    "connect",
    "scan",
    "sessions",
]

Opened = ModbusDevice | LineDevice
"""What `connect` yields."""

_SCANNED = 100
"""Registers or bits that are asked for at once while scanning."""


def check_address(address: str) -> None:
    """Raise `ConfigError` for an address that no Modbus device can have."""
    parse_address(address)


def sessions(settings: Settings, points: Sequence[Point]) -> Mapping[str, list[int]]:
    """Give each unit a connection, so that a dead one keeps nobody waiting.

    The units of an RTU line cannot have that: one session asks them in turn.
    """
    if settings.is_rtu:
        return {"": list(range(len(points)))}
    units: dict[str, list[int]] = {}
    for position, point in enumerate(points):
        unit = unit_of(parse_address(point.address), settings)
        units.setdefault(f"unit{unit}", []).append(position)
    return units


@asynccontextmanager
async def connect(settings: Settings, points: Sequence[Point]) -> AsyncIterator[Opened]:
    """Open the device; leaving the block closes it."""
    addresses = [parse_address(point.address) for point in points]
    if settings.is_rtu:
        async with connect_line(settings, addresses) as line:
            yield line
        return
    where, patience = (settings.host, settings.port), settings.timeout_s
    async with open_connection(*where, patience) as connection:
        yield ModbusDevice(connection, settings, addresses)


async def scan(
    settings: Settings,
    area: Literal["coil", "discrete", "input", "holding"],
    first: int,
    last: int,
) -> AsyncIterator[Found]:
    """Yield every bit or register of `settings.unit` that can be read in a range.

    Modbus cannot tell what a device has, so the range has to be named; registers come
    raw, as uint16, for only the device's manual knows which belong together. Offsets
    count from 0 and both ends are included.
    """
    kind = Kind.BOOL if Area(area).holds_bits else Kind.INT
    addresses = [
        parse_address(f"{settings.unit}/{area}:{offset}")
        for offset in range(first, min(last, LAST_OFFSET) + 1)
    ]
    async with _open(settings) as connection:
        device = ModbusDevice(connection, settings, addresses)
        for start in range(0, len(addresses), _SCANNED):
            batch = await device.search(range(start, len(addresses))[:_SCANNED])
            for row in sorted(range(len(batch)), key=batch.points.__getitem__):
                offset, value = addresses[batch.points[row]].offset, batch.values[row]
                if value is not None:
                    yield Found(
                        address=f"{settings.unit}/{area}:{offset}",
                        path=(f"unit {settings.unit}", area, str(offset)),
                        type=kind,
                        value=value,
                        writable=Area(area).is_writable,
                    )


def _open(settings: Settings) -> AbstractAsyncContextManager[Asks]:
    if settings.is_rtu:
        return open_line(settings)
    return open_connection(settings.host, settings.port, settings.timeout_s)
