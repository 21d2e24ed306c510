"""What our edge node says, message by message: no sockets, no bus, no disk.

Sparkplug 3.0.0; clauses are named as its test kit (TCK) names them. A device of ours is
a Sparkplug device, a point is a metric of it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from lineshaft.core.errors import Refused
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Quality, Value
from lineshaft.network.drivers.mqtt.connection import Message
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.edge import Envelopes
from lineshaft.network.drivers.mqtt.sparkplug.payload import DataType, Metric, Payload
from lineshaft.network.northbound.mirror import NOT_YET, Said, Served

TYPES = {
    Kind.FLOAT: DataType.DOUBLE,
    Kind.INT: DataType.INT64,
    Kind.BOOL: DataType.BOOLEAN,
    Kind.STRING: DataType.STRING,
}
NAME, REASON = "plantName", "reason"
"""Properties of ours: the whole name of the point, and why a value is not good."""
AT_ONCE = 2000
"""Metrics in a message of data; about 60 kB."""


class Shape(NamedTuple):
    """What distinguishes a metric."""

    point: Point
    device: str
    name: str
    alias: int


class EdgeNode:
    """Knows what was told, and makes messages of what is new."""

    def __init__(
        self,
        served: Sequence[Served],
        group: str,
        edge: str,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._now_us = now_us
        self.envelopes = Envelopes(group, edge, self._now_ms)
        self.shapes = shapes_of(served)
        self.devices: dict[str, list[int]] = {}
        """The positions of each device's points."""
        for at, shape in enumerate(self.shapes):
            self.devices.setdefault(shape.device, []).append(at)
        self.born: set[str] = set()
        """Devices whose last word was not a death."""
        self._now = [Said(at, None, NOT_YET, 0) for at in range(len(served))]

    def take(self, said: Iterable[Said]) -> None:
        """Remember what is newer than what is known; nothing is told."""
        for each in said:
            if each.time_us >= self._now[each.position].time_us:
                self._now[each.position] = each

    def births(self, alive: Iterable[str]) -> list[Message]:
        """Return the birth of the node, then one for each device that is alive.

        It begins a session, and answers the wish for a rebirth
        (tck-id-message-flow-device-birth-publish-nbirth-wait,
        tck-id-operational-behavior-data-commands-rebirth-action-2).
        """
        self.born.clear()
        node = self.envelopes.seal("NBIRTH", self.envelopes.birth())
        return [node, *(self.device_birth(device) for device in alive)]

    def device_birth(self, device: str) -> Message:
        """Return all metrics of a device with what they say now.

        (tck-id-payloads-dbirth-seq-inc, tck-id-payloads-name-birth-data-requirement,
        tck-id-operational-behavior-data-publish-dbirth, -dbirth-values)
        """
        self.born.add(device)
        message = self.envelopes.message()
        for at in self.devices[device]:
            shape = self.shapes[at]
            metric = self._add(message, self._now[at], with_quality=True)
            metric.name = shape.name
            codec.set_property(metric, NAME, shape.point.name)
            if shape.point.unit:
                codec.set_property(metric, codec.ENGINEERING_UNIT, shape.point.unit)
        return self.envelopes.seal("DBIRTH", message, device)

    def device_death(self, device: str) -> Message:
        """Return the word that a device is gone.

        (tck-id-operational-behavior-device-ddeath, tck-id-payloads-ddeath-seq)
        """
        self.born.discard(device)
        return self.envelopes.seal("DDEATH", self.envelopes.message(), device)

    def news(self, said: Sequence[Said]) -> list[Message]:
        """Return what changed, oldest first, for devices that are born.

        What is older than what was told already is told as historical
        (tck-id-operational-behavior-data-publish-dbirth-change, -dbirth-order).
        """
        by_device: dict[str, list[Said]] = {}
        for each in sorted(said, key=lambda each: each.time_us):
            by_device.setdefault(self.shapes[each.position].device, []).append(each)
        messages = []
        for device, told in by_device.items():
            if device in self.born:
                messages += self._data(device, list(self._changes(told)))
            else:
                self.take(told)
        return messages

    def past(self, device: str, said: Sequence[Said]) -> list[Message]:
        """Return what could not be told in time (6.4.7, is_historical)."""
        return self._data(device, [(each, True, True) for each in said])

    def _changes(self, said: list[Said]) -> Iterator[tuple[Said, bool, bool]]:
        """Yield what to tell, whether it is historical, and whether its quality too."""
        for each in said:
            known = self._now[each.position]
            if each.time_us < known.time_us:
                yield each, True, True
                continue
            self._now[each.position] = each
            if (each.value, each.status) != (known.value, known.status):
                doubted = {each.status.quality, known.status.quality} - {Quality.GOOD}
                yield each, False, bool(doubted)

    def _data(
        self, device: str, told: Sequence[tuple[Said, bool, bool]]
    ) -> list[Message]:
        messages = []
        for start in range(0, len(told), AT_ONCE):
            message = self.envelopes.message()
            for said, is_historical, with_quality in told[start : start + AT_ONCE]:
                metric = self._add(message, said, with_quality=with_quality)
                if is_historical:
                    metric.is_historical = True
            messages.append(self.envelopes.seal("DDATA", message, device))
        return messages

    def _add(self, message: Payload, said: Said, *, with_quality: bool) -> Metric:
        shape = self.shapes[said.position]
        time_ms = said.time_us // 1000 if said.time_us else self._now_ms()
        metric: Metric = message.metrics.add(alias=shape.alias, timestamp=time_ms)
        fits = _encode(metric, TYPES[shape.point.type], said.value)
        if with_quality or not fits:
            unsayable = said.value is not None and not fits
            quality = Quality.BAD if unsayable else said.status.quality
            codec.set_quality(metric, quality)
            if said.status.reason:
                codec.set_property(metric, REASON, said.status.reason)
        return metric

    def _now_ms(self) -> int:
        return self._now_us() // 1000


def shapes_of(served: Sequence[Served]) -> list[Shape]:
    """Return the metric of each point.

    Names are relative to the deepest place that all points of a device share. Aliases
    are unique in the whole node (tck-id-payloads-alias-uniqueness).
    """
    places: dict[str, list[str]] = {}
    for each in served:
        above = each.point.name.split("/")[:-1]
        shared = places.setdefault(each.device, above)
        places[each.device] = _common(shared, above)
    return [
        Shape(
            each.point,
            each.device,
            "/".join(each.point.name.split("/")[len(places[each.device]) :]),
            number,
        )
        for number, each in enumerate(served, start=1)
    ]


def _common(some: list[str], others: list[str]) -> list[str]:
    count = 0
    for one, other in zip(some, others, strict=False):
        if one != other:
            break
        count += 1
    return some[:count]


def _encode(metric: Metric, datatype: DataType, value: Value | None) -> bool:
    """Put a value in; one that the type cannot say is null, and False comes back.

    The type stands in data too, where it should not
    (tck-id-payloads-metric-datatype-not-req): widespread hosts read no value without.
    """
    if value is not None:
        try:
            codec.encode(metric, datatype, value)
        except Refused:
            pass
        else:
            return True
    codec.encode_null(metric, datatype)
    return False
