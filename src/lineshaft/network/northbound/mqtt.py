"""Every point as a retained JSON message at an MQTT broker."""

import asyncio
import hashlib
import json
import math
import socket
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.process.tasks import bare
from lineshaft.core.reading import GOOD, iso
from lineshaft.network.drivers.mqtt.connection import (
    Broker,
    Connection,
    Message,
    open_connection,
    tls_context,
)
from lineshaft.network.northbound import settings
from lineshaft.network.northbound.mirror import Said, Served

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
AT_ONCE = 500
"""Messages that may be under way before their confirmation is waited for."""
STATE_TOPIC = "online"


class Publisher:
    """Publishes by exception, QoS 1: `run` works until it is cancelled.

    While the broker is away the newest reading of each point is kept, no more: what is
    retained says what is now, and the past is the historian's.
    """

    def __init__(self, prefix: str, broker: Broker, served: Sequence[Served]) -> None:
        self._prefix = prefix
        self._broker = broker
        self._served = served
        self._now: dict[int, Said] = {}
        self._dirty: dict[int, None] = {}
        self._news = asyncio.Event()
        self.published = 0
        """Counts messages that the broker confirmed."""
        self.trouble = "not connected yet"
        """Why nothing is published; empty while all is well."""

    @property
    def waiting(self) -> int:
        """Return how many points have news that the broker has not got."""
        return len(self._dirty)

    async def hear(self, news: Sequence[Said]) -> None:
        """Take what is to be published."""
        for said in news:
            self._now[said.position] = said
            self._dirty[said.position] = None
        if news:
            self._news.set()

    async def run(self) -> None:
        """Publish for ever; a broker that is away is tried again."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                with bare():
                    await self._publish_all()
            except (Unreachable, Refused) as silence:
                retry_s = retry_s if self.trouble else FIRST_RETRY_S
                self.trouble = str(silence)
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def _publish_all(self) -> None:
        topic = f"{self._prefix}/{STATE_TOPIC}"
        will = Message(topic, b'{"online":false}', 1, retain=True)
        async with open_connection(self._broker, will) as connection:
            # A broker that lost what it had retained gets everything again.
            self._dirty = dict.fromkeys(self._now)
            await connection.publish(Message(topic, b'{"online":true}', 1, retain=True))
            self.trouble = ""
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_notice_loss(connection))
                    while True:
                        await self._publish_some(connection)
            finally:
                # A goodbye does not send the will, so we say it ourselves.
                connection.send_confirmed(will)

    async def _publish_some(self, connection: Connection) -> None:
        if not self._dirty:
            self._news.clear()
            await self._news.wait()
        some = list(self._dirty)[:AT_ONCE]
        told = [self._now[position] for position in some]
        for said in told[:-1]:
            connection.send_confirmed(self._message(said))
        # Confirmations come in the order of the messages (MQTT 3.1.1, 4.6).
        await connection.publish(self._message(told[-1]))
        for said in told:
            if self._now[said.position] is said:
                self._dirty.pop(said.position, None)
        self.published += len(told)

    def _message(self, said: Said) -> Message:
        point = self._served[said.position].point
        topic = f"{self._prefix}/{point.name}"
        return Message(topic, payload(said, point.unit), 1, retain=True)


def payload(said: Said, unit: str) -> bytes:
    """Return a reading as JSON; a value that JSON cannot say is null."""
    value = said.value
    if isinstance(value, float) and not math.isfinite(value):
        value = None
    told: dict[str, object] = {"value": value, "quality": said.status.quality}
    if said.status != GOOD and said.status.reason:
        told["reason"] = said.status.reason
    told["time"] = iso(said.time_us) if said.time_us else None
    told["unit"] = unit
    return msgspec.json.encode(told)


def broker_of(wanted: settings.Broker, output: str, home: Path) -> Broker:
    """Return the broker of the settings; files are named relative to `home`.

    Outputs at the same broker have names of their own there.
    """
    made = json.dumps([socket.gethostname(), "northbound", output, wanted.url])
    stable = "lineshaft-" + hashlib.sha256(made.encode()).hexdigest()[:12]
    secret = wanted.password_file
    ca_file = str(home / wanted.ca_file) if wanted.ca_file else ""
    return Broker(
        host=wanted.host,
        port=wanted.port,
        client_id=wanted.client_id or stable,
        timeout_s=wanted.timeout_s,
        user=wanted.user,
        password=(home / secret).read_text("utf-8").rstrip("\r\n") if secret else "",
        tls=tls_context(ca_file, "", "") if wanted.encrypts else None,
    )


async def _notice_loss(connection: Connection) -> None:
    """Raise `Unreachable` as soon as the connection is lost."""
    while True:
        await connection.messages(within_s=60.0)
