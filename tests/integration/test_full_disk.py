"""A disk that is full, and then has room again: said, survived, and mended."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lineshaft.core.bus import READINGS
from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import ENOUGH_ROOM, Listeners, serve
from lineshaft.core.errors import Unreachable

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


async def try_to(bus: NatsBus, message_id: str, data: bytes) -> bool:
    """Publish; return whether the bus took it."""
    try:
        await bus.publish("readings.a", data, message_id)
    except Unreachable:
        return False
    return True
