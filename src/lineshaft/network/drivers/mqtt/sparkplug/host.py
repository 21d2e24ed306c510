"""What a Sparkplug B host application knows of the edge nodes it listens to.

Sparkplug 3.0.0, chapters 5 (operational behaviour) and 6. No sockets and no clock are
in here: messages and the time come in, readings and commands go out.

MQTT keeps the order of one publisher, so no message is held back to be reordered (the
specification's reorder time-out is zero): a number that is missing is asked for at
once, with a rebirth. Until the birth comes, all metrics of the node are UNCERTAIN: a
change may have been lost with the missing message, and with a missed birth an alias
may mean something else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lineshaft.core.errors import Refused
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad, iso, uncertain
from lineshaft.network.device import Batch
from lineshaft.network.drivers.mqtt.address import NAMESPACE, Metric
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.payload import Payload

REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
REBIRTH_EVERY_US = 5_000_000
_NUMBERS = 256
_TOPIC_PARTS = range(4, 6)
_KINDS = {"NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH"}
_END_US = 253_402_300_800_000_000
"""The end of the year 9999, after which no time can be written."""

Heard = Callable[[int, Value], None]
"""Called with each position and value that is told now, not one of the past."""


class Topic(NamedTuple):
    """The parts of a topic of an edge node (Sparkplug 3.0.0, 4.1)."""

    group: str
    kind: str
    """NBIRTH, NDATA, NDEATH, NCMD or the same with D."""
    edge: str
    device: str = ""


def parse_topic(topic: str) -> Topic | None:
    """Return the parts of a topic, or None if no edge node speaks there."""
    parts = topic.split("/")
    if len(parts) not in _TOPIC_PARTS or parts[0] != NAMESPACE or parts[1] == "STATE":
        return None
    return Topic(*parts[1:])


@dataclass(slots=True, eq=False)
class Definition:
    """A metric as its birth defined it."""

    name: str
    datatype: int
    alias: int | None
    device: "DeviceState"
    positions: tuple[int, ...]
    """Of the points that want it; mostly one or none."""
    field: str
    """Of the payload, in which the edge node tells its value."""


@dataclass(slots=True, eq=False)
class DeviceState:
    """A device behind an edge node, or (with no name) the edge node itself."""

    title: str
    wanted: Mapping[str, tuple[int, ...]]
    """The positions of the points that want a metric, by its name."""
    metrics: dict[str, Definition] = field(default_factory=dict)
    born: bool = False
    due_us: int | None = None
    """Until when its birth must have come; None: nothing is awaited."""

    def positions(self) -> Iterable[int]:
        """Return the positions of all points that want something of it."""
        return (position for some in self.wanted.values() for position in some)


@dataclass(slots=True, eq=False)
class Node:
    """An edge node."""

    group: str
    edge: str
    devices: dict[str, DeviceState]
    aliases: dict[int, Definition] = field(default_factory=dict)
    bd_seq: int | None = None
    seq: int | None = None
    """The number of its last message."""
    last: bytes = b""
    """Its last message, to know one that the broker delivered twice."""
    doubt: Status = GOOD
    asked_us: int | None = None

    @property
    def title(self) -> str:
        """Return its name for people."""
        return f"edge node {self.group}/{self.edge}"

    @property
    def itself(self) -> DeviceState:
        """Return the state of the edge node's own metrics."""
        return self.devices[""]


