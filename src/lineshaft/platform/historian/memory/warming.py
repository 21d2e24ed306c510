"""After a start, bring the recent past back into memory, the newest part first.

Until a part is there, questions about it are answered from the table: right, but not
as fast.
"""

import asyncio
import time

from lineshaft.platform.historian.arrow import from_table, names_of
from lineshaft.platform.historian.block import Block
from lineshaft.platform.historian.memory.hot import Hot
from lineshaft.platform.historian.memory.packed import Packed, pack
from lineshaft.platform.historian.store.table import Snapshot

PART_US = 300_000_000
"""Source time that is read at once; all points of a big plant say about a million."""


async def warm(hot: Hot, snapshot: Snapshot, window_s: float) -> None:
    """Bring back what lies within the window before the last reading.

    `snapshot` is the table as the earlier life left it. `Unreachable` when it cannot
    be read.
    """
    span = await asyncio.to_thread(snapshot.span_us)
    if span is None:
        return
    end = span[1] + 1
    begin = max(end - int(window_s * 1e6), span[0])
    while end > begin and hot.has_room():
        start = max(end - PART_US, begin)
        table = await asyncio.to_thread(snapshot.between, start, end)
        names, positions = names_of(table)
        if not names:
            hot.warm(None, start, time.time_ns() // 1000)
        else:
            numbers = hot.numbers(names, [_unit(hot, name) for name in names])
            block = await asyncio.to_thread(from_table, table)
            block.columns.point[:] = numbers[positions]
            packed = await asyncio.to_thread(_packed, block)
            hot.warm(packed, start, time.time_ns() // 1000)
        end = start


def _unit(hot: Hot, name: str) -> str:
    """Return the unit as it is now, which the past does not change."""
    number = hot.points.number(name)
    return "" if number is None else hot.points.units[number]


def _packed(block: Block) -> Packed:
    return pack(block.sorted())
