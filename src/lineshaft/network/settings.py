"""What every connection to a device has, whatever its protocol."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from lineshaft.core.point import Point
from lineshaft.network.device import Driver


class DeviceSettings(BaseModel, frozen=True, extra="allow"):
    """A table `[devices.NAME]`; all other keys belong to its driver."""

    driver: str = Field(
        description="The protocol it speaks: the name of an installed driver."
    )
    points: Path = Field(
        description="Its point list: a CSV file, named relative to lineshaft.toml."
    )
    timeout_s: float = Field(
        default=5.0, gt=0, le=300, description="How long an answer may take."
    )
    heartbeat_s: float = Field(
        default=60.0,
        gt=0,
        description="An unchanged value is repeated after this many seconds, so that "
        "no news can be told from no connection.",
    )


class OutboxSettings(BaseModel, frozen=True, extra="forbid"):
    """The table `[outbox]`: what is kept while the bus cannot be reached."""

    most_mib: float = Field(
        default=1024.0,
        gt=0,
        description="Most disk space in MiB. When it is full the oldest readings are "
        "dropped, counted, and an event says so.",
    )


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One device as configured and checked."""

    name: str
    protocol: str
    driver: Driver
    settings: BaseModel
    """What the driver asked for: an instance of its `Settings`."""
    points: tuple[Point, ...]
    timeout_s: float
    heartbeat_s: float

    def is_like(self, other: "DeviceConfig") -> bool:
        """Whether it is configured as `other` is.

        What a driver remembers beside its settings while it works does not count.
        """
        return self.told() == other.told()

    def told(self) -> tuple[object, ...]:
        """Return what it is configured as, to be compared."""
        common = self.name, self.protocol, self.timeout_s, self.heartbeat_s
        return *common, self.settings.model_dump(), self.points
