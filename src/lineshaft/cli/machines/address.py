"""Addresses of devices as people type them, and what is behind one."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ValidationError

from lineshaft.core.errors import ConfigError
from lineshaft.network import drivers
from lineshaft.network.device import Browses, Driver, Found

_DEFAULT_PORT = {"modbus": 502, "mqtt": 1883, "opc.tcp": 4840}
_AREA, _FIRST, _LAST = "holding", 0, 99
_AREAS = ("coil", "discrete", "input", "holding")


@dataclass(frozen=True, slots=True)
class Target:
    """A device that was named on the command line."""

    protocol: str
    host: str
    port: int
    settings: dict[str, object]
    """What belongs into its table in lineshaft.toml."""
    area: str = ""
    registers: tuple[int, int] = (_FIRST, _LAST)
    """Where to look; for Modbus, which cannot tell what it has."""


class _Opens(Protocol):
    def open_browser(
        self, settings: BaseModel
    ) -> AbstractAsyncContextManager[Browses]: ...


class _Scans(Protocol):
    def scan(
        self, settings: BaseModel, area: str, first: int, last: int
    ) -> AsyncIterator[Found]: ...


def parse(address: str) -> Target:
    """Return what an address means; `ConfigError` shows how to write one."""
    try:
        parts = urlsplit(address)
        port = parts.port or _DEFAULT_PORT.get(parts.scheme, 0)
    except ValueError as error:
        raise ConfigError(f"{address!r}: {error}") from error
    host = parts.hostname
    if not host or parts.scheme not in _DEFAULT_PORT:
        raise ConfigError(
            f"{address!r} is not an address; write opc.tcp://host:4840, "
            "modbus://host:502/1?area=holding&first=0&last=99 or mqtt://host:1883"
        )
    if parts.scheme == "opc.tcp":
        return Target("opcua", host, port, {"url": address})
    if parts.scheme == "mqtt":
        return Target("mqtt", host, port, {"host": host, "port": port})
    return _modbus(address, host, port)


def _modbus(address: str, host: str, port: int) -> Target:
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    unknown = set(query) - {"area", "first", "last"}
    try:
        unit = int(parts.path.strip("/") or 1)
        first = int(query.get("first", [str(_FIRST)])[0])
        last = int(query.get("last", [str(_LAST)])[0])
    except ValueError as error:
        raise ConfigError(f"{address!r}: {error}") from error
    if unknown or not 0 <= first <= last:
        raise ConfigError(f"{address!r}: write ?area=holding&first=0&last=99")
    settings: dict[str, object] = {"host": host, "port": port, "unit": unit}
    area = query.get("area", [_AREA])[0]
    if area not in _AREAS:
        raise ConfigError(f"{address!r}: the areas are {', '.join(_AREAS)}")
    return Target("modbus", host, port, settings, area, (first, last))


def open_settings(target: Target) -> tuple[Driver, BaseModel]:
    """Return the driver of a device, and its settings with all else as usual."""
    driver = drivers.load(target.protocol)
    try:
        return driver, driver.Settings.model_validate(target.settings)
    except ValidationError as error:
        raise ConfigError(
            [
                f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_url=False)
            ]
        ) from error


@asynccontextmanager
async def look(target: Target) -> AsyncIterator[AsyncIterator[Found]]:
    """Open the device; yield what it has, with its values now.

    `Unreachable` if it is away. Whoever has seen enough leaves the block, which closes
    the device in good order.
    """
    driver, settings = open_settings(target)
    if hasattr(driver, "open_browser"):
        async with (
            cast("_Opens", driver).open_browser(settings) as browser,
            aclosing(_generator(browser.browse())) as found,
        ):
            yield found
    elif hasattr(driver, "scan"):
        scan = cast("_Scans", driver).scan
        readings = scan(settings, target.area, *target.registers)
        async with aclosing(_generator(readings)) as found:
            yield found
    else:
        raise ConfigError(f"the driver {target.protocol} cannot look around")


async def _generator(found: AsyncIterator[Found]) -> AsyncGenerator[Found]:
    """Make any iterator one that can be closed, together with what it iterates."""
    try:
        async for each in found:
            yield each
    finally:
        if isinstance(found, AsyncGenerator):
            await found.aclose()
