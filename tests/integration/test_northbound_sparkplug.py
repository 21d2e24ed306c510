"""Our data as a Sparkplug edge node, at a broker that was not written here."""

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lineshaft.core.command import Command, Outcome, Verdict
from lineshaft.core.errors import NotFound
from lineshaft.core.frame import Frame, encode_frame
from lineshaft.core.health import Health, State
from lineshaft.core.point import Kind, Point
from lineshaft.core.process.tasks import beside
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad, uncertain
from lineshaft.network.drivers.mqtt.connection import Broker
from lineshaft.network.drivers.mqtt.driver import Settings, connect, open_browser
from lineshaft.network.northbound.mirror import Mirror, Served
from lineshaft.network.northbound.settings import Sparkplug
from lineshaft.network.northbound.sparkplug.output import Ends, SparkplugOutput
from support.bus_in_memory import BusInMemory
from support.frames import frame
from support.mqtt_peer import HOST, Mosquitto, open_mosquitto
from support.sparkplug_host import EDGE, GROUP, HostInTest, open_host
from support.sparkplug_library import ask, open_node

pytestmark = [pytest.mark.peer("mosquitto"), pytest.mark.timeout(240)]

OIL, COUNT, OPEN, MODE = (
    Point(name="acme/osaka/press/oil/level", address="1", unit="mm", writable=True),
    Point(name="acme/osaka/press/count", address="2", type=Kind.INT),
    Point(name="acme/osaka/press/open", address="3", type=Kind.BOOL),
    Point(name="acme/osaka/press/mode", address="4", type=Kind.STRING),
)
POINTS = (OIL, COUNT, OPEN, MODE)
SERVED = [Served(point, "press") for point in POINTS]


class Lasts:
    """A historian that has nothing."""

    async def last(self, pattern: str) -> Frame:
        return frame([])


@dataclass
class Plant:
    """A bus with readings and healths on it, and the output that follows it."""

    bus: BusInMemory
    file: Path
    port: int
    more: dict[str, object]
    states: dict[str, State] = field(default_factory=lambda: {"press": State.OK})
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def say(
        self, point: Point, value: Value | None, *, status: Status = GOOD
    ) -> int:
        """Put a reading on the bus; return its time in ms."""
        time_us = time.time_ns() // 1000
        rows = [(point.name, time_us, value)]
        number = next(self.numbers)
        made = frame(rows, number=number, statuses=[status])
        await self.bus.publish("readings.acme", encode_frame(made), str(number))
        return time_us // 1000

    async def _beat(self) -> None:
        """Tell signs of life of the collectors."""
        while True:
            for device, state in self.states.items():
                told = Health(service=f"collector.{device}", state=state, since_us=1)
                self.bus.tell(f"status.collector.{device}", msgspec.json.encode(told))
            await asyncio.sleep(0.1)

    async def go_on(self, point: Point) -> None:
        """Say something, for ever."""
        for number in itertools.count():
            await self.say(point, number)
            await asyncio.sleep(0.2)

    @asynccontextmanager
    async def output(self) -> AsyncIterator[None]:
        """Run the output, as it is in one life."""
        url = f"mqtt://{HOST}:{self.port}"
        told = {"url": url, "group": GROUP, "edge_node": EDGE, **self.more}
        wanted = Sparkplug.model_validate(told)
        mirror = Mirror(SERVED, self.bus, Lasts())
        ends = Ends(Broker(HOST, self.port, "edge", 5.0), self.file)
        output = SparkplugOutput(wanted, ends, SERVED, self.bus, mirror)
        async with beside(mirror.run(), output.run(), self._beat()):
            yield

    def health(self) -> Health | None:
        """Return what the output said last of itself."""
        told = [d for s, d in self.bus.told if s == "status.northbound.sparkplug"]
        return msgspec.json.decode(told[-1], type=Health) if told else None

    async def until_settled(self, sent: int) -> None:
        """Wait until so many messages were sent and nothing waits any more."""
        await self.until(
            lambda h: h.figures["published"] == sent and h.figures["stored"] == 0
        )

    async def until(self, condition: Callable[[Health], object]) -> Health:
        """Wait for the health of the output to be like this."""

        def is_so() -> object:
            health = self.health()
            return health and condition(health)

        await self.bus.until(is_so)
        health = self.health()
        assert health
        return health


@asynccontextmanager
async def plant(
    folder: Path, **more: object
) -> AsyncIterator[tuple[Plant, Mosquitto, HostInTest]]:
    async with open_mosquitto() as broker, open_host(broker.port) as host:
        made = Plant(BusInMemory(), folder / "s.sqlite", broker.port, more)
        yield made, broker, host


