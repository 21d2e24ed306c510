import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import BaseModel
from typing_extensions import override

from lineshaft.core.errors import Unreachable
from lineshaft.core.event import Event
from lineshaft.core.frame import decode_frame
from lineshaft.core.point import Point
from lineshaft.core.reading import Quality, Reading
from lineshaft.network import collector as module
from lineshaft.network.collector import Collector
from lineshaft.network.device import Batch, Device, Driver
from lineshaft.network.outbox import Parcel
from lineshaft.network.settings import DeviceConfig

POINTS = (
    Point(name="mill/oven/temperature", address="1", period_s=0.05),
    Point(name="mill/saw/speed", address="2", period_s=0.05),
)


class NoSettings(BaseModel):
    """A driver that needs to know nothing."""


class Pillarbox:
    """An outbox that keeps what was posted where a test can wait for it."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.events: list[Event] = []
        self._news = asyncio.Event()

    async def post(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)
        self._news.set()

    async def tell(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def readings(self, name: str) -> list[Reading]:
        frames = [decode_frame(parcel.data) for parcel in self.parcels]
        return [r for frame in frames for r in frame.readings() if r.name == name]

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._news.clear()
                await self._news.wait()


class Nobody:
    def tell(self, subject: str, data: bytes) -> None:
        pass


class PolledDevice:
    """Answers a number of times, then falls silent."""

    def __init__(self, answers: int) -> None:
        self.left = answers
        self.value = 0.0

    async def read(self, points: Sequence[int]) -> Batch:
        if not self.left:
            raise Unreachable("it does not answer")
        self.left -= 1
        self.value += 1
        batch = Batch()
        for position in points:
            batch.add(position, self.value, 1_000)
        return batch


class TalkingDevice:
    """Says what it is told to, then ends as it is told to."""

    def __init__(
        self, batches: Sequence[Batch], *, vouches: bool | None, ends: bool
    ) -> None:
        self.vouches = vouches
        self._batches = batches
        self._ends = ends

    async def listen(self) -> AsyncIterator[Batch]:
        for batch in self._batches:
            yield batch
        if not self._ends:
            await asyncio.Event().wait()
        raise Unreachable("the line is dead")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(module, "CHECK_EVERY_S", 0.02)


def collector(devices: Sequence[Device], box: Pillarbox, **more: float) -> Collector:
    waiting = list(devices)

    @asynccontextmanager
    async def connect(
        settings: BaseModel, points: Sequence[Point]
    ) -> AsyncIterator[Device]:
        if not waiting:
            raise Unreachable("nobody is there")
        yield waiting.pop(0)

    driver = cast("Driver", SimpleNamespace(connect=connect))
    limits = {"timeout_s": 0.1, "heartbeat_s": 60.0} | more
    config = DeviceConfig("oven", "fake", driver, NoSettings(), POINTS, **limits)
    return Collector(config, "", POINTS, box, Nobody())


@asynccontextmanager
async def running(service: Collector) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(service.run())
        yield
        task.cancel()


def said(value: float, *positions: int) -> Batch:
    batch = Batch()
    for position in positions:
        batch.add(position, value, 1_000)
    return batch


class DeafDevice(PolledDevice):
    """Loses a cancellation, as `asyncio.wait_for` of Python 3.11 may."""

    def __init__(self) -> None:
        super().__init__(1_000_000)
        self.asked = asyncio.Event()

    @override
    async def read(self, points: Sequence[int]) -> Batch:
        self.asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)
        return await super().read(points)


async def test_it_stops_though_a_library_of_the_driver_loses_the_cancellation() -> None:
    device = DeafDevice()
    async with asyncio.timeout(20), running(collector([device], Pillarbox())):
        await device.asked.wait()


async def test_readings_travel_on_the_subject_of_their_place() -> None:
    box = Pillarbox()
    async with running(collector([PolledDevice(1)], box)):
        await box.until(lambda: len(box.parcels) >= 2)
    subjects = {parcel.subject for parcel in box.parcels}
    assert subjects == {"readings.mill.oven", "readings.mill.saw"}


async def test_silence_makes_every_point_bad_with_the_reason_and_is_said_once() -> None:
    box = Pillarbox()
    async with running(collector([PolledDevice(1)], box)):
        await box.until(
            lambda: any(r.value is None for r in box.readings("mill/saw/speed"))
        )
        await asyncio.sleep(0.1)  # several attempts to reconnect fit in here
    first, last = box.readings("mill/saw/speed")[:2]
    assert (first.value, first.status.quality) == (1.0, Quality.GOOD)
    assert last.status == (Quality.BAD, "it does not answer")
    assert [event.kind for event in box.events] == ["device.silent"]


async def test_collector_reconnects_when_the_device_falls_silent() -> None:
    box = Pillarbox()
    async with running(collector([PolledDevice(1), PolledDevice(1)], box)):
        await box.until(lambda: len(box.events) >= 2)
    assert [event.kind for event in box.events][:2] == ["device.silent", "device.back"]
    values = [r.value for r in box.readings("mill/oven/temperature")]
    assert values[:3] == [1.0, None, 1.0]


async def test_a_device_that_is_absent_at_the_start_is_bad_and_waited_for() -> None:
    box = Pillarbox()
    async with running(collector([], box)):
        await box.until(lambda: box.readings("mill/oven/temperature"))
    [first, *_] = box.readings("mill/oven/temperature")
    assert first.status == (Quality.BAD, "nobody is there")


async def test_what_was_said_just_before_the_end_is_not_lost() -> None:
    box = Pillarbox()
    device = TalkingDevice([said(4.0, 0), said(5.0, 0)], vouches=True, ends=True)
    async with running(collector([device], box)):
        await box.until(
            lambda: any(r.value is None for r in box.readings("mill/oven/temperature"))
        )
    values = [r.value for r in box.readings("mill/oven/temperature")]
    assert values[:3] == [4.0, 5.0, None]


async def test_a_kept_alive_subscription_repeats_what_stands_still() -> None:
    box = Pillarbox()
    device = TalkingDevice([said(4.0, 0)], vouches=True, ends=False)
    async with running(collector([device], box, heartbeat_s=0.05)):
        await box.until(lambda: len(box.readings("mill/oven/temperature")) >= 3)
    first, second = box.readings("mill/oven/temperature")[:2]
    assert first.value == second.value == 4.0
    assert second.time_us > first.time_us
    assert not [r for r in box.readings("mill/saw/speed") if r.value is not None]


async def test_a_point_of_which_nothing_is_heard_turns_bad_alone() -> None:
    box = Pillarbox()
    device = TalkingDevice([said(4.0, 0)], vouches=False, ends=False)
    async with running(collector([device], box)):
        await box.until(lambda: box.readings("mill/saw/speed"))
    [reading, *_] = box.readings("mill/saw/speed")
    assert reading.status.quality is Quality.BAD
    assert "said nothing" in reading.status.reason


async def test_of_the_past_nothing_is_repeated_and_no_silence_is_bad() -> None:
    box = Pillarbox()
    device = TalkingDevice([said(4.0, 0)], vouches=None, ends=False)
    async with running(collector([device], box, heartbeat_s=0.02, timeout_s=0.02)):
        await box.until(lambda: box.readings("mill/oven/temperature"))
        await asyncio.sleep(0.3)  # many heartbeats and time-outs fit in here
        assert len(box.readings("mill/oven/temperature")) == 1
        assert not box.readings("mill/saw/speed")


async def test_stopping_says_so_in_the_data() -> None:
    box = Pillarbox()
    device = TalkingDevice([said(4.0, 0, 1)], vouches=True, ends=False)
    async with running(collector([device], box)):
        await box.until(lambda: box.readings("mill/saw/speed"))
    assert box.readings("mill/saw/speed")[-1].status.reason == (
        "the collector was stopped"
    )


async def test_a_bug_in_a_driver_is_not_taken_for_silence() -> None:
    class Broken:
        async def read(self, points: Sequence[int]) -> Batch:
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await collector([Broken()], Pillarbox()).run()


async def test_a_driver_that_hangs_counts_as_silent() -> None:
    class Hanging:
        async def read(self, points: Sequence[int]) -> Batch:
            await asyncio.Event().wait()
            raise AssertionError

    box = Pillarbox()
    async with running(collector([Hanging()], box, timeout_s=0.005)):
        await box.until(lambda: box.events)
    assert "did not return in time" in box.events[0].text
