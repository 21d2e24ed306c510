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

from lineshaft.core.series import Aggregate
from lineshaft.platform.historian.block import Block

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_OF_READINGS = (
    Aggregate.MIN,
    Aggregate.MAX,
    Aggregate.MEAN,
    Aggregate.FIRST,
    Aggregate.LAST,
)


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


def aggregate(block: Block, span: Span, points: int) -> dict[Aggregate, Floats]:
    """Return each aggregate, a line of buckets for each point.

    `block` holds readings in order of point and time, from `standing_us` before the
    first bucket on; its points are counted from 0 and less than `points`.
    """
    edges = span.edges()
    numbers = block.columns.numbers()
    bad = block.is_bad()
    numbers[bad] = np.nan
    # The sum of the largest floats is infinite, and that is the answer then.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        result = _of_readings(block, numbers, span, points)
        result |= _of_time(block, numbers, span, points)
    return {
        name: column.reshape(points, len(edges) - 1) for name, column in result.items()
    }


def _of_readings(
    block: Block, numbers: Floats, span: Span, points: int
) -> dict[Aggregate, Floats]:
    """Return what depends on the readings inside each bucket only."""
    edges = span.edges()
    buckets = len(edges) - 1
    time = block.columns.time
    inside = (time >= edges[0]) & (time < edges[-1])
    bucket = (time - edges[0]) // span.every_us
    bucket += block.columns.point * np.int64(buckets)
    heard = np.bincount(bucket[inside & ~block.is_bad()], minlength=points * buckets)
    usable = inside & ~np.isnan(numbers)
    value, where = numbers[usable], bucket[usable]
    begins = np.flatnonzero(np.diff(where, prepend=-1))
    ends = np.append(begins[1:], len(where))
    result = {name: np.full(points * buckets, np.nan) for name in _OF_READINGS}
    if len(begins):
        filled = where[begins]
        result[Aggregate.MIN][filled] = np.minimum.reduceat(value, begins)
        result[Aggregate.MAX][filled] = np.maximum.reduceat(value, begins)
        total = np.add.reduceat(value, begins)
        result[Aggregate.MEAN][filled] = total / (ends - begins)
        result[Aggregate.FIRST][filled] = value[begins]
        result[Aggregate.LAST][filled] = value[ends - 1]
    result[Aggregate.COUNT] = heard.astype(np.float64)
    return result


def _of_time(
    block: Block, numbers: Floats, span: Span, points: int
) -> dict[Aggregate, Floats]:
    """Return what depends on how long each value stood."""
    edges = span.edges()
    time, point = block.columns.time, block.columns.point
    limit = min(int(edges[-1]), span.now_us)
    follows = np.minimum(np.append(time[1:], limit), limit)
    follows[np.append(point[1:] != point[:-1], np.ones(min(1, len(point)), bool))] = (
        limit
    )
    stands = np.minimum(follows, time + span.standing_us)
    stands = np.maximum(np.where(block.is_bad(), follows, stands), time)
    pieces = _cut(block, stands, edges, points)
    known = pieces.area(np.ones(len(time)))
    valued = pieces.area((~np.isnan(numbers)).astype(np.float64))
    weighted = pieces.area(np.nan_to_num(numbers, posinf=np.inf, neginf=-np.inf))
    well = pieces.area(block.is_good().astype(np.float64))
    passed = np.tile((np.minimum(edges[1:], limit) - edges[:-1]) / 1e6, points)
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


def _cut(block: Block, end: Integers, edges: Integers, points: int) -> _Pieces:
    """Return the pieces of steps that follow each other without overlap."""
    buckets = len(edges) - 1
    begin = np.clip(block.columns.time, edges[0], edges[-1])
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
    bucket += block.columns.point[step] * np.int64(buckets)
    return _Pieces(step, bucket, length / 1e6, points * buckets)
