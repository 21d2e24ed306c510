"""What the address of a point means: a plain topic, or a Sparkplug metric.

plant/pump/1                            a topic whose payload is the value
plant/pump/1#temperature.value          a value inside a JSON payload
plant/pump/1 > plant/pump/1/set         the same, and where a new value is sent
spBv1.0/osaka/skid/pump1:Flow           a metric of a Sparkplug device
spBv1.0/osaka/skid:Cabinet/Temperature  a metric of the edge node itself
"""

from typing import NamedTuple

from lineshaft.core.errors import ConfigError
from lineshaft.network.drivers.mqtt.path import Path, parse_path

NAMESPACE = "spBv1.0"
_LONGEST_TOPIC = 65_535
_IDS = range(2, 4)
_EXAMPLES = (
    "write it like plant/pump/1, plant/pump/1#temperature.value, "
    "plant/pump/1 > plant/pump/1/set or spBv1.0/GROUP/EDGE/DEVICE:Metric"
)


class Place(NamedTuple):
    """A topic, and where in its payload."""

    topic: str
    path: Path | None = None
    """None: the whole payload is the value."""


class Plain(NamedTuple):
    """A value that a plain topic carries."""

    read: Place
    write: Place | None = None


class Metric(NamedTuple):
    """A metric of a Sparkplug edge node, or of a device behind it."""

    group: str
    edge: str
    device: str
    """Empty for the edge node itself."""
    name: str


Address = Plain | Metric


def parse_address(address: str) -> Address:
    """Return what `address` means; `ConfigError` says what is wrong with it."""
    if address.startswith(NAMESPACE + "/"):
        return _parse_metric(address)
    read, arrow, write = address.partition(" > ")
    if arrow:
        return Plain(_parse_place(address, read), _parse_place(address, write))
    return Plain(_parse_place(address, read))


def _parse_metric(address: str) -> Metric:
    topic, _, name = address.partition(":")
    ids = topic.split("/")[1:]
    if not name or len(ids) not in _IDS or not all(ids):
        raise ConfigError(
            f"{address!r} is not a Sparkplug metric; write it like "
            "spBv1.0/GROUP/EDGE/DEVICE:Metric, without /DEVICE for the edge node itself"
        )
    if any(sign in topic for sign in "+#"):
        raise ConfigError(f"{address!r}: + and # cannot be part of an identifier")
    return Metric(ids[0], ids[1], "".join(ids[2:]), name)


def _parse_place(address: str, text: str) -> Place:
    topic, hash_sign, path = text.strip().partition("#")
    if not topic:
        raise ConfigError(f"{address!r} names no topic; {_EXAMPLES}")
    if "+" in topic or (hash_sign and (not path or topic.endswith("/"))):
        raise ConfigError(
            f"{address!r}: a point is one topic, so there are no wildcards; {_EXAMPLES}"
        )
    if "\0" in topic or len(topic.encode()) > _LONGEST_TOPIC:
        raise ConfigError(f"{address[:60]!r}: no MQTT topic can be like this")
    if topic.startswith("$"):
        raise ConfigError(f"{address!r}: topics with $ are the broker's own")
    return Place(topic, parse_path(path) if hash_sign else None)
