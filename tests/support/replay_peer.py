"""A recording that is played over and over, and can be changed while it plays.

A file has no server: killing it is removing the file, and starting it again is
putting it back. It cannot be written through the driver, so no point is writable.
"""

import csv
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import Value

FIRST: dict[str, Value] = {"float": 1.5, "int": 2, "bool": True, "string": "idle"}


class ReplayPeer:
    """See `support.peer`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "recording.csv"
        self._values = dict(FIRST)
        self.points = [
            Point(name=f"a/{kind}", address=kind, type=Kind(kind)) for kind in FIRST
        ]
        self.absent: Point | None = Point(name="a/absent", address="absent")
        self.settings: dict[str, object] = {
            "file": self._file,
            "loop": True,
            # A single row is repeated after a second of the recording's time.
            "speed": 20.0,
        }
        self._write()

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        with fresh.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["time", *self._values])
            writer.writerow(["2026-01-01T00:00:00Z", *self._values.values()])
        fresh.rename(self._file)

    async def set(self, point: int, value: Value) -> None:
        """Put another value into the recording."""
        self._values[self.points[point].address] = value
        self._write()

    async def get(self, point: int) -> Value:
        """Return what is in the recording."""
        return self._values[self.points[point].address]

    async def stop(self) -> None:
        """Remove the recording."""
        self._file.unlink()

    async def start(self) -> None:
        """Put it back."""
        self._write()


@asynccontextmanager
async def open_peer() -> AsyncIterator[ReplayPeer]:
    """Make a recording; leaving the block removes it."""
    folder = Path(tempfile.mkdtemp(prefix="lineshaft-replay-"))
    try:
        yield ReplayPeer(folder)
    finally:
        shutil.rmtree(folder)
