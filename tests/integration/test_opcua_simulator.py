"""The demonstration press line is a real server whose values fit together."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lineshaft.core.errors import LineshaftError, Unreachable
from lineshaft.core.reading import Value
from lineshaft.network.drivers.opcua import driver
from lineshaft.network.drivers.opcua.simulator import point_list

WITHIN_S = 60.0
MODULE = "lineshaft.network.drivers.opcua.simulator"
POINTS = point_list("acme/press")


@asynccontextmanager
async def open_line(*more: str) -> AsyncIterator[tuple[Process, driver.Settings]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        "--die-with-parent",
        *more,
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(WITHIN_S):
            told = json.loads(await process.stdout.readline())
        yield process, driver.Settings(url=told["url"], timeout_s=3.0)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def hear_until(
    device: object, values: dict[str, Value | None], name: str, wanted: Value | None
) -> None:
    assert isinstance(device, driver.HeardServer)
    async with asyncio.timeout(WITHIN_S):
        async for batch in device.listen():
            for point, value in zip(batch.points, batch.values, strict=True):
                values[POINTS[point].name.removeprefix("acme/press/")] = value
            if len(values) == len(POINTS) and wanted in (None, values.get(name)):
                return


async def test_every_point_of_the_list_is_heard_and_ends_with_its_parent() -> None:
    values: dict[str, Value | None] = {}
    async with open_line() as (process, settings):
        async with driver.connect(settings, POINTS) as device:
            await hear_until(device, values, "", None)
            place = [point.name for point in POINTS].index(
                "acme/press/press2/force_setpoint"
            )
            await device.write(place, 1234.5)
            await hear_until(device, values, "press2/force_setpoint", 1234.5)
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 0
    assert len(POINTS) >= 30
    assert None not in values.values()
    assert values["press1/running"] is (values["press1/state"] != "coil change")


async def test_browsing_the_line_finds_the_addresses_of_its_list() -> None:
    async with open_line() as (_, settings):
        async with driver.open_browser(settings) as browser:
            found = {one.address: one async for one in browser.browse()}
    assert set(found) == {point.address for point in POINTS}
    for point in POINTS:
        one = found[point.address]
        assert (one.type, one.unit) == (point.type, point.unit)
        assert one.writable == point.writable


async def test_a_lost_link_is_noticed_and_heals() -> None:
    # Faults take turns: stuck, drift, and in the third turn the link is lost.
    async with open_line("--fault-every", "3") as (_, settings):
        async with driver.connect(settings, POINTS) as device:
            with pytest.raises(Unreachable):
                await hear_until(device, {}, "press1/strokes", "never")
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    async with driver.connect(settings, POINTS) as device:
                        await hear_until(device, {}, "", None)
                    break
                except LineshaftError:
                    await asyncio.sleep(0.2)
