"""A demonstration plant of real protocol servers, on this machine, beside nothing.

It lives in a directory of its own below the data directory, with a lineshaft.toml
like any other, and goes without a trace.
"""

import asyncio
import shutil
from pathlib import Path

from lineshaft import main, settings
from lineshaft.core.bus.nats import NatsBus
from lineshaft.core.errors import ConfigError
from lineshaft.demo.machines import write_plant
from lineshaft.demo.past import tell_the_past
from lineshaft.settings.running import hold

WEB_PORT = 8080


def home_of(data: Path) -> Path:
    """Return where the demonstration lives."""
    return data / "demo"


async def start(data: Path, report: main.Report, web_port: int = WEB_PORT) -> None:
    """Run the demonstration plant until cancelled.

    `ConfigError` when the page's port is taken, or when it runs already.
    """
    home = home_of(data)
    file, machines = await asyncio.to_thread(write_plant, home, web_port)
    plant = settings.load(file, home, drivers=False)

    async def tell(bus: NatsBus) -> None:
        await tell_the_past(bus, home)

    beside = main.Beside(programs=machines, once=tell, found_at=data)
    await main.up(plant, report, beside)


def remove(data: Path) -> bool:
    """Delete the demonstration with its history; return whether there was one.

    `ConfigError` while it runs.
    """
    home = home_of(data)
    if not home.exists():
        return False
    try:
        with hold(home):
            shutil.rmtree(home)
    except ConfigError as error:
        raise ConfigError(
            "the demonstration plant is running; stop it first"
        ) from error
    return True
