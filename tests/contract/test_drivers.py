"""Every driver keeps the same promises, against a real server of its protocol."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import cast

import pytest
from pydantic import BaseModel

from lineshaft.core.errors import ConfigError, Refused, Unreachable
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Quality, Status, Value
from lineshaft.network import drivers
from lineshaft.network.device import Batch, Device, Driver, Listens, Reads, Writes
from support.peer import Peer

WITHIN_S = 30.0
ANOTHER: dict[Kind, tuple[Value, Value]] = {
    Kind.FLOAT: (1.5, -2.25),
    Kind.INT: (7, 12),
    Kind.BOOL: (True, False),
    Kind.STRING: ("on", "off"),
}


@pytest.fixture(
    params=["modbus", "modbus_rtu", "modbus_rtu_tcp", "mqtt", "opcua", "replay"]
)
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    module = import_module(f"support.{request.param}_peer")
    opened = cast("AbstractAsyncContextManager[Peer]", module.open_peer())
    async with opened as running:
        request.node.user_properties.append(("driver", request.param))
        yield running


@pytest.fixture
def driver(request: pytest.FixtureRequest, peer: Peer) -> Driver:
    [name] = [value for key, value in request.node.user_properties if key == "driver"]
    # What follows the driver's name is another road to the same driver.
    return drivers.load(str(name).partition("_")[0])


def connect(
    driver: Driver, peer: Peer, *extra: Point
) -> AbstractAsyncContextManager[Device]:
    settings = driver.Settings.model_validate(peer.settings)
    return driver.connect(settings, [*peer.points, *extra])


class Ear:
    """Hears what a device says, whether it is asked or speaks by itself."""

    def __init__(self, device: Device, count: int) -> None:
        self._device = device
        self._count = count
        self._stream = device.listen() if isinstance(device, Listens) else None

    async def hear(self) -> Batch:
        if self._stream is not None:
            return await anext(self._stream)
        await asyncio.sleep(0.05)
        return await cast("Reads", self._device).read(range(self._count))

    async def until(self, point: int, value: Value | None) -> None:
        async with asyncio.timeout(WITHIN_S):
            while True:
                batch = await self.hear()
                if (point, value) in zip(batch.points, batch.values, strict=True):
                    return


async def test_every_kind_of_value_is_heard_as_it_is_in_the_device(
    driver: Driver, peer: Peer
) -> None:
    async with connect(driver, peer) as device:
        ear = Ear(device, len(peer.points))
        for position, point in enumerate(peer.points):
            for value in ANOTHER[point.type]:
                await peer.set(position, value)
                await ear.until(position, value)


async def test_one_bad_point_never_harms_the_others(driver: Driver, peer: Peer) -> None:
    if peer.absent is None:
        pytest.skip("this protocol cannot tell an absent point from a quiet one")
    bad = len(peer.points)
    statuses: dict[int, Status] = {}
    async with connect(driver, peer, peer.absent) as device:
        ear = Ear(device, bad + 1)
        async with asyncio.timeout(WITHIN_S):
            while len(statuses) <= bad:
                batch = await ear.hear()
                statuses.update(zip(batch.points, batch.statuses, strict=True))
    assert statuses.pop(bad).quality is Quality.BAD
    assert {status.quality for status in statuses.values()} == {Quality.GOOD}


def need_a_writable_point(peer: Peer) -> None:
    if not any(point.writable for point in peer.points):
        pytest.skip("this protocol has nothing to write to")


async def test_a_write_is_in_the_device_when_it_is_confirmed(
    driver: Driver, peer: Peer
) -> None:
    need_a_writable_point(peer)
    async with connect(driver, peer) as device:
        assert isinstance(device, Writes)
        ear = Ear(device, len(peer.points))
        for position, point in enumerate(peer.points):
            if not point.writable:
                continue
            for value in ANOTHER[point.type]:
                writing = asyncio.ensure_future(device.write(position, value))
                await ear.until(position, value)
                await writing
                assert await peer.get(position) == value


async def test_a_value_that_cannot_be_written_is_refused_with_a_reason(
    driver: Driver, peer: Peer
) -> None:
    need_a_writable_point(peer)
    numbers = [n for n, p in enumerate(peer.points) if p.type is Kind.INT]
    async with connect(driver, peer) as device:
        assert isinstance(device, Writes)
        with pytest.raises(Refused, match=r"\w+ \w+"):
            await device.write(numbers[0], "not a number")


async def hear_until_it_ends(driver: Driver, peer: Peer, *, kill: bool) -> None:
    async with connect(driver, peer) as device:
        ear = Ear(device, len(peer.points))
        await ear.hear()
        if kill:
            await peer.stop()
        async with asyncio.timeout(WITHIN_S):
            while True:
                await ear.hear()


async def test_a_server_that_dies_is_unreachable_and_comes_back(
    driver: Driver, peer: Peer
) -> None:
    with pytest.raises(Unreachable, match=r"\w+ \w+"):  # a sentence, for people
        await hear_until_it_ends(driver, peer, kill=True)
    with pytest.raises(Unreachable):
        await hear_until_it_ends(driver, peer, kill=False)
    await peer.start()
    value = ANOTHER[peer.points[0].type][0]
    async with connect(driver, peer) as device:
        await peer.set(0, value)
        await Ear(device, len(peer.points)).until(0, value)


@pytest.mark.parametrize("name", drivers.names())
def test_an_address_that_is_none_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ConfigError, match=r"\w+ \w+"):
        drivers.load(name).check_address("")


@pytest.mark.parametrize("name", drivers.names())
def test_unknown_settings_are_refused(name: str) -> None:
    kind: type[BaseModel] = drivers.load(name).Settings
    assert kind.model_config.get("extra") == "forbid"
    assert kind.model_config.get("frozen")
    assert all(field.description for field in kind.model_fields.values())
