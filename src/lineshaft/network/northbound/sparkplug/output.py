"""The Sparkplug output as a service: what flows on the bus, for hosts at a broker."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lineshaft.core.bus import Bus
from lineshaft.core.command import Outcome, carry_out
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import Value
from lineshaft.network.drivers.mqtt.connection import Broker
from lineshaft.network.northbound.health import Figures, tell_health
from lineshaft.network.northbound.mirror import Mirror, Served
from lineshaft.network.northbound.settings import Sparkplug
from lineshaft.network.northbound.sparkplug.journal import Journal
from lineshaft.network.northbound.sparkplug.node import EdgeNode, Shape
from lineshaft.network.northbound.sparkplug.orders import Reader
from lineshaft.network.northbound.sparkplug.session import Sessions
from lineshaft.network.northbound.sparkplug.store import open_store

FIRST_RETRY_S, LAST_RETRY_S = 0.5, 30.0
BY = "a Sparkplug host"
"""Who asks for a write: MQTT does not tell who published a message."""


@dataclass(frozen=True, slots=True)
class Ends:
    """Where it leads to, and where it keeps what waits."""

    broker: Broker
    file: Path


class SparkplugOutput:
    """Our data as a Sparkplug B edge node: `run` works until it is cancelled."""

    def __init__(
        self,
        wanted: Sparkplug,
        ends: Ends,
        served: Sequence[Served],
        bus: Bus,
        mirror: Mirror,
    ) -> None:
        self._wanted = wanted
        self._ends = ends
        self._bus = bus
        self._mirror = mirror
        self._node = EdgeNode(served, wanted.group, wanted.edge_node)

    async def run(self) -> None:
        """Tell for ever; a broker that is away is tried again."""
        wanted, node = self._wanted, self._node
        with open_store(self._ends.file, wanted.most_waiting, node.devices) as store:
            journal = Journal(self._bus, store, node)
            commands = Reader(node.shapes, writes=wanted.writes)
            sessions = Sessions(node, journal, self._mirror, commands, self._write)

            def figures() -> Figures:
                return _figures(sessions, journal, node)

            def trouble() -> str:
                return _trouble(sessions, journal, wanted.most_waiting)

            async with asyncio.TaskGroup() as group:
                group.create_task(self._work(sessions, journal))
                await tell_health(
                    self._bus, "sparkplug", self._mirror, figures, trouble
                )

    async def _work(self, sessions: Sessions, journal: Journal) -> None:
        retry_s, has_begun = FIRST_RETRY_S, False
        while True:
            try:
                if not has_begun:
                    await journal.begin()
                    has_begun = True
                await sessions.hold(self._ends.broker, self._wanted.primary_host)
            except (Unreachable, Refused) as silence:
                retry_s = retry_s if sessions.trouble else FIRST_RETRY_S
                sessions.trouble = str(silence)
            if has_begun:
                async with beside(journal.absorb()):
                    await asyncio.sleep(retry_s)
            else:
                await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LAST_RETRY_S)

    async def _write(self, shape: Shape, value: Value) -> Outcome:
        return await carry_out(
            self._bus,
            shape.device,
            (shape.point.name, value),
            by=BY,
            within_s=self._wanted.write_within_s,
        )


def _figures(sessions: Sessions, journal: Journal, node: EdgeNode) -> Figures:
    counts = sessions.counts
    return {
        "published": counts.published,
        "births": counts.births,
        "rebirths": counts.rebirths,
        "devices_born": len(node.born) if not sessions.trouble else 0,
        "written": counts.written,
        "refused": counts.refused,
        "stored": journal.readings,
        "dropped": journal.dropped,
    }


def _trouble(sessions: Sessions, journal: Journal, most: int) -> str:
    trouble = journal.trouble or sessions.trouble
    if trouble and journal.readings:
        trouble += f"; {journal.readings} readings wait on disk"
    if trouble and journal.dropped:
        trouble += (
            f", {journal.dropped} had to go since there may be {most} "
            "(northbound.sparkplug.most_waiting)"
        )
    return trouble
