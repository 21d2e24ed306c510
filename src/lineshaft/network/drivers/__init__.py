"""Find a driver by its name; ours and yours are found the same way."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import cast

from pydantic import BaseModel

from lineshaft.core.errors import ConfigError
from lineshaft.core.name import did_you_mean
from lineshaft.core.point import Point
from lineshaft.network.device import Device, Driver
from lineshaft.network.settings import DeviceConfig


def names() -> list[str]:
    """Return the name of every driver that is installed."""
    return sorted(entry_points(group="lineshaft.drivers").names)


def load(protocol: str) -> Driver:
    """Import the driver module that the `lineshaft.drivers` entry point names."""
    found = entry_points(group="lineshaft.drivers", name=protocol)
    if not found:
        known = names()
        raise ConfigError(
            f"no driver speaks {protocol!r}; there are: {', '.join(known)}"
            + did_you_mean(protocol, known)
        )
    return cast("Driver", next(iter(found)).load())


class _Nothing(BaseModel, frozen=True, extra="allow"):
    """Settings that nobody looks at."""


class NotLoaded:
    """Stands for a driver where only the names of points are wanted."""

    Settings: type[BaseModel] = _Nothing

    def check_address(self, address: str) -> None:
        """Take any address: whoever loads the driver checks it."""

    def connect(
        self, settings: BaseModel, points: Sequence[Point]
    ) -> AbstractAsyncContextManager[Device]:
        """Connect to nothing."""
        raise ConfigError("the settings were loaded without drivers")


def sessions_of(device: DeviceConfig) -> list[tuple[str, tuple[Point, ...]]]:
    """Return the name and the points of each connection that the device needs."""
    divide = getattr(device.driver, "sessions", None)
    if divide is None:
        return [("", device.points)]
    divided: Mapping[str, Sequence[int]] = divide(device.settings, device.points)
    return [
        (name, tuple(device.points[position] for position in positions))
        for name, positions in divided.items()
    ]