class Host:
    """Follows the edge nodes that have a point; everything lands in `batch`."""

    def __init__(
        self, wanted: Mapping[int, Metric], *, patience_s: float, rebirth: bool = True
    ) -> None:
        self.batch = Batch()
        """What was heard since it was last taken away."""
        self.commands: list[tuple[str, bytes]] = []
        """Topics and payloads that must be sent now, with QoS 0."""
        self.on_value: Heard = lambda position, value: None
        self.last: dict[int, Value | None] = {}
        """The last value of each position, as it was told."""
        self._patience_us = int(patience_s * 1e6)
        self._rebirth = rebirth
        self._nodes = _nodes(wanted)
        self._metrics = wanted

    def begin(self, now_us: int) -> None:
        """Expect the births of all nodes, and ask for them."""
        for node in self._nodes.values():
            for device in node.devices.values():
                device.due_us = now_us + self._patience_us
            self._ask_for_birth(node, now_us)

    def tick(self, now_us: int) -> None:
        """Turn to BAD what should have been born by now."""
        for node in self._nodes.values():
            if node.doubt is not GOOD:
                self._ask_for_birth(node, now_us)
            for device in node.devices.values():
                if device.due_us is not None and now_us >= device.due_us:
                    device.due_us = None
                    reason = f"no birth came from {device.title}; is it running?"
                    self._condemn(device, bad(reason), now_us)

    def hear(self, topic: str, data: bytes, now_us: int) -> None:
        """Take one message; nothing that it holds can raise."""
        parts = parse_topic(topic)
        node = self._nodes.get((parts.group, parts.edge)) if parts else None
        if parts is None or node is None or parts.kind not in _KINDS:
            return
        try:
            message = codec.decode(data)
        except Refused as error:
            reason = f"{node.title} sent {parts.kind} that cannot be read: {error}"
            self._doubt(node, reason, now_us)
            return
        self._take(node, parts, message, data, now_us)

    def _take(
        self, node: Node, topic: Topic, message: Payload, data: bytes, now_us: int
    ) -> None:
        kind, name = topic.kind, topic.device
        if kind == "NDEATH":
            self._node_died(node, message, now_us)
        elif kind == "NBIRTH":
            self._node_born(node, message, data, now_us)
        elif not self._in_order(node, message, data, now_us):
            return
        elif kind == "DBIRTH":
            self._device_born(node, name, message, now_us)
        elif kind == "DDEATH":
            self._device_died(node, name, message, now_us)
        else:
            self._data(node, name, message, now_us)

    def definition(self, position: int) -> tuple[Node, Definition]:
        """Return what a birth said of a point; `Refused` if it is not alive."""
        metric = self._metrics[position]
        node = self._nodes[metric.group, metric.edge]
        device = node.devices[metric.device]
        if not node.itself.born or not device.born:
            raise Refused(f"{device.title} is not alive, so it cannot be written to")
        found = device.metrics.get(metric.name)
        if found is None:
            raise Refused(_absent(metric.name, device))
        return node, found

    def awaits_birth(self, position: int) -> bool:
        """Whether the birth that defines a point can still be expected."""
        metric = self._metrics[position]
        node = self._nodes[metric.group, metric.edge]
        return node.devices[metric.device].due_us is not None

    def device_name(self, position: int) -> str:
        """Return the device of a point; empty if it is of the edge node itself."""
        return self._metrics[position].device

    def _node_born(
        self, node: Node, message: Payload, data: bytes, now_us: int
    ) -> None:
        node.aliases.clear()
        node.doubt = GOOD
        node.seq, node.last = message.seq % _NUMBERS, data
        node.bd_seq = _bd_seq(message)
        self._born(node, node.itself, message, now_us)
        for name, device in node.devices.items():
            if name:
                device.born = False
                device.due_us = now_us + self._patience_us

    def _device_born(
        self, node: Node, name: str, message: Payload, now_us: int
    ) -> None:
        device = node.devices.get(name)
        if not node.itself.born:
            self._ask_for_birth(node, now_us)
        elif device:
            for alias in [a for a, d in node.aliases.items() if d.device is device]:
                del node.aliases[alias]
            self._born(node, device, message, now_us)

    def _born(
        self, node: Node, device: DeviceState, message: Payload, now_us: int
    ) -> None:
        device.born, device.due_us = True, None
        device.metrics.clear()
        for metric in message.metrics:
            alias = metric.alias if metric.HasField("alias") else None
            positions = device.wanted.get(metric.name, ())
            found = Definition(
                name=metric.name,
                datatype=metric.datatype,
                alias=alias,
                device=device,
                positions=positions,
                field=metric.WhichOneof("value") or "",
            )
            device.metrics[metric.name] = found
            if alias is not None:
                node.aliases[alias] = found
        self._take_values(node, device, message, now_us)
        for name in device.wanted.keys() - device.metrics.keys():
            for position in device.wanted[name]:
                self._tell(position, None, now_us, bad(_absent(name, device)))

    def _data(self, node: Node, name: str, message: Payload, now_us: int) -> None:
        device = node.devices.get(name)
        if not node.itself.born or (device and not device.born):
            self._ask_for_birth(node, now_us)
        elif device:
            self._take_values(node, device, message, now_us)

    def _take_values(
        self, node: Node, device: DeviceState, message: Payload, now_us: int
    ) -> None:
        sent_ms = message.timestamp
        for metric in message.metrics:
            name = metric.name
            found = device.metrics.get(name) if name else node.aliases.get(metric.alias)
            if found is None or found.device is not device:
                what = f"the metric {name!r}" if name else f"the alias {metric.alias}"
                self._doubt(node, f"{device.title} used {what} of no birth", now_us)
                continue
            if not found.positions:
                continue
            self._take_value(node, found, metric, sent_ms, now_us)

    def _take_value(
        self,
        node: Node,
        found: Definition,
        metric: codec.Metric,
        sent_ms: int,
        now_us: int,
    ) -> None:
        value, status = codec.value_of(metric, found.datatype)
        time_us = (metric.timestamp or sent_ms) * 1000 or now_us
        if time_us >= _END_US:
            value, time_us = None, now_us
            status = bad(f"{found.device.title} gave the time {metric.timestamp} ms")
        if node.doubt is not GOOD and status.quality is Quality.GOOD:
            status = node.doubt
        for position in found.positions:
            self.batch.add(position, value, time_us, status)
            if not metric.is_historical:
                self.last[position] = value
                if value is not None:
                    self.on_value(position, value)

    def _device_died(
        self, node: Node, name: str, message: Payload, now_us: int
    ) -> None:
        device = node.devices.get(name)
        if device:
            device.born, device.due_us = False, None
            time_us = _time_of(message, now_us)
            reason = f"{device.title} died at {iso(time_us)} (DDEATH)"
            self._condemn(device, bad(reason), now_us)

    def _node_died(self, node: Node, message: Payload, now_us: int) -> None:
        number = _bd_seq(message)
        if node.itself.born and number != node.bd_seq and number is not None:
            return  # the will of a connection that was replaced long ago
        node.seq, node.last, node.doubt = None, b"", GOOD
        # A will carries the time of its connection, not of the death.
        reason = f"{node.title} died at {iso(now_us)} (NDEATH)"
        for device in node.devices.values():
            device.born, device.due_us = False, None
            self._condemn(device, bad(reason), now_us)

    def _in_order(self, node: Node, message: Payload, data: bytes, now_us: int) -> bool:
        """Whether to take the message; a gap is doubted, a repetition left out."""
        if node.seq is None:
            self._ask_for_birth(node, now_us)
            return False
        if message.seq == node.seq and data == node.last:
            return False
        expected = (node.seq + 1) % _NUMBERS
        if message.seq != expected or not message.HasField("seq"):
            number = message.seq if message.HasField("seq") else "none"
            reason = f"{node.title}: message {expected} was expected, {number} came"
            self._doubt(node, f"{reason}; something was lost", now_us)
        node.seq, node.last = message.seq % _NUMBERS, data
        return True

    def _doubt(self, node: Node, reason: str, now_us: int) -> None:
        """Trust nothing of the node until it is born again."""
        if node.doubt is GOOD and node.itself.born:
            node.doubt = uncertain(f"{reason}; a rebirth is awaited")
            for device in node.devices.values():
                for position in device.positions() if device.born else ():
                    if self.last.get(position) is not None:
                        value = self.last[position]
                        self.batch.add(position, value, now_us, node.doubt)
        self._ask_for_birth(node, now_us)

    def _ask_for_birth(self, node: Node, now_us: int) -> None:
        """Send a rebirth request, at most one in five seconds (6.4.20)."""
        asked_us = node.asked_us
        if asked_us is not None and now_us - asked_us < REBIRTH_EVERY_US:
            return
        node.asked_us = now_us
        if self._rebirth:
            self.commands.append(rebirth(node.group, node.edge, now_us))

    def _condemn(self, device: DeviceState, status: Status, now_us: int) -> None:
        for position in device.positions():
            self._tell(position, None, now_us, status)

    def _tell(
        self, position: int, value: Value | None, time_us: int, status: Status
    ) -> None:
        self.batch.add(position, value, time_us, status)
        self.last[position] = value


