"""The Modbus driver on a serial line with libmodbus as its units, and faults on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.point import Point
from lineshaft.core.reading import Quality, Value
from lineshaft.network.device import Batch
from lineshaft.network.drivers.modbus import driver
from lineshaft.network.drivers.modbus.rtu.device import LineDevice
from support.modbus_peer import HOST, LibmodbusServer, open_server
from support.serial_line import SerialLine, open_line

UNITS = 3
ADDRESSES = [f"{unit}/holding:0" for unit in range(1, UNITS + 1)]


@dataclass
class Plant:
    line: SerialLine
    server: LibmodbusServer
    settings: driver.Settings

    @asynccontextmanager
    async def connect(self, *addresses: str) -> AsyncIterator[LineDevice]:
        points = [
            Point(name=f"plant/p{place}", address=address)
            for place, address in enumerate(addresses)
        ]
        async with driver.connect(self.settings, points) as device:
            assert isinstance(device, LineDevice)
            yield device


@pytest.fixture(params=["serial", "tcp"])
async def plant(request: pytest.FixtureRequest) -> AsyncIterator[Plant]:
    tcp = request.param == "tcp"
    async with open_line(UNITS, tcp=tcp) as (line, end, units):
        async with open_server(units) as server:
            road: dict[str, object] = {"serial": end, "parity": "none"}
            if tcp:
                road = {"host": HOST, "port": int(end), "framing": "rtu"}
            settings = driver.Settings.model_validate(road | {"answer_s": 1.0})
            for unit in range(1, UNITS + 1):
                await server.poke(0, 100 + unit, unit=unit)
            yield Plant(line, server, settings)


def values(batch: Batch) -> dict[int, Value | None]:
    return dict(zip(batch.points, batch.values, strict=True))


def reasons(batch: Batch) -> dict[int, str]:
    rows = zip(batch.points, batch.statuses, strict=True)
    return {
        point: status.reason
        for point, status in rows
        if status.quality is not Quality.GOOD
    }


async def test_units_of_one_line_are_read_and_written(plant: Plant) -> None:
    async with plant.connect(*ADDRESSES) as device:
        assert values(await device.read(range(3))) == {0: 101, 1: 102, 2: 103}
        await device.write(1, 7)
        assert await plant.server.peek(0, 1, unit=2) == [7]
        assert values(await device.read(range(3))) == {0: 101, 1: 7, 2: 103}


async def test_questions_at_once_are_asked_one_after_the_other(plant: Plant) -> None:
    async with plant.connect(*ADDRESSES) as device:
        batches = await asyncio.gather(*(device.read([n % 3]) for n in range(60)))
    found = [values(batch)[n % 3] for n, batch in enumerate(batches)]
    assert found == [101 + n % 3 for n in range(60)]


async def test_a_mute_unit_reads_as_bad_and_the_others_go_on(plant: Plant) -> None:
    await plant.server.tell("mute 2 1")
    async with plant.connect(*ADDRESSES) as device:
        batch = await device.read(range(3))
        assert values(batch) == {0: 101, 1: None, 2: 103}
        assert "unit 2" in reasons(batch)[1]
        asked: list[bytes] = []

        def note(data: bytes) -> bytes:
            if data[:1] == b"\x02":
                asked.append(data)
            return data

        plant.line.to_units = note
        for _ in range(10):
            await device.read(range(3))
        # It rests for ten times what its silence has cost.
        assert len(asked) <= 1


async def test_a_register_that_is_not_there_harms_nobody(plant: Plant) -> None:
    await plant.server.tell("bad 1 h 1")
    async with plant.connect(*ADDRESSES, "holding:1") as device:
        batch = await device.read(range(4))
    assert values(batch) == {0: 101, 1: 102, 2: 103, 3: None}
    assert "illegal data address" in reasons(batch)[3]


def before(data: bytes) -> bytes:
    return b"\xff\x00\x01\x03" + data


def after(data: bytes) -> bytes:
    return data + b"\x00\xfe\x01"


@pytest.mark.parametrize("noise", [before, after])
async def test_noise_around_an_answer_costs_nothing(
    plant: Plant, noise: Callable[[bytes], bytes]
) -> None:
    plant.line.to_master = noise
    async with plant.connect(*ADDRESSES) as device:
        for _ in range(5):
            assert values(await device.read(range(3))) == {0: 101, 1: 102, 2: 103}


def flipped(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 0x10]) + data[-2:] if len(data) > 3 else data


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a wrong bit": flipped,
    "a wrong CRC": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a byte inside": lambda data: data[:3] + b"\x55" + data[3:],
    "half of it": lambda data: data[: len(data) // 2],
    "nothing": lambda _: b"",
    "another unit": lambda data: bytes([9]) + data[1:],
}


@pytest.mark.parametrize("kind", DAMAGE)
async def test_one_damaged_answer_is_asked_for_again(plant: Plant, kind: str) -> None:
    async with plant.connect(*ADDRESSES) as device:
        await device.read(range(3))
        left = [DAMAGE[kind]]
        plant.line.to_master = lambda data: left.pop()(data) if left else data
        assert values(await device.read(range(3))) == {0: 101, 1: 102, 2: 103}
        assert not left


@pytest.mark.parametrize("kind", DAMAGE)
async def test_lasting_damage_is_never_a_value(plant: Plant, kind: str) -> None:
    plant.line.to_master = DAMAGE[kind]
    with pytest.raises(Unreachable, match=r"unit 1 at .* did not answer"):
        async with plant.connect("holding:0") as device:
            await device.read([0])


async def test_an_answer_after_the_time_out_is_not_that_of_the_next_question(
    plant: Plant,
) -> None:
    """The line holds an answer back and lets it go before the next one."""
    await plant.server.poke(1, 222)
    async with plant.connect("holding:0", "holding:1", "2/holding:0") as device:
        held: list[bytes] = []
        holds = asyncio.Event()

        def hold(data: bytes) -> bytes:
            if data[1] == 3 and not held:
                held.append(data)
                holds.set()
                return b""
            return data

        plant.line.to_master = hold
        asking = asyncio.ensure_future(device.read([0]))
        async with asyncio.timeout(10):
            await holds.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        plant.line.to_master = lambda data: held.pop() + data if held else data
        assert values(await device.read([1])) == {1: 222}


async def test_a_write_without_an_answer_was_sent_once(plant: Plant) -> None:
    async with plant.connect(*ADDRESSES) as device:
        await device.read([0])
        before_it = await plant.server.requests(1)
        plant.line.to_master = lambda _: b""
        with pytest.raises(Unreachable):
            await device.write(0, 5)
        assert await plant.server.requests(1) - before_it == 1
        plant.line.to_master = bytes
        assert values(await device.read(range(3))) == {0: 5, 1: 102, 2: 103}


async def test_a_broadcast_reaches_every_unit(plant: Plant) -> None:
    async with plant.connect(*ADDRESSES, "0/holding:0") as device:
        batch = await device.read(range(4))
        assert "never read" in reasons(batch)[3]
        await device.write(3, 9)
        assert values(await device.read(range(3))) == {0: 9, 1: 9, 2: 9}


async def test_a_line_that_hears_itself(plant: Plant) -> None:
    if not plant.settings.serial:
        pytest.skip("a TCP connection has no echo")

    def echo(data: bytes) -> bytes:
        plant.line.speak(data)
        return data

    plant.line.to_units = echo
    with pytest.raises(Unreachable, match="set echo = true"):
        async with plant.connect("holding:0") as device:
            await device.read([0])
    plant.settings = plant.settings.model_copy(update={"echo": True})
    async with plant.connect("holding:0") as device:
        assert values(await device.read([0])) == {0: 101}
        await device.write(0, 8)
    assert await plant.server.peek(0, 1) == [8]


async def test_a_port_belongs_to_one_table(plant: Plant) -> None:
    if not plant.settings.serial:
        pytest.skip("a device server itself decides who may connect")
    async with plant.connect("holding:0"):
        with pytest.raises(Unreachable, match="give all units of one line"):
            async with plant.connect("holding:0"):
                pass


async def test_a_value_that_does_not_fit_is_refused(plant: Plant) -> None:
    async with plant.connect("holding:0") as device:
        with pytest.raises(Refused):
            await device.write(0, 70_000)


async def test_a_port_that_is_not_there_says_what_to_do() -> None:
    settings = driver.Settings(serial="/dev/there-is-none")
    with pytest.raises(Unreachable, match="is the adapter plugged in"):
        async with driver.connect(settings, []):
            pass
    settings = driver.Settings(serial="/dev/null")
    with pytest.raises(Unreachable, match=r"/dev/null cannot be opened: \w+"):
        async with driver.connect(settings, []):
            pass


async def test_a_range_of_a_unit_is_scanned(plant: Plant) -> None:
    found = [each async for each in driver.scan(plant.settings, "holding", 0, 2)]
    assert [(each.address, each.value) for each in found] == [
        ("1/holding:0", 101),
        ("1/holding:1", 0),
        ("1/holding:2", 0),
    ]
