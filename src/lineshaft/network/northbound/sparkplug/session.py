"""Our edge node on an open connection, from its births to its death."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass
from typing import Protocol

from lineshaft.core.command import Outcome, Verdict
from lineshaft.core.errors import LineshaftError, Refused, Unreachable
from lineshaft.core.process.tasks import bare, beside
from lineshaft.core.reading import Value
from lineshaft.network.drivers.mqtt.connection import (
    Broker,
    Connection,
    Message,
    open_connection,
)
from lineshaft.network.northbound.mirror import Said
from lineshaft.network.northbound.sparkplug.journal import Journal
from lineshaft.network.northbound.sparkplug.node import EdgeNode, Shape
from lineshaft.network.northbound.sparkplug.orders import Reader
from lineshaft.network.northbound.sparkplug.primary import PrimaryHost

log = logging.getLogger(__name__)

TICK_S = 0.5
"""How often is looked for devices that came or went, and for what waits."""
REMEMBER_EVERY_S = 1.0
MOST_WRITES = 100
"""Writes of hosts that may be under way; more are refused."""

Write = Callable[[Shape, Value], Awaitable[Outcome]]


class Now(Protocol):
    """Knows what points say now, and which devices are there."""

    def everything(self) -> list[Said]:
        """Return what each point says now."""

    def is_alive(self, device: str) -> bool:
        """Whether the device is there."""


@dataclass(slots=True)
class Counts:
    """What the sessions of one life did."""

    published: int = 0
    births: int = 0
    rebirths: int = 0
    written: int = 0
    refused: int = 0


class Sessions:
    """One connection after the other; `hold` is one, and raises when it ends."""

    def __init__(
        self, node: EdgeNode, journal: Journal, now: Now, commands: Reader, write: Write
    ) -> None:
        self._node = node
        self._journal = journal
        self._now = now
        self._commands = commands
        self._write = write
        self._writing = 0
        self.counts = Counts()
        self.trouble = "not connected yet"
        """Why nothing is told; empty while all is well."""

    async def hold(self, broker: Broker, primary_host: str) -> None:
        """Connect, be born, and tell what is new until the session ends.

        What cannot be told meanwhile is stored. `Unreachable` when the connection or
        the primary host is lost, `Refused` when the broker does not want us.
        """
        will = self._node.envelopes.will(await self._journal.next_session())
        host = PrimaryHost(primary_host)
        with bare():
            async with AsyncExitStack() as stack:
                async with beside(self._journal.absorb()):
                    opening = open_connection(broker, will)
                    connection = await stack.enter_async_context(opening)
                    await self._subscribe(connection, host)
                    await self._until_online(connection, host)
                await self._journal.catch_up()
                await self._live(connection, host)

    async def _subscribe(self, connection: Connection, host: PrimaryHost) -> None:
        """Listen to commands and the primary host, with QoS 1.

        (tck-id-message-flow-edge-node-ncmd-subscribe,
        tck-id-message-flow-device-dcmd-subscribe,
        tck-id-operational-behavior-primary-application-state-with-multiple-servers-state-subs)
        """
        topic = self._node.envelopes.topic
        topics = [topic("NCMD"), topic("DCMD", "+"), host.topic]
        refused = await connection.subscribe([each for each in topics if each], qos=1)
        if refused:
            raise Refused(
                f"{connection.broker} refuses that we listen to "
                f"{', '.join(sorted(refused))}"
            )

    async def _until_online(self, connection: Connection, host: PrimaryHost) -> None:
        """Be unborn until the primary host is online.

        (tck-id-message-flow-edge-node-birth-publish-phid-wait,
        tck-id-operational-behavior-edge-node-birth-sequence-wait)
        """
        if not host.online:
            self.trouble = f"the primary host is not online (no word on {host.topic})"
        while not host.online:
            for topic, data in await connection.messages(within_s=TICK_S):
                host.hear(topic, data)

    async def _live(self, connection: Connection, host: PrimaryHost) -> None:
        node = self._node
        self._bear(connection, [d for d in node.devices if self._now.is_alive(d)])
        try:
            await connection.settle()
            self.trouble = ""
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(connection))
                group.create_task(self._tend(connection))
                group.create_task(self._remember())
                await self._listen(connection, host, group)
        finally:
            # A goodbye does not send the will, so we say it ourselves, with QoS 1.
            with suppress(Unreachable):
                await connection.publish(node.envelopes.death())
            await self._journal.remember()

    def _bear(self, connection: Connection, devices: Sequence[str]) -> None:
        self._learn(devices)
        self._send(connection, self._node.births(devices))
        self.counts.births += 1 + len(devices)

    def _learn(self, devices: Iterable[str]) -> None:
        """Take in what the historian knew before we followed the bus."""
        wanted = {at for device in devices for at in self._node.devices[device]}
        everything = self._now.everything()
        self._node.take(everything[at] for at in wanted if everything[at].time_us)

    async def _follow(self, connection: Connection) -> None:
        async with aclosing(self._journal.live()) as live:
            async for heard in live:
                said = [each for frame in heard for each in frame.said]
                self._send(connection, self._node.news(said))
                await connection.settle()

    async def _tend(self, connection: Connection) -> None:
        """Tell which devices came and went, then what waits of those that are there."""
        while True:
            self._tend_devices(connection)
            async with aclosing(self._journal.past()) as past:
                async for frames in past:
                    for device, said in frames:
                        self._send(connection, self._node.past(device, said))
                        await asyncio.sleep(0)  # others of this process want to speak
                    await connection.settle()
            await asyncio.sleep(TICK_S)

    def _tend_devices(self, connection: Connection) -> None:
        node = self._node
        for device in node.devices:
            is_alive = self._now.is_alive(device)
            if is_alive and device not in node.born:
                self._learn([device])
                self._send(connection, [node.device_birth(device)])
                self.counts.births += 1
            elif not is_alive and device in node.born:
                self._send(connection, [node.device_death(device)])

    async def _remember(self) -> None:
        while True:
            await asyncio.sleep(REMEMBER_EVERY_S)
            await self._journal.remember()

    async def _listen(
        self, connection: Connection, host: PrimaryHost, group: asyncio.TaskGroup
    ) -> None:
        """Do what hosts ask for, until the primary host goes offline.

        (tck-id-message-flow-edge-node-birth-publish-phid-offline,
        tck-id-operational-behavior-edge-node-termination-host-offline)
        """
        while True:
            rebirth = False
            for topic, data in await connection.messages(within_s=60.0):
                host.hear(topic, data)
                orders = self._commands.read(topic, data)
                rebirth = rebirth or orders.rebirth
                for text in orders.refused:
                    self._refuse(text)
                for shape, value in orders.writes:
                    group.create_task(self._carry_out(shape, value))
            if not host.online:
                raise Unreachable(f"the primary host went offline ({host.topic})")
            if rebirth:
                self.counts.rebirths += 1
                # Who comes or goes is told elsewhere, so those who are here stay.
                here = [d for d in self._node.devices if d in self._node.born]
                self._bear(connection, here)

    async def _carry_out(self, shape: Shape, value: Value) -> None:
        name = shape.point.name
        if self._writing >= MOST_WRITES:
            self._refuse(f"{name}: {MOST_WRITES} writes are under way already")
            return
        self._writing += 1
        try:
            outcome = await self._write(shape, value)
        except LineshaftError as error:
            self._refuse(f"{name}: {error}")
            return
        finally:
            self._writing -= 1
        if outcome.verdict is Verdict.CONFIRMED:
            self.counts.written += 1
        else:
            self._refuse(f"{name}: {outcome.verdict}: {outcome.reason}")

    def _refuse(self, why: str) -> None:
        self.counts.refused += 1
        log.warning("a Sparkplug host asked for what was not done: %s", why)

    def _send(self, connection: Connection, messages: Iterable[Message]) -> None:
        for message in messages:
            connection.send(message.topic, message.payload)
            self.counts.published += 1
