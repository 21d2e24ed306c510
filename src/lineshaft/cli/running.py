"""up, demo, run: processes that work until they are stopped."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from pathlib import Path

from lineshaft.cli import screen

LEVELS = ("debug", "info", "warning", "error")


def up(config: Path, data: Path, log: str, *, watch: bool) -> None:
    """Start the plant that `config` describes."""
    from lineshaft import main, settings

    plant = settings.load(config, data, drivers=False)
    until_stopped(main.up(plant, report, main.Beside(watch=watch)), log)


async def reload(bus_url: str, *, as_json: bool) -> None:
    """Let the running plant take in its configuration; say what that did."""
    import json

    from lineshaft.core.bus.nats import open_bus
    from lineshaft.settings.reloading import PATIENCE_S, RELOAD

    async with open_bus(bus_url, most_bytes=None) as bus:
        parts = [part async for part in bus.ask(RELOAD, b"", PATIENCE_S)]
    done = json.loads(b"".join(parts))
    if as_json:
        screen.say(json.dumps(done))
        return
    for key in ("started", "stopped", "restarted", "rooms_restarted"):
        if done.get(key):
            screen.say(f"{key.replace('_', ' ')}: {', '.join(done[key])}")
    if "unchanged" in done:
        screen.say(f"left alone: {done['unchanged']} devices")


def demo(data: Path, port: int, log: str) -> None:
    """Start the demonstration plant."""
    from lineshaft import demo as demonstration

    until_stopped(demonstration.start(data, report, port), log)


def remove_demo(data: Path) -> None:
    """Delete the demonstration plant with its history."""
    from lineshaft import demo as demonstration

    gone = demonstration.remove(data)
    screen.say("the demonstration plant is gone" if gone else "there was none")


def run(room: str, config: Path, data: Path, log: str) -> None:
    """Run one room in this process."""
    from lineshaft import main

    until_stopped(main.run_room(room, config, data), log)


def report(step: str, seconds: float) -> None:
    """Print a step of the start with its time."""
    screen.say(f"{seconds:6.2f} s  {step}")


def until_stopped(work: Coroutine[None, None, None], log: str) -> None:
    """Work until Ctrl-C or SIGTERM, which both end it in good order."""
    logging.basicConfig(
        level=log.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        working = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
        try:
            await working
        except asyncio.CancelledError:
            logging.getLogger(__name__).info("stopped")

    asyncio.run(guarded())
