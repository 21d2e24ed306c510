"""A recorder in a process of its own is killed again and again; nothing is lost."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lineshaft.core.bus.nats import open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.frame import encode_frame
from lineshaft.platform.historian.store.table import Store
from support.frames import frame

NAMES = ("acme/a", "acme/b")
KILLS = 6
PER_FRAME = 20
WITHIN_S = 60.0
BUS_BYTES = 1 << 27
HISTORIAN = """
import asyncio, sys
from pathlib import Path
from lineshaft.core.bus.nats import open_bus
from lineshaft.platform.historian import recorder
from lineshaft.platform.historian.service import open_historian
from lineshaft.platform.historian.settings import Settings

recorder.KEEP_ON_BUS_S = 0.5

async def main():
    settings = Settings(commit_every_s=0.05, hot_window_s=0)
    async with (
        open_bus(sys.argv[1], most_bytes=int(sys.argv[3])) as bus,
        open_historian(Path(sys.argv[2]), settings, bus) as historian,
    ):
        await historian.run()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def historian(url: str, home: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HISTORIAN, url, str(home), str(BUS_BYTES)
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


def stored(home: Path) -> list[tuple[str, int]]:
    table = Store(home).advance().read(NAMES, 0, 10**15)
    values = [int(value) for value in table["value"].to_pylist()]
    return sorted(zip(table["name"].to_pylist(), values, strict=True))


async def grows_beyond(home: Path, rows: int) -> int:
    async with asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(OSError):
                if (home / "readings" / "_delta_log").exists():
                    count = len(await asyncio.to_thread(stored, home))
                    if count > rows:
                        return count
            await asyncio.sleep(0.05)


@pytest.mark.timeout(400)
async def test_every_confirmed_reading_is_stored_once_whatever_is_killed(
    tmp_path: Path,
) -> None:
    home = tmp_path / "history"
    published = 0

    async def publish() -> None:
        nonlocal published
        while True:
            rows = [
                (name, published * PER_FRAME + each, published * PER_FRAME + each)
                for name in NAMES
                for each in range(PER_FRAME)
            ]
            said = frame(rows, number=published)
            await bus.publish("readings.acme", encode_frame(said), said.id)
            published += 1
            await asyncio.sleep(0.002)

    async with (
        serve(
            tmp_path / "bus", Listeners(0), most_bytes=1 << 30, on_restart=print
        ) as listeners,
        open_bus(listeners.url, most_bytes=BUS_BYTES) as bus,
    ):
        publishing = asyncio.ensure_future(publish())
        count = 0
        for _ in range(KILLS):
            async with historian(listeners.url, home):
                count = await grows_beyond(home, count)
        publishing.cancel()
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(publishing, return_exceptions=True)
        # The last publication may have been cut off after it was stored.
        least = published * PER_FRAME * len(NAMES)
        async with historian(listeners.url, home):
            await grows_beyond(home, least - 1)
    found = stored(home)
    each = len(found) // len(NAMES)
    assert each in (published * PER_FRAME, (published + 1) * PER_FRAME)
    assert found == [(name, value) for name in NAMES for value in range(each)]
