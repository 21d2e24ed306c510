"""What is on its way to the bus: at once when the bus answers, from disk when not."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from lineshaft.core.bus import Publishes
from lineshaft.core.errors import ConfigError, Refused, Unreachable
from lineshaft.core.event import Event, Severity, encode_event

log = logging.getLogger(__name__)

RETRY_AFTER_S = 1.0
_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message with the id that makes sending it twice harmless."""

    subject: str
    data: bytes
    id: str
    readings: int
    """How many readings are lost if it is dropped; 0 for events."""


@contextlib.asynccontextmanager
async def open_outbox(
    bus: Publishes, file: Path, most_bytes: int
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

    def __init__(self, bus: Publishes, store: "_Store") -> None:
        self._bus = bus
        self._store = store
        self._work = asyncio.Event()
        self._lock = asyncio.Lock()
        self._complained = False
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

    async def _keep(self, parcel: Parcel) -> None:
        try:
            async with self._lock:
                lost = await asyncio.to_thread(self._store.append, parcel)
        except sqlite3.Error as error:
            self._lose(parcel, error)
            return
        self.dropped += lost
        self._work.set()
        if lost and not self._complained:
            self._complained = True
            log.error(
                "the outbox is full (%d MiB): the oldest readings are being dropped",
                self._store.bytes >> 20,
            )

    def _lose(self, parcel: Parcel, why: Exception) -> None:
        """Say that a message is lost, but not for each one."""
        self.dropped += parcel.readings
        if not self._complained:
            self._complained = True
            log.error("readings are being lost: %s", why)

    async def run(self) -> None:
        """Send what waits on disk, oldest first, for ever."""
        self._work.set()
        while True:
            await self._work.wait()
            self._work.clear()
            while self._store.count:
                try:
                    await self._send_some()
                except Unreachable as silence:
                    log.debug("outbox: %s", silence)
                    await asyncio.sleep(RETRY_AFTER_S)
            if self._complained:
                self._complained = False
                await self._confess()

    async def _confess(self) -> None:
        await self.tell(
            Event(
                kind="outbox.dropped",
                source="outbox",
                severity=Severity.ERROR,
                text=f"{self.dropped} readings were dropped because they could neither "
                "be sent nor kept: look for a full disk, or raise outbox.most_mib.",
                detail={"readings": self.dropped},
            )
        )

    async def _send_some(self) -> None:
        for number, parcel in await asyncio.to_thread(self._store.oldest, _AT_ONCE):
            try:
                await self._bus.publish(parcel.subject, parcel.data, parcel.id)
            except Refused as refusal:
                self._lose(parcel, refusal)
            async with self._lock:
                await asyncio.to_thread(self._store.remove, number)


class _Store:
    """A queue in SQLite; one process at a time."""

    def __init__(self, file: Path, most_bytes: int) -> None:
        self._most = most_bytes
        self._db = sqlite3.connect(file, check_same_thread=False, timeout=1.0)
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # As safe as the bus itself, which confirms before it syncs: the crash of a
        # process loses nothing, a power cut the last moments.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS parcel (number INTEGER PRIMARY KEY, "
            "subject TEXT, id TEXT, readings INTEGER, data BLOB)"
        )
        self._db.commit()
        counted = "SELECT count(*), coalesce(sum(length(data)), 0) FROM parcel"
        self.count: int
        self.bytes: int
        self.count, self.bytes = self._db.execute(counted).fetchone()

    def close(self) -> None:
        self._db.close()

    def append(self, parcel: Parcel) -> int:
        """Keep a message; return how many readings had to go for it."""
        lost = 0
        while self.count and self.bytes + len(parcel.data) > self._most:
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
        rows = self._db.execute(
            "SELECT number, subject, data, id, readings FROM parcel "
            "ORDER BY number LIMIT ?",
            (most,),
        )
        return [(number, Parcel(*rest)) for number, *rest in rows]

    def remove(self, number: int) -> None:
        with self._db:
            gone = self._db.execute(
                "DELETE FROM parcel WHERE number = ? RETURNING length(data)", (number,)
            ).fetchone()
        if gone:  # or it was dropped meanwhile, to make room
            self.count -= 1
            self.bytes -= gone[0]
