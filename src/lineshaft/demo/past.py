"""A week of history, made at the first start and sent the way all readings go.

The machines' values are functions of the time, so the past fits the present. Once a
day a machine was cut off for a while, so that there are gaps to be seen.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lineshaft.core.bus import Publishes
from lineshaft.core.errors import Unreachable
from lineshaft.core.frame import KIND_NONE, Columns, Frame, encode_frame, pack_values
from lineshaft.core.name import place_of, subject_of
from lineshaft.core.point import Point
from lineshaft.core.reading import GOOD, Status, Value, bad
from lineshaft.demo.machines import MACHINES, PLACE
from lineshaft.network.drivers.modbus.meters import UNITS
from lineshaft.network.drivers.modbus.meters import values_at as meter_values
from lineshaft.network.drivers.mqtt.sparkplug.skid import Skid
from lineshaft.network.drivers.opcua.simulator.press import PRESSES
from lineshaft.network.drivers.opcua.simulator.press import values_at as press_values

DAYS = 7
STEP_S = 20
_DAY_S = 86_400
_CUT_OFF_S = 600
_STATUSES: tuple[Status, ...] = (GOOD, bad("the machine was cut off"))
_MADE = "week-of-history"
_PAUSE_S = 0.05
"""Between parts, so that the present is not kept waiting for the past."""

Values = Mapping[str, Value]
"""The values of a machine at one time, by the names of its points."""


async def tell_the_past(bus: Publishes, home: Path) -> None:
    """Publish the week before the first start; once it is there, do nothing.

    Interrupted, it begins again at the next start, and what is there stays single:
    each part has a number that the historian knows.
    """
    begun, made = home / f"{_MADE}.begun", home / f"{_MADE}.made"
    if made.exists():
        return
    if not begun.exists():
        begun.write_text(str(int(time.time()) // STEP_S * STEP_S))
    end_s = int(begun.read_text())
    for number, (points, values) in enumerate(_machines(), 1):
        for day in range(DAYS):
            start_s = end_s - (DAYS - day) * _DAY_S
            frames = await asyncio.to_thread(
                _day, points, values, (number, end_s), start_s
            )
            for frame in frames:
                await _publish(bus, frame)
                await asyncio.sleep(_PAUSE_S)
    made.touch()


async def _publish(bus: Publishes, frame: Frame) -> None:
    subject, data = subject_of(place_of(frame.names[0])), encode_frame(frame)
    while True:
        try:
            await bus.publish(subject, data, frame.id)
        except Unreachable:
            await asyncio.sleep(1.0)
        else:
            return


def _machines() -> Iterator[
    tuple[Sequence[Point], Callable[[Sequence[int]], list[Values]]]
]:
    """Yield the points of each machine, and what gives their values at times."""
    press, meters, skid = (machine.points for machine in MACHINES)
    for number in PRESSES:
        place = f"{PLACE}/forge/line1/press{number}"
        yield _in(press, place), _stateless(place, number, press_values)
    for unit in UNITS:
        place = f"{PLACE}/energy/meter{unit}"
        yield _in(meters, place), _stateless(place, unit, meter_values)
    yield skid, _skid


def _in(points: Sequence[Point], place: str) -> list[Point]:
    return [point for point in points if place_of(point.name) == place]


def _stateless(
    place: str, number: int, values_at: Callable[[int, float], Mapping[str, Value]]
) -> Callable[[Sequence[int]], list[Values]]:
    def values(times_s: Sequence[int]) -> list[Values]:
        return [
            {f"{place}/{name}": value for name, value in values_at(number, t).items()}
            for t in times_s
        ]

    return values


def _skid(times_s: Sequence[int]) -> list[Values]:
    skid = Skid(seed=times_s[0])
    rows: list[Values] = []
    for _ in times_s:
        said = skid.step(STEP_S, None)
        rows.append(
            {
                "/".join(filter(None, (f"{PLACE}/water/skid1", device, name))): value
                for device, metrics in said.items()
                for name, value in metrics.items()
            }
        )
    return rows


def _day(
    points: Sequence[Point],
    values: Callable[[Sequence[int]], list[Values]],
    part: tuple[int, int],
    start_s: int,
) -> list[Frame]:
    """Return a day of a machine, one frame for each of its points' places."""
    number, end_s = part
    times_s = range(start_s, start_s + _DAY_S, STEP_S)
    rows = values(times_s)
    cut_off = _cut_off(times_s, number)
    places: dict[str, list[Point]] = {}
    for point in points:
        places.setdefault(place_of(point.name), []).append(point)
    frames = []
    for place, inside in enumerate(places.values()):
        first = (start_s - end_s) // _DAY_S + DAYS
        frames.append(
            _frame(
                inside,
                rows,
                (np.array(times_s) * 1_000_000, cut_off),
                f"import/demo-{number}-{place}",
                (str(end_s), first + 1),
            )
        )
    return frames


def _cut_off(times_s: Sequence[int], number: int) -> NDArray[np.bool_]:
    """Return when the machine could not be reached: each day at another hour."""
    times = np.array(times_s)
    day = times // _DAY_S
    begin = (day * 7 + number * 5) % 22 * 3600 + 1800
    since = times % _DAY_S - begin
    return np.asarray((since >= 0) & (since < _CUT_OFF_S), bool)


def _frame(
    points: Sequence[Point],
    rows: Sequence[Values],
    when: tuple[NDArray[np.int64], NDArray[np.bool_]],
    device: str,
    part: tuple[str, int],
) -> Frame:
    times, cut_off = when
    # Of the time without a connection only its first moment is heard, as BAD.
    heard = ~cut_off | (np.diff(cut_off, prepend=False) & cut_off)
    values = [row.get(point.name) for point in points for row in rows]
    kind, bits, texts = pack_values(values)
    lost = np.tile(cut_off, len(points))
    kind[lost], bits[lost] = KIND_NONE, 0
    columns = Columns(
        np.repeat(np.arange(len(points), dtype=np.uint32), len(rows)),
        np.tile(times, len(points)),
        kind,
        bits,
        lost.astype(np.uint16),
    )
    epoch, number = part
    return Frame(
        device,
        epoch,
        number,
        tuple(point.name for point in points),
        tuple(point.unit for point in points),
        texts,
        _STATUSES,
        columns.take(np.tile(heard, len(points))),
    )
