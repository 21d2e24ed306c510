"""From what a device said to what the plant hears: type, scale, deadband, heartbeat.

All of it works on columns; the memory of what each point reported last is a handful
of arrays as long as the point list. `now_us` is a moment of a clock that never jumps,
because it says what is due; `stamp_us` is the time that a reading bears.

Readings are told in the order of their times, and a device's clock is not ours: what we
say of a point in its stead bears the time that its own clock would show.
"""

from collections.abc import Sequence
from textwrap import shorten

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import (
    KIND_BOOL,
    KIND_FLOAT,
    KIND_INT,
    KIND_NONE,
    KIND_STRING,
    Columns,
    pack_values,
)
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Quality, Status, bad
from lineshaft.network.device import Batch

LONGEST_TEXT = 65_536
NEVER = np.iinfo(np.int64).min
_WANTED = {
    Kind.FLOAT: KIND_FLOAT,
    Kind.INT: KIND_INT,
    Kind.BOOL: KIND_BOOL,
    Kind.STRING: KIND_STRING,
}
_WORDS = ("nothing", "a float", "an int", "a bool", "a string")
_EXACT = 1 << 53
_MOST_STATUSES = 4096
_TABLE_FULL = 60_000
_LONGEST_QUOTE = 40
_NO_CLOCK_US = 86_400_000_000
"""Whoever is a day off tells the past, or of another age; we speak of now."""
_JITTER_US = 5_000_000
"""How much later than others a reading may come and be no sign of a clock set."""

Positions = NDArray[np.intp]


