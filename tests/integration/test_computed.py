"""The room of computed points in a process of its own, killed again and again."""

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lineshaft.core.bus import READINGS
from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.frame import decode_frame, encode_frame
from lineshaft.core.reading import Reading
from support.frames import frame

A = "acme/osaka/a"
WITHIN_S = 60.0
KILLS = 4
BUS_BYTES = 1 << 27
ROOM = """
import asyncio, sys
from pathlib import Path
from lineshaft.core.bus.nats import open_bus
from lineshaft.core.point import Kind, Point
from lineshaft.platform.computed import service
from lineshaft.platform.computed.plan import formulas
from support.web_plant import PastInMemory

service.KEEP_EVERY_S = 0.3
A = "acme/osaka/a"
POINTS = [
    Point(name="acme/osaka/double", address="{a} * 2"),
    Point(name="acme/osaka/sum", address="integral({a})"),
    Point(name="acme/tokyo/x/mean", address="mean({acme/osaka/double}, 0.000005)"),
]

async def main():
    kinds = {A: Kind.FLOAT, **{p.name: p.type for p in POINTS}}
    plan = service.Plan(formulas(POINTS, kinds), {A: "press"}, 1e9)
    async with open_bus(sys.argv[1], most_bytes=int(sys.argv[3])) as bus:
        file = Path(sys.argv[2]) / "state"
        await service.Computing(plan, file, bus, PastInMemory()).run()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def room(url: str, home: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ROOM, url, str(home), str(BUS_BYTES), cwd=TESTS
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


TESTS = Path(__file__).parents[1]


async def results(bus: NatsBus) -> dict[str, list[Reading]]:
    """Return what is on the bus of each computed point, in the order of the stream."""
    found: dict[str, list[Reading]] = {}
    last = await bus.last_sequence(READINGS)
    async for batch in bus.batches(READINGS, after=0):
        for message in batch:
            said = decode_frame(message.data)
            if said.device == "computed":
                for reading in said.readings():
                    found.setdefault(reading.name, []).append(reading)
        if batch[-1].sequence >= last:
            return found
    return found


async def has_newest(bus: NatsBus, time_us: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            found = (await results(bus)).get("acme/tokyo/x/mean", [])
            if found and found[-1].time_us >= time_us:
                return
            await asyncio.sleep(0.05)


@pytest.mark.timeout(400)
async def test_each_result_is_told_once_whatever_is_killed(tmp_path: Path) -> None:
    said = 0

    async def publish() -> None:
        nonlocal said
        while True:
            new = said + 1
            values = frame([(A, new, float(new))], number=new)
            await bus.publish("readings.acme.osaka", encode_frame(values), values.id)
            said = new
            await asyncio.sleep(0.003)

    async with (
        serve(
            tmp_path / "bus", Listeners(0), most_bytes=10 << 30, on_restart=print
        ) as listeners,
        open_bus(listeners.url, most_bytes=BUS_BYTES) as bus,
    ):
        publishing = asyncio.ensure_future(publish())
        for _ in range(KILLS):
            async with room(listeners.url, tmp_path):
                await has_newest(bus, said + 50)
        publishing.cancel()
        async with asyncio.timeout(WITHIN_S):
            await asyncio.gather(publishing, return_exceptions=True)
        async with room(listeners.url, tmp_path):
            await has_newest(bus, said)
        found = await results(bus)
    doubles = found["acme/osaka/double"]
    first, said = doubles[0].time_us, doubles[-1].time_us
    assert [r.time_us for r in doubles] == list(range(first, said + 1))
    assert [r.value for r in doubles] == [2.0 * n for n in range(first, said + 1)]
    sums = [float(r.value or 0) * 1e6 for r in found["acme/osaka/sum"]]
    wanted = [sum(range(first, n)) for n in range(first, said + 1)]
    assert sums == pytest.approx(wanted)
    means = {r.time_us: r.value for r in found["acme/tokyo/x/mean"]}
    assert len(means) == len(found["acme/tokyo/x/mean"]) == len(doubles)
    assert means[said] == pytest.approx(sum(2.0 * n for n in range(said - 5, said)) / 5)
