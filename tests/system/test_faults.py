"""The faults that a plant meets, in their short form; `make torture` has the long one.

Beside these: a full disk (integration/test_full_disk), processes that are killed
(test_torture), the clock (unit/test_clock_jump), nonsense on the wire of each protocol
(integration/test_modbus_nonsense, test_opcua_node).
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pydantic import BaseModel

from lineshaft.core.bus import READINGS
from lineshaft.core.bus.nats import open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.errors import LineshaftError, Unreachable
from lineshaft.core.frame import KIND_FLOAT, Columns, decode_frame
from lineshaft.core.point import Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD, Value
from lineshaft.network import drivers
from lineshaft.network.device import Device, Driver, Listens, Reads
from lineshaft.network.framing import Framer
from lineshaft.network.outbox import Outbox, open_outbox
from support.fault_proxy import FaultProxy, Faults
from support.peer import Peer

WITHIN_S = 60.0
HOUR = 3600
"""Turns: an hour of one a second, as fast as it goes."""
CUT, RESTARTED, HEALED = 300, 1800, 3300
POINTS = [Point(name=f"mill/saw/p{n}", address=str(n)) for n in range(10)]


def columns(turn: int) -> Columns:
    count = len(POINTS)
    return Columns(
        np.arange(count, dtype=np.uint32),
        np.full(count, turn * 1_000_000, np.int64),
        np.full(count, KIND_FLOAT, np.uint8),
        np.full(count, float(turn)).view(np.int64),
        np.zeros(count, np.uint16),
    )


class Road:
    """From a collector to the bus, with an outbox that is started again on the way."""

    def __init__(self, proxy: FaultProxy, file: Path, listeners: Listeners) -> None:
        assert listeners.accounts
        self.proxy, self._accounts = proxy, listeners.accounts
        self._file = file
        self._framer = Framer("saw", POINTS)

    async def post(self, outbox: Outbox, turns: range) -> None:
        for turn in turns:
            for parcel in self._framer.parcels(columns(turn), (), (GOOD,)):
                await outbox.post(parcel)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Outbox]:
        url = self._accounts.url(self.proxy.port, "collector")
        async with (
            open_bus(url, patience_s=0) as bus,
            open_outbox(bus, self._file, 1 << 30) as outbox,
            beside(outbox.run()),
        ):
            yield outbox

    async def cut(self) -> None:
        await self.proxy.refuse()
        self.proxy.reset()


async def heard(url: str) -> dict[str, list[float]]:
    """Return the values on the bus, each point's in the order of the stream."""
    found: dict[str, list[float]] = defaultdict(list)
    async with open_bus(url) as bus:
        last = await bus.last_sequence(READINGS)
        async for batch in bus.batches(READINGS, after=0):
            for message in batch:
                for reading in decode_frame(message.data).readings():
                    found[reading.name].append(float(reading.value or 0))
            if batch[-1].sequence >= last:
                break
    return found


async def test_a_link_cut_for_an_hour_and_healed_loses_doubles_and_swaps_nothing(
    tmp_path: Path,
) -> None:
    running = serve(
        tmp_path / "bus", Listeners(0), most_bytes=10 << 30, on_restart=lambda _: None
    )
    async with running as listeners, open_bus(listeners.url):
        async with FaultProxy("127.0.0.1", listeners.port, seed=3) as proxy:
            road = Road(proxy, tmp_path / "outbox.sqlite", listeners)
            async with road.opened() as outbox:
                await road.post(outbox, range(CUT))
                await road.cut()
                await road.post(outbox, range(CUT, RESTARTED))
                assert outbox.waiting, "the link was cut, and nothing waits"
            async with road.opened() as outbox:
                await road.post(outbox, range(RESTARTED, HEALED))
                await proxy.accept()
                await road.post(outbox, range(HEALED, HOUR))
                async with asyncio.timeout(WITHIN_S):
                    while outbox.waiting:  # noqa: ASYNC110  we look from outside
                        await asyncio.sleep(0.05)
                assert outbox.dropped == 0
        found = await heard(listeners.url)
    assert found == {point.name: [float(n) for n in range(HOUR)] for point in POINTS}


@pytest.fixture(params=["modbus", "mqtt", "opcua"])
async def machine(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Driver, Peer]]:
    module = import_module(f"support.{request.param}_peer")
    opened = cast("AbstractAsyncContextManager[Peer]", module.open_peer())
    async with opened as peer:
        yield drivers.load(request.param), peer


