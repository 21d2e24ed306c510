"""Publishes numbered readings, and writes down each number that was confirmed.

    python generator.py BUS_URL HOME

Frame number n holds, of each point, the values `n * EACH` to `n * EACH + EACH - 1`.
A line of the log is written after the outbox has returned and not before, so whatever
the log says must be in the historian, exactly once, whoever is killed. Started again,
it goes on behind the last line.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import numpy as np

from lineshaft.core.bus.nats import open_bus
from lineshaft.core.frame import KIND_INT, Columns, Frame, encode_frame
from lineshaft.core.reading import GOOD
from lineshaft.network.outbox import Parcel, open_outbox

PLACE = "torture/generator"
POINTS, EACH, PER_SECOND = 10, 5, 100
BEGIN_US = 1_790_000_000_000_000
NAMES = tuple(f"{PLACE}/p{point}" for point in range(POINTS))
BUS_BYTES = 8 << 30
OUTBOX_BYTES = 256 << 20


def times(values: np.ndarray) -> np.ndarray:
    """Return the source time of each value."""
    return BEGIN_US + values * 1000


def frame(number: int) -> Frame:
    """Return frame `number`, always the same."""
    values = np.tile(np.arange(EACH, dtype=np.int64) + number * EACH, POINTS)
    count = len(values)
    columns = Columns(
        np.repeat(np.arange(POINTS, dtype=np.uint32), EACH),
        times(values),
        np.full(count, KIND_INT, np.uint8),
        values,
        np.zeros(count, np.uint16),
    )
    units = ("",) * POINTS
    return Frame("generator", "only", number, NAMES, units, (), (GOOD,), columns)


def confirmed(home: Path) -> int:
    """Return how many frames the log says are confirmed."""
    log = home / "confirmed.log"
    if not log.exists():
        return 0
    # A line that was cut off by a kill is not counted.
    lines = log.read_bytes().split(b"\n")[:-1]
    return int(lines[-1]) + 1 if lines else 0


async def run(url: str, home: Path) -> None:
    """Publish until SIGTERM, then wait until the outbox is empty."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    home.mkdir(parents=True, exist_ok=True)
    number = confirmed(home)
    log = os.open(home / "confirmed.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with (
        open_bus(url, most_bytes=BUS_BYTES, patience_s=0) as bus,
        open_outbox(bus, home / "outbox.sqlite", OUTBOX_BYTES) as outbox,
    ):
        sending = asyncio.ensure_future(outbox.run())
        while not ending.is_set():
            said = frame(number)
            subject = f"readings.{PLACE.replace('/', '.')}"
            parcel = Parcel(subject, encode_frame(said), said.id, len(said))
            await outbox.post(parcel)
            os.write(log, f"{number}\n".encode())
            number += 1
            await asyncio.sleep(1 / PER_SECOND)
        while outbox.waiting:  # noqa: ASYNC110  it rings no bell
            await asyncio.sleep(0.05)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
