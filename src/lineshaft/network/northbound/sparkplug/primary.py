"""Whether the primary host is online (Sparkplug 3.0.0, 5.4 and 6.4.29)."""

import msgspec

from lineshaft.core.errors import Refused
from lineshaft.core.message import read_json
from lineshaft.network.drivers.mqtt.address import NAMESPACE


class _State(msgspec.Struct, frozen=True):
    online: bool
    timestamp: int


class PrimaryHost:
    """What is known of it in one MQTT session; without a name it is always online.

    A word that is older than one heard before is left out
    (tck-id-message-flow-edge-node-birth-publish-phid-wait-timestamp,
    tck-id-operational-behavior-edge-node-termination-host-offline-timestamp). Times are
    compared within a session only: what is retained comes first in each, and a host
    whose clock was set back must not be ignored for good.
    """

    def __init__(self, name: str) -> None:
        self.topic = f"{NAMESPACE}/STATE/{name}" if name else ""
        self.online = not name
        """(tck-id-message-flow-edge-node-birth-publish-phid-wait-online)"""
        self._last: int | None = None

    def hear(self, topic: str, data: bytes) -> None:
        """Take a message (tck-id-message-flow-edge-node-birth-publish-phid-wait-id)."""
        if not self.topic or topic != self.topic:
            return
        try:
            state = read_json(data, _State, "the state of a host")
        except Refused:
            return  # like the OFFLINE of Sparkplug 2.2: it says nothing that we know
        if self._last is None or state.timestamp >= self._last:
            self._last, self.online = state.timestamp, state.online
