"""The Modbus driver against libmodbus (C) and against servers that talk nonsense."""

import asyncio
import math
import struct
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager

import pytest
import pytest_asyncio

from lineshaft.core.errors import LineshaftError, Refused, Unreachable
from lineshaft.core.point import Point
from lineshaft.core.reading import Quality, Value
from lineshaft.network.device import Batch, Reads, Writes
from lineshaft.network.drivers.modbus import driver
from lineshaft.network.drivers.modbus.address import parse_address
from lineshaft.network.drivers.modbus.connection import open_connection
from lineshaft.network.drivers.modbus.polling.survey import RECHECK_S, Survey
from support.modbus_peer import HOST, LibmodbusServer, open_server

pytestmark = pytest.mark.peer("libmodbus-dev")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[LibmodbusServer]:
    async with open_server() as running:
        yield running


def points(*addresses: str) -> list[Point]:
    return [
        Point(name=f"plant/p{place}", address=address)
        for place, address in enumerate(addresses)
    ]


def connect(
    port: int, *addresses: str, **settings: object
) -> AbstractAsyncContextManager[driver.Opened]:
    chosen = driver.Settings.model_validate(
        {"host": HOST, "port": port, "timeout_s": 5.0} | settings
    )
    return driver.connect(chosen, points(*addresses))


def by_point(batch: Batch) -> list[Value | None]:
    assert sorted(batch.points) == list(range(len(batch)))
    found = dict(zip(batch.points, batch.values, strict=True))
    return [found[point] for point in range(len(batch))]


def reasons(batch: Batch) -> dict[int, str]:
    rows = zip(batch.points, batch.statuses, strict=True)
    return {
        point: status.reason
        for point, status in rows
        if status.quality is not Quality.GOOD
    }


BYTES = {
    "int16": struct.pack(">h", -1234),
    "uint16": struct.pack(">H", 54_321),
    "int32": struct.pack(">i", -123_456_789),
    "uint32": struct.pack(">I", 3_123_456_789),
    "int64": struct.pack(">q", -1_234_567_890_123_456_789),
    "uint64": struct.pack(">Q", 12_345_678_901_234_567_890),
    "float32": struct.pack(">f", -12.625),
    "float64": struct.pack(">d", math.pi),
}
VALUES: dict[str, Value] = {
    "int16": -1234,
    "uint16": 54_321,
    "int32": -123_456_789,
    "uint32": 3_123_456_789,
    "int64": -1_234_567_890_123_456_789,
    "uint64": 12_345_678_901_234_567_890,
    "float32": -12.625,
    "float64": math.pi,
}


def travelling(form: str, order: str) -> list[int]:
    """Return the words as a manual draws them: letters A B C D for the bytes."""
    big = BYTES[form]
    pairs = [big[place : place + 2] for place in range(0, len(big), 2)]
    if order in {"cdab", "dcba"}:
        pairs.reverse()
    if order in {"badc", "dcba"}:
        pairs = [pair[::-1] for pair in pairs]
    return [pair[0] << 8 | pair[1] for pair in pairs]


async def test_every_format_in_every_order_reads_and_writes(
    server: LibmodbusServer,
) -> None:
    cases = [
        (form, order) for form in BYTES for order in ("abcd", "badc", "cdab", "dcba")
    ]
    addresses = [
        f"{area}:{100 + place * 4}:{form}:{order}"
        for area in ("holding", "input")
        for place, (form, order) in enumerate(cases)
    ]
    async with connect(server.port, *addresses) as device:
        for place, (form, order) in enumerate(cases):
            await server.poke(100 + place * 4, *travelling(form, order), area="i")
            await device.write(place, VALUES[form])
            words = travelling(form, order)
            assert await server.peek(100 + place * 4, len(words)) == words
        batch = await device.read(range(len(addresses)))
    assert by_point(batch) == [VALUES[form] for form, _ in cases] * 2
    assert not reasons(batch)


@pytest.mark.parametrize("order", ["abcd", "badc", "cdab", "dcba"])
async def test_floats_agree_with_libmodbus_itself(
    server: LibmodbusServer, order: str
) -> None:
    await server.tell(f"float 1 10 {order} 230.25")
    async with connect(server.port, "holding:10:float32", order=order) as device:
        assert by_point(await device.read([0])) == [230.25]
        await device.write(0, -7.75)
    assert float(await server.tell(f"float? 1 10 {order}")) == -7.75


