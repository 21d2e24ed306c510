"""The rows of a frame, one by one, as the API shows them."""

from collections.abc import Sequence

import msgspec
import numpy as np

from lineshaft.core.frame import (
    KIND_BOOL,
    KIND_FLOAT,
    KIND_NONE,
    KIND_STRING,
    Frame,
)
from lineshaft.core.reading import Reading, Value
from lineshaft.web.shapes import ReadingView, times


class Rows:
    """The readings of a frame as JSON, each made once for all pages, if wanted."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._points: list[int] | None = None
        self._made: list[msgspec.Raw] = []

    def chosen(self, names: frozenset[str]) -> Sequence[msgspec.Raw]:
        """Return the readings of these points, in their order."""
        table = self._frame.names
        if names.isdisjoint(table):
            return ()
        made = self._json()
        if names.issuperset(table):
            return made
        if self._points is None:
            self._points = self._frame.columns.point.tolist()
        places = {place for place, name in enumerate(table) if name in names}
        return [made[r] for r, point in enumerate(self._points) if point in places]

    def _json(self) -> list[msgspec.Raw]:
        if not self._made:
            encode = msgspec.json.encode
            self._made = [msgspec.Raw(encode(each)) for each in _views(self._frame)]
        return self._made


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
