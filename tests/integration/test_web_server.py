"""The web room behind its real server, asked by real clients."""

import asyncio
import json
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from lineshaft.core.errors import ConfigError
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD
from lineshaft.web.api.app import build_app
from lineshaft.web.live import stream
from lineshaft.web.server import WebServer
from lineshaft.web.service import Served, Web
from lineshaft.web.settings import Settings
from support.bus_in_memory import BusInMemory
from support.web_plant import PRESS, PastInMemory, WebPlant, open_door, points

P0 = f"{PRESS}/p0"
API = "/api/v1"
SECOND = 1_000_000


@asynccontextmanager
async def serving(plant: WebPlant) -> AsyncIterator[str]:
    """Serve a plant on a free port; yield its address."""
    server = WebServer(build_app(plant.rooms), "127.0.0.1", 0, plant.told.open.end)
    async with plant.running(), beside(server.run()):
        yield server.url


@asynccontextmanager
async def asked(plant: WebPlant) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(plant) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            yield client


def live(url: str, query: str = "pattern=**", origin: str | None = None) -> connect:
    address = url.replace("http", "ws") + f"{API}/live?{query}"
    return connect(address, origin=origin, proxy=None, max_size=None)  # type: ignore[arg-type]  # text is one


async def hear(page: ClientConnection, *kinds: str) -> dict[str, object]:
    async with asyncio.timeout(30):
        while True:
            message: dict[str, object] = json.loads(await page.recv())
            if message["kind"] in kinds:
                return message


def values(message: dict[str, object]) -> list[object]:
    readings = message["readings"]
    assert isinstance(readings, list)
    return [reading["value"] for reading in readings]


async def test_the_whole_room_serves_from_the_moment_that_it_has_an_address() -> None:
    plant = Served("Osaka works", False, points(2), ["web"])
    bus = BusInMemory()
    with open_door(bus) as door:
        web = Web(plant, door, Settings(port=0), bus, PastInMemory(away=True))
        await _is_served(web)


async def _is_served(web: Web) -> None:
    async with httpx.AsyncClient(base_url=web.url, trust_env=False) as client:
        early = asyncio.ensure_future(client.get(f"{API}/health", timeout=30))
        async with beside(web.run()):
            health = (await early).json()
            page = await client.get("/")
    assert (health["plant"], health["status"]) == ("Osaka works", "ok") or health[
        "reasons"
    ] == ["web: no sign of life yet"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_taken_port_is_told_with_its_number_and_setting() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is used by .*web.port"):
            WebServer(object(), "127.0.0.1", port)


async def test_no_other_program_can_share_our_port() -> None:
    async with asked(WebPlant()) as client:
        assert (await client.get(f"{API}/health")).status_code == 200
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = client.base_url.port
            assert port
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))


async def test_the_port_is_free_again_after_a_stop() -> None:
    plant = WebPlant()
    first = WebServer(build_app(plant.rooms), "127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=first.url, trust_env=False) as client:
        async with plant.running(), beside(first.run()):
            assert (await client.get(f"{API}/health")).status_code == 200
    again = WebServer(object(), "127.0.0.1", first.port)
    assert again.port == first.port
    again.close()


async def test_it_serves_on_ipv6_loopback_as_well() -> None:
    plant = WebPlant()
    try:
        server = WebServer(build_app(plant.rooms), "::1", 0)
    except ConfigError:
        pytest.skip("this machine has no IPv6: it costs the test of IPv6 loopback")
    async with plant.running(), beside(server.run()):
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            assert (await client.get(f"{API}/health")).status_code == 200


class Follower:
    """A page that is cut off again and again, and comes back with its token."""

    def __init__(self, luck: random.Random, until: int) -> None:
        self.seen: list[object] = []
        self.cuts = 0
        self._luck = luck
        self._until = until
        self._token = ""

    async def run(self, url: str) -> None:
        async with live(url, f"pattern={P0}") as page:
            self._token = str((await hear(page, "snapshot"))["token"])
        while len(self.seen) < self._until:
            async with live(url, f"pattern={P0}&resume={self._token}") as page:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._luck.random() * 0.4):
                        await self._follow(page)
                self.cuts += 1
                if self._luck.random() < 0.5:
                    page.transport.abort()

    async def _follow(self, page: ClientConnection) -> None:
        while len(self.seen) < self._until:
            message = await hear(page, "snapshot", "readings", "gap")
            assert message["kind"] == "readings"
            self.seen += values(message)
            self._token = str(message["token"])


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_or_doubled_however_often_a_page_is_cut_off(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "RING_READINGS", 40)  # the bus has to help out
    luck, plant, total = random.Random(seed), WebPlant(points(3)), 400
    follower = Follower(luck, total)

    async def work() -> None:
        await plant.bus.until(lambda: plant.live._sessions)
        for number in range(total):
            others = [(f"{PRESS}/p1", number, 0.5)] * luck.randrange(3)
            await plant.say((P0, number, number), *others)
            await asyncio.sleep(luck.choice([0, 0, 0.01, 0.02]))

    async with serving(plant) as url, asyncio.timeout(100), asyncio.TaskGroup() as both:
        both.create_task(work())
        both.create_task(follower.run(url))
    assert follower.seen == list(range(total))
    assert follower.cuts > 3


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1", "https://localhost"]
)
async def test_the_page_of_another_site_cannot_follow(origin: str) -> None:
    async with serving(WebPlant()) as url:
        with pytest.raises(InvalidStatus) as refused:
            async with live(url, origin=origin):
                pass
        assert refused.value.response.status_code == 403