async def test_a_host_hears_births_then_changes(tmp_path: Path) -> None:
    async with plant(tmp_path) as (plant_, _, host):
        async with plant_.output():
            born = await host.until_heard("DBIRTH")
            time_ms = await plant_.say(OIL, 4.5)
            heard = await host.until_heard("DDATA")
        assert [each.kind for each in host.heard] == ["NBIRTH", "DBIRTH", "DDATA"]
        assert [each.payload.seq for each in host.heard] == [0, 1, 2]
        assert born.device == "press"
        names = [metric.name for metric in born.payload.metrics]
        assert names == ["oil/level", "count", "open", "mode"]
        assert all(metric.is_null for metric in born.payload.metrics)
        assert heard.values == [(1, time_ms, 4.5, False)]
        death = await host.until_heard("NDEATH")
        assert death.bd_seq == host.of("NBIRTH")[0].bd_seq
        assert not death.payload.HasField("seq")


async def test_a_wish_for_a_rebirth_is_answered_with_all_births_and_what_is_now(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path) as (plant_, _, host):
        async with plant_.output():
            await host.until_heard("DBIRTH")
            await plant_.say(MODE, "idle")
            await host.until_heard("DDATA")
            host.ask_for_rebirth()
            again = await host.until_heard("DBIRTH", times=2)
        first, second = host.of("NBIRTH")
        assert (second.payload.seq, second.bd_seq) == (0, first.bd_seq)
        assert again.values[3][2] == "idle"


async def test_a_library_that_was_not_written_here_reads_all_of_it(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path) as (plant_, _, host), open_node() as node:
        async with plant_.output():
            await host.until_heard("DBIRTH")
            said: list[tuple[Point, Value]] = [
                (OIL, 4.5), (COUNT, -(2**62)), (OPEN, True), (MODE, "läuft")
            ]  # fmt: skip
            times = [await plant_.say(point, value) for point, value in said]
            await plant_.say(OIL, None, status=bad("the wire is cut"))
            await host.until(lambda _: len(host.told(historical=False)) == 5)
            host.ask_for_rebirth()
            await host.until_heard("DBIRTH", times=2)
        read: list[Any] = [await ask(node, "decode", e.data.hex()) for e in host.heard]
    node_birth = read[0]["metrics"]
    assert [each["name"] for each in node_birth] == ["bdSeq", "Node Control/Rebirth"]
    assert [each["type"] for each in node_birth] == ["Int64", "Boolean"]
    data = [
        metric
        for each, told in zip(host.heard, read, strict=True)
        for metric in told["metrics"]
        if each.kind == "DDATA"
    ]
    values = [metric["value"] for metric in data]
    assert values == [4.5, str(-(2**62)), True, "läuft", None]
    assert [int(metric["timestamp"]) for metric in data[:4]] == times
    quality = data[4]["properties"]["Quality"]
    assert (quality["type"], quality["value"]) == ("Int32", 0)
    assert data[4]["properties"]["reason"]["value"] == "the wire is cut"
    births = [n for n, each in enumerate(host.heard) if each.kind == "DBIRTH"]
    [oil, *others] = read[births[-1]]["metrics"]
    assert (oil["type"], oil["value"]) == ("Double", None)
    assert oil["properties"]["engUnit"]["value"] == "mm"
    assert oil["properties"]["plantName"]["value"] == OIL.name
    assert [m["type"] for m in others] == ["Int64", "Boolean", "String"]


async def test_our_own_host_reads_the_same_values_qualities_and_units(
    tmp_path: Path,
) -> None:
    names = {"oil/level": OIL, "count": COUNT, "open": OPEN, "mode": MODE}
    points = [
        Point(name=p.name, address=f"spBv1.0/{GROUP}/{EDGE}/press:{name}", type=p.type)
        for name, p in names.items()
    ]
    async with plant(tmp_path) as (plant_, _, _host):
        told = {"host": HOST, "port": plant_.port, "timeout_s": 5.0}
        settings = Settings.model_validate(told)
        async with plant_.output():
            await plant_.until(lambda health: health.state is State.OK)
            async with connect(settings, points) as device:
                last: dict[int, tuple[Value | None, Quality]] = {}

                async def until(
                    wanted: dict[int, tuple[Value | None, Quality]],
                ) -> None:
                    async with asyncio.timeout(60):
                        async for batch in device.listen():
                            rows = zip(
                                batch.points, batch.values, batch.statuses, strict=True
                            )
                            last.update({p: (v, s.quality) for p, v, s in rows})
                            if last == wanted:
                                return

                nothing = (None, Quality.BAD)
                await until(dict.fromkeys(range(4), nothing))
                await plant_.say(OIL, 1 / 3)
                await plant_.say(COUNT, 2**60)
                await plant_.say(OPEN, True)
                await plant_.say(MODE, "x", status=uncertain("guessed"))
                await until({
                    0: (1 / 3, Quality.GOOD), 1: (2**60, Quality.GOOD),
                    2: (True, Quality.GOOD), 3: ("x", Quality.UNCERTAIN),
                })  # fmt: skip
            # Who browses hears that there is a node when it says something.
            async with open_browser(settings) as browser, beside(plant_.go_on(COUNT)):
                found = [each async for each in browser.browse()]
    units = {each.address.rpartition(":")[2]: each.unit for each in found}
    assert {name: units[name] for name in names} == {
        "oil/level": "mm", "count": "", "open": "", "mode": ""
    }  # fmt: skip