@asynccontextmanager
async def road_to(peer: Peer) -> AsyncIterator[tuple[FaultProxy, dict[str, object]]]:
    """Lay a road to a machine; yield it and the settings that lead over it."""
    settings = dict(peer.settings)
    url = str(settings.get("url", ""))
    port = int(url.rpartition(":")[2]) if url else int(str(settings["port"]))
    async with FaultProxy("127.0.0.1", port, seed=7) as proxy:
        if url:
            settings["url"] = f"{url.rpartition(':')[0]}:{proxy.port}"
        else:
            settings["port"] = proxy.port
        yield proxy, settings


async def hear(device: Device, count: int) -> list[tuple[int, Value | None]]:
    """Return the next that it says, or what it answers."""
    if isinstance(device, Listens):
        batch = await anext(device.listen())
    else:
        await asyncio.sleep(0.01)
        batch = await cast("Reads", device).read(range(count))
    return list(zip(batch.points, batch.values, strict=True))


async def connect_and_hear(
    driver: Driver, settings: dict[str, object], points: list[Point]
) -> None:
    checked = driver.Settings.model_validate(settings)
    async with driver.connect(checked, points) as device:
        for _ in range(1000):
            await hear(device, len(points))


async def test_a_machine_that_accepts_and_never_answers_is_unreachable(
    machine: tuple[Driver, Peer],
) -> None:
    driver, peer = machine
    async with road_to(peer) as (proxy, settings), asyncio.timeout(WITHIN_S):
        proxy.faults = Faults(silent=True)
        with pytest.raises(Unreachable, match=r"\w+ \w+"):
            await connect_and_hear(driver, settings, peer.points)
        assert proxy.done["connections"], "it was there, and nobody came"
    assert await peer.get(0) is not None, "the machine itself is well"


async def hear_until_silent(
    driver: Driver, settings: BaseModel, points: list[Point], proxy: FaultProxy
) -> None:
    async with driver.connect(settings, points) as device:
        stream = device.listen() if isinstance(device, Listens) else None
        while True:
            if stream is not None:
                await anext(stream)
            else:
                await cast("Reads", device).read(range(len(points)))
            proxy.faults = Faults(silent=True)


async def test_a_machine_that_falls_silent_on_an_open_line_is_unreachable(
    machine: tuple[Driver, Peer],
) -> None:
    driver, peer = machine
    checked = driver.Settings.model_validate
    async with road_to(peer) as (proxy, settings), asyncio.timeout(WITHIN_S):
        with pytest.raises(Unreachable, match=r"\w+ \w+"):
            await hear_until_silent(driver, checked(settings), peer.points, proxy)


GARBAGE = {
    "random": bytes(range(256)),
    "text": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "ones": b"\xff" * 200,
    "zeros": bytes(200),
}


@asynccontextmanager
async def fool(words: bytes) -> AsyncIterator[int]:
    """Answer everything with the same words."""
    ends: list[asyncio.Event] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends.append(ended := asyncio.Event())
        try:
            while await reader.read(1 << 16):
                writer.write(words)
                await writer.drain()
        except OSError:
            pass  # it had enough
        finally:
            writer.close()
            ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for each in ends:
            await each.wait()


TO_A_FOOL: dict[str, tuple[str, dict[str, object]]] = {
    "modbus": ("holding:0", {}),
    "mqtt": ("tank/level", {}),
    "opcua": ("ns=1;s=V0", {}),
}


@pytest.mark.parametrize("kind", GARBAGE)
@pytest.mark.parametrize("protocol", TO_A_FOOL)
async def test_a_machine_that_answers_garbage_is_unreachable_and_says_no_value(
    protocol: str, kind: str
) -> None:
    driver = drivers.load(protocol)
    address, settings = TO_A_FOOL[protocol]
    point = Point(name="mill/saw/p", address=address)
    async with fool(GARBAGE[kind]) as port, asyncio.timeout(WITHIN_S):
        where: dict[str, object] = (
            {"url": f"opc.tcp://127.0.0.1:{port}"}
            if protocol == "opcua"
            else {"host": "127.0.0.1", "port": port}
        )
        with pytest.raises(Unreachable):
            await connect_and_hear(
                driver, {**settings, **where, "timeout_s": 1.0}, [point]
            )


async def test_a_line_that_turns_bits_over_raises_only_errors_of_ours(
    machine: tuple[Driver, Peer],
) -> None:
    driver, peer = machine
    async with road_to(peer) as (proxy, settings), asyncio.timeout(WITHIN_S):
        proxy.faults = Faults(corruption=0.3)
        for _ in range(3):
            with pytest.raises((LineshaftError, TimeoutError)):
                async with asyncio.timeout(5):
                    await connect_and_hear(driver, settings, peer.points)
        assert proxy.done["corrupted"]
