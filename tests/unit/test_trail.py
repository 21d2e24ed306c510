"""Audit records on their way to the bus."""

import asyncio
from pathlib import Path

import pytest
from typing_extensions import override

from lineshaft.core.bus import AUDIT
from lineshaft.core.bus.audit import AuditRecord, decode_audit
from lineshaft.core.bus.trail import Trail, keep
from lineshaft.core.errors import Unreachable
from lineshaft.core.process.tasks import beside
from support.bus_in_memory import BusInMemory


class Road(BusInMemory):
    """A bus that can be away."""

    away = False

    @override
    async def publish(self, subject: str, data: bytes, message_id: str) -> None:
        if self.away:
            raise Unreachable("the bus is away")
        await super().publish(subject, data, message_id)


def told(bus: Road) -> list[str]:
    return [decode_audit(message.data).who for message in bus.streams[AUDIT]]


def record(who: str) -> AuditRecord:
    return AuditRecord(kind="login.password", who=who)


async def test_what_the_bus_does_not_take_waits_on_disk_and_arrives_in_order_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lineshaft.core.bus.trail.AGAIN_S", 0.01)
    bus, file = Road(), tmp_path / "audit.jsonl"
    trail = Trail(bus, file)
    await trail.tell(record("a"))
    bus.away = True
    await trail.tell(record("b"))
    await trail.tell(record("c"))
    assert told(bus) == ["a"]
    assert trail.waits
    # The process is killed: what waited is there for the next one.
    trail = Trail(bus, file)
    async with beside(trail.run()):
        await asyncio.sleep(0.05)
        assert "wait" in trail.trouble
        bus.away = False
        await bus.until(lambda: len(told(bus)) == 3)
        await trail.tell(record("d"))
        keep(file, record("e"))
        await bus.until(lambda: len(told(bus)) == 5)
    assert told(bus) == ["a", "b", "c", "d", "e"]
    assert (trail.lost, trail.trouble) == (0, "")


async def test_a_record_that_nothing_takes_is_counted_and_said(tmp_path: Path) -> None:
    bus = Road()
    bus.away = True
    trail = Trail(bus, tmp_path / "audit.jsonl")
    (tmp_path / "audit.jsonl").mkdir()
    (tmp_path / "audit.jsonl" / "in the way").touch()
    await trail.tell(record("a"))
    assert trail.lost == 1
    assert "1 audit records are lost" in trail.trouble
