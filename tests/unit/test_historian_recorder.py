"""Every reading is stored exactly once, whatever breaks and whenever."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from typing_extensions import override

from lineshaft.core.bus import EVENTS, READINGS, Message
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.event import decode_event
from lineshaft.core.frame import encode_frame
from lineshaft.core.health import State
from lineshaft.platform.historian import recorder as module
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.arrow import Table
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.recorder import Recorder
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Snapshot, Store
from support.bus_in_memory import BusInMemory
from support.frames import frame

NAME = "acme/a"


class Troubled:
    """A store that does as it is told: fails, before or after it has stored."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.before = self.after = 0
        self.tries = 0

    def reached(self, writer: str) -> int:
        return self.store.reached(writer)

    def append(self, rows: Table, writer: str, reached: Mapping[str, int]) -> None:
        self.tries += 1
        if self.before > 0:
            self.before -= 1
            raise Unreachable("no space left on device")
        self.store.append(rows, writer, reached)
        if self.after > 0:
            self.after -= 1
            raise Unreachable("the outcome is not known")

    def advance(self) -> Snapshot:
        return self.store.advance()


def made(
    home: Path, bus: BusInMemory, every_s: float = 0.05
) -> tuple[Troubled, Recorder, Engine]:
    store = Troubled(Store(home))
    snapshot = store.advance()
    span = snapshot.span_us()
    engine = Engine(Hot(3600.0, 10**6, span[1] if span else None), snapshot, 60.0)
    settings = Settings(commit_every_s=every_s)
    return store, Recorder(bus, store, engine, settings), engine


@contextlib.asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    task = asyncio.ensure_future(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def say(
    bus: BusInMemory,
    number: int,
    again: str = "",
    *,
    device: str = "press",
    epoch: str = "e",
) -> None:
    said = frame([(NAME, number, number)], number=number, device=device, epoch=epoch)
    await bus.publish("readings.acme", encode_frame(said), f"{said.id}{again}")


async def all_committed(bus: BusInMemory, recorder: Recorder) -> None:
    await bus.until(lambda: recorder.committed == bus._sequence[READINGS])


def stored(home: Path) -> list[int]:
    table = Store(home).advance().read([NAME], 0, 10**15)
    return sorted(int(value) for value in table["value"].to_pylist())


async def test_what_was_recorded_is_there_after_a_clean_stop(tmp_path: Path) -> None:
    bus = BusInMemory()
    _, recorder, engine = made(tmp_path, bus, every_s=600)
    async with running(recorder):
        for number in range(5):
            await say(bus, number)
        await bus.until(lambda: recorder.readings == 5)
        assert len((await engine.raw(NAME, 0, 10)).columns) == 5
        assert stored(tmp_path) == []
    assert stored(tmp_path) == [0, 1, 2, 3, 4]


async def test_a_second_life_repeats_nothing(tmp_path: Path) -> None:
    bus = BusInMemory()
    for number in itertools.chain(range(3), range(3, 6)):
        await say(bus, number)
        _, recorder, _ = made(tmp_path, bus)
        async with running(recorder):
            await all_committed(bus, recorder)
    assert stored(tmp_path) == list(range(6))


async def test_a_late_repetition_by_a_publisher_is_dropped(tmp_path: Path) -> None:
    bus = BusInMemory()
    _, recorder, _ = made(tmp_path, bus)
    async with running(recorder):
        await say(bus, 1)
        await say(bus, 2)
        await say(bus, 1, again="!")  # the bus has forgotten its id
        await say(bus, 1, epoch="another life")
        await bus.until(lambda: recorder.committed == 4)
    assert stored(tmp_path) == [1, 1, 2]
    assert recorder.figures()["duplicates"] == 1


async def test_a_file_is_imported_once_even_by_a_later_life(tmp_path: Path) -> None:
    bus = BusInMemory()
    for again in ("", "!"):
        _, recorder, _ = made(tmp_path, bus)
        async with running(recorder):
            for number in range(3):
                await say(bus, number, again, device="import/old.csv", epoch="hash")
            await all_committed(bus, recorder)
    assert stored(tmp_path) == [0, 1, 2]


async def test_a_message_that_is_no_frame_is_told_and_left_out(tmp_path: Path) -> None:
    bus = BusInMemory()
    _, recorder, _ = made(tmp_path, bus)
    async with running(recorder):
        await bus.publish("readings.acme", b"garbage", "g")
        await say(bus, 1)
        await bus.until(lambda: recorder.committed == 2)
    assert stored(tmp_path) == [1]
    assert recorder.refused == 1
    [event] = [decode_event(message.data) for message in bus.streams[EVENTS]]
    assert event.kind == "historian.refused"
    assert "not a frame" in event.text


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_store_in_trouble_is_said_and_nothing_is_lost_or_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.01)
    bus = BusInMemory()
    store, recorder, engine = made(tmp_path, bus)
    setattr(store, when, 3)
    seen: list[str] = []
    async with running(recorder):
        await say(bus, 1)
        await bus.until(lambda: recorder.state is State.DEGRADED)
        seen.append(recorder.reason)
        await say(bus, 2)
        await bus.until(lambda: recorder.readings == 2)
        assert len((await engine.raw(NAME, 0, 10)).columns) == 2
        await bus.until(lambda: recorder.committed == 2)
        await bus.until(lambda: recorder.state is State.OK)
        assert len((await engine.raw(NAME, 0, 10)).columns) == 2
    assert seen[0] in ("no space left on device", "the outcome is not known")
    assert stored(tmp_path) == [1, 2]


