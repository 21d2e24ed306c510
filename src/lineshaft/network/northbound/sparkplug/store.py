"""What must outlive us: the number of the session, our place, and what waits."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from lineshaft.core.errors import ConfigError, Unreachable

_TABLES = """
CREATE TABLE IF NOT EXISTS known (key TEXT PRIMARY KEY, text TEXT, number INTEGER);
CREATE TABLE IF NOT EXISTS waiting (
  number INTEGER PRIMARY KEY, stream TEXT, sequence INTEGER, device TEXT,
  readings INTEGER, data BLOB, UNIQUE (stream, sequence)
);
CREATE INDEX IF NOT EXISTS waiting_device ON waiting (device, number);
"""
_FRAMES_AT_ONCE = 64
_SET = "INSERT OR REPLACE INTO known (key, text, number) VALUES (?, ?, ?)"


class Place(NamedTuple):
    """Up to where the readings on the bus were told or stored."""

    stream: str
    """Which stream it was; see `core.bus.Delivers.identity`."""
    sequence: int


class Waiting(NamedTuple):
    """A frame that has to be told later."""

    sequence: int
    device: str
    readings: int
    data: bytes


class Store:
    """A file of SQLite, for one process at a time; each method may run in a thread.

    `Unreachable` when the disk does not take or give it.
    """

    def __init__(self, file: Path, most: int, devices: Collection[str]) -> None:
        """`most` is a number of readings; frames of no device in `devices` go."""
        self._most = most
        self._gate = threading.RLock()
        self._db = sqlite3.connect(file, check_same_thread=False, timeout=1.0)
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        # After a long silence the disk gets back what was needed.
        self._db.execute("PRAGMA auto_vacuum=FULL")
        self._db.execute("PRAGMA journal_mode=WAL")
        # The crash of a process loses nothing, a power cut the last moments.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)
        self.dropped = 0
        """Readings that had to go unsaid, in this life."""
        with self._db:
            self._forget_all_but(devices)
        counted = "SELECT coalesce(sum(readings), 0) FROM waiting"
        self.readings: int = self._db.execute(counted).fetchone()[0]
        """How many readings wait."""

    def close(self) -> None:
        """Close the file once nothing is under way."""
        with self._gate:
            self._db.close()

    def next_session(self) -> int:
        """Return the next bdSeq, 0 to 255, one more for each CONNECT.

        (tck-id-message-flow-edge-node-birth-publish-will-message-payload-bdSeq)
        """
        with self._doing("the number of the session"):
            row = self._known("bdSeq")
            number: int = (row[1] + 1) % 256 if row else 0
            self._db.execute(_SET, ("bdSeq", "", number))
        return number

    def place(self) -> Place | None:
        """Return where we were; None in our first life."""
        with self._doing("our place"):
            row = self._known("place")
        return Place(*row) if row else None

    def reach(self, place: Place) -> None:
        """Remember where we are."""
        with self._doing("our place"):
            self._db.execute(_SET, ("place", *place))

    def keep(self, frames: Sequence[Waiting], place: Place) -> None:
        """Store frames and remember where we are, at once; the oldest go for them.

        A frame that waits already is not stored twice.
        """
        with self._doing("what cannot be told"):
            for frame in frames:
                done = self._db.execute(
                    "INSERT OR IGNORE INTO waiting "
                    "(stream, sequence, device, readings, data) VALUES (?, ?, ?, ?, ?)",
                    (place.stream, *frame),
                )
                self.readings += frame.readings if done.rowcount > 0 else 0
            self._db.execute(_SET, ("place", *place))
            while self.readings > self._most:
                self._drop_oldest()

    def oldest(
        self, devices: Collection[str], most: int
    ) -> list[tuple[int, str, bytes]]:
        """Return the number, device and data of the oldest frames of these devices.

        One at least, if any waits, and else no more than hold `most` readings.
        """
        with self._doing("what waits"):
            rows = self._db.execute(
                "SELECT number, device, data, readings FROM waiting WHERE device IN "
                "(SELECT value FROM json_each(?)) ORDER BY number LIMIT ?",
                (json.dumps(list(devices)), _FRAMES_AT_ONCE),
            ).fetchall()
        sums = accumulate(readings for *_, readings in rows)
        fitting = sum(total <= most for total in sums)
        return [(number, *rest) for number, *rest, _ in rows[: max(fitting, 1)]]

    def remove(self, numbers: Sequence[int]) -> None:
        """Forget frames that were told."""
        with self._doing("what was told"):
            for number in numbers:
                self._remove(number)

    def _remove(self, number: int) -> int:
        gone = self._db.execute(
            "DELETE FROM waiting WHERE number = ? RETURNING readings", (number,)
        ).fetchone()
        readings: int = gone[0] if gone else 0  # or it went to make room
        self.readings -= readings
        return readings

    def _drop_oldest(self) -> None:
        [number] = self._db.execute("SELECT min(number) FROM waiting").fetchone()
        self.dropped += self._remove(number)

    def _forget_all_but(self, devices: Collection[str]) -> None:
        gone = self._db.execute(
            "DELETE FROM waiting WHERE device NOT IN "
            "(SELECT value FROM json_each(?)) RETURNING readings",
            (json.dumps(list(devices)),),
        ).fetchall()
        self.dropped += sum(readings for (readings,) in gone)

    def _known(self, key: str) -> tuple[str, int] | None:
        row: tuple[str, int] | None = self._db.execute(
            "SELECT text, number FROM known WHERE key = ?", (key,)
        ).fetchone()
        return row

    @contextlib.contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        try:
            with self._gate, self._db:
                yield
        except sqlite3.Error as error:
            raise Unreachable(
                f"the disk refuses {what} of the Sparkplug output ({error}); is it "
                "full?"
            ) from error


@contextlib.contextmanager
def open_store(file: Path, most: int, devices: Collection[str]) -> Iterator[Store]:
    """Open the store; `ConfigError` when the file cannot be used."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        store = Store(file, most, devices)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"the store {file} of the Sparkplug output cannot be opened ({error}); is "
            "the disk full, or is another plant running with this data directory?"
        ) from error
    try:
        yield store
    finally:
        store.close()
