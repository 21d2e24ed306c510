"""Which readings may go: how long each part of the plant is kept."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from lineshaft.core.name import matches
from lineshaft.platform.historian.duration import seconds_of

Weight = tuple[int, int, int]


class Rules:
    """Patterns and durations; a point without a rule is kept for ever.

    Of several patterns that mean a point the most specific one counts: the one with
    more levels written out, then with more letters. Of equal ones that which keeps
    longer.
    """

    def __init__(self, written: Mapping[str, str]) -> None:
        self._rules = sorted(
            ((_weight(pattern), seconds_of(keep), pattern)
             for pattern, keep in written.items()),
            reverse=True,
        )  # fmt: skip

    def of(self, name: str) -> tuple[str, int] | None:
        """Return the pattern that counts for a point, and how many seconds it keeps."""
        for _, seconds, pattern in self._rules:
            if matches(pattern, name):
                return pattern, seconds
        return None

    def expired(self, day: date, now: datetime) -> frozenset[str]:
        """Return the patterns by which a whole day may go.

        A reading is never younger than its rule allows: the day must be over for so
        long.
        """
        return frozenset(
            pattern
            for _, seconds, pattern in self._rules
            if is_over_for(day, seconds, now)
        )

    def due(self, names: Mapping[str, int], patterns: frozenset[str]) -> dict[str, int]:
        """Return those of a day's points that go by these patterns, with their rows."""
        ruled = {name: self.of(name) for name in names}
        return {
            name: names[name]
            for name, rule in ruled.items()
            if rule is not None and rule[0] in patterns
        }


def is_over_for(day: date, seconds: float, now: datetime) -> bool:
    """Whether a UTC day has been over for so long."""
    end = datetime.combine(day, time(), UTC) + timedelta(days=1)
    return end + timedelta(seconds=seconds) <= now


def _weight(pattern: str) -> Weight:
    segments = pattern.strip("/").split("/")
    whole = sum("*" not in segment for segment in segments)
    single = sum(segment != "**" for segment in segments)
    return whole, single, len(pattern.replace("*", ""))
