"""From results to frames, one per place, published in their order."""

import asyncio
import logging
import secrets
from collections.abc import Sequence

import numpy as np

from lineshaft.core.bus import Publishes
from lineshaft.core.errors import Unreachable
from lineshaft.core.frame import Columns, Frame, encode_frame, pack_values
from lineshaft.core.name import place_of, subject_of
from lineshaft.core.point import Point
from lineshaft.core.reading import Status
from lineshaft.platform.computed.engine import Result
from lineshaft.platform.computed.settings import DEVICE

log = logging.getLogger(__name__)

RETRY_S = 1.0
MOST_READINGS = 5_000


class Teller:
    """Publishes results: each call returns when the bus has confirmed them."""

    def __init__(self, points: Sequence[Point], bus: Publishes) -> None:
        self._points = points
        self._bus = bus
        self._epoch = secrets.token_hex(6)
        self._number = 0
        self.trouble = ""
        """Why results wait; empty while all is well."""

    async def tell(self, results: Sequence[Result]) -> None:
        """Publish, and try again until it is done."""
        by_place: dict[str, list[Result]] = {}
        for result in results:
            place = place_of(self._points[result.formula].name)
            by_place.setdefault(place, []).append(result)
        for place, some in by_place.items():
            for start in range(0, len(some), MOST_READINGS):
                await self._publish(place, some[start : start + MOST_READINGS])

    async def _publish(self, place: str, results: Sequence[Result]) -> None:
        self._number += 1
        frame = self._frame(results)
        data = encode_frame(frame)
        while True:
            try:
                await self._bus.publish(subject_of(place), data, frame.id)
            except Unreachable as trouble:
                if not self.trouble:
                    log.warning("results of computed points wait: %s", trouble)
                self.trouble = str(trouble)
                await asyncio.sleep(RETRY_S)
            else:
                self.trouble = ""
                return

    def _frame(self, results: Sequence[Result]) -> Frame:
        table = {result.formula: None for result in results}
        position = {formula: at for at, formula in enumerate(table)}
        statuses: dict[Status, int] = {}
        status = [statuses.setdefault(r.status, len(statuses)) for r in results]
        kind, bits, texts = pack_values([result.value for result in results])
        points = [self._points[formula] for formula in table]
        return Frame(
            DEVICE,
            self._epoch,
            self._number,
            tuple(point.name for point in points),
            tuple(point.unit for point in points),
            texts,
            tuple(statuses),
            Columns(
                np.array([position[r.formula] for r in results], np.uint32),
                np.array([result.time_us for result in results], np.int64),
                kind,
                bits,
                np.array(status, np.uint16),
            ),
        )
