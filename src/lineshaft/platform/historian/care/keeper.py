"""Keeps a history in order while it records and answers, and says what it does.

Nothing is deleted silently: each deletion is an event that says what went and why.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.event import Event, Severity
from lineshaft.core.health import State
from lineshaft.core.health.meaning import Meaning, counter, gauge
from lineshaft.platform.historian.answers.engine import Engine
from lineshaft.platform.historian.care.budget import (
    AIM,
    GIB,
    Level,
    Room,
    measure,
    to_go,
)
from lineshaft.platform.historian.care.holding import cleaning
from lineshaft.platform.historian.care.retention import Rules
from lineshaft.platform.historian.duration import seconds_of
from lineshaft.platform.historian.settings import Settings
from lineshaft.platform.historian.store.table import Store

log = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0
"""How often the room that is left is looked at."""
GRACE_S = 15.0
"""How long a question that reads files may take before they go in an emergency."""
TRY_AGAIN_S = 600.0
"""When everything left is guaranteed: how long until room is looked for again."""
T = TypeVar("T")
Tell = Callable[[Event], Awaitable[None]]


MEANINGS: dict[str, Meaning] = {
    "deleted_readings": counter("historian_deleted_readings", "Deleted by the rules."),
    "disk_bytes": gauge("historian_disk_used", "What the history takes.", "bytes"),
    "disk_free_bytes": gauge("historian_disk_free", "Free on its disk.", "bytes"),
    "disk_most_bytes": gauge("historian_disk_budget", "What it may take.", "bytes"),
}


class Keeper:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self, home: Path, store: Store, engine: Engine, settings: Settings, tell: Tell
    ) -> None:
        self._home = home
        self._store = store
        self._engine = engine
        self._settings = settings
        self._tell = tell
        self._rules = Rules(settings.retention)
        self._looked: dict[date, tuple[int, frozenset[str]]] = {}
        self._untold: list[Event] = []
        self._try_room_at = 0.0
        self._level = Level.ROOM
        self.room: Room | None = None
        self.may_take = asyncio.Event()
        """Whether there is room for more readings."""
        self.may_take.set()
        self.trouble = ""
        self.deleted = 0
        """Readings that were deleted in this life."""

    def announce(self, event: Event) -> None:
        """Tell an event with the next look."""
        self._untold.append(event)

    @property
    def state(self) -> State:
        """Return how well it is kept."""
        return State.DEGRADED if self.reason else State.OK

    @property
    def reason(self) -> str:
        """Return what is wrong: too little room, or work that failed."""
        told = [self.room.reason if self.room else "", self.trouble]
        if not self.may_take.is_set():
            told.append("readings wait on the bus until there is room")
        return "; ".join(filter(None, told))

    async def run(self) -> None:
        """Look at the room often and keep house now and then, for ever."""
        next_turn = time.monotonic() + self._settings.compact_every_s
        while True:
            await self.look()
            if time.monotonic() >= next_turn:
                await self.turn()
                next_turn = time.monotonic() + self._settings.compact_every_s
            left = max(next_turn - time.monotonic(), 0.0)
            await asyncio.sleep(min(LOOK_EVERY_S, left))

    async def turn(self) -> None:
        """Put files together, sort closed days, delete what has expired, clean up."""
        self.trouble = ""
        await self._try(self._store.compact)
        while await self._try(lambda: self._store.sort_closed(datetime.now(UTC))):
            pass  # one day after the other
        await self._expire(datetime.now(UTC))
        await self._clean(self._settings.vacuum_after_h)

    async def look(self) -> None:
        """See how much room is left; make some, or stop taking more."""
        await self._flush()
        room = await self._measure()
        if room.over and time.monotonic() >= self._try_room_at:
            await self._make_room(room)
            room = await self._measure()
        if room.level is not self._level:
            await self._say_level(room)
        if room.level is Level.FULL:
            self.may_take.clear()
        else:
            self.may_take.set()

    async def _measure(self) -> Room:
        most = self._settings.most_gib
        room = await asyncio.to_thread(
            measure,
            self._home,
            None if most is None else int(most * GIB),
            int(self._settings.least_free_gib * GIB),
        )
        self.room = room
        return room

    async def _say_level(self, room: Room) -> None:
        worse = room.level > self._level
        self._level = room.level
        if worse:
            severity = (
                Severity.ERROR if room.level > Level.FILLING else Severity.WARNING
            )
            text = f"{room.reason}. Make room, or raise the budget."
        else:
            severity, text = Severity.INFO, "The history has more room again."
        figures = {"used_bytes": room.used, "free_bytes": room.free}
        await self._say("historian.room", text, severity, figures)

    async def _make_room(self, room: Room) -> None:
        """Clean up first; then delete the oldest readings that are not guaranteed."""
        await self._try(self._store.compact)
        await self._clean(0)
        room = await self._measure()
        if not room.over or room.most is None:
            return
        now = datetime.now(UTC)
        snapshot = await asyncio.to_thread(self._store.advance)
        sizes: dict[date, int] = {}
        for file in snapshot.files():
            sizes[file.day] = sizes.get(file.day, 0) + file.size
        guarantee_s = seconds_of(self._settings.guarantee)
        days = to_go(sizes, room.used - int(AIM * room.most), guarantee_s, now)
        for day in days:
            await self._delete_day(day)
        if days:
            await self._clean(0)
        else:
            self._try_room_at = time.monotonic() + TRY_AGAIN_S

    async def _delete_day(self, day: date) -> None:
        snapshot = await asyncio.to_thread(self._store.advance)
        rows = sum(file.rows for file in snapshot.files() if file.day == day)
        gone = await self._try(lambda: self._store.delete(day, rows))
        if gone:
            await self._say_deleted(
                rows,
                f"All {rows:,} readings of {day} (UTC) were deleted: the history had "
                "used up historian.most_gib, and they were the oldest, beyond "
                f"historian.guarantee ({self._settings.guarantee}).",
                {"day": str(day), "policy": "budget"},
            )

    async def _expire(self, now: datetime) -> None:
        """Delete, day by day, what its rule keeps no longer."""
        if not self._settings.retention:
            return
        snapshot = await asyncio.to_thread(self._store.advance)
        rows: dict[date, int] = {}
        for file in snapshot.files():
            rows[file.day] = rows.get(file.day, 0) + file.rows
        for day in sorted(rows):
            patterns = self._rules.expired(day, now)
            seen = (rows[day], patterns)
            if not patterns or self._looked.get(day) == seen:
                continue
            counts = await self._try(partial(snapshot.counts_of, day))
            if counts is None:
                continue
            due = self._rules.due(counts, patterns)
            if not due:
                self._looked[day] = seen
                continue
            await self._expire_day(day, counts, due)

    async def _expire_day(
        self, day: date, counts: dict[str, int], due: dict[str, int]
    ) -> None:
        names = None if len(due) == len(counts) else list(due)
        rows = sum(counts.values())
        gone = await self._try(lambda: self._store.delete(day, rows, names))
        if not gone:
            return
        by = sorted({rule[0] for name in due if (rule := self._rules.of(name))})
        keeps = ", ".join(f"{each} = {self._settings.retention[each]}" for each in by)
        count = sum(due.values())
        await self._say_deleted(
            count,
            f"{count:,} readings of {len(due)} points of {day} (UTC) were deleted: "
            f"historian.retention says {keeps}.",
            {
                "day": str(day),
                "policy": "retention",
                "points": len(due),
                "patterns": keeps,
            },
        )

    async def _say_deleted(
        self, count: int, text: str, detail: Mapping[str, str | int]
    ) -> None:
        self.deleted += count
        severity = Severity.WARNING if detail["policy"] == "budget" else Severity.INFO
        await self._say(
            "historian.retention", text, severity, {**detail, "readings": count}
        )

    async def _clean(self, hours: float) -> None:
        """Delete files that nobody needs; with 0 hours those of open questions too."""
        await self._try(self._store.checkpoint)
        await self._advance()
        if not hours:
            await asyncio.sleep(GRACE_S)

        def clean() -> int:
            with cleaning(self._home) as allowed:
                if not allowed:
                    return 0  # a back-up is being made; the next time
                gone = self._store.vacuum(hours)
                self._store.tidy_log()
                return gone

        await self._try(clean)
        await self._advance()

    async def _advance(self) -> None:
        """Let questions see the table as it is now."""
        try:
            async with self._engine.changing:
                snapshot = await asyncio.to_thread(self._store.advance)
                self._engine.snapshot = snapshot
        except Unreachable as trouble:
            self._complain(trouble)

    async def _try(self, work: Callable[[], T]) -> T | None:
        """Work that fails is tried again the next time, and said."""
        try:
            return await asyncio.to_thread(work)
        except Unreachable as trouble:
            self._complain(trouble)
            return None

    def _complain(self, trouble: Unreachable) -> None:
        log.warning("%s", trouble)
        self.trouble = f"taking care of the history failed: {trouble}"

    async def _say(
        self,
        kind: str,
        text: str,
        severity: Severity,
        detail: Mapping[str, str | int],
    ) -> None:
        log.warning("%s", text)
        self._untold.append(
            Event(
                kind=kind,
                source="historian",
                severity=severity,
                text=text,
                detail={**detail},
            )
        )
        await self._flush()

    async def _flush(self) -> None:
        """Tell what happened, in order; what the bus does not take now waits."""
        while self._untold:
            try:
                await self._tell(self._untold[0])
            except Unreachable:
                return
            except Refused as refusal:
                log.error("an event could not be told: %s", refusal)  # noqa: TRY400
            self._untold.pop(0)

    def figures(self) -> dict[str, float | int | str]:
        """Return what the health of the historian has to tell of it."""
        told: dict[str, float | int | str] = {"deleted_readings": self.deleted}
        if self.room is not None:
            told |= {"disk_bytes": self.room.used, "disk_free_bytes": self.room.free}
            if self.room.most is not None:
                told["disk_most_bytes"] = self.room.most
        return told
