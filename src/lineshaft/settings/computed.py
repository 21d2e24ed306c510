"""The list of computed points, checked against all points that there are."""

from collections.abc import Sequence
from pathlib import Path

from lineshaft.core.point import Point
from lineshaft.platform.computed.plan import problems_of
from lineshaft.settings.points import COMPUTED, PointList, read_points


def computed_points(file: Path, said: Sequence[Point]) -> PointList:
    """Read the list; every problem names file, line and column.

    `said` are the points of devices, which expressions may read.
    """
    listed = read_points(file, _anything, COMPUTED)
    kinds = {point.name: point.type for point in (*said, *listed.points)}
    for position, text in problems_of(listed.points, kinds):
        name = listed.points[position].name
        here = f"{file}:{listed.lines[position]}"
        listed.problems.append(f"{here}: {name}: expression: {text}")
    return listed


def _anything(_: str) -> None:
    """Let every expression pass: it is looked at when all points are known."""
