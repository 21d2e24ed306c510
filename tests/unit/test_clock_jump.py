"""Somebody sets the clock by an hour: what lasts how long must not change by that."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import BaseModel

from lineshaft.core.frame import decode_frame
from lineshaft.core.point import Point
from lineshaft.core.reading import Quality, Reading
from lineshaft.network import collector as module
from lineshaft.network.collector import Collector
from lineshaft.network.device import Batch, Driver
from lineshaft.network.outbox import Parcel
from lineshaft.network.settings import DeviceConfig
from lineshaft.web.live import stream
from support.web_plant import PRESS, WebPlant, points

HOUR_US = 3_600_000_000
NAME = "mill/oven/temperature"
P0 = f"{PRESS}/p0"


class Clock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.set_by_us = 0

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.set_by_us


class NoSettings(BaseModel):
    """A driver that needs to know nothing."""


class Once:
    """Says one value, and then nothing more."""

    def __init__(self, *, vouches: bool) -> None:
        self.vouches: bool | None = vouches

    async def listen(self) -> AsyncIterator[Batch]:
        batch = Batch()
        batch.add(0, 4.0, 1_000)
        yield batch
        await asyncio.Event().wait()


class Box:
    """An outbox that keeps readings where a test can wait for them."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self._news = asyncio.Event()

    async def post(self, parcel: Parcel) -> None:
        self.readings += decode_frame(parcel.data).readings()
        self._news.set()

    async def tell(self, event: object) -> None:
        """Events are not looked at."""

    async def until(self, count: int) -> list[Reading]:
        async with asyncio.timeout(30):
            while len(self.readings) < count:
                self._news.clear()
                await self._news.wait()
        return self.readings


class Nobody:
    def tell(self, subject: str, data: bytes) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(module, "CHECK_EVERY_S", 0.01)
    clock = Clock()
    monkeypatch.setattr(module, "_now_us", clock.now_us)
    monkeypatch.setattr(stream, "_now_us", clock.now_us)
    return clock


@asynccontextmanager
async def collecting(device: Once, box: Box, **limits: float) -> AsyncIterator[None]:
    @asynccontextmanager
    async def connect(
        settings: BaseModel, points: Sequence[Point]
    ) -> AsyncIterator[Once]:
        yield device

    driver = cast("Driver", SimpleNamespace(connect=connect))
    known = (Point(name=NAME, address="1", period_s=0.01),)
    config = DeviceConfig("oven", "fake", driver, NoSettings(), known, **limits)
    async with asyncio.TaskGroup() as group:
        service = Collector(config, "", known, box, Nobody())
        task = group.create_task(service.run())
        yield
        task.cancel()


async def test_a_clock_set_forward_makes_no_point_silent(clock: Clock) -> None:
    box = Box()
    limits = {"timeout_s": 600.0, "heartbeat_s": 600.0}
    async with collecting(Once(vouches=False), box, **limits):
        await box.until(1)
        clock.set_by_us = HOUR_US
        await asyncio.sleep(0.2)  # many looks fit in here
        assert [reading.value for reading in box.readings] == [4.0]


async def test_a_clock_set_back_hides_no_silence(clock: Clock) -> None:
    box = Box()
    limits = {"timeout_s": 0.02, "heartbeat_s": 600.0}
    async with collecting(Once(vouches=False), box, **limits):
        clock.set_by_us = -HOUR_US
        _, silent = (await box.until(2))[:2]
    assert silent.status.quality is Quality.BAD
    assert "said nothing" in silent.status.reason
    assert abs(silent.time_us - clock.now_us()) < HOUR_US // 2, "it bears the new time"


@pytest.mark.parametrize("set_by_us", [HOUR_US, -HOUR_US])
async def test_what_stands_still_is_repeated_in_step(
    clock: Clock, set_by_us: int
) -> None:
    box = Box()
    limits = {"timeout_s": 600.0, "heartbeat_s": 0.02}
    async with collecting(Once(vouches=True), box, **limits):
        await box.until(2)
        clock.set_by_us = set_by_us
        before = len(box.readings)
        repeated = await box.until(before + 3)
    assert {reading.value for reading in repeated[: before + 3]} == {4.0}
    assert abs(repeated[before + 2].time_us - clock.now_us()) < HOUR_US // 2


async def test_a_page_shows_what_comes_after_the_clock_was_set_back(
    clock: Clock,
) -> None:
    now = clock.now_us()
    async with WebPlant(points(1)).running() as plant:
        await plant.say((P0, now + HOUR_US, 9.0))
        await plant.say((P0, now, 3.0))
        await plant.heard()
        assert [reading.value for reading in plant.live.views([P0])] == [3.0]
