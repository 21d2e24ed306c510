"""A disk that is full, and then has room again: said, survived, and mended."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lineshaft.core.bus import EVENTS, READINGS
from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import ENOUGH_ROOM, Listeners, serve
from lineshaft.core.errors import Unreachable
from lineshaft.core.event import decode_event
from lineshaft.core.frame import encode_frame
from lineshaft.core.health import State
from lineshaft.platform.historian import recorder as recorder_module
from lineshaft.platform.historian.care import keeper as keeper_module
from lineshaft.platform.historian.service import open_historian
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Store
from support.bus_in_memory import BusInMemory
from support.frames import frame

MIB = 1 << 20
WITHIN_S = 60.0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "disk"
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128m", "tmpfs", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be had here: {done.stderr.strip()}")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill(home: Path) -> Path:
    filler = home / "filler"
    with filler.open("wb") as file:
        file.truncate(0)
        try:
            while True:
                file.write(bytes(MIB))
                file.flush()
        except OSError:
            pass  # that was the aim
    return filler


async def test_the_bus_writes_again_when_a_full_disk_has_room(small_disk: Path) -> None:
    told: list[str] = []
    running = serve(
        small_disk / "bus", Listeners(0), most_bytes=1 << 30, on_restart=told.append
    )
    async with (
        running as listeners,
        open_bus(listeners.url, most_bytes=MIB << 8) as bus,
    ):
        await bus.publish("readings.a", b"before", "before")
        filler = fill(small_disk)
        assert not await try_to(bus, "full", bytes(100_000)), (
            "a full disk takes nothing"
        )
        stored = await bus.last_sequence(READINGS)
        filler.unlink()
        assert shutil.disk_usage(small_disk).free > ENOUGH_ROOM
        async with asyncio.timeout(WITHIN_S):
            while not await try_to(bus, "after", b"after"):  # noqa: ASYNC110  each a try
                await asyncio.sleep(0.2)
        assert await bus.last_sequence(READINGS) > stored
        async with asyncio.timeout(WITHIN_S):
            async for batch in bus.batches(READINGS, after=0):
                assert batch[0].data == b"before", "nothing from before is lost"
                break
    assert told


async def test_the_historian_stops_says_so_and_goes_on_when_there_is_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(recorder_module, "RETRY_LAST_S", 0.1)
    bus = BusInMemory()
    settings = Settings(commit_every_s=0.05, least_free_gib=0.0)
    home = small_disk / "history"
    async with open_historian(home, settings, bus) as historian:
        running = asyncio.ensure_future(historian.run())
        recorder = historian.recorder
        await say(bus, 0)
        await bus.until(lambda: recorder.committed == 1)
        filler = fill(small_disk)
        for number in range(1, 4):
            await say(bus, number)
        await bus.until(lambda: recorder.state is State.DEGRADED)
        assert str(home) in recorder.reason
        filler.unlink()
        await bus.until(lambda: recorder.committed == 4)
        await bus.until(lambda: recorder.state is State.OK)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    found = Store(home).advance().read(["acme/a"], 0, 10**15)["value"].to_pylist()
    assert sorted(found) == [float(each) for each in range(4 * PER_FRAME)]


async def test_before_the_disk_is_full_readings_wait_on_the_bus(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "LOOK_EVERY_S", 0.02)
    bus = BusInMemory()
    settings = Settings(commit_every_s=0.05, least_free_gib=16 / 1024)
    home = small_disk / "history"
    async with open_historian(home, settings, bus) as historian:
        running = asyncio.ensure_future(historian.run())
        keeper, recorder = historian.keeper, historian.recorder
        await say(bus, 0)
        await bus.until(lambda: recorder.committed == 1)
        filler = fill(small_disk)
        await bus.until(lambda: not keeper.may_take.is_set())
        assert "wait on the bus" in keeper.reason
        filler.unlink()
        for number in range(1, 4):
            await say(bus, number)
        await bus.until(lambda: recorder.committed == 4)
        assert keeper.may_take.is_set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    kinds = [decode_event(message.data).kind for message in bus.streams[EVENTS]]
    assert kinds == ["historian.room", "historian.room"]


PER_FRAME = 20_000


async def say(bus: BusInMemory, number: int) -> None:
    first = number * PER_FRAME
    rows = [("acme/a", each, float(each)) for each in range(first, first + PER_FRAME)]
    said = frame(rows, number=number)
    await bus.publish("readings.acme", encode_frame(said), said.id)


async def try_to(bus: NatsBus, message_id: str, data: bytes) -> bool:
    """Publish; return whether the bus took it."""
    try:
        await bus.publish("readings.a", data, message_id)
    except Unreachable:
        return False
    return True
