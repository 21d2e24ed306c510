"""data: what the data of a plant are worth."""

import sys
from csv import writer
from pathlib import Path
from typing import Literal

import msgspec

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError
from lineshaft.security.data.catalogue import catalogue as listed

COLUMNS = ("place", "points", "grade", "classes")


def catalogue(config: Path, data: Path, form: Literal["table", "json", "csv"]) -> None:
    """Print each place with its points and label."""
    plant = settings.load(config, data, drivers=False)
    wanted = plant.settings.data
    if wanted is None:
        raise ConfigError(
            f"{config} has no table [data]: nothing is labelled, and exports are not "
            "asked for labels; see docs/how-to/label-the-data.md"
        )
    entries = listed(wanted.labels, [point.name for point, _, _ in plant.points()])
    if form == "json":
        screen.write_json([msgspec.to_builtins(entry) for entry in entries])
        return
    rows = [(e.place, e.points, e.grade, "; ".join(e.classes)) for e in entries]
    if form == "csv":
        sheet = writer(sys.stdout, lineterminator="\n")
        sheet.writerow(COLUMNS)
        sheet.writerows(rows)
        return
    bare = [(p, n, grade or "no label", what) for p, n, grade, what in rows]
    screen.table(COLUMNS, bare)
