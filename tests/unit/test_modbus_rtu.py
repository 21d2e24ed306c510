"""RTU: frames among noise, questions one after the other, units that fall silent."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.reading import Quality
from lineshaft.network.device import Batch
from lineshaft.network.drivers.modbus.address import Area, parse_address
from lineshaft.network.drivers.modbus.connection import Answered
from lineshaft.network.drivers.modbus.rtu.device import LineDevice
from lineshaft.network.drivers.modbus.rtu.frames import (
    crc16,
    exception_of,
    find_answer,
    frame,
    question,
    silence_s,
)
from lineshaft.network.drivers.modbus.rtu.line import Line, Silent
from lineshaft.network.drivers.modbus.settings import Framing, Settings

READ_TWO = bytes([3, 0, 0x10, 0, 2])


def test_a_frame_is_the_one_of_the_standard() -> None:
    # MODBUS over Serial Line V1.02, 6.2.2, has the CRC of 02 07: 41 12.
    assert frame(2, b"\x07").hex(" ") == "02 07 41 12"
    assert silence_s(9_600) == pytest.approx(0.00401, abs=1e-5)
    assert silence_s(115_200) == 0.00175


def reply(unit: int, *data: int) -> bytes:
    return frame(unit, bytes(data))


@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_an_answer_is_found_among_noise(before: bytes, after: bytes) -> None:
    asked = question(3, READ_TWO)
    answer = reply(3, 3, 4, 0, 7, 0, 8)
    assert find_answer(before + answer + after, asked) == answer[:-2]


@given(heard=st.binary(max_size=300))
def test_random_bytes_are_never_an_answer_unless_the_crc_is_right(heard: bytes) -> None:
    found = find_answer(heard, question(3, READ_TWO))
    assert found is None or found + crc16(found) in heard


@given(place=st.integers(0, 8), bit=st.integers(0, 7))
def test_one_wrong_bit_makes_it_no_answer(place: int, bit: int) -> None:
    answer = bytearray(reply(3, 3, 4, 0, 7, 0, 8))
    answer[place] ^= 1 << bit
    assert find_answer(bytes(answer), question(3, READ_TWO)) is None


@pytest.mark.parametrize(
    "other",
    [
        reply(4, 3, 4, 0, 7, 0, 8),
        reply(3, 4, 4, 0, 7, 0, 8),
        reply(3, 3, 2, 0, 7),
        reply(3, 0x84, 2),
        reply(3, 3, 4, 0, 7, 0, 8)[:-1],
    ],
    ids=["unit", "function", "length", "exception", "half"],
)
def test_what_answers_another_question_is_no_answer(other: bytes) -> None:
    assert find_answer(other, question(3, READ_TWO)) is None


def test_an_exception_is_an_answer() -> None:
    found = find_answer(reply(3, 0x83, 2), question(3, READ_TWO))
    assert found is not None
    assert exception_of(found) == 2


class Slaves:
    """A line that exists only here: `answer` makes bytes of each request."""

    where = "line"

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._heard = b""
        self._news = asyncio.Event()

    async def send(self, data: bytes) -> None:
        self.requests.append(data)
        self.say(self.answer(data))

    def say(self, data: bytes) -> None:
        self._heard += data
        if data:
            self._news.set()

    async def hear(self) -> bytes:
        await self._news.wait()
        return self.drain()

    def drain(self) -> bytes:
        heard, self._heard = self._heard, b""
        self._news.clear()
        return heard


def values(request: bytes, word: int = 7) -> bytes:
    """Answer a read."""
    words = word.to_bytes(2, "big") * request[5] if request[1] > 2 else b"\1"
    return reply(request[0], request[1], len(words), *words)


def line_of(slaves: Slaves, **settings: object) -> Line:
    chosen: dict[str, object] = {"host": "h", "framing": "rtu", "answer_s": 0.01}
    return Line(slaves, Settings.model_validate(chosen | settings))


def lost_once(request: bytes, *, seen: list[bytes]) -> bytes:
    seen.append(request)
    return b"" if len(seen) == 1 else values(request)


async def test_a_lost_answer_is_asked_for_once_more_after_a_sounding() -> None:
    seen: list[bytes] = []
    slaves = Slaves(lambda request: lost_once(request, seen=seen))
    assert await line_of(slaves).read(1, Area.HOLDING, 0, 1) == b"\0\7"
    assert [request[1] for request in slaves.requests] == [3, 4, 3]


async def test_a_late_answer_is_never_taken_for_the_answer_to_the_next() -> None:
    """The unit is one answer behind: each comes after the next question."""
    owed: list[bytes] = [b""]
    now_s = 0.0

    def late(request: bytes) -> bytes:
        owed.append(values(request, word=int.from_bytes(request[2:4], "big")))
        return owed[-2]

    settings = Settings(host="h", framing=Framing.RTU, answer_s=0.01)
    line = Line(Slaves(late), settings, lambda: now_s)
    for start in range(20):
        for area in (Area.HOLDING, Area.INPUT):
            try:
                heard = await line.read(1, area, start, 1)
            except Silent:
                now_s += 0.5
            else:
                assert heard == start.to_bytes(2, "big")


async def test_a_unit_that_owes_too_many_answers_is_left_alone_for_a_while() -> None:
    now_s = 0.0
    slaves = Slaves(lambda _: b"")
    settings = Settings(host="h", framing=Framing.RTU, answer_s=0.01)
    line = Line(slaves, settings, lambda: now_s)
    for _ in range(3):
        with pytest.raises(Silent, match="did not answer"):
            await line.read(1, Area.HOLDING, 0, 1)
    assert [request[1] for request in slaves.requests] == [3, 4, 1, 2]
    with pytest.raises(Silent, match="owes the answers to 4 questions"):
        await line.read(1, Area.HOLDING, 0, 1)
    now_s, slaves.answer = 6.0, values
    assert await line.read(1, Area.HOLDING, 0, 1) == b"\0\7"


async def test_a_late_answer_before_the_sounding_is_dropped() -> None:
    slaves = Slaves(lambda _: b"")
    line = line_of(slaves)
    with pytest.raises(Silent):
        await line.read(1, Area.HOLDING, 0, 1)
    slaves.say(reply(1, 3, 2, 0xDE, 0xAD))
    late = [reply(1, 3, 2, 0xDE, 0xAD)]
    slaves.answer = lambda request: (late.pop() if late else b"") + values(request)
    assert await line.read(1, Area.HOLDING, 9, 1) == b"\0\7"


async def test_a_unit_that_does_not_know_the_sounding_is_believed_all_the_same() -> (
    None
):
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        return reply(1, 0x83, 1) if request[1] == 3 else lost_once(request, seen=seen)

    assert await line_of(Slaves(answer)).read(1, Area.INPUT, 0, 1) == b"\0\7"


async def test_a_write_is_sent_once() -> None:
    slaves = Slaves(lambda _: b"")
    with pytest.raises(Unreachable, match="unit 2 at line did not answer within"):
        await line_of(slaves).write_registers(2, 0, [1], multiple=False)
    assert len(slaves.requests) == 1


async def test_a_broadcast_is_sent_and_nobody_is_waited_for() -> None:
    slaves = Slaves(lambda _: b"")
    line = line_of(slaves, answer_s=60, turnaround_s=0)
    await line.write_coil(0, 3, on=True, multiple=False)
    assert slaves.requests == [frame(0, bytes([5, 0, 3, 0xFF, 0]))]


async def test_an_echo_is_dropped_where_the_settings_say_so() -> None:
    slaves = Slaves(lambda request: request + values(request))
    settings = Settings(serial="/dev/null", echo=True, answer_s=5)
    assert await Line(slaves, settings).read(1, Area.INPUT, 0, 1) == b"\0\7"


async def test_an_echo_alone_never_confirms_a_write() -> None:
    settings = Settings(serial="/dev/null", echo=True, answer_s=0.01)
    with pytest.raises(Silent):
        await Line(Slaves(bytes), settings).write_coil(1, 0, on=True, multiple=False)


async def test_an_echo_that_was_not_expected_is_named() -> None:
    """Else the echo of a write would be taken for its confirmation."""
    for answer in (bytes, lambda request: request + values(request)):
        with pytest.raises(Silent, match="echo = true"):
            await line_of(Slaves(answer)).read(1, Area.HOLDING, 0, 1)


class Units:
    """Answers of units, without a line; `dead` units cost a time-out each."""

    def __init__(self) -> None:
        self.dead: set[int] = set()
        self.asked: list[int] = []
        self.now_s = 0.0

    async def read(self, unit: int, area: Area, start: int, count: int) -> bytes:
        self.asked.append(unit)
        if unit in self.dead:
            self.now_s += 1.0
            raise Silent(f"unit {unit} did not answer")
        return bytes(2 * count)

    async def write_coil(
        self, unit: int, offset: int, *, on: bool, multiple: bool
    ) -> None:
        self.asked.append(unit)

    async def write_registers(
        self, unit: int, offset: int, words: Sequence[int], *, multiple: bool
    ) -> None:
        raise Answered(4)

    async def write_bit(self, unit: int, offset: int, bit: int, *, on: bool) -> None:
        raise Silent("no")


def device_of(units: Units, count: int) -> LineDevice:
    settings = Settings(serial="/dev/null")
    addresses = [parse_address(f"{n}/holding:0") for n in range(1, count + 1)]
    return LineDevice(units, settings, addresses, lambda: units.now_s)


def bad_ones(batch: Batch) -> list[int]:
    return sorted(
        point
        for point, status in zip(batch.points, batch.statuses, strict=True)
        if status.quality is Quality.BAD
    )


async def test_a_dead_unit_takes_no_more_than_its_share_of_the_line() -> None:
    units = Units()
    units.dead = {3}
    device = device_of(units, 8)
    for _ in range(600):
        assert bad_ones(await device.read(range(8))) == [2]
        units.now_s += 1.0
    asked = units.asked.count(3)
    assert asked <= 600 / 60 + 8
    assert units.asked.count(1) == 600


async def test_a_unit_that_returns_is_read_again() -> None:
    units = Units()
    units.dead = {1}
    device = device_of(units, 2)
    assert bad_ones(await device.read([0, 1])) == [0]
    units.dead, units.now_s = set(), 100.0
    assert not bad_ones(await device.read([0, 1]))


async def test_many_dead_units_cost_one_read_only_a_few_time_outs() -> None:
    units = Units()
    units.dead = set(range(1, 40))
    device = device_of(units, 40)
    batch = await device.read(range(40))
    assert len(batch) == 40
    assert units.now_s == 5.0
    for _ in range(100):
        batch = await device.read(range(40))
        units.now_s += 1.0
    assert bad_ones(batch) == list(range(39))


async def test_a_line_on_which_nobody_answers_is_unreachable() -> None:
    units = Units()
    device = device_of(units, 8)
    await device.read(range(8))
    units.dead = set(range(1, 9))
    with pytest.raises(Unreachable, match="5 units in a row fell silent"):
        await device.read(range(8))
    units.dead = {1, 2}
    with pytest.raises(
        Unreachable, match=r"did not answer \(and none of the other 1\)"
    ):
        await device_of(units, 2).read(range(2))


async def test_a_broadcast_is_never_read() -> None:
    settings = Settings(serial="/dev/null")
    units = Units()
    addresses = [parse_address("0/coil:0"), parse_address("1/holding:0")]
    device = LineDevice(units, settings, addresses)
    assert bad_ones(await device.read([0, 1])) == [0]
    assert units.asked == [1]
    await device.write(0, value=True)
    assert units.asked == [1, 0]


async def test_a_write_that_is_refused_proves_that_the_unit_lives() -> None:
    units = Units()
    units.dead = {1}
    device = device_of(units, 2)
    await device.read([0, 1])
    units.dead = set()
    with pytest.raises(Refused, match="exception 4"):
        await device.write(0, 5)
    assert not bad_ones(await device.read([0, 1]))


@pytest.mark.parametrize(
    ("given_", "told"),
    [
        ({}, "either host"),
        ({"host": "h", "serial": "/dev/ttyS0"}, "either host"),
        ({"host": "h", "baud": 9600}, "baud: only with a serial port"),
        ({"host": "h", "pause_s": 1}, "pause_s: only with RTU framing"),
        ({"serial": "/dev/ttyS0", "port": 502}, "belong to host"),
        ({"serial": "/dev/ttyS0", "parity": "evne"}, "'even', 'odd' or 'none'"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    given_: dict[str, object], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings.model_validate(given_)
