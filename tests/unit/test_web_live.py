"""What a page is told over its live stream, without a server."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.event import Event, encode_event
from lineshaft.core.health import Health, State
from lineshaft.core.process.tasks import bare, beside
from lineshaft.core.reading import GOOD
from lineshaft.web.live import rows, stream
from lineshaft.web.live.talk import Talk
from support.web_plant import PRESS, PastInMemory, WebPlant, points

P0, P1 = f"{PRESS}/p0", f"{PRESS}/p1"
Message = dict[str, object]


class Page:
    """The other end of a `Line`, which can stop taking messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.takes = asyncio.Event()
        self.takes.set()
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self._news = asyncio.Event()

    async def send(self, data: bytes) -> None:
        await self.takes.wait()
        self.messages.append(json.loads(data))
        self._news.set()

    async def hear(self) -> AsyncIterator[bytes]:
        while True:
            yield await self._said.get()

    def say(self, message: object) -> None:
        self._said.put_nowait(json.dumps(message).encode())

    async def next(self, *kinds: str) -> Message:
        """Take the next message of these kinds; others are passed over."""
        async with asyncio.timeout(30):
            while True:
                for place, message in enumerate(self.messages):
                    if message["kind"] in kinds:
                        del self.messages[: place + 1]
                        return message
                self._news.clear()
                await self._news.wait()

    async def values(self, count: int) -> list[object]:
        """Take the values of that many readings, and keep the last token."""
        found: list[object] = []
        while len(found) < count:
            message = await self.next("readings", "gap", "snapshot")
            assert message["kind"] == "readings", message
            found += values(message)
            self.token = str(message["token"])
        return found


def values(message: Message) -> list[object]:
    readings = message["readings"]
    assert isinstance(readings, list)
    return [reading["value"] for reading in readings]


@asynccontextmanager
async def talking(
    plant: WebPlant, patterns: Sequence[str] = ("**",), resume: str | None = None
) -> AsyncIterator[Page]:
    page = Page()
    async with beside(Talk(page, plant.told, plant.looker()).run(patterns, resume)):
        yield page


async def test_a_page_first_sees_everything_and_then_every_change_in_order() -> None:
    async with WebPlant(points(2)).running() as plant:
        await plant.say((P0, 1, 1.0))
        async with talking(plant) as page:
            first = await page.next("snapshot")
            assert values(first) == [1.0, None]
            await plant.say((P0, 2, 2.0), (P1, 2, 5.0), (P0, 3, 3.0))
            await plant.say((P0, 4, 4.0))
            assert await page.values(4) == [2.0, 5.0, 3.0, 4.0]


async def test_after_a_reload_an_open_page_shows_the_points_that_are_there_now() -> (
    None
):
    async with WebPlant(points(2)).running() as plant:
        await plant.say((P0, 1, 1.0), (P1, 1, 5.0))
        async with talking(plant, [f"{PRESS}/*"]) as page:
            assert values(await page.next("snapshot")) == [1.0, 5.0]
            plant.told.namespace.take(points(3)[1:])
            plant.told.live.renew()
            assert "configuration" in str(await page.next("gap"))
            assert values(await page.next("snapshot")) == [5.0, None]


async def test_a_page_is_told_only_what_it_shows() -> None:
    async with WebPlant(points(2)).running() as plant:
        async with talking(plant, [P1]) as page:
            await page.next("snapshot")
            await plant.say((P0, 1, 1.0))
            await plant.say((P0, 2, 2.0), (P1, 2, 5.0))
            assert await page.values(1) == [5.0]


async def test_the_stream_goes_on_after_a_change_of_patterns() -> None:
    async with WebPlant(points(2)).running() as plant:
        async with talking(plant, [P0]) as page:
            assert len(values(await page.next("snapshot"))) == 1
            await plant.say((P0, 1, 1.0), (P1, 1, 5.0))
            assert await page.values(1) == [1.0]
            page.say({"patterns": [P1]})
            assert values(await page.next("snapshot")) == [5.0]
            await plant.say((P0, 2, 2.0), (P1, 2, 6.0))
            assert await page.values(1) == [6.0]
            page.say({"patterns": []})
            assert values(await page.next("snapshot")) == []


