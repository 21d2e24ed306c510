"""Addresses of devices as people type them, and what is behind one."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ValidationError

from lineshaft.core.errors import ConfigError
from lineshaft.core.name import did_you_mean
from lineshaft.network import drivers
from lineshaft.network.device import Browses, Driver, Found

_DEFAULT_PORT = {
    "modbus": 502,
    "modbus-rtu-tcp": 502,
    "mqtt": 1883,
    "mqtts": 8883,
    "opc.tcp": 4840,
}
_SERIAL = "modbus-rtu"
_RANGE = {"area", "first", "last"}
_LINE = {"unit", "baud", "parity", "stop_bits", "echo"}
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

    @property
    def where(self) -> str:
        """What people call the place: a host and a port, or a serial port."""
        return f"{self.host}:{self.port}" if self.port else self.host


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
        if parts.scheme == _SERIAL:
            return _serial(address)
        port = parts.port or _DEFAULT_PORT.get(parts.scheme, 0)
    except ValueError as error:
        raise ConfigError(f"{address!r}: {error}") from error
    host = parts.hostname
    if not host or parts.scheme not in _DEFAULT_PORT:
        raise ConfigError(
            f"{address!r} is not an address; write opc.tcp://host:4840, "
            "modbus://host:502/1?area=holding&first=0&last=99, "
            "modbus-rtu:///dev/ttyUSB0?unit=1&baud=19200&parity=even, "
            "modbus-rtu-tcp://host:4001/1, mqtt://host:1883 or "
            "mqtts://host:8883?ca_file=ca.pem"
        )
    if parts.scheme == "opc.tcp":
        return Target("opcua", host, port, {"url": address})
    if parts.scheme in ("mqtt", "mqtts"):
        return _mqtt(address, host, port)
    return _modbus(address, host, port)


def _mqtt(address: str, host: str, port: int) -> Target:
    parts = urlsplit(address)
    settings: dict[str, object] = {"host": host, "port": port}
    query = parse_qs(parts.query)
    if parts.scheme == "mqtts":
        settings["tls"] = True
    known = {"ca_file"} if parts.scheme == "mqtts" else set()
    if unknown := sorted(set(query) - known):
        hint = did_you_mean(unknown[0], sorted(known))
        raise ConfigError(f"{address!r}: {unknown[0]!r} means nothing here{hint}")
    return Target("mqtt", host, port, settings | {k: v[0] for k, v in query.items()})


def _modbus(address: str, host: str, port: int) -> Target:
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    area, first, last = _where(address, query, _RANGE)
    unit = _number(address, parts.path.strip("/") or "1")
    settings: dict[str, object] = {"host": host, "port": port, "unit": unit}
    if parts.scheme != "modbus":
        settings["framing"] = "rtu"
    return Target("modbus", host, port, settings, area, (first, last))


def _serial(address: str) -> Target:
    """Return a unit of a serial line: modbus-rtu:///dev/ttyUSB0?unit=1&baud=19200."""
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    if parts.netloc or len(parts.path) < len("/x"):
        raise ConfigError(f"{address!r}: write modbus-rtu:///dev/ttyUSB0?unit=1")
    area, first, last = _where(address, query, _RANGE | _LINE)
    # The driver says which of these can be; an address gives them as text.
    line: dict[str, object] = {
        key: _number(address, text) if text.isdecimal() else text
        for key in sorted(set(query) & _LINE)
        for text in query[key][:1]
    }
    settings = {"serial": parts.path, "unit": 1} | line
    return Target("modbus", parts.path, 0, settings, area, (first, last))


def _where(
    address: str, query: dict[str, list[str]], known: set[str]
) -> tuple[str, int, int]:
    """Return the area, and the first and the last of the range to look at."""
    first = _number(address, query.get("first", [str(_FIRST)])[0])
    last = _number(address, query.get("last", [str(_LAST)])[0])
    unknown = sorted(set(query) - known)
    if unknown or not 0 <= first <= last:
        hint = did_you_mean(unknown[0], sorted(known)) if unknown else ""
        raise ConfigError(f"{address!r}: write ?area=holding&first=0&last=99{hint}")
    area = query.get("area", [_AREA])[0]
    if area not in _AREAS:
        raise ConfigError(f"{address!r}: the areas are {', '.join(_AREAS)}")
    return area, first, last


def _number(address: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ConfigError(f"{address!r}: {error}") from error


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
