"""Answers about the past, as JSON: made in a thread, because they can be large."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from lineshaft.core.series import Aggregate, History
from lineshaft.web.api.past.columns import bucket_series, raw_series
from lineshaft.web.api.problems import BadParameter
from lineshaft.web.namespace import Namespace
from lineshaft.web.shapes import BucketHistory, RawHistory

MOST_NAMES = 50
MOST_READINGS = 1_000_000
"""In one answer, of all points together; so also of buckets."""

Span = tuple[int, int]


class Archive:
    """What the historian keeps, of points that are configured or were recorded.

    `NotFound` for any other name: it is misspelt. `BadParameter` for questions whose
    answer would be too large.
    """

    def __init__(self, history: History, namespace: Namespace) -> None:
        self._history = history
        self._namespace = namespace

    async def raw(self, names: Sequence[str], span: Span, limit: int) -> bytes:
        """Return a `RawHistory` with the oldest `limit` readings of each point."""
        self._check_number(names)
        limit = min(limit, MOST_READINGS // len(names))
        series = [await self._history.raw(name, *span, limit) for name in names]
        for each in series:
            self._expect(each.name, something=bool(len(each.columns)))
        more = [each.name for each in series if each.more]
        return await _json(
            lambda: RawHistory(None, [raw_series(s) for s in series], more)
        )

    async def buckets(self, names: Sequence[str], span: Span, every_us: int) -> bytes:
        """Return a `BucketHistory`."""
        self._check_number(names)
        count = (span[1] - span[0]) // every_us * len(names)
        if count > MOST_READINGS:
            raise BadParameter(
                f"these are {count} buckets, more than {MOST_READINGS}: ask for longer "
                "ones, a shorter span or fewer points"
            )
        found = await self._history.buckets(names, *span, every_us)
        for each in found:
            counted = each.columns[Aggregate.COUNT]
            self._expect(each.name, something=bool(counted.any()))
        every_s = every_us / 1e6
        return await _json(
            lambda: BucketHistory(every_s, [bucket_series(s) for s in found], [])
        )

    def _check_number(self, names: Sequence[str]) -> None:
        if len(names) > MOST_NAMES:
            raise BadParameter(
                f"{len(names)} points at once are too many: ask for {MOST_NAMES}"
            )

    def _expect(self, name: str, *, something: bool) -> None:
        if not something and name not in self._namespace:
            self._namespace.device(name)


async def _json(make: Callable[[], object]) -> bytes:
    return await asyncio.to_thread(lambda: msgspec.json.encode(make()))