async def test_a_page_that_comes_back_gets_what_it_missed_and_nothing_twice() -> None:
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant) as page:
            await page.next("snapshot")
            await plant.say((P0, 1, 1.0))
            await page.values(1)
        for number in range(2, 6):
            await plant.say((P0, number, float(number)))
        await plant.heard()
        async with talking(plant, resume=page.token) as again:
            assert await again.values(4) == [2.0, 3.0, 4.0, 5.0]
            await plant.say((P0, 6, 6.0))
            assert await again.values(1) == [6.0]


async def test_a_page_that_comes_back_after_a_restart_of_ours_loses_nothing() -> None:
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant) as page:
            await page.next("snapshot")
            await plant.say((P0, 1, 1.0))
            await page.values(1)
    await plant.say((P0, 2, 2.0))
    restarted = WebPlant(points(1), bus=plant.bus)
    async with restarted.running():
        async with talking(restarted, resume=page.token) as again:
            assert await again.values(1) == [2.0]


async def test_what_is_older_than_our_memory_comes_from_the_bus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "RING_READINGS", 3)
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant) as page:
            await page.next("snapshot")
            await plant.say((P0, 0, 0.0))
            await page.values(1)
        for number in range(1, 20):
            await plant.say((P0, number, float(number)))
        await plant.heard()
        async with talking(plant, resume=page.token) as again:
            assert await again.values(19) == [float(each) for each in range(1, 20)]


async def test_what_nobody_has_any_more_is_a_gap_and_then_all_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "RING_READINGS", 3)
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant) as page:
            token = str((await page.next("snapshot"))["token"])
        for number in range(1, 20):
            await plant.say((P0, number, float(number)))
        await plant.heard()
        await plant.bus.forget("READINGS", through=5)
        async with talking(plant, resume=token) as again:
            gap = await again.next("gap", "readings", "snapshot")
            assert gap["reason"] == "what came after the token is not kept any more"
            shown = await again.next("snapshot", "readings")
            assert (values(shown), shown["token"]) == ([19.0], gap["token"])


@pytest.mark.parametrize("token", ["", "x", "other:3", ":", "ä:-1", "memory:9e9"])
async def test_a_token_of_another_stream_is_a_gap(token: str) -> None:
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant, resume=token) as page:
            assert (await page.next("gap", "snapshot"))["kind"] == "gap"
            assert values(await page.next("snapshot")) == [None]


async def test_a_token_from_the_future_is_a_gap() -> None:
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant) as page:
            token = str((await page.next("snapshot"))["token"])
        async with talking(plant, resume=token.replace(":0", ":7")) as page:
            assert (await page.next("gap", "snapshot"))["kind"] == "gap"


async def test_a_slow_page_is_told_of_its_gap_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "MOST_WAITING", 10)
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant) as slow, talking(plant) as quick:
            await slow.next("snapshot")
            await quick.next("snapshot")
            slow.takes.clear()
            for number in range(30):
                await plant.say((P0, number, float(number)))
                assert await quick.values(1) == [float(number)]
            slow.takes.set()
            seen: list[object] = []
            while (message := await slow.next("readings", "gap"))["kind"] != "gap":
                seen += values(message)
            assert seen == [float(each) for each in range(len(seen))]
            assert message["reason"] == stream.TOO_MUCH
            assert values(await slow.next("snapshot", "readings")) == [29.0]
            await plant.say((P0, 31, 31.0))
            assert await slow.values(1) == [31.0]


async def test_a_frame_that_brings_the_past_is_told_to_pages_that_show_little_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rows, "MOST_SHARED", 100)
    monkeypatch.setattr(stream, "MOST_WAITING", 200)
    async with WebPlant(points(2)).running() as plant:
        async with talking(plant, [P1]) as little, talking(plant) as much:
            await little.next("snapshot")
            await much.next("snapshot")
            await plant.say(
                *((P0, n, n) for n in range(190)), *((P1, n, n) for n in range(20))
            )
            assert await little.values(20) == list(range(20))
            assert (await much.next("gap", "readings"))["reason"] == stream.TOO_MUCH
            assert values(await much.next("snapshot")) == [189, 19]


