"""`import` against a real nats-server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from lineshaft.cli.verbs import execute
from lineshaft.core.bus import READINGS
from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.frame import Frame, decode_frame
from support.plant_api import announce

RIGHT = ["acme/a/v,2026-01-31T12:00:00Z,1.5", "acme/b/v,2026-01-31T12:00:01Z,running"]
WRONG = "acme/a/v,yesterday,1"


def as_the_plant(url: str) -> AbstractAsyncContextManager[NatsBus]:
    # Were an import to set bounds of its own, this server had no room for them.
    return open_bus(url, most_bytes=64 << 20, event_bytes=16 << 20)


@pytest.fixture
async def bus_url(tmp_path: Path) -> AsyncIterator[str]:
    running = serve(
        tmp_path / "bus", Listeners(0), most_bytes=1 << 30, on_restart=lambda _: None
    )
    async with running as listeners:
        announce(tmp_path, "http://127.0.0.1:9", bus=listeners.url)
        async with as_the_plant(listeners.url):
            yield listeners.url


async def import_(tmp_path: Path, *lines: str, options: tuple[str, ...] = ()) -> int:
    file = tmp_path / "past.csv"
    file.write_text("\n".join(["name,time,value", *lines]), "utf-8")
    arguments = ["import", str(file), "--data", str(tmp_path), *options]
    return await asyncio.to_thread(execute, arguments)


async def stored(bus_url: str) -> list[Frame]:
    async with as_the_plant(bus_url) as bus:
        last = await bus.last_sequence(READINGS)
        found: list[Frame] = []
        if not last:
            return found
        async for batch in bus.batches(READINGS, after=0):
            found += [decode_frame(message.data) for message in batch]
            if batch[-1].sequence >= last:
                return found
    raise AssertionError("batches ended")


def values(found: list[Frame]) -> list[object]:
    return [reading.value for frame in found for reading in frame.readings()]


async def test_a_file_that_is_imported_twice_is_there_once(
    tmp_path: Path, bus_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert await import_(tmp_path, *RIGHT) == 0
        assert "2 readings imported" in capsys.readouterr().out
    async with asyncio.timeout(40):
        assert values(await stored(bus_url)) == [1.5, "running"]


async def test_nothing_is_imported_unless_every_row_is_right(
    tmp_path: Path, bus_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await import_(tmp_path, WRONG, *RIGHT, WRONG) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in told[:2]] == ["2", "5"]
    assert "nothing was imported" in told[2]
    async with asyncio.timeout(40):
        assert await stored(bus_url) == []


async def test_wrong_rows_are_left_out_on_demand_and_told(
    tmp_path: Path, bus_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await import_(tmp_path, WRONG, *RIGHT, options=("--skip-bad",)) == 0
    told = capsys.readouterr()
    assert "left out: " in told.err
    assert "past.csv:2:2: time: 'yesterday' is not a time" in told.err
    async with asyncio.timeout(40):
        assert values(await stored(bus_url)) == [1.5, "running"]
