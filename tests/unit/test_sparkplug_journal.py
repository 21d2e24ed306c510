"""Where our edge node is in the stream of readings, and what waits."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from lineshaft.core.frame import encode_frame
from lineshaft.core.point import Point
from lineshaft.core.process.tasks import beside
from lineshaft.network.northbound.mirror import Served
from lineshaft.network.northbound.sparkplug.journal import Journal
from lineshaft.network.northbound.sparkplug.node import EdgeNode
from lineshaft.network.northbound.sparkplug.store import open_store
from support.bus_in_memory import BusInMemory
from support.frames import frame

SERVED = [
    Served(Point(name="acme/press/oil", address="1"), "press"),
    Served(Point(name="acme/pump/flow", address="2"), "pump"),
]
OIL, FLOW = (each.point.name for each in SERVED)
LAST = 5


async def say(bus: BusInMemory, name: str, value: float, device: str = "plc") -> None:
    number = bus._sequence["READINGS"] + 1
    made = frame([(name, number * 1000, value)], number=number, device=device)
    await bus.publish("readings.acme", encode_frame(made), f"{id(bus)}:{number}")


@asynccontextmanager
async def life(
    bus: BusInMemory, folder: Path, most: int = 100
) -> AsyncIterator[tuple[Journal, EdgeNode]]:
    node = EdgeNode(SERVED, "g", "e", lambda: 1)
    with open_store(folder / "s.sqlite", most, node.devices) as store:
        journal = Journal(bus, store, node)
        await journal.begin()
        yield journal, node


async def past_of(journal: Journal) -> list[object]:
    """Return the values that wait, and forget them."""
    values: list[object] = []
    async with aclosing(journal.past()) as past:
        async for frames in past:
            values += [each.value for _, said in frames for each in said]
    return values


async def test_a_first_life_begins_now_and_the_next_where_it_ended(
    tmp_path: Path,
) -> None:
    bus = BusInMemory()
    await say(bus, OIL, 1.0)
    async with life(bus, tmp_path) as (journal, node):
        await journal.catch_up()
        assert journal.readings == 0
    await say(bus, OIL, 2.0)
    await say(bus, OIL, 3.0)
    async with life(bus, tmp_path) as (journal, node):
        await journal.catch_up()
        node.births(["press"])
        assert await past_of(journal) == [2.0, 3.0]
    async with life(bus, tmp_path) as (journal, node):
        await journal.catch_up()
        node.births(["press"])
        assert await past_of(journal) == []


async def test_what_was_not_confirmed_when_a_session_ended_is_the_past(
    tmp_path: Path,
) -> None:
    bus = BusInMemory(most=1)
    async with life(bus, tmp_path) as (journal, node):
        node.births(["press"])
        for value in (1.0, 2.0, 3.0):
            await say(bus, OIL, value)
        async with aclosing(journal.live()) as live:
            await anext(live)  # 1.0, which is confirmed when the next is asked for
            await anext(live)  # 2.0, during which the connection is lost
        async with beside(journal.absorb()):
            await bus.until(lambda: journal.readings == 2)
        assert await past_of(journal) == [2.0, 3.0]


async def test_what_a_device_says_before_it_is_born_waits_for_its_birth(
    tmp_path: Path,
) -> None:
    bus = BusInMemory(most=2)
    async with life(bus, tmp_path) as (journal, node):
        node.births(["press"])
        await say(bus, OIL, 1.0)
        await say(bus, FLOW, 2.0)
        await say(bus, FLOW, 3.0)
        async with aclosing(journal.live()) as live:
            await anext(live)
            node.device_birth("pump")  # while the broker takes the batch
            await anext(live)
            assert journal.readings == 1
            assert await past_of(journal) == [2.0]


async def test_a_stream_that_was_made_anew_is_read_from_its_begin(
    tmp_path: Path,
) -> None:
    old = BusInMemory()
    for _ in range(5):
        await say(old, OIL, 0.0)
    async with life(old, tmp_path) as (journal, node):
        pass
    new = BusInMemory()
    await say(new, OIL, 7.0)
    async with life(new, tmp_path) as (journal, node):
        await journal.catch_up()
        node.births(["press"])
        assert await past_of(journal) == [7.0]


async def test_imports_strangers_and_nonsense_are_not_told(tmp_path: Path) -> None:
    bus = BusInMemory()
    async with life(bus, tmp_path) as (journal, node):
        await say(bus, OIL, 1.0, device="import/file")
        await say(bus, "acme/other/x", 2.0)
        await bus.publish("readings.acme", b"nonsense", "x")
        await say(bus, OIL, 4.0)
        await journal.catch_up()
        node.births(["press"])
        assert await past_of(journal) == [4.0]


async def test_when_too_much_waits_the_oldest_goes(tmp_path: Path) -> None:
    bus = BusInMemory()
    async with life(bus, tmp_path, most=LAST) as (journal, node):
        for number in range(LAST + 3):
            await say(bus, OIL, float(number))
        await journal.catch_up()
        assert (journal.readings, journal.dropped) == (LAST, 3)
        node.births(["press"])
        assert await past_of(journal) == [float(n + 3) for n in range(LAST)]
