"""up, demo, run: processes that work until they are stopped."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError, LineshaftError
from lineshaft.core.process import journal

DONE, FAILED, MISCONFIGURED = 0, 1, 2
LEVEL, FORM = "LINESHAFT_LOG", "LINESHAFT_LOG_FORMAT"
"""Tell the rooms of a plant how to log."""


@dataclass(frozen=True, slots=True)
class Log:
    """How much is said, and how."""

    level: str = "warning"
    form: str | None = None
    """`text` or `json`; None: text for a person who looks, else JSON."""


def up(config: Path, data: Path, log: Log, *, watch: bool) -> int:
    """Start the plant that `config` describes."""
    from lineshaft import main, settings

    plant = settings.load(config, data, drivers=False)
    beside = main.Beside(watch=watch)
    return until_stopped(main.up(plant, report, beside), "plant", log, config)


async def reload(bus_url: str, *, as_json: bool) -> None:
    """Let the running plant take in its configuration; say what that did."""
    import json

    from lineshaft.cli.files.telling import who
    from lineshaft.core.bus.nats import open_bus
    from lineshaft.settings.reloading import PATIENCE_S, RELOAD

    async with open_bus(bus_url, most_bytes=None) as bus:
        asked = bus.ask(RELOAD, who().encode(), PATIENCE_S)
        parts = [part async for part in asked]
    done = json.loads(b"".join(parts))
    if as_json:
        screen.say(json.dumps(done))
        return
    for key in ("started", "stopped", "restarted", "rooms_restarted"):
        if done.get(key):
            screen.say(f"{key.replace('_', ' ')}: {', '.join(done[key])}")
    if "unchanged" in done:
        screen.say(f"left alone: {done['unchanged']} devices")


def demo(data: Path, port: int, log: Log) -> int:
    """Start the demonstration plant."""
    from lineshaft import demo as demonstration

    file = demonstration.home_of(data) / "lineshaft.toml"
    return until_stopped(demonstration.start(data, report, port), "plant", log, file)


def remove_demo(data: Path) -> None:
    """Delete the demonstration plant with its history."""
    from lineshaft import demo as demonstration

    gone = demonstration.remove(data)
    screen.say("the demonstration plant is gone" if gone else "there was none")


def run(room: str, config: Path, data: Path, log: Log) -> int:
    """Run one room in this process."""
    from lineshaft import main

    return until_stopped(main.run_room(room, config, data), room, log, config)


def report(step: str, seconds: float) -> None:
    """Print a step of the start with its time."""
    screen.say(f"{seconds:6.2f} s  {step}")


def until_stopped(
    work: Coroutine[None, None, None], service: str, log: Log, config: Path
) -> int:
    """Work until Ctrl-C or SIGTERM, which both end it in good order.

    The secrets of `config` are struck out of the log of this process. Returns the
    exit code.
    """
    from lineshaft.settings.secrets import secrets_of

    form = journal.chosen(log.form)
    os.environ |= {LEVEL: log.level, FORM: form}  # the rooms log like us
    journal.begin(service, log.level, form, secrets_of(config))

    async def guarded() -> None:
        loop = asyncio.get_running_loop()
        working = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, working.cancel)
        try:
            await working
        except asyncio.CancelledError:
            logging.getLogger(__name__).info("stopped")

    try:
        asyncio.run(guarded())
    except LineshaftError as error:
        # A person reads the message that ends the command; a program reads the log.
        if form is journal.Form.TEXT:
            raise
        said = {"code": error.stable_code}
        logging.getLogger(__name__).critical("%s", error, extra=said)
        return MISCONFIGURED if isinstance(error, ConfigError) else FAILED
    return DONE
