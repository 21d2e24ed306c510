"""How fast people and programs are answered, and pages kept up to date.

    python bench/run.py web

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`. The
answers are timed in the web room itself, without a network.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from lineshaft.core.frame import encode_frame
from lineshaft.core.point import Point
from lineshaft.core.reading import GOOD
from lineshaft.core.series import Series
from lineshaft.web.live.stream import Live, Session
from lineshaft.web.namespace import Namespace
from support.frames import frame
from support.web_plant import PastInMemory, WebPlant, asking

Row = dict[str, object]
POINTS = 1_000
PAST = 10_000
PAGES = 10
FRAMES = 50
MANY = 100_000
NAMES = [f"acme/osaka/line{n % 10}/press/p{n}" for n in range(POINTS)]


class OnePast(PastInMemory):
    """Ten thousand readings, made once: the historian is measured elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        said = frame([(NAMES[0], each * 100_000, each * 0.1) for each in range(PAST)])
        self._series = Series(NAMES[0], "mm", said.texts, said.statuses, said.columns)

    async def raw(  # type: ignore[explicit-override]  # from Python 3.12 on
        self, name: str, start_us: int, end_us: int, limit: int = 100_000
    ) -> Series:
        """Return all of it."""
        return self._series


async def _median_ms(work: Callable[[], Awaitable[object]], times: int = 30) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return statistics.median(took) * 1e3


def _row(name: str, value: float, unit: str, bar: float) -> Row:
    value = round(value, 3)
    return {"name": name, "value": value, "unit": unit, "bar": bar, "ok": value <= bar}


async def _answers() -> list[Row]:
    placed = [(Point(name=name, address="1"), "press", "opcua") for name in NAMES]
    plant = WebPlant(placed, past=OnePast())

    async def ask(api: httpx.AsyncClient, path: str) -> float:
        async def once() -> None:
            assert (await api.get(f"/api/v1{path}")).status_code == 200

        return await _median_ms(once)

    async with asking(plant) as api:
        await plant.say(*((name, 1, 1.5) for name in NAMES), status=GOOD)
        await plant.heard()
        readings = await ask(api, "/readings")
        past = await ask(api, f"/history?name={NAMES[0]}&from=1970-01-01")
    return [
        _row(f"/readings of {POINTS:,} points", readings, "ms", 20),
        _row(f"/history of {PAST:,} raw readings", past, "ms", 50),
    ]


def _fan_out(pages: int) -> float:
    """Return CPU microseconds for each reading, from the bus to the text sent."""
    namespace = Namespace(
        (Point(name=name, address="1"), "press", "opcua") for name in NAMES
    )
    plant = WebPlant()
    live = Live(plant.bus, PastInMemory(), namespace)
    sessions = []
    for _ in range(pages):
        session = Session()
        session.restart(NAMES, 0)
        live._sessions.add(session)  # noqa: SLF001  the server is not measured
        sessions.append(session)
    frames = [
        encode_frame(frame([(name, each, each + 0.5) for name in NAMES], number=each))
        for each in range(FRAMES)
    ]
    began = time.process_time()
    for sequence, data in enumerate(frames, 1):
        live._take(sequence, data)  # noqa: SLF001  see above
        for session in sessions:
            text = _text(session)
            assert not pages or text
    return (time.process_time() - began) / (FRAMES * POINTS) * 1e6


def _text(session: Session) -> bytes:
    readings, session.waiting = session.waiting, []
    return msgspec.json.encode({"kind": "readings", "readings": readings})


def _namespace() -> list[Row]:
    points = [
        (
            Point(name=f"acme/osaka/line{n % 100}/cell{n % 1000}/p{n}", address="1"),
            "d",
            "p",
        )
        for n in range(MANY)
    ]
    began = time.perf_counter()
    namespace = Namespace(points)
    built_s = time.perf_counter() - began
    found = []
    for pattern, search in (
        ("acme/osaka/line7/**", ""),
        ("**", "p99999"),
        ("*/*/*/cell7/*", ""),
    ):
        began = time.perf_counter()
        assert namespace.find([pattern], search)
        found.append((time.perf_counter() - began) * 1e3)
    return [
        _row(f"index of {MANY:,} points, built", built_s, "s", 3),
        _row(f"index of {MANY:,} points, a line", found[0], "ms", 20),
        _row(f"index of {MANY:,} points, a search", found[1], "ms", 200),
        _row(f"index of {MANY:,} points, any wildcard", found[2], "ms", 300),
    ]


def rows() -> list[Row]:
    """Measure, for some seconds."""
    nobody = _fan_out(0)
    return [
        *asyncio.run(_answers()),
        _row("a reading that nobody looks at", nobody, "us", 2),
        _row("a reading to 1 page", _fan_out(1), "us", 10),
        _row(f"a reading to {PAGES} pages", _fan_out(PAGES), "us", 30),
        *_namespace(),
    ]


if __name__ == "__main__":
    print(json.dumps(rows(), indent=2))
