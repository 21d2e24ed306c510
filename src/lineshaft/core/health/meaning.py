"""What a figure is: its kind, its unit, and a sentence.

Whoever tells a figure says this with it, so that nobody has to guess from its name
whether it may be summed up, or what it is measured in.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray


class Kind(StrEnum):
    """How a figure behaves (OpenMetrics 1.0, metric types)."""

    COUNTER = "counter"
    """It only rises, from zero when its process starts."""
    GAUGE = "gauge"
    """It rises and falls."""
    HISTOGRAM = "histogram"
    UNKNOWN = "unknown"


class Meaning(msgspec.Struct, frozen=True):
    """What a figure is."""

    kind: Kind
    name: str
    """What it is called for programs, without its unit: `process_cpu`."""
    unit: str
    """A base unit in the plural, `seconds` or `bytes`; empty for plain numbers."""
    text: str
    """One sentence for people."""
    label: str = ""
    """What tells the rows of a table apart: `code`, `program`, `stream`."""


def counter(name: str, text: str, unit: str = "", label: str = "") -> Meaning:
    """Return the meaning of something that only rises."""
    return Meaning(Kind.COUNTER, name, unit, text, label)


def gauge(name: str, text: str, unit: str = "", label: str = "") -> Meaning:
    """Return the meaning of something that rises and falls."""
    return Meaning(Kind.GAUGE, name, unit, text, label)


class Spread(msgspec.Struct, frozen=True):
    """A histogram: how many values were at most as large as each bound."""

    bounds: tuple[float, ...]
    """Rising upper bounds, in the unit of the meaning; above the last is the rest."""
    counts: tuple[int, ...]
    """One count for each bound and one for the rest; not summed up."""
    sum: float


LATENCY_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Bounds that tell a fast road from one that only works."""


class Gatherer:
    """Counts values into a spread."""

    def __init__(self, bounds: Sequence[float] = LATENCY_S) -> None:
        self._bounds = np.array(bounds)
        self._counts = np.zeros(len(bounds) + 1, np.int64)
        self._sum = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Count each of the values; one below zero counts as zero."""
        # A clock that is ahead of ours would make a sum fall, which it never may.
        values = np.maximum(values, 0.0)
        places = np.searchsorted(self._bounds, values, side="left")
        self._counts += np.bincount(places, minlength=len(self._counts))
        self._sum += float(values.sum())

    def spread(self) -> Spread:
        """Return what was counted so far."""
        bounds = tuple(self._bounds.tolist())
        return Spread(bounds, tuple(self._counts.tolist()), self._sum)
