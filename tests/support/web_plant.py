"""A small plant with a web room, whose bus and history are in memory."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import httpx
import numpy as np

from lineshaft.core.errors import NotFound, Unreachable
from lineshaft.core.frame import Frame, encode_frame
from lineshaft.core.name import matches, place_of, subject_of
from lineshaft.core.point import Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD, Status, Value
from lineshaft.core.series import Aggregate, Buckets, Format, Series
from lineshaft.web.api.app import Rooms, build_app
from lineshaft.web.api.leaving import ExportGate
from lineshaft.web.api.past import Archive
from lineshaft.web.events import EventBook
from lineshaft.web.health import HealthBoard
from lineshaft.web.live.stream import Live
from lineshaft.web.live.talk import Told
from lineshaft.web.namespace import Namespace
from lineshaft.web.page import File
from support.bus_in_memory import BusInMemory
from support.frames import Row, frame

PRESS = "acme/osaka/press"
Placed = tuple[Point, str, str]


def points(count: int = 4, place: str = PRESS) -> list[Placed]:
    """Return points p0, p1, ... of one device."""
    return [
        (Point(name=f"{place}/p{each}", address=str(each), unit="mm"), "press", "opcua")
        for each in range(count)
    ]


@dataclass
class PastInMemory:
    """Implements `core.series.History` over a list of rows."""

    rows: Sequence[tuple[str, int, Value | None, Status]] = ()
    away: bool = False
    breaks_after: int | None = None
    """Parts of an export before the historian falls silent."""

    async def last(self, pattern: str) -> Frame:
        self._answer()
        newest = {
            row[0]: row
            for row in sorted(self.rows, key=lambda row: row[1])
            if matches(pattern, row[0])
        }
        said: list[Row] = [row[:3] for row in newest.values()]
        return frame(said, statuses=[row[3] for row in newest.values()])

    async def names(self, pattern: str) -> list[str]:
        self._answer()
        return sorted({row[0] for row in self.rows if matches(pattern, row[0])})

    async def raw(
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        self._answer()
        rows = [r for r in self.rows if r[0] == name and start_us <= r[1] < end_us]
        said: list[Row] = [(name, time_us, value) for _, time_us, value, _ in rows]
        cut = frame(said[:limit], statuses=[row[3] for row in rows[:limit]])
        return Series(
            name, "mm", cut.texts, cut.statuses, cut.columns, len(rows) > limit
        )

    async def buckets(
        self,
        names: Sequence[str],
        start_us: int,
        end_us: int,
        every_us: int,
        wanted: Sequence[Aggregate] = tuple(Aggregate),
    ) -> list[Buckets]:
        self._answer()
        first = start_us // every_us * every_us
        start = np.arange(first, end_us, every_us, dtype=np.int64)
        return [self._buckets(name, start, every_us) for name in names]

    def _buckets(
        self, name: str, start: "np.ndarray[tuple[int], np.dtype[np.int64]]", every: int
    ) -> Buckets:
        times = [row[1] for row in self.rows if row[0] == name]
        count = np.array([sum(b <= t < b + every for t in times) for b in start], float)
        empty = np.where(count > 0, 1.5, np.nan)
        columns = dict.fromkeys(Aggregate, empty) | {Aggregate.COUNT: count}
        return Buckets(name, "mm", every, start, columns)

    async def export(
        self, pattern: str, start_us: int, end_us: int, form: Format
    ) -> AsyncIterator[bytes]:
        self._answer()
        if fnmatchcase(pattern, "*[[]*"):
            raise NotFound(f"{pattern!r} is not a pattern")
        for part, row in enumerate(r for r in self.rows if start_us <= r[1] < end_us):
            if part == self.breaks_after:
                raise Unreachable("the historian fell silent")
            yield f"{form.value} {row[0]} {row[1]} {row[2]}\n".encode()

    def _answer(self) -> None:
        if self.away:
            raise Unreachable("the historian does not answer")


class WebPlant:
    """The parts of a web room that people can look into."""

    def __init__(
        self,
        placed: Iterable[Placed] | None = None,
        services: Sequence[str] = ("web",),
        past: PastInMemory | None = None,
        bus: BusInMemory | None = None,
        gate: ExportGate | None = None,
    ) -> None:
        self.bus = bus or BusInMemory()
        self.past = past or PastInMemory()
        self.namespace = Namespace(points() if placed is None else placed)
        self.live = Live(self.bus, self.past, self.namespace)
        self.events = EventBook(self.bus)
        self.health = HealthBoard(self.bus, services, "Osaka works", "0.1", demo=True)
        self.told = Told(self.namespace, self.live, self.events, self.health)
        self.rooms = Rooms(
            self.told,
            Archive(self.past, self.namespace),
            self.past,
            self.bus,
            {"index.html": File(b"<!doctype html>", "text/html", "no-cache")},
            gate,
        )
        self._number = 0

    async def say(self, *rows: Row, status: Status = GOOD) -> None:
        """Publish a frame of rows."""
        self._number += 1
        said = frame(rows, number=self._number, statuses=[status] * len(rows))
        subject = subject_of(place_of(rows[0][0]))
        await self.bus.publish(subject, encode_frame(said), said.id)

    async def heard(self) -> None:
        """Wait until the live stream has taken in what was said."""
        newest = await self.bus.last_sequence("READINGS")
        await self.bus.until(lambda: self.live.sequence >= newest)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["WebPlant"]:
        """Run what follows the bus."""
        services = (self.live, self.events, self.health)
        async with beside(*(service.run() for service in services)):
            yield self


@asynccontextmanager
async def asking(plant: WebPlant) -> AsyncIterator[httpx.AsyncClient]:
    """Ask the API of a running plant, without a server."""
    app = build_app(plant.rooms)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # two ways to type it
    async with (
        plant.running(),
        httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8080"
        ) as client,
    ):
        yield client
