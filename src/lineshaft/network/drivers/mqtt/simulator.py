"""A pump skid as a Sparkplug B edge node, as a process of its own.

    python -m lineshaft.network.drivers.mqtt.simulator --port 1883 --die-with-parent

It prints one line of JSON, `{"group": ..., "edge": ...}`, once it is connected for the
first time, and reconnects by itself, with back-off. It ends on SIGTERM or, with
`--die-with-parent`, when its standard input ends.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.process.stopping import told_to_stop
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import Value
from lineshaft.network.drivers.mqtt.connection import (
    Broker,
    Connection,
    Message,
    open_connection,
)
from lineshaft.network.drivers.mqtt.sparkplug import payload as codec
from lineshaft.network.drivers.mqtt.sparkplug.edge import Envelopes, asks_for_rebirth
from lineshaft.network.drivers.mqtt.sparkplug.host import Topic, parse_topic
from lineshaft.network.drivers.mqtt.sparkplug.skid import (
    EDGE,
    GROUP,
    NODE_SIGNALS,
    SIGNALS,
    VALVE,
    Fault,
    Signal,
    Skid,
    fault_at,
    point_list,
)

__all__ = ["EdgeNode", "point_list", "run"]

_PERIOD_S = 0.25
_TIMEOUT_S = 5.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 8.0


class EdgeNode:
    """What the edge node tells, message by message, without a socket."""

    def __init__(self, skid: Skid) -> None:
        self.skid = skid
        self.envelopes = Envelopes(GROUP, EDGE, _now_ms)
        self._sessions = 0
        self._told: dict[tuple[str, str], Value] = {}
        self._aliases: dict[tuple[str, str], int] = {}
        for device in ("", *skid.pumps):
            for signal_ in SIGNALS if device else NODE_SIGNALS:
                self._aliases[device, signal_.name] = len(self._aliases) + 1
        self._owners = {alias: owner for owner, alias in self._aliases.items()}

    def death(self) -> Message:
        """Return the will of the next connection."""
        will = self.envelopes.will(self._sessions)
        self._sessions += 1
        return will

    def births(self, values: Mapping[str, Mapping[str, Value]]) -> list[Message]:
        """Return the births of the node and its devices."""
        return [
            self._birth(device, signals, values[device])
            for device in values
            for signals in [SIGNALS if device else NODE_SIGNALS]
        ]

    def news(self, values: Mapping[str, Mapping[str, Value]]) -> list[Message]:
        """Return what changed since it was last told, a message for each device."""
        messages = []
        for device, measured in values.items():
            signals = SIGNALS if device else NODE_SIGNALS
            changed = [s for s in signals if self._changed(device, s, measured[s.name])]
            if changed:
                message = self.envelopes.message()
                for signal_ in changed:
                    self._add(message, device, signal_, measured[signal_.name])
                kind = "DDATA" if device else "NDATA"
                messages.append(self.envelopes.seal(kind, message, device))
        return messages

    def obey(self, topic: Topic, data: bytes) -> bool:
        """Carry out a command; return whether births were asked for."""
        try:
            message = codec.decode(data)
        except Refused:
            return False
        asked = False
        for metric in message.metrics:
            owner = self._owners.get(metric.alias, (topic.device, metric.name))
            if asks_for_rebirth(metric):
                asked = True
            elif owner[1] == VALVE and owner[0] in self.skid.pumps:
                value, _ = codec.value_of(metric, codec.DataType.FLOAT)
                if isinstance(value, float) and 0 <= value <= 100:  # noqa: PLR2004
                    self.skid.pumps[owner[0]].wanted_valve = value
        return asked

    def _changed(self, device: str, signal_: Signal, value: Value) -> bool:
        told = self._told.get((device, signal_.name))
        if isinstance(value, float) and isinstance(told, float) and value != told:
            wanted = self.skid.pumps[device].wanted_valve if device else None
            arrived = signal_.name == VALVE and value == wanted
            return arrived or abs(value - told) >= signal_.step
        return value != told

    def _birth(
        self, device: str, signals: tuple[Signal, ...], values: Mapping[str, Value]
    ) -> Message:
        envelopes = self.envelopes
        message = envelopes.message() if device else envelopes.birth()
        for signal_ in signals:
            metric = self._add(message, device, signal_, values[signal_.name])
            metric.name = signal_.name
            if signal_.unit:
                codec.set_property(metric, codec.ENGINEERING_UNIT, signal_.unit)
        return envelopes.seal("DBIRTH" if device else "NBIRTH", message, device)

    def _add(
        self, message: codec.Payload, device: str, signal_: Signal, value: Value
    ) -> codec.Metric:
        self._told[device, signal_.name] = value
        metric = message.metrics.add(
            alias=self._aliases[device, signal_.name], timestamp=_now_ms()
        )
        codec.encode(metric, signal_.datatype, value)
        return metric


async def run(host: str, port: int, fault_every_s: float = 0.0) -> None:
    """Be the edge node until cancelled; print a line at the first connection."""
    node, retry_s, told = EdgeNode(Skid()), _FIRST_RETRY_S, False
    began = time.monotonic()
    while True:
        broker = Broker(host, port, f"lineshaft-{EDGE}", _TIMEOUT_S)
        try:
            death = node.death()
            async with open_connection(broker, death) as connection:
                if not told:
                    told = True
                    print(json.dumps({"group": GROUP, "edge": EDGE}), flush=True)  # noqa: T201
                retry_s = _FIRST_RETRY_S
                try:
                    await _live(node, connection, began, fault_every_s)
                finally:
                    # A broker keeps the will to itself when we say goodbye.
                    _send(connection, [death])
                await asyncio.sleep(min(fault_every_s / 2, _TIMEOUT_S))
        except (Unreachable, Refused):
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)


async def _live(
    node: EdgeNode, connection: Connection, began: float, every_s: float
) -> None:
    """Tell what changes; return after the link was cut."""
    topic = node.envelopes.topic
    await connection.subscribe([topic("NCMD"), topic("DCMD", "+")])
    values = node.skid.step(_PERIOD_S, None)
    _send(connection, node.births(values))
    loses = False
    due = time.monotonic()
    while True:
        due = max(due + _PERIOD_S, time.monotonic())
        while (left_s := due - time.monotonic()) > 0:
            for heard, data in await connection.messages(left_s):
                parts = parse_topic(heard)
                if parts and node.obey(parts, data):
                    _send(connection, node.births(values))
        fault = fault_at(time.monotonic() - began, every_s)
        if loses and fault is Fault.LINK_LOSS:
            connection.drop()
            return
        loses = fault is not Fault.LINK_LOSS
        values = node.skid.step(_PERIOD_S, fault)
        _send(connection, node.news(values))


def _send(connection: Connection, messages: list[Message]) -> None:
    for message in messages:
        connection.send(message.topic, message.payload)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def _main(options: argparse.Namespace) -> None:
    async with (
        told_to_stop(with_input=options.die_with_parent) as stopped,
        beside(run(options.host, options.port, options.fault_every)),
    ):
        await stopped.wait()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="the broker's host")
    parser.add_argument("--port", type=int, default=1883, help="the broker's port")
    parser.add_argument(
        "--fault-every", type=float, default=0.0, help="seconds between faults; 0: none"
    )
    parser.add_argument(
        "--die-with-parent", action="store_true", help="end with standard input"
    )
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
