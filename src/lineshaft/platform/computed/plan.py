"""Computed points as configured: checked, and in the order of their computation."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from lineshaft.core.errors import ConfigError
from lineshaft.core.point import Kind, Point
from lineshaft.platform.computed.language import (
    Program,
    compile_expression,
    inputs_of,
)


@dataclass(frozen=True, slots=True)
class Formula:
    """A computed point and what computes it."""

    point: Point
    """Its `address` is the expression."""
    program: Program


def problems_of(
    points: Sequence[Point], kinds: Mapping[str, Kind]
) -> Iterator[tuple[int, str]]:
    """Yield the position of each point that cannot be computed, and why.

    `kinds` has every point of the plant, computed ones included.
    """
    for position, point in enumerate(points):
        try:
            compile_expression(point.address, point.name, kinds)
        except ConfigError as error:
            for text in error.problems:
                yield position, text
    try:
        _order(points)
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        at = next(i for i, point in enumerate(points) if point.name == circle[0])
        yield at, f"it is computed from itself: {' from '.join(circle)}"


def formulas(points: Sequence[Point], kinds: Mapping[str, Kind]) -> list[Formula]:
    """Return what computes the points, each behind those that it is computed from.

    `ConfigError` when that cannot be.
    """
    by_name = {point.name: point for point in points}
    try:
        order = _order(points)
    except CycleError as error:
        raise ConfigError(str(error)) from error
    return [
        Formula(point, compile_expression(point.address, point.name, kinds))
        for point in (by_name[name] for name in order)
    ]


def _order(points: Sequence[Point]) -> list[str]:
    names = {point.name for point in points}
    sorter: TopologicalSorter[str] = TopologicalSorter(
        {
            point.name: [n for n in inputs_of(point.address, point.name) if n in names]
            for point in points
        }
    )
    return list(sorter.static_order())
