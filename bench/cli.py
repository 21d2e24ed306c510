"""How soon the command line answers, as a whole process.

    python bench/cli.py

`rows()` returns what `make bench` collects: `{name, value, unit, bar, ok}`.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

Row = dict[str, object]
RUNS = 10
MOST_MS = 150.0
PROGRAM = Path(sys.executable).parent / "lineshaft"


def _run_ms() -> float:
    began = time.perf_counter()
    done = subprocess.run([PROGRAM, "--version"], capture_output=True, check=True)
    took = time.perf_counter() - began
    assert done.stdout.startswith(b"lineshaft ")
    return took * 1000


def rows() -> list[Row]:
    """Return the median of ten runs of `lineshaft --version`."""
    value = statistics.median(_run_ms() for _ in range(RUNS))
    return [
        {
            "name": f"cli: `lineshaft --version`, median of {RUNS}",
            "value": round(value, 1),
            "unit": "ms",
            "bar": MOST_MS,
            "ok": value <= MOST_MS,
        }
    ]


if __name__ == "__main__":
    for row in rows():
        print(row)
