"""What every Sparkplug B edge node must say: its topics, its numbers, its envelopes.

Sparkplug 3.0.0, chapters 5 and 6; clauses are named as its test kit (TCK) names them.
"""

from collections.abc import Callable

from lineshaft.network.drivers.mqtt.address import NAMESPACE
from lineshaft.network.drivers.mqtt.connection import Message
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.host import BD_SEQ, REBIRTH
from lineshaft.network.drivers.mqtt.sparkplug.payload import Metric, Payload

NUMBERS = 256
"""seq and bdSeq count from 0 to 255 and begin again."""


class Envelopes:
    """Numbers the messages of one edge node, from CONNECT to CONNECT."""

    def __init__(self, group: str, edge: str, now_ms: Callable[[], int]) -> None:
        self._group = group
        self._edge = edge
        self._now_ms = now_ms
        self._bd_seq = 0
        self._seq = 0

    @property
    def bd_seq(self) -> int:
        """Return the number of the session."""
        return self._bd_seq

    def topic(self, kind: str, device: str = "") -> str:
        """Return where messages of a kind go (tck-id-topic-structure)."""
        parts = (NAMESPACE, self._group, kind, self._edge, device)
        return "/".join(filter(None, parts))

    def will(self, bd_seq: int) -> Message:
        """Return the death of the session that begins now, to be its will.

        QoS 1, not retained, with the bdSeq that its births will have, and no seq
        (tck-id-message-flow-edge-node-birth-publish-will-message, -payload-bdSeq,
        -qos, -will-retained; tck-id-payloads-ndeath-seq).
        """
        self._bd_seq = bd_seq % NUMBERS
        return self.death()

    def death(self) -> Message:
        """Return the same death, to be said before a goodbye.

        A broker keeps the will to itself when it hears a goodbye
        (tck-id-operational-behavior-edge-node-intentional-disconnect-ndeath).
        """
        message = Payload(timestamp=self._now_ms())
        self._add_bd_seq(message)
        return Message(self.topic("NDEATH"), message.SerializeToString(), qos=1)

    def birth(self) -> Payload:
        """Return the birth of the node, to which its own metrics may be added.

        seq is 0, bdSeq is that of the will, and a rebirth may be asked for
        (tck-id-payloads-nbirth-seq, -bdseq, -rebirth-req;
        tck-id-operational-behavior-data-commands-rebirth-value).
        """
        self._seq = -1
        message = self.message()
        self._add_bd_seq(message)
        control = message.metrics.add(name=REBIRTH, timestamp=self._now_ms())
        codec.encode(control, codec.DataType.BOOLEAN, value=False)
        return message

    def message(self) -> Payload:
        """Return an empty message with the next number of the node, 0 after 255.

        Births, data and deaths of devices share the count
        (tck-id-payloads-sequence-num-incrementing).
        """
        self._seq = (self._seq + 1) % NUMBERS
        return Payload(timestamp=self._now_ms(), seq=self._seq)

    def seal(self, kind: str, message: Payload, device: str = "") -> Message:
        """Return it as it is published: QoS 0, not retained."""
        return Message(self.topic(kind, device), message.SerializeToString())

    def _add_bd_seq(self, message: Payload) -> None:
        metric = message.metrics.add(name=BD_SEQ, timestamp=self._now_ms())
        codec.encode(metric, codec.DataType.INT64, self._bd_seq)


def asks_for_rebirth(metric: Metric) -> bool:
    """Whether a metric of an NCMD asks for all births again.

    (tck-id-operational-behavior-data-commands-ncmd-rebirth-name, -value)
    """
    return metric.name == REBIRTH and metric.boolean_value
