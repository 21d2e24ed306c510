"""Run the benchmarks: `python bench/run.py [NAME ...]`, a table and a file of rows.

Each file beside this one measures one promise and has `rows()`, which returns
`{name, value, unit, bar, ok}`; a row without a bar only informs. `plant` means all but
those that say `OPTIONAL`, which run when they are named.
"""

import importlib
import json
import os
import platform
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
Row = dict[str, object]


def main(chosen: list[str]) -> int:
    """Measure, print, write; return 1 when a bar is missed."""
    sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]
    files = sorted(p.stem for p in HERE.glob("*.py") if p.stem != "run")
    is_all = not chosen or chosen == ["plant"]
    wanted = [name for name in files if not _is_optional(name)] if is_all else chosen
    unknown = [name for name in wanted if name not in files]
    if unknown:
        print(f"there is no {unknown[0]!r}; there are: plant, {', '.join(files)}")
        return 2
    print(f"{_machine()}\n")
    results: list[Row] = []
    for name in wanted:
        rows: list[Row] = importlib.import_module(name).rows()
        for row in rows:
            row["name"] = f"{name}: {str(row['name']).removeprefix(f'{name}: ')}"
            print(_line(row), flush=True)
        results += rows
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    missed = [row for row in results if not row["ok"]]
    print(f"\n{len(results)} rows, {len(missed)} missed; {RESULTS.name} has them")
    return 1 if missed else 0


def _is_optional(name: str) -> bool:
    return "\nOPTIONAL = True\n" in (HERE / f"{name}.py").read_text()


def _line(row: Row) -> str:
    value, bar = row["value"], row.get("bar")
    shown = f"{value:,.3f}" if isinstance(value, float) else f"{value}"
    against = "" if bar is None else f"bar {bar}"
    mark = "ok" if row["ok"] else "MISSED"
    return f"{row['name']!s:<58} {shown:>14} {row['unit']!s:<16} {against:<14} {mark}"


def _machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {load}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
