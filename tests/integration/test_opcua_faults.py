"""What the OPC UA driver does when the road or the server is bad."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lineshaft.core.errors import Unreachable
from lineshaft.core.event import Event, decode_event
from lineshaft.core.frame import decode_frame
from lineshaft.core.point import Point
from lineshaft.core.reading import Quality, Reading
from lineshaft.network.collector import Collector
from lineshaft.network.drivers.opcua import driver
from lineshaft.network.outbox import Parcel
from lineshaft.network.settings import DeviceConfig
from support.fault_proxy import CLEAR, FaultProxy, Faults
from support.opcua_keys import Keys
from support.opcua_peer import NAMESPACE, open_server, point_of

WITHIN_S = 40.0
RENEWALS_S = 11.0
MODES = pytest.mark.parametrize("mode", ["subscribe", "poll"])


def settings_of(port: int, **more: object) -> driver.Settings:
    told = {
        "url": f"opc.tcp://127.0.0.1:{port}",
        "publishing_interval_s": 0.05,
        "timeout_s": 1.0,
        **more,
    }
    return driver.Settings.model_validate(told)


async def use(device: object, *, until_s: float = WITHIN_S) -> None:
    """Hear or ask the server until something goes wrong."""
    async with asyncio.timeout(until_s):
        if isinstance(device, driver.PolledServer):
            while True:
                await device.read([0, 1])
                await asyncio.sleep(0.02)
        assert isinstance(device, driver.HeardServer)
        async for _ in device.listen():
            pass


@asynccontextmanager
async def bad_road() -> AsyncIterator[FaultProxy]:
    """A road to a server whose variables change."""
    async with (
        open_server(count=50, hz=20) as server,
        FaultProxy("127.0.0.1", server.port, seed=1) as road,
    ):
        await server.tell("begin")
        yield road


@MODES
async def test_wrong_bytes_in_a_session_end_it_in_words(mode: str) -> None:
    points = [point_of("V1"), point_of("String")]
    async with bad_road() as road:
        for _ in range(6):
            road.faults = CLEAR
            async with driver.connect(
                settings_of(road.port, mode=mode), points
            ) as device:
                road.faults = Faults(corruption=1.0)
                with pytest.raises(Unreachable):
                    await use(device)


@MODES
async def test_a_road_that_is_cut_is_noticed_at_once(mode: str) -> None:
    points = [point_of("V1"), point_of("String")]
    async with bad_road() as road:
        settings = settings_of(road.port, mode=mode, timeout_s=30)
        async with driver.connect(settings, points) as device:
            road.reset()
            with pytest.raises(Unreachable, match="lost"):
                await use(device, until_s=20)


@MODES
async def test_a_road_that_swallows_everything_is_noticed(mode: str) -> None:
    points = [point_of("V1"), point_of("String")]
    async with bad_road() as road:
        async with driver.connect(settings_of(road.port, mode=mode), points) as device:
            road.faults = Faults(silent=True)
            with pytest.raises(Unreachable):
                await use(device)


@pytest.mark.parametrize("security", ["none", "sign-and-encrypt"])
async def test_no_change_is_lost_while_the_keys_of_the_channel_are_renewed(
    security: str, tmp_path: Path
) -> None:
    keys = Keys(tmp_path)
    more: dict[str, object] = {"security": security, "timeout_s": 10}
    more["queue_size"] = 1000  # this machine may be busy for more than a second
    if security != "none":
        more |= {
            "certificate": keys.path("ours.pem"),
            "private_key": keys.path("ours.key"),
            "server_certificate": keys.path("theirs.pem"),
        }
    # The server forgets the keys after 7.5 s, unless they are renewed.
    async with open_server(
        count=200,
        hz=10,
        tokenLifetime=6000,
        certificate=keys.path("theirs.pem"),
        key=keys.path("theirs.key"),
    ) as server:
        points = [point_of(f"V{n}") for n in range(200)]
        last = [-1.0] * len(points)
        async with driver.connect(settings_of(server.port, **more), points) as device:
            assert isinstance(device, driver.HeardServer)
            await server.tell("begin")
            turns = RENEWALS_S * 10
            async with asyncio.timeout(WITHIN_S + RENEWALS_S):
                async for batch in device.listen():
                    for point, value in zip(batch.points, batch.values, strict=True):
                        assert isinstance(value, float)
                        assert value == last[point] + 1
                        last[point] = value
                    if min(last) >= turns:
                        break


class Pillarbox:
    """An outbox that keeps what was posted where a test can wait for it."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.events: list[Event] = []
        self._news = asyncio.Event()

    async def post(self, parcel: Parcel) -> None:
        if parcel.readings:
            self.readings += decode_frame(parcel.data).readings()
        else:
            self.events.append(decode_event(parcel.data))
        self._news.set()

    async def tell(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def last(self, name: str) -> Reading | None:
        said = [one for one in self.readings if one.name == name]
        return said[-1] if said else None

    def is_good(self, *names: str) -> bool:
        said = [self.last(name) for name in names]
        return all(one and one.status.quality is Quality.GOOD for one in said)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class Nobody:
    def tell(self, subject: str, data: bytes) -> None:
        pass


POINTS = (
    Point(name="a/uri", address=f"nsu={NAMESPACE};s=Double"),
    Point(name="a/number", address="ns=2;s=Double"),
    Point(name="a/path", address="path:/Objects/2:Peer/2:Double"),
    Point(name="a/element", address=f"[1]nsu={NAMESPACE};s=Press.Zones[7]"),
)
NAMES = [point.name for point in POINTS]


@asynccontextmanager
async def collecting(port: int, box: Pillarbox) -> AsyncIterator[Collector]:
    settings = settings_of(port, events=["server"])
    config = DeviceConfig("press", "opcua", driver, settings, POINTS, 1.0, 60.0)  # type: ignore[arg-type]  # a module is a driver
    collector = Collector(config, "", POINTS, box, Nobody())
    running = asyncio.create_task(collector.run())
    try:
        yield collector
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_server_that_was_killed_is_found_again_with_other_numbers() -> None:
    box = Pillarbox()
    async with open_server(tank=True) as server, collecting(server.port, box):
        await box.until(lambda: box.is_good(*NAMES))
        await server.tell("level", value=0.95)
        await box.until(lambda: "device.alarm" in box.kinds())
        await server.stop()
        await box.until(lambda: "device.silent" in box.kinds())
        assert not any(box.is_good(name) for name in NAMES)
        server.options["padding"] = 3
        await server.start()
        await box.until(lambda: box.is_good(*NAMES))
        assert [getattr(box.last(name), "value", None) for name in NAMES] == [
            -2.25,
            -2.25,
            -2.25,
            20.0,
        ]
        before = len(box.events)
        await server.tell("happen", message="the door", severity=400)
        await box.until(
            lambda: any("the door" in event.text for event in box.events[before:])
        )
    assert "device.back" in box.kinds()


async def test_an_alarm_that_stands_is_told_once_however_often_the_road_is_cut() -> (
    None
):
    box = Pillarbox()
    async with (
        open_server(tank=True) as server,
        FaultProxy("127.0.0.1", server.port, seed=1) as road,
    ):
        async with collecting(road.port, box):
            await box.until(lambda: box.is_good(*NAMES))
            await server.tell("level", value=0.95)
            await box.until(lambda: "device.alarm" in box.kinds())
            road.reset()
            await box.until(lambda: "device.back" in box.kinds())
            await server.tell("happen", message="after", severity=1)
            await box.until(lambda: "after" in box.events[-1].text)
    assert box.kinds().count("device.alarm") == 1
