"""The energy meters of the demonstration, read by our driver and by mbpoll."""

import asyncio
import json
import math
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.point import Kind
from lineshaft.core.reading import Quality, Value
from lineshaft.network.drivers.modbus import driver
from lineshaft.network.drivers.modbus.meters import point_list
from support.modbus_peer import HOST, PATIENCE_S
from support.peers import need

MODULE = "lineshaft.network.drivers.modbus.simulator"
POINTS = point_list("demo/plant")


@asynccontextmanager
async def simulator(*options: str) -> AsyncIterator[tuple[Process, int]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, "--port", "0", "--die-with-parent", *options),
        stdin=PIPE,
        stdout=PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            told = json.loads(await process.stdout.readline())
        assert told["host"] == HOST
        yield process, told["port"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def settings(port: int) -> driver.Settings:
    return driver.Settings(host=HOST, port=port, timeout_s=10.0)


async def read_all(device: driver.Opened) -> dict[str, Value]:
    batch = await device.read(range(len(POINTS)))
    assert {status.quality for status in batch.statuses} == {Quality.GOOD}
    values: dict[str, Value] = {}
    for place, value in zip(batch.points, batch.values, strict=True):
        assert value is not None
        point = POINTS[place]
        scaled = float(value) * point.scale if point.type is Kind.FLOAT else value
        values[point.name.removeprefix("demo/plant/")] = scaled
    return values


async def test_every_point_of_the_list_is_there_and_they_fit_together() -> None:
    async with (
        simulator() as (_, port),
        driver.connect(settings(port), POINTS) as device,
    ):
        values = await read_all(device)
    assert len(values) == 48
    for meter in ("meter1", "meter2", "meter3"):
        apparent = sum(
            float(values[f"{meter}/voltage_{phase}"])
            * float(values[f"{meter}/current_{phase}"])
            for phase in ("l1", "l2", "l3")
        )
        active = float(values[f"{meter}/active_power"]) * 1000
        factor = float(values[f"{meter}/power_factor"])
        assert active == pytest.approx(apparent * factor, rel=1e-4)
        assert float(values[f"{meter}/reactive_power"]) == pytest.approx(
            active / 1000 * math.tan(math.acos(factor)), rel=1e-3
        )
        assert str(values[f"{meter}/serial_number"]).startswith("LS-EM3-260")


async def test_mbpoll_reads_what_our_driver_reads() -> None:
    mbpoll = need("mbpoll", package="mbpoll")
    async with (
        simulator() as (_, port),
        driver.connect(settings(port), POINTS) as device,
    ):
        ours = await read_all(device)
        poll = await asyncio.create_subprocess_exec(
            *(mbpoll, "-1", "-0", "-q", "-a", "3", "-t", "3:float", "-B"),
            *("-r", "0", "-c", "10", "-p", str(port), HOST),
            stdout=PIPE,
        )
        async with asyncio.timeout(PATIENCE_S):
            text = (await poll.communicate())[0].decode()
    theirs = {
        int(place): float(value)
        for place, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", text, re.MULTILINE)
    }
    assert sorted(theirs) == list(range(0, 20, 2))
    assert theirs[0] == pytest.approx(ours["meter3/voltage_l1"], rel=0.05)
    assert theirs[12] == pytest.approx(ours["meter3/active_power"], rel=0.2)
    assert theirs[18] == pytest.approx(ours["meter3/frequency"], rel=0.01)


async def test_an_open_relay_stops_the_load_and_the_counter() -> None:
    names = [point.name.removeprefix("demo/plant/") for point in POINTS]
    async with (
        simulator() as (_, port),
        driver.connect(settings(port), POINTS) as device,
    ):
        await device.write(names.index("meter1/relay"), False)
        first = await _until(device, lambda now: now["meter1/active_power"] == 0.0)
        assert first["meter1/current_l1"] == 0.0
        assert first["meter1/relay"] is False
        before = float(first["meter2/energy"])
        later = await _until(device, lambda now: float(now["meter2/energy"]) > before)
        assert later["meter1/energy"] == first["meter1/energy"]
        assert float(later["meter2/active_power"]) > 0
        await device.write(names.index("meter2/tariff"), 3)
        assert (await read_all(device))["meter2/tariff"] == 3
        with pytest.raises(Refused, match="exception 3: illegal data value"):
            await device.write(names.index("meter2/tariff"), 9)


async def _until(
    device: driver.Opened, is_so: Callable[[dict[str, Value]], bool]
) -> dict[str, Value]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            values = await read_all(device)
            if is_so(values):
                return values
            await asyncio.sleep(0.05)


async def test_a_fault_makes_one_meter_silent_and_leaves_the_others() -> None:
    """The third fault, of the third meter, is a cut line."""
    async with simulator("--fault-every", "0.6") as (_, port):
        silence = await _until_silent(port)
        assert "unit 3 at" in silence
        assert "exception 11: gateway target failed to respond" in silence
        async with driver.connect(settings(port), POINTS[:1]) as device:
            assert len(await device.read([0])) == 1


async def _until_silent(port: int) -> str:
    async with asyncio.timeout(PATIENCE_S):
        async with driver.connect(settings(port), POINTS[-16:]) as device:
            while True:
                try:
                    await device.read(range(16))
                except Unreachable as silence:
                    return str(silence)
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("how", ["SIGTERM", "end of input"])
async def test_it_ends_when_it_is_told_to(how: str) -> None:
    async with simulator() as (process, _):
        if how == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            assert process.stdin is not None
            process.stdin.close()
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
