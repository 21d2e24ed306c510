"""What every driver must be able to do: the whole contract, on one page.

A driver is a module with

- `Settings`, a frozen pydantic model of what the driver needs to know;
- `check_address(address)`, which raises `ConfigError` for an address that it can
  never understand;
- `connect(settings, points)`, an async context manager that yields a device.

It may also have `sessions(settings, points)`, which divides the points among
connections that live and die on their own (the units behind a Modbus gateway), and
`open_browser(settings)`, an async context manager that yields a `Browses`.

A device object that exists is connected. It raises `Unreachable` when the other side
falls silent, and whoever opened it closes it and tries again; a driver does not
retry, log, sleep or publish. One bad point never harms the others: it reads as BAD.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from pydantic import BaseModel

from lineshaft.core.event import Severity
from lineshaft.core.point import Point
from lineshaft.core.reading import GOOD, Status, Value


@dataclass(slots=True)
class Batch:
    """Readings as parallel columns, raw as the device gave them (not yet scaled)."""

    points: list[int] = field(default_factory=list)
    """Positions in the sequence of points that `connect` was given."""
    values: list[Value | None] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    """Source time, microseconds since 1970 UTC."""
    statuses: list[Status] = field(default_factory=list)

    def add(
        self, point: int, value: Value | None, time_us: int, status: Status = GOOD
    ) -> None:
        """Append one reading."""
        self.points.append(point)
        self.values.append(value)
        self.times.append(time_us)
        self.statuses.append(status)

    def __len__(self) -> int:
        return len(self.points)


class Device(Protocol):
    """A connected device; it also has one or more of the abilities below."""


@runtime_checkable
class Reads(Protocol):
    """It answers when it is asked."""

    async def read(self, points: Sequence[int]) -> Batch:
        """Ask once for each of `points` (positions); a bad point reads as BAD."""


@runtime_checkable
class Listens(Protocol):
    """It speaks by itself."""

    @property
    def vouches(self) -> bool | None:
        """Whether no news means no change, as in a subscription that is kept alive.

        If not, a point that says nothing for its period plus the time-out is silent.
        None for a device that tells of the past, where silence means nothing.
        """

    def listen(self) -> AsyncIterator[Batch]:
        """Yield what changes, for ever; `Unreachable` when the device is gone."""


@runtime_checkable
class Writes(Protocol):
    """It can be told to change."""

    async def write(self, point: int, value: Value) -> str | None:
        """Write a raw (unscaled) value, once; return when the device confirmed it.

        What it answered beyond that, such as the results of a method, is returned as
        text.

        `Refused` carries the device's reason. `Unreachable` means that no answer
        came, so the outcome is unknown.
        """


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that a device says has happened."""

    id: str
    """The same for the same thing told again, so that it is kept once."""
    source: str
    """What it happened to, in the device's own words."""
    text: str
    """What happened, in the device's own words."""
    time_us: int
    """When, microseconds since 1970 UTC."""
    severity: Severity = Severity.INFO
    is_alarm: bool = False
    """Whether it is the state of something that stays until it is dealt with."""
    detail: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@runtime_checkable
class Announces(Protocol):
    """It tells what happens, beside the values of its points."""

    def announce(self) -> AsyncIterator[Occurrence]:
        """Yield what happens, for ever; alarms that stand come first."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that a device offers, seen while browsing."""

    address: str
    """What to write into a point list."""
    path: tuple[str, ...]
    """Where it is in the device's own tree, for people."""
    type: str
    """A `Kind`, or empty if it is a folder or of a type that cannot be read."""
    value: Value | None = None
    status: Status = GOOD
    unit: str = ""
    description: str = ""
    writable: bool = False


@runtime_checkable
class Browses(Protocol):
    """It can tell what it has."""

    def browse(self) -> AsyncIterator[Found]:
        """Yield everything that could become a point, with its value now."""


class Driver(Protocol):
    """The module of a driver."""

    Settings: type[BaseModel]

    def check_address(self, address: str) -> None:
        """Raise `ConfigError` for an address that this driver cannot understand."""

    def connect(
        self, settings: BaseModel, points: Sequence[Point]
    ) -> AbstractAsyncContextManager[Device]:
        """Open the device; `Unreachable` when it does not answer."""


class Divides(Protocol):
    """The module of a driver whose points live behind several connections."""

    def sessions(
        self, settings: BaseModel, points: Sequence[Point]
    ) -> Mapping[str, Sequence[int]]:
        """Return the positions of the points of each connection, by its name."""
