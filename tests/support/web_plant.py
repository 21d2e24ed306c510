"""A small plant with a web room, whose bus and history are in memory."""

import os
import sqlite3
import tomllib
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
from typing_extensions import override

from lineshaft.core.bus import Bus
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.bus.trail import Trail
from lineshaft.core.errors import NotFound, Unreachable
from lineshaft.core.frame import Frame, encode_frame
from lineshaft.core.name import matches, place_of, subject_of
from lineshaft.core.point import Point
from lineshaft.core.process.peer import Address, Peers, open_peers
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD, Status, Value
from lineshaft.core.series import Aggregate, Buckets, Format, Series
from lineshaft.security.access.approvals import Requests, open_requests
from lineshaft.security.access.document import Document
from lineshaft.security.access.enforced import Enforced
from lineshaft.security.people.accounts import OWNER
from lineshaft.security.people.login import People
from lineshaft.security.people.settings import Settings as PeopleSettings
from lineshaft.security.people.store import Store, open_store
from lineshaft.web.api.app import build_app
from lineshaft.web.api.door.approving import Approving
from lineshaft.web.api.door.callers import Caller, Callers
from lineshaft.web.api.door.rights import Looker, Rights
from lineshaft.web.api.leaving import ExportGate
from lineshaft.web.api.rooms import Rooms
from lineshaft.web.events import EventBook
from lineshaft.web.health import HealthBoard
from lineshaft.web.live.stream import Live
from lineshaft.web.live.talk import Told
from lineshaft.web.namespace import Namespace
from lineshaft.web.page import File
from lineshaft.web.service import Door
from support.bus_in_memory import BusInMemory
from support.frames import Row, frame

PRESS = "acme/osaka/press"
Placed = tuple[Point, str, str]
FIRST_POLICY = """
[subjects."{account}"]
tenant = "acme"

[[grant]]
name = "first"
who = ["{account}"]
on = ["acme/**"]
role = "administrator"
may = ["write", "export"]
"""


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
        people: PeopleSettings | None = None,
    ) -> None:
        self.bus = bus or BusInMemory()
        self.past = past or PastInMemory()
        self.namespace = Namespace(points() if placed is None else placed)
        self.live = Live(self.bus, self.past, self.namespace)
        self.events = EventBook(self.bus)
        self.health = HealthBoard(self.bus, services, "Osaka works", "0.1", demo=True)
        self.told = Told(self.namespace, self.live, self.events, self.health)
        self.audit: list[AuditRecord] = []
        self.caller_uid: int | None = os.getuid()
        """Whose program asks, as the kernel would tell it."""
        self.policy = (0, Document())
        # They are closed by whichever thread collects the garbage.
        self._files = [
            sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            for _ in "ab"
        ]
        for file in self._files:
            weakref.finalize(self, file.close)
        self.people = People(
            Store(self._files[0]), people or PeopleSettings(), "Osaka works", self._tell
        )
        self.enforced = Enforced(lambda: self.policy)
        callers = Callers(self.people, _Peers(self))
        self.rights = Rights(callers, self.enforced, self.namespace, self._found)
        self.rooms = Rooms(
            self.told,
            self.past,
            self.bus,
            {"index.html": File(b"<!doctype html>", "text/html", "no-cache")},
            self.rights,
            Approving(self.rights, Requests(self._files[1])),
            gate,
        )
        self._number = 0

    def rule(self, text: str) -> None:
        """Let a policy count from now on."""
        document = Document.model_validate(tomllib.loads(text))
        self.policy = (self.policy[0] + 1, document)
        self.enforced.look()

    def looker(self, subject: str = OWNER) -> Looker:
        """Return somebody who looks on: the owner, or a subject of the policy."""
        return Looker(self.rights, Caller(subject, "test", "127.0.0.1"), self.health)

    async def _tell(self, record: AuditRecord) -> None:
        self.audit.append(record)

    async def _found(self, account: str) -> None:
        self.rule(FIRST_POLICY.format(account=account))

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


class _Peers(Peers):
    """Says that whoever asks runs under the user that the plant says."""

    def __init__(self, plant: WebPlant) -> None:
        super().__init__(None)
        self._plant = plant

    @override
    def uid(self, ours: Address, theirs: Address) -> int | None:
        return self._plant.caller_uid


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


@contextmanager
def open_door(bus: Bus) -> Iterator[Door]:
    """Open the door of a plant that has no accounts yet."""

    async def found(_: str) -> None:
        raise AssertionError("nobody is set up here")

    with ExitStack() as stack:
        home = Path(stack.enter_context(TemporaryDirectory()))
        store = stack.enter_context(open_store(home / "people.sqlite"))
        trail = Trail(bus, home / "audit.jsonl")
        yield Door(
            People(store, PeopleSettings(), "Osaka works", trail.tell),
            Enforced(lambda: (0, Document())),
            stack.enter_context(open_peers()),
            stack.enter_context(open_requests(home / "approvals.sqlite")),
            trail,
            found,
        )