def rebirth(group: str, edge: str, now_us: int) -> tuple[str, bytes]:
    """Return the topic and payload that ask a node to tell its births again."""
    message = Payload(timestamp=now_us // 1000)
    metric = message.metrics.add(name=REBIRTH, timestamp=now_us // 1000)
    codec.encode(metric, codec.DataType.BOOLEAN, value=True)
    return f"{NAMESPACE}/{group}/NCMD/{edge}", message.SerializeToString()


def _nodes(wanted: Mapping[int, Metric]) -> dict[tuple[str, str], Node]:
    names: dict[tuple[str, str, str], dict[str, tuple[int, ...]]] = {}
    for position, metric in wanted.items():
        by_name = names.setdefault((metric.group, metric.edge, metric.device), {})
        by_name[metric.name] = (*by_name.get(metric.name, ()), position)
    nodes: dict[tuple[str, str], Node] = {}
    for (group, edge, name), by_name in names.items():
        node = nodes.setdefault((group, edge), Node(group, edge, {}))
        title = f"device {group}/{edge}/{name}" if name else node.title
        node.devices[name] = DeviceState(title, by_name)
    for node in nodes.values():
        node.devices.setdefault("", DeviceState(node.title, {}))
    return nodes


def _bd_seq(message: Payload) -> int | None:
    for metric in message.metrics:
        if metric.name == BD_SEQ:
            # Some write it as Int64, others as UInt64 or Int32: all look the same.
            return metric.long_value or metric.int_value
    return None


def _time_of(message: Payload, now_us: int) -> int:
    time_us = message.timestamp * 1000
    return time_us if 0 < time_us < _END_US else now_us


def _absent(name: str, device: DeviceState) -> str:
    return f"{name!r} is not in the birth of {device.title}; browse to see what is"
