"""What became of the readings, read from the table as any reader of Delta would."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from deltalake import DeltaTable

from torture.generator import EACH, NAMES, POINTS, times

COUNTERS = "torture/opcua/"
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many readings there should be, and what is wrong."""

    confirmed: int
    """Readings that the generator was told are safe."""
    stored: int
    lost: int
    doubled: int
    wrong: int
    """Stored with another time than they were published with."""
    devices: int
    """Readings of the machines in the table."""
    device_doubled: int
    """Of one machine's point, with one time and one value."""
    device_backwards: int
    """Counters that went back without a restart of their machine."""
    device_lost: int
    """Steps of counters that are missing though neither their machine, nor its road,
    nor the collector was in trouble."""

    @property
    def holds(self) -> bool:
        """Whether nothing was lost and nothing doubled."""
        faults = (self.lost, self.doubled, self.wrong)
        of_devices = (self.device_doubled, self.device_backwards, self.device_lost)
        return not any((*faults, *of_devices))


def judge(history: Path, confirmed: int, troubles: Sequence[Span]) -> Verdict:
    """Compare the table below `history` with the frames that were confirmed.

    `troubles` are the spans (seconds since 1970) in which steps of counters may be
    missing, because nobody could listen.
    """
    table = DeltaTable(str(history / "readings")).to_pyarrow_table(
        columns=["name", "time", "value", "quality"]
    )
    lost = doubled = wrong = stored = 0
    for name in NAMES:
        rows = table.filter(pc.equal(table["name"], name))
        value = rows["value"].to_numpy().astype(np.int64)
        stored += len(value)
        wanted = np.arange(confirmed * EACH)
        found, counts = np.unique(value, return_counts=True)
        lost += len(np.setdiff1d(wanted, found))
        doubled += int((counts - 1).sum())
        time_us = rows["time"].cast("int64").to_numpy()
        wrong += int((time_us != times(value)).sum())
    machines = table.filter(
        pc.and_(
            pc.starts_with(table["name"], "torture/"),
            pc.invert(pc.starts_with(table["name"], "torture/generator/")),
        )
    )
    keys = machines.group_by(["name", "time", "value", "quality"]).aggregate([])
    backwards, missing = _counters(machines, troubles)
    return Verdict(
        confirmed * EACH * POINTS,
        stored,
        lost,
        doubled,
        wrong,
        machines.num_rows,
        machines.num_rows - keys.num_rows,
        backwards,
        missing,
    )


def _counters(machines: object, troubles: Sequence[Span]) -> tuple[int, int]:
    """Return how often a counter went back, and how many steps are missing."""
    backwards = missing = 0
    good = machines.filter(  # type: ignore[attr-defined]  # a table of pyarrow
        pc.and_(
            pc.starts_with(machines["name"], COUNTERS),  # type: ignore[index]
            pc.equal(machines["quality"], "good"),  # type: ignore[index]
        )
    ).sort_by([("name", "ascending"), ("time", "ascending")])
    for name in pc.unique(good["name"]).to_pylist():
        rows = good.filter(pc.equal(good["name"], name))
        value = rows["value"].to_numpy()
        seconds = rows["time"].cast("int64").to_numpy() / 1e6
        step = np.diff(value)
        for at in np.flatnonzero((step != 0) & (step != 1)).tolist():
            if any(a <= seconds[at + 1] and seconds[at] <= b for a, b in troubles):
                continue
            backwards += int(step[at] < 0)
            missing += int(max(step[at] - 1, 0))
    return backwards, missing
