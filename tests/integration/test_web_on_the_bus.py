"""The web room on the real bus: what only JetStream itself can show."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.frame import encode_frame
from lineshaft.core.process.tasks import beside
from lineshaft.web.service import Served, Web
from lineshaft.web.settings import Settings
from support.frames import frame
from support.web_plant import PRESS, PastInMemory, open_door, points

P0 = f"{PRESS}/p0"
Told = tuple[str, str, list[object]]


@asynccontextmanager
async def web_room(bus: NatsBus) -> AsyncIterator[str]:
    plant = Served("Osaka works", False, points(1), ["web"])
    with open_door(bus) as door:
        web = Web(plant, door, Settings(port=0), bus, PastInMemory())
        async with beside(web.run()):
            yield web.url


async def say(bus: NatsBus, number: int) -> None:
    said = frame([(P0, number, number)], number=number)
    await bus.publish("readings.acme.osaka.press", encode_frame(said), said.id)


async def listen(url: str, count: int, token: str = "") -> Told:
    """Return the first kind of message, the last token, and values up to a count."""
    kinds: list[str] = []
    found: list[object] = []
    query = "pattern=**" + (f"&resume={token}" if token else "")
    address = f"{url.replace('http', 'ws')}/api/v1/live?{query}"
    async with asyncio.timeout(30), connect(address, proxy=None) as page:
        while len(found) < count:
            message = json.loads(await page.recv())
            if "token" in message:
                kinds.append(message["kind"])
                token = message["token"]
            found += [r["value"] for r in message.get("readings", [])]
    return kinds[0], token, found


async def test_a_page_loses_nothing_while_the_web_room_is_away(tmp_path: Path) -> None:
    async with (
        serve(tmp_path, Listeners(0, 0), most_bytes=1 << 30, on_restart=print) as where,
        open_bus(where.url, most_bytes=1 << 26, event_bytes=1 << 24) as bus,
    ):
        await say(bus, 0)
        async with web_room(bus) as url:
            kind, token, shown = await listen(url, 1)
            assert (kind, shown) == ("snapshot", [0])
        for number in range(1, 20):
            await say(bus, number)
        async with web_room(bus) as url:
            kind, token, missed = await listen(url, 19, token)
            assert (kind, missed) == ("readings", list(range(1, 20)))
        await say(bus, 20)
        await say(bus, 21)
        await bus.forget("READINGS", through=21)  # the first sequence is 1
        async with web_room(bus) as url:
            kind, _, shown = await listen(url, 1, token)
            assert (kind, shown) == ("gap", [21])


@pytest.mark.parametrize("forgotten", [0, 600])
async def test_a_long_stream_is_taken_up_at_its_end(
    tmp_path: Path, forgotten: int
) -> None:
    async with (
        serve(tmp_path, Listeners(0, 0), most_bytes=1 << 30, on_restart=print) as where,
        open_bus(where.url, most_bytes=1 << 26, event_bytes=1 << 24) as bus,
    ):
        for number in range(700):
            await say(bus, number)
        await bus.forget("READINGS", through=forgotten)
        async with web_room(bus) as url:
            kind, _, shown = await listen(url, 1)
            assert (kind, shown) == ("snapshot", [699])
