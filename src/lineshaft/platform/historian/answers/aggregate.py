"""Aggregates over buckets of time: one implementation for all of the past.

A value stands from its reading to the next one, but not longer than the standing time
and never beyond now: a device that is alive repeats an unchanged value at its
heartbeat, so what is older is not known any more, and that is a gap. A BAD reading
ends what stood before it, and BAD itself stands until something else is heard.
UNCERTAIN values count like good ones, except in the share of good.

Time-weighted mean: IEC 62541-13, 5.4.3.5, with stepped interpolation.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.reading import Quality
from lineshaft.core.series import Aggregate
from lineshaft.platform.historian.block import Block

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Span:
    """Which buckets are asked for; times in microseconds since 1970 UTC."""

    start_us: int
    """Rounded down to a multiple of `every_us` it is the begin of the first bucket."""
    end_us: int
    every_us: int
    standing_us: int
    now_us: int

    def edges(self) -> Integers:
        """Return the begin of every bucket and the end of the last one."""
        first = self.start_us // self.every_us * self.every_us
        count = -(-(self.end_us - first) // self.every_us)
        return first + np.arange(count + 1, dtype=np.int64) * self.every_us


def aggregate(block: Block, span: Span) -> dict[Aggregate, Floats]:
    """Return each aggregate of each bucket.

    `block` holds the readings of one point in order of time, from `standing_us`
    before the first bucket on.
    """
    edges = span.edges()
    bad, good = _qualities(block)
    numbers = block.columns.numbers()
    numbers[bad] = np.nan
    # The sum of the largest floats is infinite, and that is the answer then.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        result = _of_readings(block.columns.time, numbers, bad, edges)
        result |= _of_time(block.columns.time, numbers, bad, good, span, edges)
    return result


def _qualities(block: Block) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    quality = [status.quality for status in block.statuses] or [Quality.BAD]
    bad = np.array([each is Quality.BAD for each in quality])
    good = np.array([each is Quality.GOOD for each in quality])
    return bad[block.columns.status], good[block.columns.status]


def _of_readings(
    time: Integers, numbers: Floats, bad: NDArray[np.bool_], edges: Integers
) -> dict[Aggregate, Floats]:
    """Return what depends on the readings inside each bucket only."""
    buckets = len(edges) - 1
    inside = (time >= edges[0]) & (time < edges[-1])
    heard = np.searchsorted(time[inside & ~bad], edges)
    usable = inside & ~np.isnan(numbers)
    value = numbers[usable]
    bounds = np.searchsorted(time[usable], edges)
    filled = np.flatnonzero(np.diff(bounds))
    begins, ends = bounds[filled], bounds[filled + 1]
    result = {
        name: np.full(buckets, np.nan)
        for name in (
            Aggregate.MIN,
            Aggregate.MAX,
            Aggregate.MEAN,
            Aggregate.FIRST,
            Aggregate.LAST,
        )
    }
    if len(filled):
        result[Aggregate.MIN][filled] = np.minimum.reduceat(value, begins)
        result[Aggregate.MAX][filled] = np.maximum.reduceat(value, begins)
        total = np.add.reduceat(value, begins)
        result[Aggregate.MEAN][filled] = total / (ends - begins)
        result[Aggregate.FIRST][filled] = value[begins]
        result[Aggregate.LAST][filled] = value[ends - 1]
    result[Aggregate.COUNT] = np.diff(heard).astype(np.float64)
    return result


def _of_time(
    time: Integers,
    numbers: Floats,
    bad: NDArray[np.bool_],
    good: NDArray[np.bool_],
    span: Span,
    edges: Integers,
) -> dict[Aggregate, Floats]:
    """Return what depends on how long each value stood."""
    limit = min(int(edges[-1]), span.now_us)
    until = np.minimum(np.append(time[1:], limit), limit)
    stands = np.where(bad, until, np.minimum(until, time + span.standing_us))
    stands = np.maximum(stands, time)
    pieces = _cut(time, stands, edges)
    known = pieces.area(np.ones(len(time)))
    valued = pieces.area((~np.isnan(numbers)).astype(np.float64))
    weighted = pieces.area(np.nan_to_num(numbers, posinf=np.inf, neginf=-np.inf))
    well = pieces.area(good.astype(np.float64))
    passed = (np.minimum(edges[1:], limit) - edges[:-1]) / 1e6
    time_mean = np.where(valued > 0, weighted / valued, np.nan)
    share = np.where(known > 0, np.minimum(well / passed, 1.0), np.nan)
    return {Aggregate.TIME_MEAN: time_mean, Aggregate.GOOD: share}


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Steps cut at the edges of buckets, so that each lies within one bucket.

    Every bucket is summed up on its own: a huge value in one does not take the digits
    of the others, as a running total would.
    """

    step: NDArray[np.intp]
    bucket: NDArray[np.intp]
    seconds: Floats
    buckets: int

    def area(self, height: Floats) -> Floats:
        """Return the area within each bucket, in height times seconds."""
        weights = height[self.step] * self.seconds
        total = np.bincount(self.bucket, weights, minlength=self.buckets)
        return total.astype(np.float64, copy=False)


def _cut(begin: Integers, end: Integers, edges: Integers) -> _Pieces:
    """Return the pieces of steps that follow each other without overlap."""
    begin = np.clip(begin, edges[0], edges[-1])
    end = np.clip(end, edges[0], edges[-1])
    steps = np.flatnonzero(end > begin)
    first = np.searchsorted(edges, begin[steps], "right") - 1
    count = np.searchsorted(edges, end[steps], "left") - first
    step = np.repeat(steps, count)
    ahead = np.repeat(np.cumsum(count) - count, count)
    bucket = np.repeat(first, count) + np.arange(len(step)) - ahead
    length = np.minimum(end[step], edges[bucket + 1]) - np.maximum(
        begin[step], edges[bucket]
    )
    return _Pieces(step, bucket, length / 1e6, len(edges) - 1)
