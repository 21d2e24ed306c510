"""check: what is wrong with the files of a plant, all at once."""

import time
from pathlib import Path

from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError


def check(config: Path, data: Path, *, as_json: bool) -> None:
    """Print what the files say; raise `ConfigError` with every problem."""
    from lineshaft import settings

    began = time.monotonic()
    try:
        plant = settings.load(config, data)
    except ConfigError as error:
        if as_json:
            screen.write_json({"ok": False, "problems": list(error.problems)})
        raise
    seconds = time.monotonic() - began
    points = sum(len(device.points) for device in plant.devices)
    if as_json:
        screen.write_json(
            {
                "ok": True,
                "problems": [],
                "devices": {d.name: len(d.points) for d in plant.devices},
                "points": points,
                "seconds": round(seconds, 3),
            }
        )
        return
    rows = [(d.name, d.protocol, len(d.points)) for d in plant.devices]
    screen.table(("device", "driver", "points"), rows)
    screen.say(f"{config}: {points:,} points, no problem, checked in {seconds:.2f} s")