async def test_our_own_page_can_follow() -> None:
    async with serving(WebPlant(points(1))) as url, live(url, origin=url) as page:
        assert values(await hear(page, "snapshot")) == [None]


async def test_a_name_that_another_site_controls_reaches_nothing() -> None:
    async with asked(WebPlant()) as client:
        for path in ("/", f"{API}/readings", f"{API}/openapi.json"):
            answer = await client.get(path, headers={"host": "evil.example"})
            assert answer.status_code == 403


async def test_a_huge_body_is_refused_before_it_is_sent_and_the_next_is_served() -> (
    None
):
    async with asked(WebPlant()) as client:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", client.base_url.port
        )
        writer.write(
            b"POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 5000000\r\n\r\n"
        )
        async with asyncio.timeout(30):
            first = await reader.readline()
        writer.close()
        after = await client.get(f"{API}/health")
    assert b" 413 " in first
    assert after.status_code == 200


async def test_an_export_of_many_parts_arrives_whole() -> None:
    rows = [(P0, each * SECOND, each, GOOD) for each in range(20_000)]
    plant = WebPlant(past=PastInMemory(rows))
    query = "pattern=**&from=1970-01-01&to=1971-01-01&format=csv"
    async with asked(plant) as client:
        async with client.stream("GET", f"{API}/export?{query}", timeout=60) as answer:
            lines = [line async for line in answer.aiter_lines()]
    assert answer.headers["content-type"].startswith("text/csv")
    assert lines == [f"csv {P0} {each * SECOND} {each}" for each in range(20_000)]


async def test_an_export_that_breaks_never_looks_whole() -> None:
    rows = [(P0, each * SECOND, each, GOOD) for each in range(10)]
    plant = WebPlant(past=PastInMemory(rows, breaks_after=5))
    query = "pattern=**&from=1970-01-01&to=1970-01-02"
    async with asked(plant) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{API}/export?{query}")
        assert (await client.get(f"{API}/health")).status_code == 200


async def test_a_slow_page_is_told_of_its_gap_and_harms_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "MOST_WAITING", 2_000)
    plant = WebPlant(points(1))
    long = "x" * 20_000
    async with serving(plant) as url, live(url) as quick, live(url) as slow:
        for page in (quick, slow):
            await hear(page, "snapshot")
        slow.transport.pause_reading()
        for number in range(60):
            rows = [(P0, number * 100 + each, f"{number}{long}") for each in range(100)]
            await plant.say(*rows)
            count = 0
            while count < 100:
                said = values(await hear(quick, "readings"))
                assert all(str(value).startswith(str(number)) for value in said)
                count += len(said)
        slow.transport.resume_reading()
        while (message := await hear(slow, "readings", "gap"))["kind"] != "gap":
            pass
        assert message["reason"] == stream.TOO_MUCH
        assert str(values(await hear(slow, "snapshot"))[0]).startswith("59")


@pytest.mark.parametrize("said", ["{", '{"pattern": 1}', '{"patterns": ["a b"]}'])
async def test_a_page_that_makes_no_sense_is_hung_up_on_with_the_reason(
    said: str,
) -> None:
    async with serving(WebPlant()) as url, live(url) as page:
        await hear(page, "snapshot")
        await page.send(said)
        with pytest.raises(ConnectionClosed) as closed:
            await hear(page, "nothing")
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 4400
        assert closed.value.rcvd.reason


async def test_pages_that_vanish_leave_no_error_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plant = WebPlant(points(1))
    async with serving(plant) as url:
        for number in range(10):
            async with live(url) as page:
                await hear(page, "snapshot")
                page.transport.abort()
            await plant.say((P0, number, number))
        await plant.bus.until(lambda: not plant.live._sessions)
    assert not caplog.records


async def test_it_stops_within_two_seconds_while_pages_are_open() -> None:
    async with serving(WebPlant()) as url:
        pages = [await live(url) for _ in range(5)]
        for page in pages:
            await hear(page, "snapshot")
        began = time.monotonic()
    assert time.monotonic() - began < 2
    for page in pages:
        with pytest.raises(ConnectionClosed):
            await hear(page, "nothing")