async def test_it_takes_no_more_from_the_bus_than_memory_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(module, "RETRY_LAST_S", 0.05)
    monkeypatch.setattr(module, "MOST_TAIL", 20)
    bus = BusInMemory(most=5)
    store, recorder, engine = made(tmp_path, bus)
    store.before = 10**9
    for number in range(100):
        await say(bus, number)
    async with running(recorder):
        await bus.until(lambda: store.tries > 5)
        assert 20 <= engine.hot.tail_readings <= 25
        store.before = 0
        await bus.until(lambda: recorder.committed == 100)
    assert stored(tmp_path) == list(range(100))


async def test_the_bus_forgets_only_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEEP_ON_BUS_S", 0.0)
    bus = BusInMemory()
    store, recorder, _ = made(tmp_path, bus)
    store.before = 10**9
    async with running(recorder):
        await say(bus, 1)
        await bus.until(lambda: store.tries > 0)
        assert len(bus.streams[READINGS]) == 1
        store.before = 0
        await bus.until(lambda: not bus.streams[READINGS])
        assert stored(tmp_path) == [1]


async def test_a_second_recorder_is_refused_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    bus = BusInMemory()
    _, one, _ = made(tmp_path, bus)
    _, two, _ = made(tmp_path, bus, every_s=600)
    assert two._store.reached(f"historian/{await bus.identity(READINGS)}") == 0
    async with running(one):
        await say(bus, 1)
        await bus.until(lambda: one.committed == 1)
    await say(bus, 2)
    task = asyncio.ensure_future(two.run())
    await bus.until(lambda: two.readings == 2)
    two._full.set()
    with pytest.raises(Refused, match="another recorder"):
        await task
    assert stored(tmp_path) == [1]


class Crash(BaseException):
    """The process is gone; nothing after it runs."""


class Crashing(BusInMemory):
    """Crashes the recorder at its nth use of bus or store."""

    left = 10**9

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash

    @override
    async def identity(self, stream: str) -> str:
        self.step()
        return "one"

    @override
    async def batches(
        self, stream: str, *, after: int, subject: str = ">"
    ) -> AsyncIterator[list[Message]]:
        async for batch in super().batches(stream, after=after, subject=subject):
            self.step()
            yield batch
            self.step()

    @override
    async def forget(self, stream: str, *, through: int) -> None:
        self.step()
        await super().forget(stream, through=through)
        self.step()


class CrashingStore(Troubled):
    """Crashes before and after a commit and before the table is read again."""

    bus: Crashing

    @override
    def append(self, rows: Table, writer: str, reached: Mapping[str, int]) -> None:
        self.bus.step()
        super().append(rows, writer, reached)
        self.bus.step()

    @override
    def advance(self) -> Snapshot:
        self.bus.step()
        return super().advance()


async def life(home: Path, bus: Crashing, steps: int) -> bool:
    """Record until all is stored (True) or the crash after so many steps."""
    bus.left = 10**9
    store = CrashingStore(Store(home))
    store.bus = bus
    snapshot = store.advance()
    engine = Engine(Hot(0.0, 0, None), snapshot, 60.0)
    recorder = Recorder(bus, store, engine, Settings(commit_every_s=0.001))
    bus.left = steps
    task = asyncio.ensure_future(recorder.run())
    with contextlib.suppress(Crash, BaseExceptionGroup):
        await bus.until(
            lambda: task.done() or recorder.committed == bus._sequence[READINGS]
        )
    complete = not task.done()
    task.cancel()
    bus.left = 10**9 if complete else -1
    await asyncio.gather(task, return_exceptions=True)
    return complete


@pytest.mark.parametrize("steps", range(12))
async def test_a_crash_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    monkeypatch.setattr(module, "KEEP_ON_BUS_S", 0.0)
    bus = Crashing(most=2)
    for third in range(4):
        for number in range(1, 4):
            await say(bus, 3 * third + number)
        await life(tmp_path, bus, steps)
    assert await life(tmp_path, bus, 10**9)
    assert stored(tmp_path) == list(range(1, 13))
