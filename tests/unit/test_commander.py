import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import pytest

from lineshaft.core.bus import Answer
from lineshaft.core.bus.audit import AuditRecord, Result
from lineshaft.core.command import Command, Outcome, Verdict
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.event import Event
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value
from lineshaft.network.commander import MOST_REMEMBERED, Commander, Done, to_raw
from lineshaft.network.device import Device

SPEED = Point(name="mill/saw/speed", address="1", writable=True, scale=0.1)
LOCKED = Point(name="mill/saw/torque", address="2")


class Saw:
    """A device that takes writes, or answers as it is told to."""

    def __init__(self, error: Exception | None = None, *, hangs: bool = False) -> None:
        self.written: list[tuple[int, Value]] = []
        self._error = error
        self._hangs = hangs

    async def write(self, point: int, value: Value) -> None:
        self.written.append((point, value))
        if self._error:
            raise self._error
        if self._hangs:
            await asyncio.Event().wait()


class Connection:
    name = "saw"
    points: Sequence[Point] = (SPEED, LOCKED)

    def __init__(self, device: Device | None) -> None:
        self.device = device


class Switchboard:
    """The part of a bus that carries questions."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.events: list[Event] = []
        self.ready = asyncio.Event()

    def answer(self, subject: str, answer: Answer) -> AbstractAsyncContextManager[None]:
        @asynccontextmanager
        async def listening() -> AsyncIterator[None]:
            self.answers[subject] = answer
            self.ready.set()
            yield

        return listening()

    async def ask(
        self, subject: str, data: bytes, timeout_s: float = 10.0
    ) -> AsyncIterator[bytes]:
        async for part in self.answers[subject](data):
            yield part

    def tell(self, subject: str, data: bytes) -> None:
        raise NotImplementedError

    def overhear(self, subject: str) -> AsyncIterator[tuple[str, bytes]]:
        raise NotImplementedError


class Diary:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.audit: list[AuditRecord] = []

    async def tell(self, event: Event) -> None:
        self.events.append(event)

    async def tell_audit(self, record: AuditRecord) -> None:
        self.audit.append(record)


def command(name: str = SPEED.name, value: Value = 12.3, left_s: float = 5) -> Command:
    deadline = int((time.time() + left_s) * 1e6)
    return Command(id="c1", name=name, value=value, by="eva", deadline_us=deadline)


async def send(
    device: Device | None,
    *commands: Command,
    done: Done | None = None,
    diary: Diary | None = None,
) -> tuple[list[Outcome], list[Event]]:
    board, diary = Switchboard(), diary or Diary()
    done = done or Done()
    commander = Commander("saw", [Connection(device)], board, diary, done)
    outcomes: list[Outcome] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(commander.run())
        await board.ready.wait()
        for each in commands:
            async for part in board.ask("commands.saw", msgspec.json.encode(each)):
                outcomes.append(msgspec.json.decode(part, type=Outcome))  # noqa: PERF401
        task.cancel()
    return outcomes, diary.events


async def test_who_commanded_what_is_written_down_once() -> None:
    diary, done = Diary(), Done()
    await send(None, command(), command(), done=done, diary=diary)
    [record] = diary.audit
    assert (record.kind, record.who, record.name) == (
        "command.carried-out", "eva", SPEED.name,
    )  # fmt: skip
    assert record.result is Result.DENIED
    assert "not connected" in record.text
    assert record.id == "c1"


async def test_a_write_reaches_the_device_unscaled_and_is_recorded() -> None:
    saw = Saw()
    [outcome], [event] = await send(saw, command())
    assert outcome.verdict is Verdict.CONFIRMED
    assert saw.written == [(0, 123.0)]
    assert event.kind == "command.confirmed"
    assert "eva wrote 12.3 to mill/saw/speed" in event.text


async def test_the_device_s_reason_comes_back() -> None:
    [outcome], [event] = await send(Saw(Refused("BadNotWritable")), command())
    assert (outcome.verdict, outcome.reason) == (Verdict.REFUSED, "BadNotWritable")
    assert event.kind == "command.refused"


async def test_the_same_command_is_never_carried_out_twice() -> None:
    saw = Saw()
    outcomes, events = await send(saw, command(), command())
    assert len(saw.written) == len(events) == 1
    assert [outcome.verdict for outcome in outcomes] == [Verdict.CONFIRMED] * 2


async def test_nor_after_the_device_was_started_again() -> None:
    saw, done = Saw(), Done()
    [first], _ = await send(saw, command(), done=done)
    [again], events = await send(saw, command(), done=done)
    assert first == again
    assert (len(saw.written), events) == (1, [])


def test_the_oldest_of_very_many_commands_is_forgotten() -> None:
    done = Done()
    for number in range(MOST_REMEMBERED + 1):
        done.remember(Outcome(id=str(number), verdict=Verdict.CONFIRMED))
    assert done.outcome("0") is None
    assert done.outcome("1") is not None


@pytest.mark.parametrize("saw", [Saw(Unreachable("cut off")), Saw(hangs=True)])
async def test_without_an_answer_the_outcome_is_unknown_and_not_repeated(
    saw: Saw,
) -> None:
    [outcome], [event] = await send(saw, command(left_s=0.2))
    assert outcome.verdict is Verdict.UNKNOWN
    assert len(saw.written) == 1
    assert event.kind == "command.unknown"


@pytest.mark.parametrize(
    ("device", "wish", "reason"),
    [
        (Saw(), command(name=LOCKED.name), "is not writable; set writable to yes"),
        (Saw(), command(name="mill/saw/nothing"), "has no point"),
        (Saw(), command(value="fast"), "takes a value of type float"),
        (Saw(), command(left_s=-1), "deadline has passed"),
        (None, command(), "is not connected"),
        (object(), command(), "cannot be written to"),
    ],
)
async def test_what_may_or_can_not_be_is_refused_before_the_device_hears_of_it(
    device: Device | None, wish: Command, reason: str
) -> None:
    [outcome], _ = await send(device, wish)
    assert outcome.verdict is Verdict.REFUSED
    assert reason in outcome.reason
    assert not getattr(device, "written", None)


def test_raw_values_keep_the_type_of_the_point() -> None:
    whole = Point(name="a/b", address="1", type=Kind.INT)
    assert to_raw(whole, 3) == 3
    assert to_raw(whole, 3.0) == 3
    with pytest.raises(Refused):
        to_raw(whole, 3.5)
    with pytest.raises(Refused):
        to_raw(whole, True)
    assert to_raw(Point(name="a/b", address="1", scale=0.1, offset=5), 6) == 10.0
