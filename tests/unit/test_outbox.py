import asyncio
from pathlib import Path

import msgspec
import pytest

from lineshaft.core.errors import ConfigError, Refused, Unreachable
from lineshaft.core.event import decode_event
from lineshaft.core.health import Health, State
from lineshaft.core.process.tasks import beside
from lineshaft.network.outbox import Parcel, open_outbox


class FickleBus:
    """Stores each id once; may be away, or lose its answer after storing."""

    def __init__(self) -> None:
        self.away = False
        self.deaf = False
        self.stored: dict[str, tuple[str, bytes]] = {}
        self.news = asyncio.Event()
        self.healths: list[Health] = []
        self.spoke = asyncio.Event()

    async def publish(self, subject: str, data: bytes, message_id: str) -> None:
        if self.away:
            raise Unreachable("it is away")
        if data == b"never":
            raise Refused("too large")
        self.stored.setdefault(message_id, (subject, data))
        self.news.set()
        if self.deaf:
            raise Unreachable("stored, but the answer was lost")

    def tell(self, subject: str, data: bytes) -> None:
        self.healths.append(msgspec.json.decode(data, type=Health))
        self.spoke.set()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.stored) < count:
                self.news.clear()
                await self.news.wait()


def parcel(number: int, size: int = 1) -> Parcel:
    return Parcel("readings.a", b"x" * size, f"id{number}", 10)


async def test_a_message_goes_at_once_while_the_bus_answers(tmp_path: Path) -> None:
    bus = FickleBus()
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        await outbox.post(parcel(1))
        assert list(bus.stored) == ["id1"]
        assert outbox.waiting == 0


async def test_what_waited_is_sent_in_order_when_the_bus_is_back(
    tmp_path: Path,
) -> None:
    bus = FickleBus()
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        bus.away = True
        for number in range(5):
            await outbox.post(parcel(number))
        bus.away = False
        await outbox.post(parcel(5))
        assert outbox.waiting == 6, "a later message must not overtake"
        async with beside(outbox.run()):
            await bus.wait_for(6)
    assert list(bus.stored) == [f"id{number}" for number in range(6)]


async def test_what_waits_survives_the_end_of_the_process(tmp_path: Path) -> None:
    bus = FickleBus()
    bus.away = True
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        await outbox.post(parcel(1))
    bus.away = False
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        async with beside(outbox.run()):
            await bus.wait_for(1)


async def test_what_was_needed_of_the_disk_is_given_back(tmp_path: Path) -> None:
    bus, file = FickleBus(), tmp_path / "o.sqlite"
    async with open_outbox(bus, file, 1 << 24) as outbox:
        bus.away = True
        for number in range(200):
            await outbox.post(parcel(number, size=20_000))
        bus.away = False
        async with beside(outbox.run()):
            await bus.wait_for(200)
    assert file.stat().st_size < 200_000


async def test_an_answer_that_got_lost_does_not_double_the_message(
    tmp_path: Path,
) -> None:
    bus = FickleBus()
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        bus.deaf = True
        await outbox.post(parcel(1))
        assert outbox.waiting == 1
        bus.deaf = False
        async with beside(outbox.run()):
            await outbox.post(parcel(2))
            await bus.wait_for(2)
    assert list(bus.stored) == ["id1", "id2"]


async def test_a_full_outbox_drops_the_oldest_and_says_how_many(
    tmp_path: Path,
) -> None:
    bus = FickleBus()
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        bus.away = True
        for number in range(5):
            await outbox.post(parcel(number, size=400))
        assert outbox.waiting == 2
        assert outbox.waiting_bytes <= 1000
        assert outbox.dropped == 30
        bus.away = False
        async with beside(outbox.run()):
            await bus.wait_for(3)
    *kept, told = bus.stored.values()
    assert [subject for subject, _ in kept] == ["readings.a"] * 2
    assert decode_event(told[1]).detail == {"readings": 30}


async def test_a_message_that_the_bus_never_takes_does_not_block_the_others(
    tmp_path: Path,
) -> None:
    bus = FickleBus()
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        bus.away = True
        await outbox.post(Parcel("readings.a", b"never", "id0", 3))
        await outbox.post(parcel(1))
        bus.away = False
        async with beside(outbox.run()):
            await bus.wait_for(2)
        assert outbox.dropped == 3


async def test_its_health_says_what_waits(tmp_path: Path) -> None:
    bus = FickleBus()
    bus.away = True
    async with open_outbox(bus, tmp_path / "o.sqlite", 10_000) as outbox:
        await outbox.post(parcel(1, size=2048))
        async with beside(outbox.run()), asyncio.timeout(20):
            await bus.spoke.wait()
    assert bus.healths[0].state is State.DEGRADED
    assert bus.healths[0].reason == "2 KiB wait on disk for the bus"


async def test_two_collectors_cannot_share_an_outbox(tmp_path: Path) -> None:
    bus = FickleBus()
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000):
        with pytest.raises(ConfigError, match="another collector"):
            async with open_outbox(bus, tmp_path / "o.sqlite", 1000):
                pass


async def test_it_warns_well_before_readings_are_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = FickleBus()
    bus.away = True
    async with open_outbox(bus, tmp_path / "o.sqlite", 1000) as outbox:
        warned = []
        for number in range(10):
            await outbox.post(parcel(number, 100))
            warned.append(len(caplog.records))
        assert warned == [0] * 7 + [1, 1, 2]
        assert "80 %" in caplog.text
        assert "of outbox.most_mib" in outbox._health().reason
        assert outbox.dropped == 0