async def test_what_was_said_while_the_broker_was_away_comes_as_historical(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path, primary_host="scada") as (plant_, broker, host):
        async with plant_.output():
            await host.state("scada", online=True, timestamp=1)
            await host.until_heard("DBIRTH")
            for number in range(20):
                await plant_.say(OIL, float(number))
            await host.until(lambda _: len(host.told(historical=False)) == 20)
            broker.signal(signal.SIGKILL)
            await broker.stop()
            for number in range(20, 60):
                await plant_.say(OIL, float(number))
            # What the broker had not confirmed when it died waits with them.
            await plant_.until(lambda h: int(h.figures["stored"]) >= 40)
            await broker.start()
            async with open_host(broker.port, "host2") as again:
                await again.state("scada", online=True, timestamp=1)
                born = await again.until_heard("DBIRTH")
                await again.until(lambda _: (1, 59.0) in again.told(historical=True))
                await plant_.until(lambda h: h.figures["stored"] == 0)
                await plant_.say(OIL, 60.0)
                await again.until(lambda _: again.told(historical=False))
        assert host.told(historical=False) == [(1, float(n)) for n in range(20)]
        assert born.values[0][2] == 59.0
        gap = [(1, float(n)) for n in range(20, 60)]
        assert again.told(historical=True)[-40:] == gap
        assert set(again.told(historical=True)[:-40]) <= set(
            host.told(historical=False)
        )
        assert again.told(historical=False) == [(1, 60.0)]
        times = [t for d in again.of("DDATA") for _, t, _, old in d.values if old]
        assert times == sorted(times)
        bd_seqs = [each.bd_seq for each in (*host.of("NBIRTH"), *again.of("NBIRTH"))]
        assert bd_seqs[1] != bd_seqs[0]


async def test_births_wait_for_the_primary_host_and_its_end_is_ours(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path, primary_host="scada") as (plant_, _, host):
        await host.state("scada", online=False, timestamp=5)
        await host.state("other", online=True, timestamp=9)
        async with plant_.output():
            waits = await plant_.until(lambda h: "not online" in h.reason)
            assert waits.state is State.DEGRADED
            await plant_.say(COUNT, 1)
            await plant_.until(lambda h: h.figures["stored"] == 1)
            # An online that is older than what is known is not believed.
            await host.state("scada", online=True, timestamp=4)
            await plant_.say(COUNT, 2)
            await plant_.until(lambda h: h.figures["stored"] == 2)
            assert not host.heard
            await host.state("scada", online=True, timestamp=6)
            await host.until(lambda _: len(host.told(historical=True)) == 2)
            # An offline that is older, like a will that comes late, neither.
            await host.state("scada", online=False, timestamp=3)
            await plant_.say(COUNT, 3)
            await host.until(lambda _: host.told(historical=False) == [(2, 3)])
            await host.state("scada", online=False, timestamp=7)
            death = await host.until_heard("NDEATH")
            await plant_.say(COUNT, 4)
            await plant_.until(lambda h: int(h.figures["stored"]) >= 1)
            await host.state("scada", online=True, timestamp=8)
            await host.until(lambda _: (2, 4) in host.told(historical=True))
        first, second = host.of("NBIRTH")
        assert death.bd_seq == first.bd_seq
        assert second.bd_seq > first.bd_seq
        # The 3 comes again when the end came before the broker had confirmed it.
        past = [(2, n) for n in (1, 2, 3, 4)]
        assert host.told(historical=True) in (past, [past[n] for n in (0, 1, 3)])
        kinds = [each.kind for each in host.heard]
        assert kinds.index("NBIRTH") < kinds.index("DBIRTH") < kinds.index("DDATA")


async def test_the_number_of_messages_goes_round_after_255(tmp_path: Path) -> None:
    async with plant(tmp_path) as (plant_, _, host):
        async with plant_.output():
            await host.until_heard("DBIRTH")
            for number in range(300):
                await plant_.say(COUNT, number)
                await host.until_heard("DDATA", times=number + 1)
        numbers = [e.payload.seq for e in host.heard if e.kind != "NDEATH"]
        assert numbers == [number % 256 for number in range(302)]


