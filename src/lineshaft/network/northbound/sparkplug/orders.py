"""What hosts want of our edge node, and whether it may be done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lineshaft.core.errors import Refused
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.edge import asks_for_rebirth
from lineshaft.network.drivers.mqtt.sparkplug.host import parse_topic
from lineshaft.network.drivers.mqtt.sparkplug.payload import Metric
from lineshaft.network.northbound.sparkplug.node import TYPES, Shape


@dataclass(slots=True)
class Orders:
    """What a message asks for."""

    rebirth: bool = False
    writes: list[tuple[Shape, Value]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """A sentence for each wish that is not granted."""


class Reader:
    """Reads commands to our edge node; `writes` says whether any are granted."""

    def __init__(self, shapes: Sequence[Shape], *, writes: bool) -> None:
        self._writes = writes
        self._by_alias = {shape.alias: shape for shape in shapes}
        self._by_name: Mapping[tuple[str, str], Shape] = {
            (shape.device, shape.name): shape for shape in shapes
        }

    def read(self, topic: str, data: bytes) -> Orders:
        """Return what a message asks for; nothing that it holds can raise."""
        orders, parts = Orders(), parse_topic(topic)
        if parts is None or parts.kind not in ("NCMD", "DCMD"):
            return orders
        try:
            metrics = codec.decode(data).metrics
        except Refused as refusal:
            orders.refused.append(f"a command: {refusal}")
            return orders
        for metric in metrics:
            if parts.kind == "NCMD":
                self._node_command(metric, orders)
            else:
                self._write(parts.device, metric, orders)
        return orders

    def _node_command(self, metric: Metric, orders: Orders) -> None:
        if asks_for_rebirth(metric):
            orders.rebirth = True
        else:
            orders.refused.append(f"{metric.name!r} is no command of the edge node")

    def _write(self, device: str, metric: Metric, orders: Orders) -> None:
        """Grant or refuse a write (tck-id-payloads-dcmd-..., 5.16)."""
        shape = self._by_name.get((device, metric.name))
        if shape is None and not metric.name:
            shape = self._by_alias.get(metric.alias)
        if shape is None or shape.device != device:
            what = repr(metric.name) if metric.name else f"alias {metric.alias}"
            orders.refused.append(f"{what} is no metric of {device}")
            return
        name = shape.point.name
        if not self._writes:
            orders.refused.append(f"{name}: northbound.sparkplug.writes is false")
        elif not shape.point.writable:
            orders.refused.append(f"{name}: its point list does not say writable")
        else:
            value = value_for(metric, shape.point)
            if value is None:
                orders.refused.append(f"{name}: the value is not of its type")
            else:
                orders.writes.append((shape, value))


def value_for(metric: Metric, point: Point) -> Value | None:
    """Return what a command says for a point; None when it is not of its type."""
    datatype = metric.datatype or TYPES[point.type]
    value, _ = codec.value_of(metric, datatype)
    if point.type is Kind.FLOAT and codec.kind_of(datatype) is Kind.INT:
        return None if value is None else float(value)
    return value if codec.kind_of(datatype) is point.type else None
