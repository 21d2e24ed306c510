"""What is on its way to the bus: at once when the bus answers, from disk when not."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from lineshaft.core.bus import Publishes
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.errors import ConfigError, Refused, Unreachable
from lineshaft.core.errors.codes import Code
from lineshaft.core.event import Event, Severity, encode_event
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import Meaning, counter, gauge

log = logging.getLogger(__name__)

RETRY_AFTER_S = 1.0
FILLING = 0.80
"""Share of its room from which on the health says how full it is."""
_WARN_AT = (FILLING, 0.95)
_AT_ONCE = 64
_MEANINGS: dict[str, Meaning] = {
    "waiting": gauge("outbox_waiting_messages", "Messages on disk for the bus."),
    "waiting_bytes": gauge("outbox_waiting", "Bytes on disk for the bus.", "bytes"),
    "dropped_readings": counter("outbox_dropped_readings", "Readings that were lost."),
}


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message with the id that makes sending it twice harmless."""

    subject: str
    data: bytes
    id: str
    readings: int
    """How many readings are lost if it is dropped; 0 for events."""


class Road(Publishes, Protocol):
    """What the outbox needs from the bus."""

    def tell(self, subject: str, data: bytes) -> None:
        """Say something to whoever listens now."""


@contextlib.asynccontextmanager
async def open_outbox(
    bus: Road, file: Path, most_bytes: int
) -> AsyncIterator["Outbox"]:
    """Open the outbox whose store is `file`; what an earlier life left is sent first.

    `ConfigError` when the file cannot be used.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        store = _Store(file, most_bytes)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"the outbox {file} cannot be opened ({error}); is the disk full, or is "
            "another collector running with this data directory?"
        ) from error
    try:
        yield Outbox(bus, store)
    finally:
        store.close()


class Outbox:
    """Sends in order. What the bus does not take waits on disk, within a bound."""

    def __init__(self, bus: Road, store: "_Store") -> None:
        self._bus = bus
        self._store = store
        self._work = asyncio.Event()
        self._lock = asyncio.Lock()
        self._trouble = ""
        self._warned = 0.0
        self._since_us = time.time_ns() // 1000
        self.dropped = 0
        """Readings that were dropped because the store was full, in this life."""

    @property
    def waiting_bytes(self) -> int:
        """Return how much waits on disk."""
        return self._store.bytes

    @property
    def waiting(self) -> int:
        """Return how many messages wait on disk."""
        return self._store.count

    async def post(self, parcel: Parcel) -> None:
        """Return once the bus has confirmed the message or the disk has it."""
        # What comes later must not overtake what waits.
        if not self._store.count:
            try:
                await self._bus.publish(parcel.subject, parcel.data, parcel.id)
            except Unreachable:
                pass  # said below, once
            except Refused as refusal:
                self._lose(parcel, refusal)
                return
            else:
                return
        await self._keep(parcel)

    async def tell(self, event: Event) -> None:
        """Post an event."""
        subject = f"events.{event.kind}"
        number = f"{event.kind}:{event.source}:{event.time_us}"
        await self.post(Parcel(subject, encode_event(event), number, 0))

    async def tell_audit(self, record: AuditRecord) -> None:
        """Post an audit record."""
        data = msgspec.json.encode(record)
        await self.post(Parcel(f"audit.{record.kind}", data, record.id, 0))

    async def _keep(self, parcel: Parcel) -> None:
        try:
            async with self._lock:
                lost = await asyncio.to_thread(self._store.append, parcel)
        except sqlite3.Error as error:
            self._lose(parcel, error)
            return
        self.dropped += lost
        self._work.set()
        self._warn()
        if lost:
            most = self._store.bytes >> 20
            self._complain(f"{most} MiB wait, which is all there may be; the oldest go")

    def _warn(self) -> None:
        """Say once for each mark that it fills, and again after it was emptier."""
        passed = max((m for m in _WARN_AT if self._store.share >= m), default=0.0)
        if passed > self._warned:
            log.warning("the outbox is %.0f %% full; is the bus away?", 100 * passed)
        self._warned = passed

    def _lose(self, parcel: Parcel, why: Exception) -> None:
        self.dropped += parcel.readings
        self._work.set()
        self._complain(str(why))

    def _complain(self, why: str) -> None:
        """Say that readings are lost, but not for each one."""
        if not self._trouble:
            said = {"code": Code.READINGS_LOST}
            log.error("readings are being lost: %s", why, extra=said)
        self._trouble = why

    async def run(self) -> None:
        """Send what waits on disk, oldest first, for ever, and tell how that goes."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_health())
            group.create_task(self._send())

    async def _send(self) -> None:
        self._work.set()
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                while self._store.count:
                    await self._send_some()
                if self._trouble:
                    await self._confess()
            except (Unreachable, sqlite3.Error) as silence:
                log.debug("outbox: %s", silence)
                self._work.set()
                await asyncio.sleep(RETRY_AFTER_S)

    async def _confess(self) -> None:
        """Tell what was lost, as soon as the bus takes it."""
        event = Event(
            kind="outbox.dropped",
            source="outbox",
            severity=Severity.ERROR,
            code=Code.READINGS_LOST,
            text=f"{self.dropped} readings were dropped since the start because they "
            f"could neither be sent nor kept ({self._trouble}): look for a full disk, "
            "or raise outbox.most_mib.",
            detail={"readings": self.dropped},
        )
        number = f"{event.kind}:{event.time_us}"
        await self._bus.publish(f"events.{event.kind}", encode_event(event), number)
        self._trouble = ""

    async def _send_some(self) -> None:
        for number, parcel in await asyncio.to_thread(self._store.oldest, _AT_ONCE):
            try:
                await self._bus.publish(parcel.subject, parcel.data, parcel.id)
            except Refused as refusal:
                self._lose(parcel, refusal)
            async with self._lock:
                await asyncio.to_thread(self._store.remove, number)

    async def _tell_health(self) -> None:
        while True:
            health = self._health()
            self._bus.tell(f"status.{health.service}", msgspec.json.encode(health))
            await asyncio.sleep(EVERY_S)

    def _health(self) -> Health:
        reason = code = ""
        if self._store.count:
            reason = f"{self._store.bytes >> 10} KiB wait on disk for the bus"
            code = Code.BUS_IS_BEHIND
            if self._store.share >= FILLING:
                reason += (
                    f", {self._store.share:.0%} of outbox.most_mib; at 100 % the "
                    "oldest readings are dropped"
                )
        if self._trouble:
            reason = f"readings are being lost: {self._trouble}"
            code = Code.READINGS_LOST
        return Health(
            service="outbox",
            state=State.DEGRADED if reason else State.OK,
            reason=reason,
            code=code,
            since_us=self._since_us,
            meanings=_MEANINGS,
            figures={
                "waiting": self._store.count,
                "waiting_bytes": self._store.bytes,
                "most_bytes": self._store.most,
                "dropped_readings": self.dropped,
            },
        )


