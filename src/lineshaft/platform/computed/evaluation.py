"""One turn of an expression: what it reads, and how far the result can be trusted."""

from collections.abc import Callable, Sequence
from textwrap import shorten
from typing import Protocol

from lineshaft.core.reading import Quality, Status, Value, bad, uncertain

_LONGEST_QUOTE = 40
NOT_YET = bad("it has said nothing yet")


class Broken(Exception):
    """There is no result; the text says why."""


class Evaluation(Protocol):
    """What the parts of an expression know while it is evaluated."""

    time_us: int
    """Source time of the newest of its inputs."""

    def read(self, place: int) -> Value:
        """Return the value of an input; `Broken` if it has none."""

    def doubt(self, reason: str) -> None:
        """Let the result be uncertain."""


Node = Callable[[Evaluation], Value]


class Turn:
    """An `Evaluation` over lists of all values and statuses of the plant's points."""

    __slots__ = ("_names", "_places", "_statuses", "_values", "doubts", "time_us")

    def __init__(
        self,
        names: Sequence[str],
        values: Sequence[Value | None],
        statuses: Sequence[Status],
    ) -> None:
        self._names, self._values, self._statuses = names, values, statuses
        self._places: Sequence[int] = ()
        self.time_us = 0
        self.doubts = ""

    def begin(self, places: Sequence[int], time_us: int) -> None:
        """Begin with the expression whose inputs lie at `places`."""
        self._places, self.time_us, self.doubts = places, time_us, ""

    def read(self, place: int) -> Value:
        """Return the value of an input; `Broken` if it is bad or has none."""
        at = self._places[place]
        quality, reason = self._statuses[at]
        value = self._values[at]
        if quality is Quality.BAD or value is None:
            raise Broken(f"{self._names[at]}: {reason or 'it has no value'}")
        if quality is Quality.UNCERTAIN:
            self.doubt(f"{self._names[at]}: {reason or 'it is uncertain'}")
        return value

    def doubt(self, reason: str) -> None:
        """Let the result be uncertain; the first reason is told."""
        self.doubts = self.doubts or reason

    def status(self, good: Status) -> Status:
        """Return the status of the result."""
        return uncertain(self.doubts) if self.doubts else good


def describe(value: object) -> str:
    """Return a value as it stands in a reason."""
    return shorten(repr(value), _LONGEST_QUOTE, placeholder="...")
