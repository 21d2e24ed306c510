"""What computed points remember of the past: by source time, bounded, and kept."""

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

from typing_extensions import override

from lineshaft.core.reading import Value
from lineshaft.platform.computed.evaluation import Broken, Evaluation, Node

MOST_VALUES = 100_000
"""In one span; more are refused before memory is spent on them."""
Kept = list[tuple[int, float]]
"""Source times (us) and values."""


class OverTime:
    """A part of an expression that remembers.

    A bad value ends what is remembered: a span has no holes that nobody sees.
    """

    def __init__(self, part: Node, seconds: float) -> None:
        self._part = part
        self._span_us = int(seconds * 1e6)

    def run(self, run: Evaluation) -> Value:
        """Take in the value of this turn, and return the result."""
        try:
            value = float(self._part(run))
        except Broken:
            self.forget()
            raise
        return self.take(run, value)

    def take(self, run: Evaluation, value: float) -> Value:
        """Return the result with this newest value."""
        raise NotImplementedError

    def forget(self) -> None:
        """Begin anew."""

    def kept(self) -> Kept:
        """Return what the next life needs to go on."""
        return []

    def restore(self, kept: Kept) -> None:
        """Go on with what an earlier life kept."""


class _Last(OverTime):
    """Remembers one value."""

    def __init__(self, part: Node, seconds: float) -> None:
        super().__init__(part, seconds)
        self._now: tuple[int, float] | None = None
        self._then: tuple[int, float] | None = None

    def _step(self, run: Evaluation, value: float) -> tuple[float, float]:
        """Return seconds and growth since the reading before."""
        now = (run.time_us, value)
        if self._now is None or run.time_us > self._now[0]:
            self._then = self._now
        self._now = now
        if self._then is None:
            raise Broken("there is no earlier value yet")
        return (now[0] - self._then[0]) / 1e6, value - self._then[1]

    @override
    def forget(self) -> None:
        self._now = self._then = None

    @override
    def kept(self) -> Kept:
        return [each for each in (self._then, self._now) if each is not None]

    @override
    def restore(self, kept: Kept) -> None:
        ordered = [None, None, *[(int(at), float(value)) for at, value in kept]]
        self._then, self._now = ordered[-2], ordered[-1]


class Delta(_Last):
    """How much a value grew since its last reading."""

    @override
    def take(self, run: Evaluation, value: float) -> Value:
        return self._step(run, value)[1]


class Rate(_Last):
    """How fast a value grows, per second."""

    @override
    def take(self, run: Evaluation, value: float) -> Value:
        seconds, growth = self._step(run, value)
        return growth / seconds


class Integral(OverTime):
    """The sum of a value over time; while it is bad nothing is added."""

    def __init__(self, part: Node, seconds: float) -> None:
        super().__init__(part, seconds)
        self._sum = 0.0
        self._last: tuple[int, float] | None = None

    @override
    def take(self, run: Evaluation, value: float) -> Value:
        if self._last is not None:
            then_us, stood = self._last
            self._sum += stood * max(0, run.time_us - then_us) / 1e6
        self._last = run.time_us, value
        return self._sum

    @override
    def forget(self) -> None:
        self._last = None

    @override
    def kept(self) -> Kept:
        return [(0, self._sum), *([self._last] if self._last else [])]

    @override
    def restore(self, kept: Kept) -> None:
        self._sum = float(kept[0][1])
        self._last = (int(kept[1][0]), float(kept[1][1])) if len(kept) > 1 else None


