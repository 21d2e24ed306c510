"""Play a recorded CSV file as if the machine were there."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, field_validator

from lineshaft.core.errors import ConfigError
from lineshaft.core.point import Point
from lineshaft.network.device import Batch
from lineshaft.network.drivers.replay.recording import (
    Recording,
    Row,
    Shape,
    open_recording,
)

_MOST_ROWS = 1_000
"""Of one batch."""
_SECOND_US = 1_000_000


class Settings(BaseModel, frozen=True, extra="forbid"):
    """What is played, and how."""

    file: Path = Field(description="The recording: CSV whose first line names columns.")
    time_column: str = Field(
        default="", description="Column with the times; empty for the first one."
    )
    time_format: str = Field(
        default="",
        description="Empty for ISO 8601; else a pattern like %d.%m.%Y %H:%M:%S, or "
        "unix_s, or unix_ms.",
    )
    timezone: str = Field(
        default="UTC", description="Zone of times that name none, like Asia/Tokyo."
    )
    delimiter: str = Field(
        default=",", min_length=1, max_length=1, description="Between two cells."
    )
    decimal: Literal[".", ","] = Field(
        default=".", description="What divides 1 from 1/10 in numbers."
    )
    speed: float = Field(
        default=1.0,
        ge=0,
        allow_inf_nan=False,
        description="1 plays at the recorded pace, 10 ten times as fast, 0 as fast as "
        "it is taken.",
    )
    loop: bool = Field(
        default=False, description="Begin again at the end; else its last values stay."
    )
    restamp: bool = Field(
        default=True,
        description="Move the times to now, keeping their distances; else they stay "
        "as recorded.",
    )

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"there is no time zone {name!r}; write it like UTC or Europe/Berlin"
            ) from error
        return name


def check_address(address: str) -> None:
    """Raise `ConfigError` for an address that cannot be the name of a column."""
    if not address.strip():
        raise ConfigError(
            "the address is empty; write the name of a column of the recording"
        )


@asynccontextmanager
async def connect(
    settings: Settings, points: Sequence[Point]
) -> AsyncIterator["ReplayDevice"]:
    """Open the recording; `Unreachable` when it cannot be read."""
    device = ReplayDevice(settings, points)
    with device.open():
        pass  # It can be opened; each round opens it anew.
    yield device


@dataclass(slots=True)
class _Pace:
    """Where the play is: how recorded times become times of the clock."""

    speed: float
    first_us: int | None = None
    last_us: int = 0
    gap_us: int = _SECOND_US
    done_us: int = 0
    """What earlier rounds took, in recorded time."""
    rounds: int = 0

    def passed_us(self, time_us: int | None) -> int:
        """Return how long after the very beginning a row comes, in recorded time.

        A row without a time comes with the one before it.
        """
        if time_us is None:
            first_us = self.last_us if self.first_us is None else self.first_us
            return self.done_us + self.last_us - first_us
        if self.first_us is None:
            self.first_us = self.last_us = time_us
        if time_us > self.last_us:
            self.gap_us = time_us - self.last_us
        self.last_us = max(self.last_us, time_us)
        return self.done_us + time_us - self.first_us

    def begin_again(self) -> None:
        """Let the next round follow the last row as that one followed its neighbour."""
        first_us = self.last_us if self.first_us is None else self.first_us
        self.done_us += self.last_us - first_us + self.gap_us
        self.first_us = None
        self.rounds += 1

    def in_clock_us(self, passed_us: int) -> int:
        """Return recorded time as time of the clock."""
        return round(passed_us / self.speed) if self.speed else passed_us


class ReplayDevice:
    """A recording that is being played."""

    def __init__(self, settings: Settings, points: Sequence[Point]) -> None:
        # With its own times it tells of the past, where nothing must be repeated.
        self.vouches = True if settings.restamp else None
        self._settings = settings
        self._columns = [(point.address.strip(), point.type) for point in points]
        self._shape = Shape(
            delimiter=settings.delimiter,
            decimal=settings.decimal,
            time_column=settings.time_column.strip(),
            time_format=settings.time_format,
            zone=ZoneInfo(settings.timezone),
        )
        self._pace = _Pace(settings.speed)
        self._begin_us = 0
        self._begin_s = 0.0

    def open(self) -> AbstractContextManager[Recording]:
        """Open the file; `Unreachable` when it cannot be played."""
        return open_recording(self._settings.file, self._shape, self._columns)

    async def listen(self) -> AsyncGenerator[Batch, None]:
        """Yield the rows when their time has come; at the end, wait for ever.

        With `loop`, the file is opened anew for each round, so a recording that was
        replaced is played from then on.
        """
        self._begin_us = time.time_ns() // 1000
        self._begin_s = asyncio.get_running_loop().time()
        played = True
        while played:
            with self.open() as recording:
                if not self._pace.rounds and recording.missing:
                    yield self._missing(recording)
                played = False
                async with aclosing(self._play(recording)) as batches:
                    async for batch in batches:
                        played = self._settings.loop
                        if len(batch):
                            yield batch
            self._pace.begin_again()
        await asyncio.Event().wait()

    def _missing(self, recording: Recording) -> Batch:
        batch = Batch()
        for point, status in recording.missing.items():
            batch.add(point, None, self._begin_us, status)
        return batch

    async def _play(self, recording: Recording) -> AsyncGenerator[Batch, None]:
        """Yield one round, rows that are due together in one batch."""
        batch, rows = Batch(), 0
        for row in recording.rows():
            passed_us = self._pace.passed_us(row.time_us)
            wait_s = self._wait_s(passed_us)
            if rows and (wait_s > 0 or rows >= _MOST_ROWS):
                yield batch
                batch, rows = Batch(), 0
            if wait_s > 0 or not rows:
                # Keeping pace is what this driver is for: it waits for the recorded
                # moment here, and for nothing else; at speed 0 it lets others work.
                await asyncio.sleep(max(self._wait_s(passed_us), 0))
            self._add(batch, row, passed_us)
            rows += 1
        if rows:
            yield batch

    def _wait_s(self, passed_us: int) -> float:
        if not self._settings.speed:
            return 0.0
        due_s = self._begin_s + self._pace.in_clock_us(passed_us) / _SECOND_US
        return due_s - asyncio.get_running_loop().time()

    def _add(self, batch: Batch, row: Row, passed_us: int) -> None:
        if self._settings.restamp:
            moment = self._begin_us + self._pace.in_clock_us(passed_us)
        elif row.time_us is not None:
            moment = row.time_us
        else:
            moment = self._pace.last_us or self._begin_us
        for point, cell in enumerate(row.cells):
            if cell is not None:
                batch.add(point, cell[0], moment, cell[1])
