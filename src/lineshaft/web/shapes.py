"""What the API takes and gives; times are RFC 3339 text in UTC."""

from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from lineshaft.core.command import Verdict
from lineshaft.core.event import Severity
from lineshaft.core.health import State
from lineshaft.core.point import Kind
from lineshaft.core.reading import Quality, Reading, Value, iso


class Problem(msgspec.Struct, frozen=True):
    """What went wrong and what to do next (RFC 9457)."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    code: str = ""
    """Stable; `lineshaft explain` knows it."""


class ServiceHealth(msgspec.Struct, frozen=True):
    """How a service or a connection is, and why."""

    service: str
    state: State
    reason: str
    since: str | None
    time: str | None
    figures: dict[str, float | int | str]
    code: str = ""
    """The code of the reason, which `lineshaft explain` knows; empty when well."""


class HealthNode(msgspec.Struct, frozen=True):
    """A part of the plant: as well as what it stands on."""

    name: str
    kind: str
    """`plant`, `room`, `service`, `device` or `connection`."""
    state: State
    because: str
    """The leaf that it is so because of, and its reason; empty when all is well."""
    code: str
    since: str | None
    """Since when that leaf is so."""
    figures: dict[str, float | int | str]
    children: list["HealthNode"]


class PlantHealth(msgspec.Struct, frozen=True):
    """How the whole plant is: as its worst part, with all reasons."""

    status: State
    reasons: list[str]
    plant: str
    demo: bool
    version: str
    time: str
    services: list[ServiceHealth]
    tree: HealthNode


class PointView(msgspec.Struct, frozen=True):
    """A configured point."""

    name: str
    type: Kind
    unit: str
    description: str
    device: str
    protocol: str
    address: str
    period_s: float
    deadband: float
    writable: bool


class PlaceView(msgspec.Struct, frozen=True):
    """A place below another one, with the number of points in and below it."""

    name: str
    path: str
    points: int


class Level(msgspec.Struct, frozen=True):
    """One level of the namespace."""

    place: str
    places: list[PlaceView]
    points: list[PointView]


class PointPage(msgspec.Struct, frozen=True):
    """Some of the points that were found."""

    total: int
    points: list[PointView]


class ReadingView(msgspec.Struct, frozen=True):
    """The newest reading of a point; `time` is null if it was never read."""

    name: str
    value: Value | None
    quality: Quality
    reason: str
    time: str | None
    unit: str


class RawSeries(msgspec.Struct, frozen=True):
    """The readings of a point as columns of equal length, oldest first."""

    name: str
    unit: str
    time: list[str]
    value: list[Value | None]
    quality: list[Quality]
    reason: list[str]


class BucketSeries(msgspec.Struct, frozen=True):
    """The aggregates of a point as columns; null where there is nothing to tell."""

    name: str
    unit: str
    time: list[str]
    min: list[float | None]
    max: list[float | None]
    mean: list[float | None]
    time_mean: list[float | None]
    first: list[float | None]
    last: list[float | None]
    count: list[int]
    good: list[float | None]


class RawHistory(msgspec.Struct, frozen=True):
    """Every reading of a span."""

    every_s: None
    series: list[RawSeries]
    more: list[str]
    """Points whose readings were cut short; ask again from their last time on."""


class BucketHistory(msgspec.Struct, frozen=True):
    """Aggregates over buckets of a span."""

    every_s: float
    """Length of a bucket in seconds."""
    series: list[BucketSeries]
    more: list[str]
    """Always empty: buckets are never cut short."""


class Write(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A value to be written to a point."""

    name: str
    value: Value
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=60.0)] = 5.0
    """How long the device may take, in seconds."""
    by: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """By what means, such as `page`, for the record; who it is, we know."""
    approval: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """The number of what a second person agreed to, if one is needed."""


class Written(msgspec.Struct, frozen=True):
    """What became of a write."""

    id: str
    verdict: Verdict
    reason: str
    answer: str = ""
    """What the device answered beyond that: the results of a method, as JSON."""


class NotWritten(msgspec.Struct, frozen=True):
    """What became of a write that was refused, or whose outcome is unknown."""

    id: str
    verdict: Verdict
    reason: str
    title: str
    status: int
    detail: str
    type: str = "about:blank"
    code: str = ""


class EventView(msgspec.Struct, frozen=True):
    """Something that happened."""

    kind: str
    source: str
    text: str
    severity: Severity
    time: str
    detail: dict[str, str | int | float | bool | None]
    code: str = ""


def view(reading: Reading) -> ReadingView:
    """Return a reading as the API shows it."""
    return ReadingView(
        reading.name,
        reading.value,
        reading.status.quality,
        reading.status.reason,
        iso(reading.time_us),
        reading.unit,
    )


def times(column: NDArray[np.int64]) -> list[str]:
    """Return microseconds since 1970 as RFC 3339 text."""
    moments = column.astype("datetime64[us]")
    text: list[str] = np.datetime_as_string(moments, unit="us", timezone="UTC").tolist()
    return text
