"""Frames made by hand, for tests."""

from collections.abc import Sequence

import numpy as np

from lineshaft.core.frame import Columns, Frame, pack_values
from lineshaft.core.reading import GOOD, Status, Value

Row = tuple[str, int, Value | None]


def frame(
    rows: Sequence[Row],
    *,
    number: int = 1,
    device: str = "press",
    epoch: str = "e",
    statuses: Sequence[Status] | None = None,
    unit: str = "mm",
) -> Frame:
    """Return a frame of `(name, time_us, value)` rows, in their order."""
    names = list(dict.fromkeys(name for name, _, _ in rows))
    given = list(statuses) if statuses is not None else [GOOD] * len(rows)
    table = list(dict.fromkeys(given))
    kind, bits, texts = pack_values([value for _, _, value in rows])
    columns = Columns(
        np.array([names.index(name) for name, _, _ in rows], np.uint32),
        np.array([time for _, time, _ in rows], np.int64),
        kind,
        bits,
        np.array([table.index(status) for status in given], np.uint16),
    )
    return Frame(
        device,
        epoch,
        number,
        tuple(names),
        (unit,) * len(names),
        texts,
        tuple(table),
        columns,
    )