class Shaper:
    """Shapes the readings of the points of one connection."""

    def __init__(self, points: Sequence[Point], stamp_us: int = NEVER) -> None:
        """Take readings older than `stamp_us` for overtaken by an earlier life."""
        self.points = points
        self._wanted = np.array([_WANTED[p.type] for p in points], np.uint8)
        self._scale = np.array([p.scale for p in points], np.float64)
        self._offset = np.array([p.offset for p in points], np.float64)
        self._scaled = ((self._scale != 1.0) | (self._offset != 0.0)) & (
            (self._wanted == KIND_FLOAT) | (self._wanted == KIND_INT)
        )
        self._deadband = np.array([p.deadband for p in points], np.float64)
        self._period_s = np.array([p.period_s for p in points], np.float64)
        self._statuses: dict[Status, int] = {GOOD: 0}
        self._texts: dict[str, int] = {}
        self._kind = np.zeros(len(points), np.uint8)
        self._bits = np.zeros(len(points), np.int64)
        self._status = np.zeros(len(points), np.uint16)
        self._sent_us = np.full(len(points), NEVER, np.int64)
        self._told_us = np.full(len(points), stamp_us, np.int64)
        self._overtaken = np.zeros(len(points), bool)
        self._behind_us = 0
        self._begun_us = stamp_us
        self.heard_us = np.full(len(points), NEVER, np.int64)
        """When each point was last heard of, as `now_us`; `NEVER` at first."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the table that the `bits` of strings lead to."""
        return tuple(self._texts)

    @property
    def statuses(self) -> tuple[Status, ...]:
        """Return the table that `status` leads to."""
        return tuple(self._statuses)

    def begin(self, stamp_us: int) -> None:
        """Know that a connection begins: what is heard first holds since then."""
        self._begun_us = stamp_us

    def shape(self, batch: Batch, now_us: int) -> Columns:
        """Return the readings in the plant's types and units, in the batch's order."""
        self._forget_old_tables()
        columns = self._pack(batch)
        self.heard_us[columns.point] = now_us
        self._fit_types(columns, batch)
        self._scale_numbers(columns)
        return columns

    def news(
        self,
        columns: Columns,
        now_us: int,
        heartbeat_s: float | None,
        stamp_us: int | None = None,
    ) -> Columns:
        """Return the readings worth reporting, and remember them.

        With `heartbeat_s`, an unchanged value is reported only after that long, since
        it was asked for; without, only a deadband holds a reading back, since the
        device itself said that there is news.
        """
        keep = np.zeros(len(columns), bool)
        self._compare_clocks(columns, now_us if stamp_us is None else stamp_us)
        for rows in _one_per_point(columns.point):
            keep[rows] = self._is_news(columns.take(rows), now_us, heartbeat_s)
            kept = columns.take(rows[keep[rows]])
            self._kind[kept.point] = kept.kind
            self._bits[kept.point] = kept.bits
            self._status[kept.point] = kept.status
            self._sent_us[kept.point] = now_us
            told_us = self._told_us[kept.point]
            self._overtaken[kept.point] = kept.time < told_us
            self._told_us[kept.point] = np.maximum(told_us, kept.time)
        return columns if keep.all() else columns.take(keep)

    def repeat(
        self, now_us: int, heartbeat_s: float, stamp_us: int | None = None
    ) -> Columns:
        """Return what was last reported of points that are due for a heartbeat.

        Due at once is what came with an older time than what was told before it: a
        value that stood still while the device was silent would stay bad to all.
        """
        due = self._sent_us < now_us - int(heartbeat_s * 1e6)
        known = (self._sent_us != NEVER) & (self._kind != KIND_NONE)
        rows = np.flatnonzero((due | self._overtaken) & known)
        self._sent_us[rows] = now_us
        stamps = np.full(len(rows), now_us if stamp_us is None else stamp_us)
        # Not as of now: a change of a moment ago may be on its way to us.
        is_new = self._begun_us - self._behind_us > self._told_us[rows]
        stamps[self._overtaken[rows] & is_new] = self._begun_us
        return self._told_again(rows, stamps)

    def condemn(
        self, rows: Positions, reason: str, now_us: int, stamp_us: int | None = None
    ) -> Columns:
        """Return readings without a value and BAD for `reason`, and remember them."""
        status = self._number_of(bad(reason))
        self._kind[rows] = KIND_NONE
        self._bits[rows] = 0
        self._status[rows] = status
        self._sent_us[rows] = now_us
        return self._told_again(rows, now_us if stamp_us is None else stamp_us)

    def silent(self, now_us: int, since_us: int, timeout_s: float) -> Positions:
        """Return the points that said nothing for their period and the time-out."""
        limit = ((self._period_s + timeout_s) * 1e6).astype(np.int64)
        heard = np.maximum(self.heard_us, since_us)
        bad_already = self._is_bad(self._status) & (self._sent_us >= heard)
        return np.flatnonzero((now_us - heard > limit) & ~bad_already)

    def _compare_clocks(self, columns: Columns, stamp_us: int) -> None:
        """Learn how far the device's clock is behind ours, travel included.

        The first value of a point, or after a silence, says nothing: it may stand
        still since long.
        """
        changes = columns.time[self._kind[columns.point] != KIND_NONE]
        if len(changes):
            behind_us = stamp_us - int(changes.max())
            is_clock = abs(behind_us) < _NO_CLOCK_US
            self._behind_us = behind_us if is_clock else 0

    def _told_again(
        self, rows: Positions, stamp_us: int | NDArray[np.int64]
    ) -> Columns:
        """Return what we say in the device's stead, behind what was told before.

        What was told is not before us but ahead when somebody has set a clock.
        """
        self._overtaken[rows] = False
        times = np.full(len(rows), stamp_us) - self._behind_us
        early_us = self._told_us[rows] - times
        early = (early_us >= 0) & (early_us < _JITTER_US)
        times[early] += early_us[early] + 1
        self._told_us[rows] = times
        return self._last(rows, times)

    def _last(self, rows: Positions, times: NDArray[np.int64]) -> Columns:
        return Columns(
            rows.astype(np.uint32),
            times,
            self._kind[rows],
            self._bits[rows],
            self._status[rows],
        )

    def _pack(self, batch: Batch) -> Columns:
        kind, bits, texts = pack_values(batch.values)
        if texts:
            numbers = np.array(
                [self._texts.setdefault(text, len(self._texts)) for text in texts]
            )
            strings = kind == KIND_STRING
            bits[strings] = numbers[bits[strings]]
        status = [self._number_of(status) for status in batch.statuses]
        return Columns(
            np.array(batch.points, np.uint32),
            np.array(batch.times, np.int64),
            kind,
            bits,
            np.array(status, np.uint16),
        )

    def _fit_types(self, columns: Columns, batch: Batch) -> None:
        """Turn values losslessly into the type their point has; the others are BAD."""
        kind, bits = columns.kind, columns.bits
        wanted = self._wanted[columns.point]
        scaled = self._scaled[columns.point]
        whole = (kind == KIND_INT) | (kind == KIND_BOOL)
        # Numbers that are scaled go through floats; integers as such stay exact.
        to_float = whole & ((wanted == KIND_FLOAT) | ((wanted == KIND_INT) & scaled))
        bits[to_float] = bits[to_float].astype(np.float64).view(np.int64)
        kind[to_float] = KIND_FLOAT
        kind[(kind == KIND_BOOL) & (wanted == KIND_INT)] = KIND_INT
        floats = bits.view(np.float64)
        with np.errstate(invalid="ignore"):
            integral = (floats == np.rint(floats)) & (np.abs(floats) < _EXACT)
        to_int = (kind == KIND_FLOAT) & (wanted != KIND_FLOAT) & ~scaled & integral
        bits[to_int] = floats[to_int].astype(np.int64)
        kind[to_int] = KIND_INT
        to_bool = (kind == KIND_INT) & (wanted == KIND_BOOL) & ((bits | 1) == 1)
        kind[to_bool] = KIND_BOOL
        finite = (kind != KIND_FLOAT) | np.isfinite(bits.view(np.float64))
        fits = (kind == wanted) | ((kind == KIND_FLOAT) & scaled)
        for row in np.flatnonzero(((kind != KIND_NONE) & ~fits) | ~finite):
            self._spoil(columns, int(row), batch.values[row])
        for row in np.flatnonzero(kind == KIND_STRING):
            if len(str(batch.values[row])) > LONGEST_TEXT:
                self._spoil(columns, int(row), batch.values[row])

    def _scale_numbers(self, columns: Columns) -> None:
        point = columns.point
        rows = np.flatnonzero(self._scaled[point] & (columns.kind == KIND_FLOAT))
        if not len(rows):
            return
        numbers = columns.bits[rows].view(np.float64)
        # What scaling makes too large for a float is told as bad below.
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = numbers * self._scale[point[rows]] + self._offset[point[rows]]
        columns.bits[rows] = numbers.view(np.int64)
        rounded = np.rint(numbers)
        finite = np.isfinite(numbers)
        for row, number in zip(rows[~finite], numbers[~finite], strict=True):
            self._spoil(columns, int(row), float(number))
        whole = finite & (self._wanted[point[rows]] == KIND_INT)
        with np.errstate(invalid="ignore"):
            off = np.abs(numbers - rounded)
        near = off <= 1e-9 * np.maximum(1.0, np.abs(numbers))
        fits = near & (np.abs(numbers) < _EXACT)
        columns.bits[rows[whole & fits]] = rounded[whole & fits].astype(np.int64)
        columns.kind[rows[whole & fits]] = KIND_INT
        for row, number in zip(
            rows[whole & ~fits], numbers[whole & ~fits], strict=True
        ):
            self._spoil(columns, int(row), float(number))

    def _spoil(self, columns: Columns, row: int, value: object) -> None:
        wanted = _WORDS[self._wanted[columns.point[row]]]
        columns.kind[row] = KIND_NONE
        columns.bits[row] = 0
        if not self._is_bad(columns.status[row : row + 1])[0]:
            said = shorten(repr(value), _LONGEST_QUOTE, placeholder="...")
            columns.status[row] = self._number_of(
                bad(f"the device said {said}, the point list wants {wanted}")
            )

    def _is_news(
        self, columns: Columns, now_us: int, heartbeat_s: float | None
    ) -> NDArray[np.bool_]:
        point = columns.point
        same_sort = (columns.kind == self._kind[point]) & (
            columns.status == self._status[point]
        )
        first = self._sent_us[point] == NEVER
        unchanged = columns.bits == self._bits[point]
        if heartbeat_s is None:
            unchanged &= False
        deadband = self._deadband[point]
        banded = np.flatnonzero(same_sort & (deadband > 0))
        if len(banded):
            now = columns.take(banded).numbers()
            rows = point[banded].astype(np.intp)
            then = self._last(rows, self._told_us[rows]).numbers()
            with np.errstate(invalid="ignore"):
                unchanged[banded] |= np.abs(now - then) < deadband[banded]
        if heartbeat_s is not None:
            unchanged &= now_us - self._sent_us[point] < int(heartbeat_s * 1e6)
        return np.asarray(first | ~(same_sort & unchanged), bool)

    def _number_of(self, status: Status) -> int:
        if len(self._statuses) >= _TABLE_FULL and status not in self._statuses:
            status = bad("there are more reasons at once than can be told apart")
        return self._statuses.setdefault(status, len(self._statuses))

    def _is_bad(self, status: NDArray[np.uint16]) -> NDArray[np.bool_]:
        table = [known.quality is Quality.BAD for known in self._statuses]
        return np.asarray(np.array(table)[status], bool)

    def _forget_old_tables(self) -> None:
        """Keep only the texts and reasons in use, so that the tables stay bounded."""
        if len(self._texts) > max(_MOST_STATUSES, 4 * len(self.points)):
            old = list(self._texts)
            strings = np.flatnonzero(self._kind == KIND_STRING)
            self._texts = {}
            for row in strings:
                text = old[self._bits[row]]
                self._bits[row] = self._texts.setdefault(text, len(self._texts))
        if len(self._statuses) > _MOST_STATUSES:
            before = list(self._statuses)
            self._statuses = {GOOD: 0}
            self._status = np.array(
                [self._number_of(before[number]) for number in self._status], np.uint16
            )


def _one_per_point(point: NDArray[np.uint32]) -> list[Positions]:
    """Divide rows so that no part has a point twice, keeping each point's order."""
    if not len(point):
        return []
    order = np.argsort(point, kind="stable")
    ordered = point[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if len(starts) == len(point):
        return [np.arange(len(point))]
    lengths = np.diff(np.r_[starts, len(point)])
    turn = np.arange(len(point)) - np.repeat(starts, lengths)
    return [np.sort(order[turn == each]) for each in range(int(lengths.max()))]