async def test_another_life_has_the_next_bd_seq_and_tells_what_was_missed(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path) as (plant_, _, host):
        for life in range(3):
            async with plant_.output():
                await host.until_heard("DBIRTH", times=life + 1)
                await host.until_historical(life)
                # Before the broker has confirmed it, it would be told again.
                sent = 3 if life else 2
                await plant_.until_settled(sent)
            plant_.bus.told.clear()
            await plant_.say(COUNT, life)
        await host.until_heard("NDEATH", times=3)
        numbers = [each.bd_seq for each in host.of("NBIRTH")]
        assert numbers == [each.bd_seq for each in host.of("NDEATH")] == [0, 1, 2]
        assert host.told(historical=True) == [(2, 0), (2, 1)]


async def test_writes_are_denied_unless_the_settings_allow_them(tmp_path: Path) -> None:
    async with plant(tmp_path) as (plant_, _, host), commanded(plant_.bus) as asked:
        async with plant_.output():
            await host.until_heard("DBIRTH")
            host.write("press", "oil/level", 7.5)
            await plant_.until(lambda h: h.figures["refused"] == 1)
        assert not asked


async def test_allowed_writes_go_to_points_that_are_writable(tmp_path: Path) -> None:
    async with (
        plant(tmp_path, writes=True) as (plant_, _, host),
        commanded(plant_.bus) as asked,
    ):
        async with plant_.output():
            await host.until_heard("DBIRTH")
            host.write("press", "count", 3.0)
            host.write("press", "no/such", 3.0)
            host.write("pump", "oil/level", 3.0)
            await plant_.until(lambda h: h.figures["refused"] == 3)
            host.write("press", "oil/level", 7.5)
            await plant_.until(lambda h: h.figures["written"] == 1)
        [command] = asked
        assert (command.name, command.value) == (OIL.name, 7.5)
        assert command.by == "a Sparkplug host"


async def test_a_device_that_is_gone_is_told_dead_and_born_again(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path) as (plant_, _, host):
        async with plant_.output():
            await host.until_heard("DBIRTH")
            await plant_.say(COUNT, 1)
            await host.until_heard("DDATA")
            plant_.states["press"] = State.DOWN
            dead = await host.until_heard("DDEATH")
            await plant_.say(COUNT, None, status=bad("no answer"))
            await plant_.until(lambda h: h.figures["stored"] == 1)
            plant_.states["press"] = State.OK
            born = await host.until_heard("DBIRTH", times=2)
            await host.until(lambda _: host.told(historical=True) == [(2, None)])
            plant_.states.clear()  # its collector says nothing any more
            await host.until_heard("DDEATH", times=2)
        assert (dead.device, dead.payload.seq) == ("press", 3)
        assert born.values[1][2] is None


async def test_when_too_much_waits_the_oldest_goes_and_is_counted(
    tmp_path: Path,
) -> None:
    more: dict[str, object] = {"primary_host": "scada", "most_waiting": 5}
    async with plant(tmp_path, **more) as (plant_, _, host):
        async with plant_.output():
            await plant_.until(lambda h: "not online" in h.reason)
            for number in range(8):
                await plant_.say(COUNT, number)
            full = await plant_.until(lambda h: h.figures["dropped"] == 3)
            assert "most_waiting" in full.reason
            await host.state("scada", online=True, timestamp=1)
            await host.until(lambda _: len(host.told(historical=True)) == 5)
        assert host.told(historical=True) == [(2, number) for number in range(3, 8)]


async def test_a_write_that_nobody_takes_or_knows_is_refused_and_life_goes_on(
    tmp_path: Path,
) -> None:
    async with plant(tmp_path, writes=True) as (plant_, _, host):

        async def answer(_: bytes) -> AsyncIterator[bytes]:
            raise NotFound("there is no such point any more")
            yield b""

        async with plant_.output():
            await host.until_heard("DBIRTH")
            host.write("press", "oil/level", 1.0)  # no collector is there
            await plant_.until(lambda h: h.figures["refused"] == 1)
            async with plant_.bus.answer("commands.press", answer):
                host.write("press", "oil/level", 2.0)
                await plant_.until(lambda h: h.figures["refused"] == 2)
            await plant_.say(COUNT, 1)
            await host.until_heard("DDATA")
        assert len(host.of("NBIRTH")) == 1


@asynccontextmanager
async def commanded(bus: BusInMemory) -> AsyncIterator[list[Command]]:
    """Confirm all commands to the press; give back what they were."""
    asked: list[Command] = []

    async def answer(data: bytes) -> AsyncIterator[bytes]:
        command = msgspec.json.decode(data, type=Command)
        asked.append(command)
        yield msgspec.json.encode(Outcome(id=command.id, verdict=Verdict.CONFIRMED))

    async with bus.answer("commands.press", answer):
        yield asked
