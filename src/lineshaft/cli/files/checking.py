"""check: what is wrong with the files of a plant, all at once."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError

if TYPE_CHECKING:
    from lineshaft.settings import Plant


def check(config: Path, data: Path, *, as_json: bool) -> None:
    """Print what the files say; raise `ConfigError` with every problem."""
    began = time.monotonic()
    try:
        plant = _load(config, data)
    except ConfigError as error:
        if as_json:
            screen.write_json({"ok": False, "problems": list(error.problems)})
        raise
    seconds = time.monotonic() - began
    points = sum(len(device.points) for device in plant.devices)
    hint = _unlabelled(plant)
    if as_json:
        screen.write_json(
            {
                "ok": True,
                "problems": [],
                "hints": [hint] if hint else [],
                "devices": {d.name: len(d.points) for d in plant.devices},
                "points": points,
                "seconds": round(seconds, 3),
            }
        )
        return
    rows = [(d.name, d.protocol, len(d.points)) for d in plant.devices]
    screen.table(("device", "driver", "points"), rows)
    if hint:
        screen.complain(f"hint: {hint}")
    screen.say(f"{config}: {points:,} points, no problem, checked in {seconds:.2f} s")


def _load(config: Path, data: Path) -> "Plant":
    """Read the plant, and the policy if it has one; tell the problems of both."""
    from lineshaft import settings
    from lineshaft.settings.policy import FILE, load_policy

    problems: list[str] = []
    if (policy := config.with_name(FILE)).exists():
        try:
            load_policy(policy)
        except ConfigError as error:
            problems += error.problems
    try:
        plant = settings.load(config, data)
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from error
    if problems:
        raise ConfigError(problems)
    return plant


def _unlabelled(plant: "Plant") -> str:
    """Say which data cannot be exported, or that nothing is labelled."""
    wanted = plant.settings.data
    if wanted is None:
        return "there is no [data]: data are not labelled, and all can be exported"
    labels = wanted.labels
    names = [point.name for point, _, _ in plant.points()]
    bare = [name for name in names if labels.of(name) is None]
    if not bare:
        return ""
    count = f"{len(bare):,} of {len(names):,} points"
    return f"{count} have no label and cannot be exported, like {bare[0]}"