async def test_bits_strings_and_classic_numbers(server: LibmodbusServer) -> None:
    await server.poke(3, 1, area="c")
    await server.poke(4, 1, area="d")
    await server.poke(5, 0b1000)
    await server.poke(20, 0x4D31, 0x3742, 0)
    await server.poke(30, 0x314D, 0x4237)
    async with connect(
        server.port,
        *("coil:3", "00004", "coil:4", "discrete:4", "10005", "holding:5.3", "40006.4"),
        *("holding:20:string[6]", "holding:30:string[4]:badc", "40021:uint16"),
    ) as device:
        batch = await device.read(range(10))
    texts = ["M17B", "M17B"]
    bits = [True, True, False, True, True, True, False]
    assert by_point(batch) == [*bits, *texts, 0x4D31]


async def test_times_are_those_of_the_answer(server: LibmodbusServer) -> None:
    async with connect(server.port, "holding:0", "coil:0") as device:
        before = time.time_ns() // 1000
        batch = await device.read([0, 1])
        after = time.time_ns() // 1000
    assert all(before <= moment <= after for moment in batch.times)


async def test_near_registers_come_in_one_request(server: LibmodbusServer) -> None:
    addresses = [f"holding:{place}" for place in range(0, 120, 4)]
    async with connect(server.port, *addresses) as device:
        await device.read(range(30))
        assert await server.requests() == 1
        await device.read([0, 1, 2])
        assert await server.requests() == 2
    async with connect(server.port, *addresses, max_gap=0) as device:
        await device.read(range(30))
        assert await server.requests() == 32


async def test_limits_of_the_device_are_respected(server: LibmodbusServer) -> None:
    await server.tell("most 20")
    addresses = [f"holding:{place}:float32" for place in range(0, 200, 2)]
    async with connect(server.port, *addresses, max_registers=19) as device:
        batch = await device.read(range(100))
        assert not reasons(batch)
        assert await server.tell("widest") == "18"
        assert await server.requests() == 12
    async with connect(server.port, "holding:0:string[60]", max_registers=19) as device:
        assert "max_registers = 19" in reasons(await device.read([0]))[0]


async def test_a_limit_nobody_told_us_is_found_out_once(
    server: LibmodbusServer,
) -> None:
    await server.tell("most 20")
    addresses = [f"holding:{place}" for place in range(100)]
    async with connect(server.port, *addresses) as device:
        batch = await device.read(range(100))
        assert not reasons(batch)
        before = await server.requests()
        assert not reasons(await device.read(range(100)))
        assert await server.requests() - before <= 10


async def test_a_bad_register_never_harms_the_others(server: LibmodbusServer) -> None:
    await server.tell("bad 1 h 33")
    await server.poke(32, 7, 8, 9)
    addresses = [f"holding:{place}" for place in range(100)]
    async with connect(server.port, *addresses) as device:
        first = await device.read(range(100))
        assert reasons(first) == {33: "Modbus exception 2: illegal data address"}
        assert by_point(first)[32:35] == [7, None, 9]
        before = await server.requests()
        assert before < 20
        again = await device.read(range(100))
        assert by_point(again) == by_point(first)
        assert reasons(again) == reasons(first)
        assert await server.requests() - before == 2


async def test_a_hole_between_values_is_not_read_across_twice(
    server: LibmodbusServer,
) -> None:
    await server.tell("bad 1 h 5")
    await server.poke(0, 1)
    await server.poke(10, 2, 3)
    async with connect(server.port, "holding:0", "holding:10", "holding:11") as device:
        assert by_point(await device.read(range(3))) == [1, 2, 3]
        before = await server.requests()
        assert by_point(await device.read(range(3))) == [1, 2, 3]
        assert await server.requests() - before == 2


