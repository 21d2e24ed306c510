"""The watch over the bus, against a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lineshaft.core.bus import READINGS
from lineshaft.core.bus.nats import open_bus
from lineshaft.core.bus.server import Listeners, serve
from lineshaft.core.bus.watch import BusWatch
from lineshaft.core.errors import Unreachable
from lineshaft.core.health import State

PLENTY = 1 << 30


async def test_the_watch_tells_what_goes_through_and_what_is_kept(
    tmp_path: Path,
) -> None:
    async with (
        serve(tmp_path, Listeners(0), most_bytes=PLENTY, on_restart=print) as here,
        open_bus(here.url, most_bytes=1 << 20, event_bytes=1 << 20) as bus,
    ):
        for number in range(5):
            await bus.publish("readings.x", b"12345", str(number))
        batches = bus.batches(READINGS, after=0)
        await anext(batches)
        health = await BusWatch(bus).look()
        await batches.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert health.state is State.OK, health.reason
    assert health.tables["messages"] == {"READINGS": 5, "EVENTS": 0, "AUDIT": 0}
    assert health.tables["last_sequence"]["READINGS"] == 5
    assert health.tables["readers"]["READINGS"] == 1
    assert health.tables["lag_messages"]["READINGS"] == 0
    assert health.figures["connections"] == 1
    assert int(health.figures["received_messages"]) >= 5
    assert set(health.figures) | set(health.tables) == set(health.meanings)


async def test_a_stream_that_is_nearly_full_is_told_before_it_is(
    tmp_path: Path,
) -> None:
    async with (
        serve(tmp_path, Listeners(0), most_bytes=PLENTY, on_restart=print) as here,
        open_bus(here.url, most_bytes=1 << 16, event_bytes=1 << 20) as bus,
    ):
        for number in range(9):
            await bus.publish("readings.x", bytes(6_000), str(number))
        health = await BusWatch(bus).look()
    assert (health.state, health.code) == (State.DEGRADED, "LS-1209")
    assert "% full" in health.reason


class Away:
    """A bus that does not answer."""

    def tell(self, subject: str, data: bytes) -> None:
        raise AssertionError(subject)

    async def inquire(self, subject: str) -> bytes:
        raise Unreachable(f"asking {subject}: no answer in time")


async def test_a_bus_that_does_not_answer_is_down_and_says_why() -> None:
    health = await BusWatch(Away()).look()
    assert (health.state, health.code) == (State.DOWN, "LS-1208")
    assert "no answer in time" in health.reason


async def test_the_code_of_an_error_comes_along_with_an_answer(tmp_path: Path) -> None:
    async def answer(_: bytes) -> AsyncIterator[bytes]:
        raise Unreachable("the disk is full", code="LS-3102")
        yield b""

    async with (
        serve(tmp_path, Listeners(0), most_bytes=PLENTY, on_restart=print) as here,
        open_bus(here.url, most_bytes=1 << 20, event_bytes=1 << 20) as bus,
        bus.answer("historian.x", answer),
    ):
        with pytest.raises(Unreachable, match="the disk is full") as told:
            await anext(bus.ask("historian.x", b""))
    assert told.value.stable_code == "LS-3102"
