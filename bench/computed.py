"""How many changes of inputs computed points keep up with, and what each costs.

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`. A thousand
expressions of several kinds over two thousand inputs; frames of a hundred readings,
from the bytes on the bus to the results, in one process.
"""

import time

from lineshaft.core.frame import decode_frame, encode_frame
from lineshaft.core.point import Kind, Point
from lineshaft.platform.computed.engine import Engine
from lineshaft.platform.computed.plan import formulas
from support.frames import frame

Row = dict[str, object]
FORMULAS, PER_FRAME, SECONDS = 1000, 100, 20
RATE = 10_000
"""Changes of inputs a second that must fit into one core."""
PLACE = "bench/site/line"
KINDS_OF = (
    "{{a{n}}} * 2 + {{b{n}}}",
    "choose({{a{n}}} > 50, {{b{n}}}, 0)",
    "mean({{a{n}}}, 60)",
    "highest({{a{n}}}, 60) - lowest({{b{n}}}, 60)",
    "integral({{a{n}}}) / 3600 + rate({{b{n}}})",
)


def engine() -> Engine:
    """Return the expressions, a fifth of each kind."""
    inputs = [f"{PLACE}/{each}{n}" for n in range(FORMULAS) for each in "ab"]
    points = [
        Point(
            name=f"{PLACE}/c{n}",
            address=KINDS_OF[n % len(KINDS_OF)].format(n=n),
        )
        for n in range(FORMULAS)
    ]
    kinds = dict.fromkeys([*inputs, *(point.name for point in points)], Kind.FLOAT)
    return Engine(formulas(points, kinds), 60.0)


def messages() -> list[bytes]:
    """Return the frames of so many seconds, as they are on the bus."""
    made = []
    for number in range(RATE * SECONDS // PER_FRAME):
        first = number * PER_FRAME // 2 % FORMULAS
        time_us = 1_790_000_000_000_000 + number * PER_FRAME * 1_000_000 // RATE
        said = [
            (f"{PLACE}/{each}{first + n}", time_us, float((number * 7 + n) % 100))
            for n in range(PER_FRAME // 2)
            for each in "ab"
        ]
        made.append(encode_frame(frame(said, number=number)))
    return made


def rows() -> list[Row]:
    """Compute it all, and say what it took."""
    computing, said = engine(), messages()
    results, began = 0, time.process_time()
    for data in said:
        results += len(computing.take(decode_frame(data)))
    took_s = time.process_time() - began
    changes = RATE * SECONDS
    share = took_s / SECONDS
    return [
        _row("processor time a change", took_s / changes * 1e6, "us", None),
        _row("results of those changes", results, "results", None),
        _row(f"cores for {RATE:,} changes a second", share, "cores", 1.0),
    ]


def _row(name: str, value: float, unit: str, bar: float | None) -> Row:
    ok = bar is None or value <= bar
    return {"name": name, "value": value, "unit": unit, "bar": bar, "ok": ok}