async def test_a_register_that_appears_later_is_found(server: LibmodbusServer) -> None:
    now_s = 0.0
    await server.tell("bad 1 h 1")
    settings = driver.Settings(host=HOST, port=server.port)
    addresses = [parse_address("holding:0"), parse_address("holding:1")]
    async with open_connection(HOST, server.port, 5.0) as connection:
        survey = Survey(lambda: now_s)
        device = driver.ModbusDevice(connection, settings, addresses, survey)
        assert 1 in reasons(await device.read([0, 1]))
        await server.tell("good 1 h 1")
        assert 1 in reasons(await device.read([0, 1]))
        now_s += RECHECK_S
        assert not reasons(await device.read([0, 1]))
        before = await server.requests()
        assert not reasons(await device.read([0, 1]))
        assert await server.requests() - before == 1


async def test_many_bad_registers_do_not_flood_the_device(
    server: LibmodbusServer,
) -> None:
    for place in range(0, 100, 2):
        await server.tell(f"bad 1 h {place}")
    async with connect(
        server.port, *[f"holding:{place}" for place in range(100)]
    ) as device:
        for _ in range(12):
            before = await server.requests()
            batch = await device.read(range(100))
            assert await server.requests() - before <= 45 + 50
        assert sorted(reasons(batch)) == list(range(0, 100, 2))


async def test_other_exceptions_are_the_reason_of_the_whole_block(
    server: LibmodbusServer,
) -> None:
    await server.tell("refuse 1 6")
    async with connect(server.port, "holding:0", "holding:1", "coil:0") as device:
        batch = await device.read(range(3))
        assert set(reasons(batch).values()) == {"Modbus exception 6: device busy"}
        assert await server.requests() == 2
        await server.tell("refuse 1 0")
        assert not reasons(await device.read(range(3)))


@pytest.mark.parametrize("code", [10, 11])
async def test_a_gateway_that_cannot_reach_the_unit_is_unreachable(
    server: LibmodbusServer, code: int
) -> None:
    await server.tell(f"refuse 3 {code}")
    async with connect(server.port, "3/holding:0") as device:
        with pytest.raises(Unreachable, match=f"unit 3 at .*exception {code}: gateway"):
            await device.read([0])
        await server.tell("refuse 3 0")
        assert by_point(await device.read([0])) == [0]


async def test_each_unit_has_a_session_of_its_own() -> None:
    settings = driver.Settings(host=HOST, unit=2)
    wanted = points("1/coil:0", "holding:7", "3/40001", "2/input:1")
    assert driver.sessions(settings, wanted) == {
        "unit1": [0],
        "unit2": [1, 3],
        "unit3": [2],
    }


async def test_a_dead_unit_does_not_slow_the_living(server: LibmodbusServer) -> None:
    await server.tell("mute 2 1")
    timeout_s = 3.0

    async def read_once(unit: int) -> tuple[float, list[Value | None]]:
        started = time.monotonic()
        async with connect(
            server.port, f"{unit}/holding:0", timeout_s=timeout_s
        ) as unit_:
            batch = await unit_.read([0])
        return time.monotonic() - started, by_point(batch)

    async with asyncio.TaskGroup() as group:
        dead = group.create_task(_outcome(read_once(2)))
        living = [group.create_task(read_once(unit)) for unit in (1, 3)]
    for task in living:
        took, values = task.result()
        assert values == [0]
        assert took < timeout_s
    outcome = dead.result()
    assert isinstance(outcome, Unreachable)
    assert "unit 2 at" in str(outcome)
    assert "did not answer within 3 s" in str(outcome)


async def _outcome(work: Awaitable[object]) -> object:
    try:
        return await work
    except LineshaftError as error:
        return error


async def test_a_killed_server_is_unreachable_at_once_and_comes_back(
    server: LibmodbusServer,
) -> None:
    async with connect(server.port, "holding:0", timeout_s=30.0) as device:
        await device.read([0])
        await server.stop()
        with pytest.raises(Unreachable, match="closed the connection"):
            await device.read([0])
        with pytest.raises(Unreachable):
            await device.read([0])
    with pytest.raises(Unreachable, match=r"cannot be connected: .*refused"):
        async with connect(server.port, "holding:0"):
            pass
    await server.start()
    async with connect(server.port, "holding:0") as device:
        assert by_point(await device.read([0])) == [0]


