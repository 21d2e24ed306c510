"""Kill a plant's processes at random moments, then see what became of the readings.

    python tests/torture/run.py --kills 200 --seed 1 --report report.json

The exit code is 1 when a confirmed reading is lost or doubled, or something did not
come back.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.fault_proxy import CLEAR, Faults
from torture.plant import MACHINES, VICTIMS, Tortured, tortured
from torture.verdict import Verdict, judge

BACK_WITHIN_S = 90.0
SETTLES_WITHIN_S = 120.0
CALM_S = (0.2, 2.0)
AT_ONCE = 0.2
"""Share of kills that do not wait until the one before is mended."""
ROAD_FAULTS = (
    Faults(delay_s=0.2, jitter_s=0.3),
    Faults(loss=0.3),
    Faults(piece=64, pause_s=0.001),
    Faults(silent=True),
)
ROAD_FAULT_S = 3.0
BEFORE_S, AFTER_S = 3.0, 8.0
"""How long before a kill steps of counters were on their way to nobody, and how long
after the return it takes until everybody listens again."""


@dataclass
class Report:
    """What was done, how long each took to come back, and the verdict."""

    seed: int
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VICTIMS, 0))
    road_faults: int = 0
    back_s: dict[str, list[float]] = field(
        default_factory=lambda: {victim: [] for victim in VICTIMS}
    )
    missing: list[str] = field(default_factory=list)
    """Who did not come back in time."""
    troubles: list[tuple[float, float]] = field(default_factory=list)
    took_s: float = 0.0
    verdict: Verdict | None = None

    @property
    def holds(self) -> bool:
        """Whether everything came back and no reading was lost or doubled."""
        return not self.missing and self.verdict is not None and self.verdict.holds

    def as_json(self) -> str:
        """Return it for programs."""
        told = asdict(self) | {"holds": self.holds}
        del told["troubles"]
        return json.dumps(told, indent=1)

    def as_text(self) -> str:
        """Return it for people, as Markdown."""
        assert self.verdict is not None
        lines = ["| killed | times | back, median | longest |", "|---|---|---|---|"]
        for victim, count in self.kills.items():
            took = self.back_s.get(victim) or [0.0]
            lines.append(
                f"| {victim} | {count} | {statistics.median(took):.1f} s "
                f"| {max(took):.1f} s |"
            )
        lines += ["", "| readings | |", "|---|---|"]
        for name, value in asdict(self.verdict).items():
            lines.append(f"| {name.replace('_', ' ')} | {value:,} |")
        lines += ["", f"Seed {self.seed}, {self.took_s / 60:.1f} minutes, "]
        lines[-1] += f"{sum(self.kills.values())} kills, {self.road_faults} faults of "
        lines[-1] += f"roads; not back in time: {', '.join(self.missing) or 'none'}."
        return "\n".join(lines)


class Torture:
    """Kills, waits, and writes down."""

    def __init__(self, plant: Tortured, report: Report) -> None:
        self._plant = plant
        self._report = report
        self._random = random.Random(report.seed)

    async def run(self, victims: Sequence[str]) -> None:
        """Kill each of `victims` in turn."""
        for victim in victims:
            await asyncio.sleep(self._random.uniform(*CALM_S))
            if self._random.random() < AT_ONCE:
                await self._harm_a_road()
            await self._kill(victim, waits=self._random.random() >= AT_ONCE)
        for road in self._plant.roads.values():
            road.faults = CLEAR

    async def _kill(self, victim: str, *, waits: bool) -> None:
        report, frames = self._report, self._plant.frames()
        killed_s = time.time()
        report.kills[victim] += 1
        await self._plant.kill(victim)
        if not waits:
            # Who it was is seen again in the end at the latest.
            self._mark(victim, killed_s, killed_s + BACK_WITHIN_S)
            return
        try:
            async with asyncio.timeout(BACK_WITHIN_S):
                await self._plant.until_back(victim, killed_s, frames)
        except TimeoutError:
            report.missing.append(victim)
        report.back_s[victim].append(round(time.time() - killed_s, 2))
        self._mark(victim, killed_s, time.time())

    def _mark(self, victim: str, begin: float, end: float) -> None:
        if victim in ("collector", *MACHINES):
            self._report.troubles.append((begin - BEFORE_S, end + AFTER_S))

    async def _harm_a_road(self) -> None:
        """Let a road to a machine be bad for a while, or end all its connections."""
        name = self._random.choice(MACHINES)
        road, began = self._plant.roads[name], time.time()
        self._report.road_faults += 1
        how = self._random.choice([*ROAD_FAULTS, None])
        if how is None:
            road.reset()
        else:
            road.faults = how
            await asyncio.sleep(ROAD_FAULT_S)
            road.faults = CLEAR
        self._mark(name, began, time.time())


def victims_of(kills: int, seed: int) -> list[str]:
    """Return whom to kill: everyone as often as the others, in random order."""
    victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
    random.Random(seed).shuffle(victims)
    return victims


async def run(kills: int, seed: int, folder: Path) -> Report:
    """Torture a plant whose files are made in `folder`."""
    report, began = Report(seed), time.monotonic()
    async with tortured(folder, seed) as plant:
        await _first_values(plant)
        await Torture(plant, report).run(victims_of(kills, seed))
        await _settle(plant, report)
        frames = plant.frames()
    # The plant was stopped politely: everything is in the table now.
    report.verdict = await asyncio.to_thread(
        judge, folder / "data" / "history", frames, report.troubles
    )
    report.took_s = round(time.monotonic() - began, 1)
    return report


async def _first_values(plant: Tortured) -> None:
    async with asyncio.timeout(SETTLES_WITHIN_S):
        for victim in VICTIMS:
            await plant.until_back(victim, 0.0, 0)


async def _settle(plant: Tortured, report: Report) -> None:
    """Wait until everyone is back and the historian has the last reading."""
    now = time.time()
    frames = plant.frames()
    try:
        async with asyncio.timeout(SETTLES_WITHIN_S):
            for victim in VICTIMS:
                await plant.until_back(victim, now, frames)
            await plant.generator.polite_end()
            await plant.until_back("historian", now, plant.frames() - 1)
    except TimeoutError:
        report.missing.append("the last confirmed reading, or whoever was killed last")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="where to write JSON")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        report = asyncio.run(run(asked.kills, asked.seed, Path(name)))
    print(report.as_text())
    if asked.report:
        asked.report.write_text(report.as_json() + "\n")
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
