"""The rows of a frame, one by one, as the API shows them."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import (
    KIND_BOOL,
    KIND_FLOAT,
    KIND_NONE,
    KIND_STRING,
    Frame,
)
from lineshaft.core.reading import Reading, Value
from lineshaft.web.shapes import ReadingView, times

MOST_SHARED = 5_000


class Rows:
    """The readings of a frame as JSON, made once for all pages, and only if wanted.

    A frame with very many readings, such as one that brings the past, is not made
    for all: each page has its own part of it made.
    """

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._points: list[int] | None = None
        self._made: list[msgspec.Raw] = []

    def count(self, names: frozenset[str]) -> int:
        """Return at most how many readings `chosen` returns."""
        if len(self._frame) <= MOST_SHARED:
            return len(self._frame)
        return int(np.isin(self._frame.columns.point, self._places(names)).sum())

    def chosen(self, names: frozenset[str]) -> Sequence[msgspec.Raw]:
        """Return the readings of these points, in their order."""
        frame = self._frame
        if names.isdisjoint(frame.names):
            return ()
        places = self._places(names)
        if len(frame) > MOST_SHARED:
            return _json(_part(frame, np.isin(frame.columns.point, places)))
        if not self._made:
            self._made = _json(frame)
        if len(places) == len(frame.names):
            return self._made
        if self._points is None:
            self._points = frame.columns.point.tolist()
        wanted = set(places)
        rows = zip(self._made, self._points, strict=True)
        return [made for made, point in rows if point in wanted]

    def _places(self, names: frozenset[str]) -> list[int]:
        return [p for p, name in enumerate(self._frame.names) if name in names]


def _json(frame: Frame) -> list[msgspec.Raw]:
    encode = msgspec.json.encode
    return [msgspec.Raw(encode(each)) for each in _views(frame)]


def _part(frame: Frame, rows: NDArray[np.bool_]) -> Frame:
    return replace(frame, columns=frame.columns.take(rows))


def _views(frame: Frame) -> list[ReadingView]:
    columns, names, units = frame.columns, frame.names, frame.units
    statuses = frame.statuses
    rows = zip(
        columns.point.tolist(),
        columns.values(frame.texts),
        columns.status.tolist(),
        times(columns.time),
        strict=True,
    )
    return [
        ReadingView(
            names[point],
            value,
            statuses[status][0],
            statuses[status][1],
            time,
            units[point],
        )
        for point, value, status, time in rows
    ]


def reading_at(frame: Frame, row: int) -> Reading:
    """Return one reading of a frame."""
    columns = frame.columns
    point = columns.point[row]
    return Reading(
        frame.names[point],
        _value(frame, row),
        frame.statuses[columns.status[row]],
        int(columns.time[row]),
        frame.units[point],
    )


def _value(frame: Frame, row: int) -> Value | None:
    kind, bits = int(frame.columns.kind[row]), int(frame.columns.bits[row])
    if kind == KIND_FLOAT:
        return float(frame.columns.bits.view(np.float64)[row])
    if kind == KIND_NONE:
        return None
    if kind == KIND_STRING:
        return frame.texts[bits]
    return bool(bits) if kind == KIND_BOOL else bits