async def test_the_connection_is_given_up_after_silence(
    server: LibmodbusServer,
) -> None:
    await server.tell("mute 1 1")
    async with connect(server.port, "holding:0", timeout_s=0.2) as device:
        with pytest.raises(Unreachable, match=r"did not answer within 0\.2 s"):
            await device.read([0])
        await server.tell("mute 1 0")
        with pytest.raises(Unreachable):
            await device.read([0])


async def test_writes_reach_coils_bits_and_text(server: LibmodbusServer) -> None:
    await server.poke(5, 0b1010)
    async with connect(
        server.port, "coil:3", "holding:5.0", "holding:5.3", "holding:20:string[5]"
    ) as device:
        assert isinstance(device, Reads)
        assert isinstance(device, Writes)
        await device.write(0, True)
        await device.write(1, 1)
        await device.write(2, False)
        await device.write(3, "M-17")
        assert by_point(await device.read(range(4))) == [True, True, False, "M-17"]
    assert await server.peek(3, 1, area="c") == [1]
    assert await server.peek(5, 1) == [0b0011]
    assert await server.peek(20, 3) == [0x4D2D, 0x3137, 0]


@pytest.mark.parametrize("unknown", [5, 6, 22])
async def test_a_device_that_knows_few_functions_can_be_written(
    server: LibmodbusServer, unknown: int
) -> None:
    await server.tell(f"without {unknown}")
    multiple = unknown != 22
    async with connect(
        server.port, "coil:3", "holding:5", "holding:6.4", write_multiple=multiple
    ) as device:
        await device.write(0, True)
        await device.write(1, 77)
        if unknown != 6:
            await device.write(2, True)
            assert await server.peek(6, 1) == [16]
    assert await server.peek(3, 1, area="c") == [1]
    assert await server.peek(5, 1) == [77]


@pytest.mark.parametrize(
    ("address", "value", "complaint"),
    [
        ("input:1", 1, "a Modbus input can only be read"),
        ("discrete:1", True, "a Modbus discrete can only be read"),
        ("holding:1", 70_000, "does not fit into uint16"),
        ("holding:1:float32", "warm", "is not a number"),
        ("coil:1", 7, "is not a bit"),
    ],
)
async def test_what_cannot_be_written_is_refused_before_it_is_sent(
    server: LibmodbusServer, address: str, value: Value, complaint: str
) -> None:
    async with connect(server.port, address) as device:
        with pytest.raises(Refused, match=complaint):
            await device.write(0, value)
    assert await server.requests() == 0


async def test_a_refused_write_carries_the_reason_of_the_device(
    server: LibmodbusServer,
) -> None:
    await server.tell("bad 1 h 9")
    async with connect(server.port, "holding:9", "holding:10") as device:
        with pytest.raises(Refused, match="Modbus exception 2: illegal data address"):
            await device.write(0, 1)
        await device.write(1, 1)
        await server.tell("refuse 1 4")
        with pytest.raises(Refused, match="exception 4: device failure"):
            await device.write(1, 2)
    assert await server.peek(10, 1) == [1]


async def test_scanning_finds_what_can_be_read(server: LibmodbusServer) -> None:
    for place in (3, 7, 8):
        await server.tell(f"bad 1 h {place}")
    await server.poke(0, 11)
    settings = driver.Settings(host=HOST, port=server.port)
    found = [row async for row in driver.scan(settings, "holding", 0, 250)]
    assert [row.address for row in found] == [
        f"1/holding:{place}" for place in range(251) if place not in {3, 7, 8}
    ]
    assert (found[0].value, found[0].type, found[0].writable) == (11, "int", True)
    bits = [row async for row in driver.scan(settings, "discrete", 1990, 2010)]
    assert [row.path[-1] for row in bits] == [str(place) for place in range(1990, 2000)]


async def test_a_cancelled_question_closes_the_connection(
    server: LibmodbusServer,
) -> None:
    await server.tell("mute 1 1")
    async with connect(server.port, "holding:0", timeout_s=30.0) as device:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await device.read([0])
        with pytest.raises(Unreachable, match="is closed"):
            await device.read([0])


async def test_a_name_that_leads_nowhere_is_unreachable() -> None:
    settings = driver.Settings(host="nowhere.invalid", timeout_s=20.0)
    with pytest.raises(Unreachable, match=r"nowhere\.invalid:502"):
        async with driver.connect(settings, []):
            pass
