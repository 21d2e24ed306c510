"""How much room a history has left, and what may go when there is none."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from pathlib import Path

from lineshaft.platform.historian.care.retention import is_over_for

GIB = 1 << 30
FILLING, NEARLY_FULL, AIM = 0.80, 0.95, 0.90
"""Shares of the budget: two warnings, and what is aimed at when readings must go."""


class Level(IntEnum):
    """How full it is."""

    ROOM = 0
    FILLING = 1
    NEARLY_FULL = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class Room:
    """What the history uses and may use, its disk has free and must have; bytes."""

    used: int
    most: int | None
    """None: as much as the disk has."""
    free: int
    least_free: int

    @property
    def over(self) -> bool:
        """Whether the budget is used up."""
        return self.most is not None and self.used >= self.most

    @property
    def level(self) -> Level:
        """Return the worse of what budget and disk say."""
        share = self.used / self.most if self.most else 0.0
        by_budget = sum(share >= each for each in (FILLING, NEARLY_FULL, 1.0))
        by_disk = sum(self.free < each * self.least_free for each in (4, 2, 1))
        return Level(max(by_budget, by_disk))

    @property
    def reason(self) -> str:
        """Return how full it is, in words."""
        told = []
        if self.most is not None and self.used >= FILLING * self.most:
            told.append(
                f"the history uses {_gib(self.used)} of {_gib(self.most)} "
                f"({self.used / self.most:.0%} of historian.most_gib)"
            )
        if self.free < 4 * self.least_free:
            told.append(
                f"the disk of the history has only {_gib(self.free)} free; recording "
                f"stops below {_gib(self.least_free)} (historian.least_free_gib)"
            )
        return "; ".join(told)


def measure(home: Path, most: int | None, least_free: int) -> Room:
    """Return how full the history below `home` is, with files that are about to go."""
    used = 0
    for path in home.rglob("*"):
        try:
            used += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # it went while we looked
    return Room(used, most, shutil.disk_usage(home).free, least_free)


def to_go(
    sizes: Mapping[date, int], excess: int, guarantee_s: float, now: datetime
) -> list[date]:
    """Return the oldest days that make so much room; none within the guarantee."""
    chosen: list[date] = []
    made = 0
    for day in sorted(sizes):
        if made >= excess or not is_over_for(day, guarantee_s, now):
            break
        chosen.append(day)
        made += sizes[day]
    return chosen


def _gib(size: int) -> str:
    return (
        f"{size / GIB:.2f} GiB" if size >= GIB // 10 else f"{size / (1 << 20):.1f} MiB"
    )
