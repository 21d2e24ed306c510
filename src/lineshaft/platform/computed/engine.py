"""What the plant says, and what is computed from it, in the order of the stream."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lineshaft.core.frame import Frame
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Quality, Status, Value, bad
from lineshaft.platform.computed.evaluation import NOT_YET, Broken, Turn, describe
from lineshaft.platform.computed.plan import Formula

_INT64 = range(-(1 << 63), 1 << 63)


class Result(NamedTuple):
    """A new reading of a computed point."""

    formula: int
    """Position among the formulas."""
    value: Value | None
    status: Status
    time_us: int


class Known(NamedTuple):
    """What a point said last."""

    value: Value | None
    status: Status
    time_us: int


class Engine:
    """Computes whatever depends on what has changed.

    An input that is older than what it said before is the past, and changes nothing.
    A result bears the newest source time of its inputs; the times of a point's results
    rise, by a microsecond at least. The same result is told again when its time has
    gone on by the heartbeat.
    """

    def __init__(self, formulas: Sequence[Formula], heartbeat_s: float) -> None:
        self.formulas = formulas
        inputs = dict.fromkeys(n for f in formulas for n in f.program.inputs)
        own = {f.point.name: None for f in formulas}
        self.names = [*(n for n in inputs if n not in own), *own]
        """Every point that is known here; computed ones stand last, in their order."""
        self._at = {name: at for at, name in enumerate(self.names)}
        self._first = len(self.names) - len(formulas)
        self._heartbeat_us = int(heartbeat_s * 1e6)
        self._values: list[Value | None] = [None] * len(self.names)
        self._statuses: list[Status] = [NOT_YET] * len(self.names)
        self._times = [0] * len(self.names)
        self._said: dict[int, Status] = {}
        """What a point said of itself while nobody vouches for it."""
        self._told: list[Known | None] = [None] * len(formulas)
        self._places = [
            tuple(self._at[name] for name in f.program.inputs) for f in formulas
        ]
        self._needed_by = self._reach()
        self._turn = Turn(self.names, self._values, self._statuses)
        self._tables: dict[tuple[str, ...], list[int]] = {}

    def take(self, frame: Frame) -> list[Result]:
        """Take in a frame; return the new results, in the order of their times."""
        places = self._places_of(frame.names)
        if frame.is_import or not any(at >= 0 for at in places):
            return []
        columns = frame.columns
        rows = zip(
            columns.time.tolist(),
            columns.point.tolist(),
            columns.values(frame.texts),
            columns.status.tolist(),
            strict=True,
        )
        news = [
            (time_us, places[point], value, frame.statuses[status])
            for time_us, point, value, status in rows
            if places[point] >= 0
        ]
        news.sort(key=lambda row: row[0])
        return self._take_in_order(news)

    def recall(self, lasts: Frame) -> None:
        """Begin with what the historian knows of points that have not been heard."""
        for reading in lasts.readings():
            at = self._at.get(reading.name)
            if at is None or self._times[at]:
                continue
            said = Known(reading.value, reading.status, reading.time_us)
            if at < self._first:
                self._set(at, *said)
            else:
                self._told[at - self._first] = said

    def all(self) -> list[Result]:
        """Compute everything; return what is new."""
        return self._compute(range(len(self.formulas)))

    def doubt(self, names: Iterable[str], status: Status | None) -> list[Result]:
        """Let nobody vouch for points, or somebody again (None); return what is new."""
        touched: set[int] = set()
        for name in names:
            at = self._at.get(name)
            if at is None or at >= self._first:
                continue
            if status is None:
                self._statuses[at] = self._said.pop(at, self._statuses[at])
            elif at not in self._said:
                self._said[at] = self._statuses[at]
                if self._statuses[at].quality is Quality.GOOD:
                    self._statuses[at] = status
            touched.update(self._needed_by[at])
        return self._compute(sorted(touched))

    def knows(self, name: str) -> bool:
        """Whether a formula needs this point."""
        return name in self._at

    def told(self, position: int) -> Known | None:
        """Return what was told last of a formula's point."""
        return self._told[position]

    def tell_again(self, newest: Mapping[str, int]) -> None:
        """Take results for told that we know nothing of but their times (us)."""
        for position, formula in enumerate(self.formulas):
            time_us = newest.get(formula.point.name, 0)
            told = self._told[position]
            if told is None or told.time_us < time_us:
                self._told[position] = (
                    Known(None, NOT_YET, time_us) if time_us else told
                )

    def inputs(self) -> dict[str, Known]:
        """Return what each input said last, if anything."""
        return {
            self.names[at]: Known(
                self._values[at],
                self._said.get(at, self._statuses[at]),
                self._times[at],
            )
            for at in range(self._first)
            if self._times[at]
        }

    def restore(self, inputs: dict[str, Known], told: dict[str, Known]) -> None:
        """Go on with what an earlier life knew; unknown names are passed over."""
        for name, said in inputs.items():
            at = self._at.get(name, self._first)
            if at < self._first:
                self._set(at, *said)
        for position, formula in enumerate(self.formulas):
            if formula.point.name in told:
                self._told[position] = told[formula.point.name]
                self._set(self._first + position, *told[formula.point.name])

    def _reach(self) -> list[tuple[int, ...]]:
        """Return for each point all formulas that depend on it, in their order."""
        needs: list[set[int]] = [set() for _ in self.names]
        for position in reversed(range(len(self.formulas))):
            own = self._first + position
            for at in self._places[position]:
                needs[at] |= {position, *needs[own]}
        return [tuple(sorted(each)) for each in needs]

    def _places_of(self, names: tuple[str, ...]) -> list[int]:
        """Return where the inputs of a frame are; -1 for whatever nobody needs."""
        known = self._tables.get(names)
        if known is None:
            if len(self._tables) > 4096:  # noqa: PLR2004  # frames repeat a few tables
                self._tables.clear()
            known = [self._at.get(name, self._first) for name in names]
            known = [at if at < self._first else -1 for at in known]
            self._tables[names] = known
        return known

    def _take_in_order(
        self, news: list[tuple[int, int, Value | None, Status]]
    ) -> list[Result]:
        results: list[Result] = []
        touched: set[int] = set()
        moment = news[0][0] if news else 0
        for time_us, at, value, status in news:
            if time_us < self._times[at]:
                continue
            if time_us != moment and touched:
                results += self._compute(sorted(touched))
                touched.clear()
            moment = time_us
            self._set(at, value, status, time_us)
            touched.update(self._needed_by[at])
        return results + self._compute(sorted(touched))

    def _set(self, at: int, value: Value | None, status: Status, time_us: int) -> None:
        self._values[at], self._times[at] = value, time_us
        self._said.pop(at, None)  # who speaks needs nobody to vouch for him
        self._statuses[at] = status

    def _compute(self, positions: Iterable[int]) -> list[Result]:
        results = []
        for position in positions:
            newest_us = max(
                (self._times[at] for at in self._places[position]), default=0
            )
            if not newest_us:
                continue
            value, status = self._run(position, newest_us)
            self._set(self._first + position, value, status, newest_us)
            if self._is_news(position, Known(value, status, newest_us)):
                before = self._told[position]
                time_us = max(newest_us, before.time_us + 1 if before else 0)
                self._told[position] = Known(value, status, time_us)
                results.append(Result(position, value, status, time_us))
        return results

    def _run(self, position: int, time_us: int) -> tuple[Value | None, Status]:
        formula, turn = self.formulas[position], self._turn
        turn.begin(self._places[position], time_us)
        try:
            value = fitting(formula.program.run(turn), formula.point)
        except Broken as trouble:
            return None, bad(str(trouble))
        except ZeroDivisionError:
            return None, bad("it is divided by zero")
        except (ArithmeticError, ValueError) as trouble:
            return None, bad(f"it cannot be computed: {trouble}")
        return value, turn.status(GOOD)

    def _is_news(self, position: int, now: Known) -> bool:
        before = self._told[position]
        if before is None or now.status != before.status:
            return True
        if now.time_us - before.time_us >= self._heartbeat_us:
            return True
        if type(now.value) is not type(before.value):
            return True
        deadband = self.formulas[position].point.deadband
        if deadband and isinstance(now.value, int | float):
            return abs(now.value - float(before.value or 0)) >= deadband
        return now.value != before.value


def fitting(value: Value, point: Point) -> Value:
    """Return a result in the type of its point; `Broken` when it does not fit."""
    if point.type is Kind.STRING:
        if isinstance(value, str):
            return value
    elif isinstance(value, str):
        pass
    elif not math.isfinite(value):
        raise Broken(f"the result is {value}, which is no number")
    elif point.type is Kind.FLOAT:
        return float(value)
    elif point.type is Kind.BOOL and value in (0, 1):
        return bool(value)
    elif point.type is Kind.INT and value == int(value) and int(value) in _INT64:
        return int(value)
    raise Broken(f"the result {describe(value)} is no {point.type.value}")


def newest_of(frames: Iterable[Frame], device: str) -> dict[str, int]:
    """Return the newest time (us) of each point in the frames of a device."""
    newest: dict[str, int] = {}
    for frame in frames:
        if frame.device != device:
            continue
        columns = frame.columns
        for number in np.unique(columns.point).tolist():
            time_us = int(columns.time[columns.point == number].max())
            name = frame.names[number]
            newest[name] = max(newest.get(name, 0), time_us)
    return newest
