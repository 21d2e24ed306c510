"""Write everything on the bus into the store, exactly once.

Store first, then forget: the bus keeps what is not committed, and the number of the
last message lies in the same commit as its rows, so that a crash at any moment repeats
a message at most on the way in, where its number gives it away.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lineshaft.core.bus import EVENTS, READINGS, Bus, Message
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.event import Event, Severity, encode_event
from lineshaft.core.frame import Frame, decode_frame
from lineshaft.core.health import State
from lineshaft.core.health.meaning import Meaning, counter, gauge
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.arrow import Table, to_table
from lineshaft.platform.historian.block import Block
from lineshaft.platform.historian.care.changes import Change, Changes
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Snapshot

log = logging.getLogger(__name__)

RETRY_FIRST_S, RETRY_LAST_S = 1.0, 30.0
MOST_TAIL = 5_000_000
"""Uncommitted readings in memory at which nothing more is taken from the bus."""
MEANINGS: dict[str, Meaning] = {
    "readings": counter("historian_readings", "Readings that were taken in."),
    "readings_per_s": gauge("historian_rate", "Readings a second that come in."),
    "duplicates": counter("historian_repeated_readings", "Readings that came twice."),
    "refused_frames": counter("historian_refused_messages", "Messages left out."),
    "commits": counter("historian_commits", "Commits to the store."),
    "tail_readings": gauge("historian_uncommitted_readings", "Not yet in the store."),
    "memory_readings": gauge("historian_memory_readings", "Readings in memory."),
    "committed_sequence": counter("historian_sequence", "Messages in the store."),
    "uncommitted_messages": gauge("historian_lag_messages", "Taken, but not stored."),
    "newest_s": gauge("historian_newest_age", "Age of the newest reading.", "seconds"),
}
KEEP_ON_BUS_S = 600.0
"""How long recorded messages stay on the bus, for pages that lost their connection."""


@dataclass(frozen=True, slots=True)
class _Commit:
    """Readings, and how far each writer gets with them."""

    block: Block
    reached: int
    numbers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Intake:
    """What there is to know before readings are taken in."""

    may_take: asyncio.Event | None = None
    """Set while there is room; None: always."""
    changes: Changes | None = None
    """Notices another unit or type; None: nobody asks."""


class Keeps(Protocol):
    """What the recorder needs from the store; see `Store`."""

    def reached(self, writer: str) -> int:
        """Return the number that the last commit of `writer` carried."""

    def append(self, rows: Table, writer: str, reached: Mapping[str, int]) -> None:
        """Store rows and numbers in one commit, unless `writer` got there before."""

    def advance(self) -> Snapshot:
        """Return the table as it is now."""


class Recorder:
    """A service: `run` works until it is cancelled, and then commits what it has."""

    def __init__(
        self,
        bus: Bus,
        store: Keeps,
        engine: Engine,
        settings: Settings,
        intake: Intake = Intake(),
    ) -> None:
        self._bus = bus
        self._store = store
        self._engine = engine
        self._settings = settings
        self._writer = ""
        self._taken = self._committed = 0
        self._pending: _Commit | None = None
        self._numbers: dict[tuple[str, str], int] = {}
        self._imports: dict[str, int] = {}
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._may_take, self._changes = intake.may_take, intake.changes
        self._marks: list[tuple[float, int]] = []
        self._newest_us = 0
        self.state, self.reason = State.OK, ""
        self.readings = self.duplicates = self.refused = self.commits = 0

    async def run(self) -> None:
        """Record for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take_from_bus())
                group.create_task(self._commit_in_time())
        finally:
            await self._commit()

    @property
    def committed(self) -> int:
        """Return the sequence of the last message that is in the store."""
        return self._committed

    async def _take_from_bus(self) -> None:
        # Counted for each stream on its own: a bus that was made anew begins at 1.
        self._writer = f"historian/{await self._bus.identity(READINGS)}"
        self._taken = self._committed = self._store.reached(self._writer)
        async for batch in self._bus.batches(READINGS, after=self._taken):
            if self._may_take is not None:
                await self._may_take.wait()
            for message in batch:
                await self._take(message)
            hot = self._engine.hot
            if hot.tail_readings >= self._settings.commit_readings:
                self._full.set()
            if hot.tail_readings >= MOST_TAIL:
                self._room.clear()
                await self._room.wait()
            else:
                await asyncio.sleep(0)  # let questions in between

    async def _take(self, message: Message) -> None:
        if message.sequence <= self._taken:
            return
        try:
            frame = decode_frame(message.data)
        except Refused as refusal:
            self.refused += 1
            await self._report_refusal(message, refusal)
        else:
            if self._is_new(frame):
                await self._note_changes(frame)
                self._engine.hot.take(frame)
                self.readings += len(frame)
                newest = int(frame.columns.time.max(initial=0))
                self._newest_us = max(self._newest_us, newest)
            else:
                self.duplicates += len(frame)
        self._taken = message.sequence

    def _is_new(self, frame: Frame) -> bool:
        """Whether it is not a late repetition by a publisher that got no answer."""
        key = (frame.device, frame.epoch)
        last = self._numbers.get(key)
        if frame.is_import:
            writer = f"{frame.device}/{frame.epoch}"
            if last is None:
                last = self._store.reached(writer) - 1
            # One more than the last number, so that 0 means that there is none.
            self._imports[writer] = max(frame.number, last) + 1
        if last is not None and frame.number <= last:
            return False
        self._numbers[key] = frame.number
        return True

    async def _note_changes(self, frame: Frame) -> None:
        """Tell what a point was and is; readings in two units share no commit."""
        if self._changes is None:
            return
        found = self._changes.look(frame)
        if not found:
            return
        while True:
            try:
                while self._engine.hot.tail_readings:
                    await self._commit()
                await asyncio.to_thread(self._changes.remember, found)
                break
            except Unreachable as trouble:
                log.warning("%s; a unit or type changes, and it has to wait", trouble)
                await asyncio.sleep(RETRY_FIRST_S)
        # Memory looks at the names of a device once, and would keep the old unit.
        points = self._engine.hot.points
        there = [change for change in found if change.name in points]
        points.add(
            [change.name for change in there], [change.after.unit for change in there]
        )
        if frame.is_import:
            return  # a file from elsewhere says nothing about the plant
        for change in self._changes.news(found):
            await self._tell(_changed(change))

    async def _tell(self, event: Event, number: str = "") -> None:
        number = number or f"{event.kind}:{event.source}:{event.time_us}"
        try:
            await self._bus.publish(f"events.{event.kind}", encode_event(event), number)
        except (Unreachable, Refused) as error:
            log.warning("%s; and the event could not be told: %s", event.text, error)

    async def _report_refusal(self, message: Message, refusal: Refused) -> None:
        event = Event(
            kind="historian.refused",
            source=message.subject,
            severity=Severity.ERROR,
            text=f"Message {message.sequence} on {message.subject} is not a frame and "
            f"was left out: {refusal}. See what publishes there.",
            detail={"sequence": message.sequence},
        )
        await self._tell(event, f"{EVENTS}:refused:{message.sequence}")

    async def _commit_in_time(self) -> None:
        retry_s = RETRY_FIRST_S
        while True:
            if self.state is State.OK:
                try:
                    async with asyncio.timeout(self._settings.commit_every_s):
                        await self._full.wait()
                except TimeoutError:
                    pass  # it is time
            else:
                await asyncio.sleep(retry_s)
            try:
                await self._commit()
            except Unreachable as trouble:
                self.state, self.reason = State.DEGRADED, str(trouble)
                said = {"code": trouble.stable_code}
                log.error("%s; tried again in %.0f s", trouble, retry_s, extra=said)  # noqa: TRY400
                retry_s = min(retry_s * 2, RETRY_LAST_S)
            else:
                self.state, self.reason, retry_s = State.OK, "", RETRY_FIRST_S

    async def _commit(self) -> None:
        """Move the tail into the store; on failure it stays, to be tried again."""
        async with self._engine.changing:
            await self._commit_alone()
        await self._forget()

    async def _commit_alone(self) -> None:
        hot = self._engine.hot
        if self._pending is None:
            numbers = {self._writer: self._taken, **self._imports}
            self._pending = _Commit(hot.begin_commit(), self._taken, numbers)
            self._imports = {}
            self._full.clear()
        pending = self._pending
        if pending.reached > self._committed:
            snapshot = await asyncio.to_thread(self._write, pending)
            # From here to the end of memory's commit nothing is awaited, so that no
            # question sees these readings twice or not at all.
            self._engine.snapshot = snapshot
            self._committed = pending.reached
            self.commits += 1
        hot.end_commit(time.time_ns() // 1000)
        self._pending = None
        self._room.set()

    def _write(self, commit: _Commit) -> Snapshot:
        rows = to_table(commit.block, self._engine.hot.points)
        self._store.append(rows, self._writer, commit.numbers)
        return self._store.advance()

    async def _forget(self) -> None:
        """Let the bus drop what has been in the store for a while."""
        now = time.monotonic()
        self._marks.append((now, self._committed))
        old = [
            (when, number)
            for when, number in self._marks
            if when <= now - KEEP_ON_BUS_S
        ]
        if not old:
            return
        self._marks = self._marks[len(old) :]
        try:
            await self._bus.forget(READINGS, through=old[-1][1])
        except Unreachable as error:
            log.debug("the bus keeps what is recorded for longer: %s", error)

    def figures(self) -> dict[str, float | int | str]:
        """Return what its health has to tell."""
        hot = self._engine.hot
        age: dict[str, float | int | str] = {}
        if self._newest_us:
            age["newest_s"] = round(time.time() - self._newest_us / 1e6, 3)
        return age | {
            "readings": self.readings,
            "duplicates": self.duplicates,
            "refused_frames": self.refused,
            "commits": self.commits,
            "tail_readings": hot.tail_readings,
            "memory_readings": hot.readings,
            "committed_sequence": self._committed,
            "uncommitted_messages": self._taken - self._committed,
        }


def _changed(change: Change) -> Event:
    before, after = change.before, change.after
    return Event(
        kind="point.changed",
        source=change.name,
        severity=Severity.WARNING,
        text=f"{change.name} was {before.type} in {before.unit or 'no unit'} and is "
        f"{after.type} in {after.unit or 'no unit'} from now on. Its history keeps the "
        "type and unit of each reading; aggregates count those in the present unit.",
        detail={
            "type_before": before.type,
            "unit_before": before.unit,
            "type": after.type,
            "unit": after.unit,
        },
    )