async def test_a_page_that_left_costs_nothing() -> None:
    async with WebPlant(points(1)).running() as plant:
        async with talking(plant) as page:
            await page.next("snapshot")
        async with talking(plant, resume="nonsense") as page:
            await page.next("snapshot")
        assert not plant.live._sessions
        assert not plant.events._listeners


async def test_the_last_values_of_the_historian_fill_in_but_never_overwrite() -> None:
    past = PastInMemory([(P0, 5, 50.0, GOOD), (P1, 5, 51.0, GOOD)], away=True)
    async with WebPlant(points(2), past=past).running() as plant:
        async with talking(plant) as page:
            assert values(await page.next("snapshot")) == [None, None]
            await plant.say((P0, 9, 90.0))
            assert await page.values(1) == [90.0]
            past.away = False  # only now does the historian come up
            assert await page.values(1) == [51.0]
            assert [r.value for r in plant.live.views([P0, P1])] == [90.0, 51.0]


async def test_what_was_said_just_before_we_began_is_not_missed() -> None:
    plant = WebPlant(points(1))
    await plant.say((P0, 1, 1.0))
    async with plant.running(), talking(plant) as page:
        assert values(await page.next("snapshot")) == [1.0]


async def test_pages_are_let_in_although_all_was_forgotten_before_we_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "CATCH_UP_S", 0.01)
    plant = WebPlant(points(1))
    await plant.say((P0, 1, 1.0))
    await plant.bus.forget("READINGS", through=1)
    async with plant.running(), talking(plant) as page:
        assert values(await page.next("snapshot")) == [None]
        await plant.say((P0, 2, 2.0))
        assert await page.values(1) == [2.0]


async def test_a_late_reading_is_told_but_is_not_the_newest() -> None:
    async with WebPlant(points(1)).running() as plant, talking(plant) as page:
        await page.next("snapshot")
        await plant.say((P0, 9, 9.0))
        await plant.say((P0, 3, 3.0))
        assert await page.values(2) == [9.0, 3.0]
        assert [r.value for r in plant.live.views([P0])] == [9.0]


async def test_what_is_no_frame_is_passed_over() -> None:
    async with WebPlant(points(1)).running() as plant, talking(plant) as page:
        await page.next("snapshot")
        await plant.bus.publish("readings.acme", b"no frame", "odd")
        await plant.say((P0, 1, 1.0))
        assert await page.values(1) == [1.0]


async def test_events_and_health_are_told_when_they_happen() -> None:
    old = Event(kind="device.old", source="press", text="before")
    plant = WebPlant(points(1), services=("historian", "web"))
    await plant.bus.publish("events.device.old", encode_event(old), "old")
    async with plant.running():
        await plant.bus.until(lambda: plant.events.newest(1, "*"))
        async with talking(plant) as page:
            health = (await page.next("health"))["health"]
            assert isinstance(health, dict)
            assert health["status"] == "degraded"
            event = Event(kind="device.silent", source="press", text="no answer")
            await plant.bus.publish("events.device.silent", encode_event(event), "1")
            told = (await page.next("event"))["event"]
            assert isinstance(told, dict)
            assert told["text"] == "no answer"
            well = Health(service="historian", state=State.OK, since_us=1)
            plant.bus.tell("status.historian", msgspec.json.encode(well))
            health = (await page.next("health"))["health"]
            assert isinstance(health, dict)
            assert health["status"] == "ok"


@pytest.mark.parametrize(
    "said", [{"patern": []}, {"patterns": "**"}, [], {"patterns": ["x" * (1 << 20)]}]
)
async def test_a_page_that_says_what_makes_no_sense_is_refused(said: object) -> None:
    async with WebPlant(points(1)).running() as plant:
        page = Page()
        page.say(said)
        with pytest.raises(Refused), bare():
            await Talk(page, plant.told, plant.looker()).run(["**"], None)
        assert not plant.live._sessions


async def test_a_pattern_that_is_none_is_refused() -> None:
    async with WebPlant(points(1)).running() as plant:
        with pytest.raises(NotFound, match="not a pattern"):
            await Talk(Page(), plant.told, plant.looker()).run(["a/b c"], None)
        with pytest.raises(NotFound, match="more than 200"):
            await Talk(Page(), plant.told, plant.looker()).run(["*/x"] * 201, None)