class _Store:
    """A queue in SQLite; one process at a time."""

    def __init__(self, file: Path, most_bytes: int) -> None:
        self.most = most_bytes
        # Work in a thread goes on when whoever waited for it is cancelled, and the
        # connection must not be closed under it.
        self._gate = threading.RLock()
        self._db = sqlite3.connect(file, check_same_thread=False, timeout=1.0)
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        # After a long silence the disk gets back what was needed.
        self._db.execute("PRAGMA auto_vacuum=FULL")
        self._db.execute("PRAGMA journal_mode=WAL")
        # As safe as the bus itself, which confirms before it syncs: the crash of a
        # process loses nothing, a power cut the last moments.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS parcel (number INTEGER PRIMARY KEY, "
            "subject TEXT, id TEXT, readings INTEGER, data BLOB)"
        )
        self._db.commit()
        counted = "SELECT count(*), coalesce(sum(length(data)), 0) FROM parcel"
        self.count: int
        self.bytes: int
        self.count, self.bytes = self._db.execute(counted).fetchone()

    @property
    def share(self) -> float:
        """How much of its room is used, 0 to 1."""
        return self.bytes / self.most

    def close(self) -> None:
        with self._gate:
            self._db.close()

    def append(self, parcel: Parcel) -> int:
        """Keep a message; return how many readings had to go for it."""
        with self._gate:
            return self._append(parcel)

    def _append(self, parcel: Parcel) -> int:
        lost = 0
        while self.count and self.bytes + len(parcel.data) > self.most:
            [(number, oldest)] = self.oldest(1)
            self.remove(number)
            lost += oldest.readings
        with self._db:
            self._db.execute(
                "INSERT INTO parcel (subject, id, readings, data) VALUES (?, ?, ?, ?)",
                (parcel.subject, parcel.id, parcel.readings, parcel.data),
            )
        self.count += 1
        self.bytes += len(parcel.data)
        return lost

    def oldest(self, most: int) -> list[tuple[int, Parcel]]:
        with self._gate:
            rows = self._db.execute(
                "SELECT number, subject, data, id, readings FROM parcel "
                "ORDER BY number LIMIT ?",
                (most,),
            )
            return [(number, Parcel(*rest)) for number, *rest in rows]

    def remove(self, number: int) -> None:
        with self._gate, self._db:
            gone = self._db.execute(
                "DELETE FROM parcel WHERE number = ? RETURNING length(data)", (number,)
            ).fetchone()
        if gone:  # or it was dropped meanwhile, to make room
            self.count -= 1
            self.bytes -= gone[0]
