"""A history is copied while it is written and killed; the copy is whole and goes on."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.frame import encode_frame
from lineshaft.platform.historian.store.table import Store
from support.frames import frame

NAME = "acme/a"
PER_FRAME = 50
BUS_BYTES = 1 << 27
HISTORIAN = """
import asyncio, sys
from pathlib import Path
from lineshaft.core.bus.nats import open_bus
from lineshaft.platform.historian.care import keeper
from lineshaft.platform.historian.service import open_historian
from lineshaft.platform.historian.settings import Settings

keeper.GRACE_S, keeper.LOOK_EVERY_S = 0.1, 0.1

async def main():
    settings = Settings(
        commit_every_s=0.05, compact_every_s=0.5, vacuum_after_h=1, hot_window_s=0
    )
    async with (
        open_bus(sys.argv[1], most_bytes=int(sys.argv[3])) as bus,
        open_historian(Path(sys.argv[2]) / "history", settings, bus) as historian,
    ):
        await historian.run()

asyncio.run(main())
"""


def stored(data: Path) -> list[int]:
    table = Store(data / "history").advance().read([NAME], 0, 10**15)
    return sorted(int(value) for value in table["value"].to_pylist())


def lineshaft(*arguments: str) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-m", "lineshaft", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, int] = json.loads(done.stdout)
    return told


async def has(data: Path, least: int) -> None:
    async with asyncio.timeout(60):
        while True:
            there = (data / "history" / "readings" / "_delta_log").exists()
            if there and len(await asyncio.to_thread(stored, data)) >= least:
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def historian(url: str, data: Path) -> AsyncIterator[None]:
    """Run one in a process of its own; it ends with a kill."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HISTORIAN, url, str(data), str(BUS_BYTES)
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


class Publisher:
    """Publishes rows that count up, as fast as a machine would."""

    published = 0

    async def run(self, bus: NatsBus) -> None:
        while True:
            first = self.published * PER_FRAME
            rows = [(NAME, each, each) for each in range(first, first + PER_FRAME)]
            said = frame(rows, number=self.published)
            await bus.publish("readings.acme", encode_frame(said), said.id)
            self.published += 1
            await asyncio.sleep(0.005)


async def copied(data: Path, target: Path) -> int:
    """Make some back-ups while more is recorded; return the rows of the last."""
    await has(data, 1)
    rows = 0
    for _ in range(3):
        arguments = ("backup", str(target), "--data", str(data))
        rows = (await asyncio.to_thread(lineshaft, *arguments))["rows"]
        await has(data, rows + 1)
    return rows


@pytest.mark.timeout(400)
async def test_a_copy_made_under_load_is_whole_and_goes_on_exactly_once(
    tmp_path: Path,
) -> None:
    data, target, new = tmp_path / "data", tmp_path / "backups", tmp_path / "new"
    publisher = Publisher()
    async with (
        serve(
            tmp_path / "bus", Listeners(0), most_bytes=1 << 30, on_restart=print
        ) as listeners,
        open_bus(listeners.url, most_bytes=BUS_BYTES) as bus,
    ):
        publishing = asyncio.ensure_future(publisher.run(bus))
        async with historian(listeners.url, data):
            rows = await copied(data, target)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await asyncio.to_thread(lineshaft, "backup", str(target), "--verify")
        await asyncio.to_thread(lineshaft, "restore", str(target), "--data", str(new))
        assert stored(new) == list(range(rows)), "a whole beginning, row by row"
        # The same bus still has what came after the copy.
        total = publisher.published * PER_FRAME
        async with historian(listeners.url, new):
            await has(new, total)
    found = stored(new)
    assert found == list(range(len(found)))
    # The last publication may have been cut off after it was stored.
    assert len(found) in (total, total + PER_FRAME)
