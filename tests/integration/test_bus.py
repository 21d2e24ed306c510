"""The bus keeps its promises on a real nats-server, also when it is killed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import psutil
import pytest

from lineshaft.core.bus import AUDIT, READINGS
from lineshaft.core.bus.nats import NatsBus, open_bus
from lineshaft.core.bus.server import Listeners, configuration, serve
from lineshaft.core.errors import ConfigError, NotFound, Refused, Unreachable
from lineshaft.core.process.tasks import beside

WITHIN_S = 40.0
MIB = 1 << 20


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Listeners]:
    running = serve(
        tmp_path, Listeners(0, 0), most_bytes=1 << 30, on_restart=lambda _: None
    )
    async with running as listeners:
        yield listeners


@asynccontextmanager
async def connected(server: Listeners, most_mib: int = 64) -> AsyncIterator[NatsBus]:
    async with open_bus(
        server.url, most_bytes=most_mib * MIB, event_bytes=16 * MIB
    ) as bus:
        yield bus


def kill_server() -> None:
    [process] = [
        child
        for child in psutil.Process().children(recursive=True)
        if child.name() == "nats-server"
    ]
    process.kill()


async def publish_surely(bus: NatsBus, subject: str, data: bytes, id_: str) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                await bus.publish(subject, data, id_)
            except Unreachable:
                await asyncio.sleep(0.05)
            else:
                return


async def take(bus: NatsBus, count: int, *, after: int = 0) -> list[bytes]:
    found: list[bytes] = []
    async with asyncio.timeout(WITHIN_S):
        async for batch in bus.batches(READINGS, after=after):
            found += [message.data for message in batch]
            if len(found) >= count:
                return found
    raise AssertionError


async def test_what_was_published_comes_back_in_order_and_once(
    server: Listeners,
) -> None:
    async with connected(server) as bus:
        for number in range(600):
            await bus.publish("readings.a.b", b"%d" % number, f"id{number}")
        await bus.publish("readings.a.b", b"again", "id3")
        assert await bus.last_sequence(READINGS) == 600
        assert await take(bus, 600) == [b"%d" % number for number in range(600)]
        assert await take(bus, 100, after=500) == [b"%d" % n for n in range(500, 600)]


async def test_a_place_can_be_followed_alone(server: Listeners) -> None:
    async with connected(server) as bus:
        for place in ("a.b", "a.c", "a.b.d", "x.b"):
            await bus.publish(f"readings.{place}", place.encode(), place)
        async with asyncio.timeout(WITHIN_S):
            found: list[str] = []
            async for batch in bus.batches(READINGS, after=0, subject="readings.a.>"):
                found += [message.subject for message in batch]
                if len(found) == 3:
                    break
    assert found == ["readings.a.b", "readings.a.c", "readings.a.b.d"]


async def test_nothing_is_lost_or_doubled_when_the_server_is_killed(
    server: Listeners,
) -> None:
    async with connected(server) as bus:
        reading = asyncio.ensure_future(take(bus, 300))
        for number in range(300):
            if number in (100, 200):
                kill_server()
            await publish_surely(bus, "readings.a", b"%d" % number, f"id{number}")
        assert await reading == [b"%d" % number for number in range(300)]


async def test_what_is_forgotten_is_passed_over(server: Listeners) -> None:
    async with connected(server) as bus:
        for number in range(10):
            await bus.publish("readings.a", b"%d" % number, f"id{number}")
        await bus.forget(READINGS, through=6)
        assert await take(bus, 4) == [b"6", b"7", b"8", b"9"]


async def test_a_full_stream_takes_no_more_and_keeps_what_it_has(
    server: Listeners,
) -> None:
    async with connected(server, most_mib=2) as bus:
        stored = 0
        refusals: list[str] = []
        for number in range(40):
            try:
                await bus.publish("readings.a", bytes(100_000), f"id{number}")
            except Unreachable as full:
                refusals.append(str(full))
            else:
                stored += 1
        assert stored + len(refusals) == 40
        assert all("maximum bytes" in refusal for refusal in refusals)
        assert 5 < stored < 30
        assert len(await take(bus, stored)) == stored


async def test_a_message_that_is_too_large_is_refused_for_good(
    server: Listeners,
) -> None:
    async with connected(server) as bus:
        with pytest.raises(Refused, match="larger than the bus allows"):
            await bus.publish("readings.a", bytes(9 * MIB), "id")


async def test_a_bus_that_was_made_anew_has_another_identity(tmp_path: Path) -> None:
    identities = []
    for home in (tmp_path / "a", tmp_path / "a", tmp_path / "b"):
        running = serve(
            home, Listeners(0), most_bytes=1 << 30, on_restart=lambda _: None
        )
        async with running as listeners, connected(listeners) as bus:
            identities.append(await bus.identity(READINGS))
    assert identities[0] == identities[1] != identities[2]


async def test_questions_are_answered_in_parts_and_errors_keep_their_kind(
    server: Listeners,
) -> None:
    async def answer(question: bytes) -> AsyncIterator[bytes]:
        for number in range(50):
            yield question + b"%d" % number
        if question == b"bad":
            raise NotFound("there is no such thing")

    async with connected(server) as asker, connected(server) as answerer:
        with pytest.raises(Unreachable, match="nobody is there"):
            [_ async for _ in asker.ask("q", b"")]
        async with answerer.answer("q", answer):
            parts = [part async for part in asker.ask("q", b"x")]
            assert parts == [b"x%d" % number for number in range(50)]
            with pytest.raises(NotFound, match="there is no such thing"):
                [_ async for _ in asker.ask("q", b"bad")]


async def test_an_answer_stops_when_nobody_listens_any_more(
    server: Listeners,
) -> None:
    ended = asyncio.Event()

    async def endless(_: bytes) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1000)
        finally:
            ended.set()

    async with connected(server) as asker, connected(server) as answerer:
        async with answerer.answer("q", endless):
            stream = asker.ask("q", b"")
            await anext(stream)
            await cast("AsyncGenerator[bytes]", stream).aclose()
            async with asyncio.timeout(WITHIN_S):
                await ended.wait()


async def test_what_is_told_is_overheard(server: Listeners) -> None:
    async with connected(server) as one, connected(server) as other:
        heard = other.overhear("status.>")
        listening = asyncio.ensure_future(anext(heard))
        async with asyncio.timeout(WITHIN_S):
            while not listening.done():
                one.tell("status.x", b"well")
                await asyncio.sleep(0.05)
        assert await listening == ("status.x", b"well")
        await cast("AsyncGenerator[object]", heard).aclose()


async def test_without_a_server_it_says_so_and_waits_only_as_long_as_told() -> None:
    with pytest.raises(Unreachable, match=r"cannot be used.*; does it run"):
        async with open_bus("nats://127.0.0.1:1", patience_s=0.3):
            pass


async def test_a_bus_that_is_not_waited_for_is_there_later(tmp_path: Path) -> None:
    async with serve(
        tmp_path, Listeners(0), most_bytes=1 << 30, on_restart=lambda _: None
    ) as first:
        listeners = first
    async with open_bus(listeners.url, most_bytes=MIB, patience_s=0) as bus:
        with pytest.raises(Unreachable):
            await bus.publish("readings.a", b"x", "id")
        running = serve(
            tmp_path, listeners, most_bytes=1 << 30, on_restart=lambda _: None
        )
        async with running, asyncio.timeout(WITHIN_S):
            await bus.ready()
            await publish_surely(bus, "readings.a", b"x", "id")


async def test_a_taken_port_is_told_with_its_holder(
    server: Listeners, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"port \d+ is used by nats-server \(pid"):
        async with serve(
            tmp_path / "x", server, most_bytes=1 << 30, on_restart=lambda _: None
        ):
            pass


async def test_machines_on_mqtt_cannot_reach_the_subjects_of_the_plant(
    server: Listeners,
) -> None:
    from lineshaft.network.drivers.mqtt.connection import (
        Broker,
        Message,
        open_connection,
    )

    assert server.mqtt_port
    broker = Broker("127.0.0.1", server.mqtt_port, "intruder", WITHIN_S)
    async with connected(server) as bus, open_connection(broker) as machine:
        heard = bus.overhear(">")
        listening = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        await machine.publish(Message("readings/a", b"false"))
        await machine.publish(Message("commands/press", b"false"))
        bus.tell("status.x", b"true")
        async with asyncio.timeout(WITHIN_S):
            while not listening.done():
                bus.tell("status.x", b"true")
                await asyncio.sleep(0.05)
        assert (await listening)[1] == b"true"
        assert await bus.last_sequence(READINGS) == 0
        await cast("AsyncGenerator[object]", heard).aclose()


def test_the_server_listens_on_loopback_only(tmp_path: Path) -> None:
    text = configuration(tmp_path, Listeners(4222, 1883), 1 << 30)
    listens = [line.split()[1] for line in text.splitlines() if "listen:" in line]
    assert listens == ["127.0.0.1:4222", "127.0.0.1:1883"]


async def test_a_slow_answer_is_waited_for_and_a_dead_answerer_is_noticed(
    server: Listeners,
) -> None:
    async def slow(question: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(7)  # longer than a silence may last
        yield question

    async with connected(server) as asker, connected(server) as answerer:
        async with answerer.answer("slow", slow):
            assert [part async for part in asker.ask("slow", b"x", 60)] == [b"x"]
        # Someone is there who hears the question and never says a word.
        deaf = answerer.overhear("dead")
        hearing = asyncio.ensure_future(anext(deaf))
        async with asyncio.timeout(60):
            while not hearing.done():
                with pytest.raises(Unreachable, match="asking dead"):
                    [_ async for _ in asker.ask("dead", b"", 600)]
        await deaf.aclose()  # type: ignore[attr-defined]  # it is a generator


FORBIDDEN = {
    "web": ("readings.acme", "configuration.collector"),
    "historian": ("readings.acme", "commands.press"),
    "audit": ("readings.acme", "commands.press"),
    "collector": ("commands.press", "auditor.search"),
    "northbound": ("readings.acme",),
    "computed": ("commands.press",),
}


@pytest.mark.parametrize("room", FORBIDDEN)
async def test_a_room_can_only_say_what_is_its_own(tmp_path: Path, room: str) -> None:
    async with serve(
        tmp_path, Listeners(0), most_bytes=1 << 30, on_restart=print
    ) as here:
        async with (
            open_bus(here.url, most_bytes=1 << 20, event_bytes=1 << 20) as plant,
            open_bus(here.url_of(room), most_bytes=1 << 20, event_bytes=1 << 20) as bus,
        ):
            heard: list[str] = []

            async def listen() -> None:
                async for subject, _ in plant.overhear(">"):
                    heard.append(subject)

            async with beside(listen()):
                await asyncio.sleep(0.2)
                for subject in FORBIDDEN[room]:
                    bus.tell(subject, b"forged")
                # The last is allowed: once it is there, so would be the others.
                bus.tell("status.me", b"x")
                async with asyncio.timeout(30):
                    while "status.me" not in heard:  # noqa: ASYNC110  heard elsewhere
                        await asyncio.sleep(0.01)
            assert not set(heard) & set(FORBIDDEN[room])
            await plant.publish("readings.acme", b"x", "1")
            other = READINGS if room != "historian" else AUDIT
            with pytest.raises(Unreachable):
                await bus.forget(other, through=1)
            assert await plant.last_sequence(READINGS) == 1


async def test_nobody_reads_or_writes_the_bus_without_a_password(
    tmp_path: Path,
) -> None:
    async with serve(
        tmp_path, Listeners(0), most_bytes=1 << 30, on_restart=print
    ) as here:
        anonymous = f"nats://127.0.0.1:{here.port}"
        guessed = f"nats://web:guessed@127.0.0.1:{here.port}"
        for address in (anonymous, guessed):
            with pytest.raises(Unreachable):
                async with open_bus(address, patience_s=1.0):
                    pass
