"""How the bus is, asked of its server: streams, their readers, and what goes through.

The questions are those of the JetStream API and of the account services of NATS; any
server that keeps our streams answers them, ours or a cluster elsewhere.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec

from lineshaft.core.bus import AUDIT, EVENTS, READINGS
from lineshaft.core.errors import Unreachable
from lineshaft.core.errors.codes import Code
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import Meaning, counter, gauge

NEARLY_FULL = 0.8
MEANINGS: dict[str, Meaning] = {
    "connections": gauge("bus_connections", "Connections to the bus."),
    "received_messages": counter("bus_received_messages", "Messages that came in."),
    "received_bytes": counter("bus_received", "Bytes that came in.", "bytes"),
    "sent_messages": counter("bus_sent_messages", "Messages that went out."),
    "sent_bytes": counter("bus_sent", "Bytes that went out.", "bytes"),
    "slow_consumers": counter("bus_slow_consumers", "Readers that were cut off."),
    "messages": gauge("bus_stream_messages", "Messages in a stream.", label="stream"),
    "bytes": gauge("bus_stream_size", "Size of a stream.", "bytes", "stream"),
    "last_sequence": counter(
        "bus_stream_sequence", "Messages that a stream ever took.", label="stream"
    ),
    "readers": gauge("bus_stream_readers", "Readers of a stream.", label="stream"),
    "lag_messages": gauge(
        "bus_stream_lag_messages",
        "Messages that the slowest reader has yet to take.",
        label="stream",
    ),
}


class Inquires(Protocol):
    """What the watch needs from the bus."""

    def tell(self, subject: str, data: bytes) -> None:
        """Say something to whoever listens now."""

    async def inquire(self, subject: str) -> bytes:
        """Return what the server of the bus answers; `Unreachable` if it does not."""


class _Limits(msgspec.Struct, frozen=True):
    max_bytes: int = -1


class _Fill(msgspec.Struct, frozen=True):
    messages: int = 0
    bytes: int = 0
    last_seq: int = 0


class _Stream(msgspec.Struct, frozen=True):
    config: _Limits = _Limits()
    state: _Fill = _Fill()


class _Reader(msgspec.Struct, frozen=True):
    num_pending: int = 0


class _Readers(msgspec.Struct, frozen=True):
    consumers: list[_Reader] = []


class _Traffic(msgspec.Struct, frozen=True):
    msgs: int = 0
    bytes: int = 0


class _Account(msgspec.Struct, frozen=True):
    conns: int = 0
    sent: _Traffic = _Traffic()
    received: _Traffic = _Traffic()
    slow_consumers: int = 0


class _Accounts(msgspec.Struct, frozen=True):
    account_statz: list[_Account] = []


class _Told(msgspec.Struct, frozen=True):
    data: _Accounts = _Accounts()


class BusWatch:
    """A service: tells on `status.bus` how the bus is."""

    def __init__(
        self, bus: Inquires, streams: Sequence[str] = (READINGS, EVENTS, AUDIT)
    ) -> None:
        self._bus = bus
        self._streams = streams
        self._state, self._since_us = State.OK, time.time_ns() // 1000

    async def run(self) -> None:
        """Ask and tell for ever."""
        while True:
            health = await self.look()
            self._bus.tell("status.bus", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)

    async def look(self) -> Health:
        """Return how the bus is now."""
        figures: dict[str, float | int | str] = {}
        tables: dict[str, dict[str, int]] = {}
        full: list[str] = []
        try:
            figures = await self._traffic()
            for name in self._streams:
                full += await self._stream(name, tables)
        except (Unreachable, msgspec.MsgspecError) as error:
            return self._health(State.DOWN, str(error), Code.BUS_AWAY)
        if full:
            reason = "; ".join(full)
            said = self._health(State.DEGRADED, reason, Code.BUS_FULL)
        else:
            said = self._health(State.OK, "", "")
        return msgspec.structs.replace(
            said, figures=figures, tables=tables, meanings=MEANINGS
        )

    async def _traffic(self) -> dict[str, float | int | str]:
        try:
            answer = await self._bus.inquire("$SYS.REQ.ACCOUNT.PING.STATZ")
        except Unreachable:
            return {}  # a cluster need not tell it; the streams say whether it lives
        told = msgspec.json.decode(answer, type=_Told).data.account_statz
        one = told[0] if told else _Account()
        return {
            "connections": one.conns,
            "received_messages": one.received.msgs,
            "received_bytes": one.received.bytes,
            "sent_messages": one.sent.msgs,
            "sent_bytes": one.sent.bytes,
            "slow_consumers": one.slow_consumers,
        }

    async def _stream(self, name: str, tables: dict[str, dict[str, int]]) -> list[str]:
        """Add the figures of a stream; return what is wrong with it."""
        answer = await self._bus.inquire(f"$JS.API.STREAM.INFO.{name}")
        stream = msgspec.json.decode(answer, type=_Stream)
        answer = await self._bus.inquire(f"$JS.API.CONSUMER.LIST.{name}")
        readers = msgspec.json.decode(answer, type=_Readers).consumers
        state, most = stream.state, stream.config.max_bytes
        figures = {
            "messages": state.messages,
            "bytes": state.bytes,
            "last_sequence": state.last_seq,
            "readers": len(readers),
            "lag_messages": max((reader.num_pending for reader in readers), default=0),
        }
        for key, value in figures.items():
            tables.setdefault(key, {})[name] = value
        # Events go by themselves, the oldest first; readings never.
        if name != READINGS or most <= 0 or state.bytes < NEARLY_FULL * most:
            return []
        share = f"{state.bytes / most:.0%}"
        return [
            f"the stream {name} is {share} full, because the historian does not keep "
            "up or does not run; when it is full, collectors buffer on their own disk"
        ]

    def _health(self, state: State, reason: str, code: str) -> Health:
        if state is not self._state:
            self._state, self._since_us = state, time.time_ns() // 1000
        return Health(
            service="bus",
            state=state,
            reason=reason,
            code=code,
            since_us=self._since_us,
        )
