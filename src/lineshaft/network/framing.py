"""From shaped columns to frames on subjects, one per place of the plant."""

import secrets
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.frame import KIND_STRING, Columns, Frame, encode_frame
from lineshaft.core.name import place_of, subject_of
from lineshaft.core.point import Point
from lineshaft.core.reading import Status
from lineshaft.network.outbox import Parcel

MOST_READINGS = 5_000
MOST_BYTES = 900_000
"""Below the message size that a NATS cluster takes when nobody set it."""


class Framer:
    """Makes the numbered frames of one connection."""

    def __init__(self, device: str, points: Sequence[Point]) -> None:
        self._device = device
        self._names = [point.name for point in points]
        self._units = [point.unit for point in points]
        places = {place_of(name): None for name in self._names}
        self._subjects = [subject_of(place) for place in places]
        numbers = {place: number for number, place in enumerate(places)}
        self._place = np.array([numbers[place_of(n)] for n in self._names], np.intp)
        self._epoch = secrets.token_hex(6)
        self._number = 0

    def parcels(
        self, columns: Columns, texts: Sequence[str], statuses: Sequence[Status]
    ) -> Iterator[Parcel]:
        """Yield the readings as messages, each point's in their order.

        `bits` of strings are positions in `texts`, `status` in `statuses`.
        """
        places = self._place[columns.point]
        for place in np.unique(places):
            rows = np.flatnonzero(places == place)
            for start in range(0, len(rows), MOST_READINGS):
                part = columns.take(rows[start : start + MOST_READINGS])
                yield from self._pack(self._subjects[place], part, texts, statuses)

    def _pack(
        self,
        subject: str,
        columns: Columns,
        texts: Sequence[str],
        statuses: Sequence[Status],
    ) -> Iterator[Parcel]:
        frame = self._frame(columns, texts, statuses)
        data = encode_frame(frame)
        if len(data) > MOST_BYTES and len(columns) > 1:
            half = len(columns) // 2
            yield from self._pack(subject, columns.take(slice(half)), texts, statuses)
            rest = columns.take(slice(half, None))
            yield from self._pack(subject, rest, texts, statuses)
            return
        self._number += 1
        yield Parcel(subject, data, frame.id, len(frame))

    def _frame(
        self, columns: Columns, texts: Sequence[str], statuses: Sequence[Status]
    ) -> Frame:
        points, point = _used(columns.point)
        reasons, status = _used(columns.status)
        bits = columns.bits
        strings = columns.kind == KIND_STRING
        said: list[int] = []
        if strings.any():
            bits = bits.copy()
            said, bits[strings] = _used(bits[strings])
        return Frame(
            self._device,
            self._epoch,
            self._number + 1,
            tuple(self._names[each] for each in points),
            tuple(self._units[each] for each in points),
            tuple(texts[each] for each in said),
            tuple(statuses[each] for each in reasons),
            Columns(
                point.astype(np.uint32),
                columns.time,
                columns.kind,
                bits,
                status.astype(np.uint16),
            ),
        )


def _used(positions: NDArray[np.integer]) -> tuple[list[int], NDArray[np.int64]]:
    """Return the table positions in use, and each row's position among those."""
    table, rows = np.unique(positions, return_inverse=True)
    return table.tolist(), rows.astype(np.int64)