class _Span(OverTime):
    """Remembers the values of a span, and the one that stood when it began."""

    def __init__(self, part: Node, seconds: float) -> None:
        super().__init__(part, seconds)
        self._values: deque[tuple[int, float]] = deque()

    @override
    def take(self, run: Evaluation, value: float) -> Value:
        begin_us = run.time_us - self._span_us
        values = self._values
        if values and values[-1][0] >= run.time_us:
            self._replaced(values.pop())
        values.append((run.time_us, value))
        self._added(run.time_us, value)
        while len(values) > 1 and values[1][0] <= begin_us:
            self._dropped(values.popleft())
        if len(values) > MOST_VALUES:
            self.forget()
            raise Broken(f"its span holds more than {MOST_VALUES:,} values; shorten it")
        if values[0][0] > begin_us:
            there_s = (run.time_us - values[0][0]) / 1e6
            wanted_s = self._span_us / 1e6
            run.doubt(f"only {there_s:g} of {wanted_s:g} s are known yet")
        return self.result(begin_us, run.time_us)

    def result(self, begin_us: int, end_us: int) -> Value:
        """Return the result of the span."""
        raise NotImplementedError

    def _added(self, time_us: int, value: float) -> None:
        """Take note of a new value, which is in `_values` already."""

    def _dropped(self, gone: tuple[int, float]) -> None:
        """Take note of a value that is too old now."""

    def _replaced(self, gone: tuple[int, float]) -> None:
        """Take note that the newest value had the same time as the next."""

    @override
    def forget(self) -> None:
        self._values.clear()

    @override
    def kept(self) -> Kept:
        return list(self._values)

    @override
    def restore(self, kept: Kept) -> None:
        self.forget()
        for at, value in kept:
            self._values.append((int(at), float(value)))
            self._added(int(at), float(value))


class Mean(_Span):
    """The mean of a span, weighted by how long each value stood.

    Only what changed at the ends is counted anew; the sum is made again now and then,
    so that rounding does not add up.
    """

    def __init__(self, part: Node, seconds: float) -> None:
        super().__init__(part, seconds)
        self._area = 0.0
        self._turns = 0

    @override
    def _added(self, time_us: int, value: float) -> None:
        if len(self._values) > 1:
            then_us, stood = self._values[-2]
            self._area += stood * (time_us - then_us)

    @override
    def _dropped(self, gone: tuple[int, float]) -> None:
        self._area -= gone[1] * (self._values[0][0] - gone[0])

    @override
    def _replaced(self, gone: tuple[int, float]) -> None:
        if self._values:
            then_us, stood = self._values[-1]
            self._area -= stood * (gone[0] - then_us)

    @override
    def result(self, begin_us: int, end_us: int) -> Value:
        self._turns += 1
        if self._turns >= len(self._values):
            self._turns = 0
            self._area = _area(self._values)
        first_us, first = self._values[0]
        before = first * max(0, begin_us - first_us)
        long_us = end_us - max(begin_us, first_us)
        return (self._area - before) / long_us if long_us else self._values[-1][1]

    @override
    def forget(self) -> None:
        super().forget()
        self._area = 0.0


class _Extreme(_Span):
    """The lowest or highest of a span: only values that can still become it stay."""

    sign = 1.0

    def __init__(self, part: Node, seconds: float) -> None:
        super().__init__(part, seconds)
        self._ahead: deque[tuple[int, float]] = deque()

    @override
    def _added(self, time_us: int, value: float) -> None:
        while self._ahead and self._ahead[-1][1] * self.sign <= value * self.sign:
            self._ahead.pop()
        self._ahead.append((time_us, value))

    @override
    def _dropped(self, gone: tuple[int, float]) -> None:
        while self._ahead[0][0] <= gone[0]:
            self._ahead.popleft()

    @override
    def _replaced(self, gone: tuple[int, float]) -> None:
        # What it had pushed out is wanted again.
        kept, self._ahead = list(self._values), deque()
        for at, value in kept:
            self._added(at, value)

    @override
    def result(self, begin_us: int, end_us: int) -> Value:
        return self._ahead[0][1]

    @override
    def forget(self) -> None:
        super().forget()
        self._ahead.clear()


class Highest(_Extreme):
    """The highest of a span."""


class Lowest(_Extreme):
    """The lowest of a span."""

    sign = -1.0


class Before(_Span):
    """What a value was so many seconds ago."""

    @override
    def result(self, begin_us: int, end_us: int) -> Value:
        if self._values[0][0] > begin_us:
            raise Broken("so long ago nothing was known of it yet")
        return self._values[0][1]


def _area(values: Iterable[tuple[int, float]]) -> float:
    steps = pairwise(values)
    return sum(stood * (then - now) for (now, stood), (then, _) in steps)
