"""read, watch, history, write, health: a plant that runs, seen from a terminal."""

import asyncio
import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lineshaft.cli import screen
from lineshaft.cli.plant import Json, Plant, find
from lineshaft.core.errors import ConfigError, NotFound, Refused

COLUMNS = ("name", "value", "unit", "quality", "time", "reason")
READ_KEYS = ("name", "value", "quality", "time", "unit")
RAW_KEYS = ("time", "value", "quality")
BUCKET_KEYS = (
    "time",
    "min",
    "max",
    "mean",
    "time_mean",
    "first",
    "last",
    "count",
    "good",
)
HEALTH_COLUMNS = ("part", "state", "since", "because", "code")
WELL, ILL = 0, 1
Row = tuple[Json, ...]
_TRUTH = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}


def read(data: Path, pattern: str, *, as_json: bool) -> None:
    """Print the newest reading of each point that the pattern means."""
    readings: list[Json] = Plant(find(data)).get("/readings", pattern=pattern)
    if not readings and "*" not in pattern:
        raise NotFound(f"there is no point {pattern!r}; see `lineshaft read '**'`")
    if as_json:
        screen.write_json([{key: row[key] for key in READ_KEYS} for row in readings])
        return
    screen.table(COLUMNS, [_row(reading) for reading in readings])


def history(
    data: Path, name: str, span: tuple[str, str], every: str | None, *, as_json: bool
) -> None:
    """Print the readings of a point, or aggregates over buckets."""
    wanted: dict[str, str] = {"name": name, "from": span[0], "to": span[1]}
    if every:
        wanted["every"] = every
    plant = Plant(find(data))
    keys = BUCKET_KEYS if every else RAW_KEYS

    def ask(begin: str) -> tuple[list[Row], bool]:
        answer = plant.get("/history", **(wanted | {"from": begin}))
        [series] = answer["series"]
        columns = (series[key] for key in keys)
        return list(zip(*columns, strict=True)), bool(answer["more"])

    if as_json:
        rows = every_row(ask, span[0])
        screen.write_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    rows, more = ask(span[0])
    screen.table(keys, [(screen.clock(time), *rest) for time, *rest in rows])
    if more:
        screen.complain(f"these are the first {len(rows):,}; ask for a shorter span")


def every_row(ask: Callable[[str], tuple[list[Row], bool]], begin: str) -> list[Row]:
    """Ask again from where an answer was cut short, until it is whole.

    `ask` takes a begin and returns rows, oldest first, and whether there are more.
    """
    whole: list[Row] = []
    more = True
    while more:
        rows, more = ask(begin)
        if more and rows[0][0] == rows[-1][0]:
            raise Refused(
                f"there are too many readings at {rows[0][0]} for one answer; "
                "use --format csv, which has no such limit"
            )
        # Readings of the last moment may be incomplete: they are asked for again.
        begin = rows[-1][0] if rows else begin
        while whole and rows and whole[-1][0] == rows[0][0]:
            whole.pop()
        whole += rows
    return whole


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which file is to be written."""

    pattern: str
    span: tuple[str, str]
    form: str
    region: str
    """Where it goes; empty: our own region."""
    is_sealed: bool = False
    """Whether it is sealed with the key of its place."""


def export(data: Path, wanted: Wanted, out: Path | None) -> None:
    """Write a file with every reading of the span, and its label beside it."""
    labels: list[str] = []
    start, end = wanted.span
    parts = Plant(find(data)).download(
        "/export",
        labels.append,
        pattern=wanted.pattern,
        to=end,
        format=wanted.form,
        region=wanted.region,
        **{"from": start},
    )
    if out is None:
        for part in parts:
            screen.write_bytes(part)
    elif wanted.is_sealed:
        from lineshaft.cli.files.sealing import common_place, seal_parts

        place = common_place(wanted.pattern)
        seal_parts(data, parts, out, place, lambda: {"label": "".join(labels)})
    else:
        _write_file(parts, out)
    label = "".join(labels)
    if label and out is not None:
        out.with_name(f"{out.name}.label").write_text(f"{label}\n", "utf-8")
    if label:
        screen.complain(f"label: {label}")


def _write_file(parts: Iterable[bytes], out: Path) -> None:
    # What is not whole must not look as if it were.
    partial = out.with_name(f"{out.name}.part")
    try:
        with screen.progress("bytes", None) as count, partial.open("wb") as file:
            for part in parts:
                file.write(part)
                count(len(part))
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    screen.complain(f"{out}: {out.stat().st_size:,} bytes")


def write(
    data: Path, name: str, value: str, timeout_s: float, *, as_json: bool
) -> None:
    """Write a value to a point; raise `Refused` unless the device confirmed it."""
    plant = Plant(find(data))
    found = [
        p for p in plant.get("/points", pattern=name)["points"] if p["name"] == name
    ]
    if not found:
        near = plant.get("/points", search=name.rpartition("/")[2], limit=1)["points"]
        hint = f"; did you mean {near[0]['name']!r}?" if near else ""
        raise NotFound(f"there is no point {name!r}{hint}")
    wish = {
        "name": name,
        "value": typed(value, found[0]["type"]),
        "timeout_s": timeout_s,
        "by": "command line",
    }
    _, outcome = plant.post("/write", wish)
    if as_json:
        screen.write_json(outcome)
    if outcome["verdict"] != "confirmed":
        raise Refused(f"{name}: {outcome['verdict']}: {outcome['reason']}")
    if not as_json:
        answer = outcome.get("answer")
        screen.say(f"{name}: confirmed" + (f", it answered {answer}" if answer else ""))


def typed(text: str, kind: str) -> bool | int | float | str:
    """Return what was typed as a value of the point's type."""
    try:
        if kind == "bool":
            return _TRUTH[text.lower()]
        if kind == "int":
            return int(text)
        if kind == "float":
            return _finite(text)
    except (KeyError, ValueError):
        hint = " (true or false)" if kind == "bool" else ""
        raise ConfigError(f"{text!r} is not a value of type {kind}{hint}") from None
    return text


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)  # JSON has no word for it, and devices mean no good
    return number


async def watch(data: Path, patterns: list[str], *, as_json: bool) -> None:
    """Print what happens, until stopped."""
    from lineshaft.cli.stream import follow

    running = find(data)
    rows: dict[str, Json] = {}
    in_place = sys.stdout.isatty() and not as_json
    async with contextlib.AsyncExitStack() as stack:
        show = None
        if in_place:
            show = stack.enter_context(screen.live_table(COLUMNS))
        async for reading in follow(running.url, patterns, running.roots):
            if show is not None:
                rows[reading["name"]] = reading
                show([_row(row) for row in rows.values()])
                await asyncio.sleep(0)
            elif as_json:
                screen.write_json({key: reading[key] for key in READ_KEYS})
            else:
                screen.say(_line(reading))


def _row(reading: Mapping[str, Json]) -> tuple[object, ...]:
    return (
        reading["name"],
        reading["value"],
        reading["unit"],
        reading["quality"],
        screen.clock(reading["time"]),
        reading["reason"],
    )


def _line(reading: Mapping[str, Json]) -> str:
    value = screen.shown(reading["value"])
    unit = f" {reading['unit']}" if reading["unit"] else ""
    reason = f" ({reading['reason']})" if reading["reason"] else ""
    head = f"{reading['time']} {reading['name']} = {value}{unit}"
    return f"{head} {reading['quality']}{reason}"


def health(data: Path, *, as_json: bool) -> int:
    """Print the tree; return 0 if all is well, else 1."""
    told = Plant(find(data)).get("/health")
    tree = told["tree"]
    if as_json:
        screen.write_json(tree)
    else:
        screen.table(HEALTH_COLUMNS, list(health_rows(tree, 0)))
    return WELL if tree["state"] == "ok" else ILL


def health_rows(node: Json, depth: int) -> Iterator[tuple[object, ...]]:
    """Yield a line for a node and for all below it, shifted to the right."""
    ill = node["state"] != "ok"
    yield (
        f"{'  ' * depth}{node['name']}",
        node["state"],
        screen.clock(node["since"]) if ill else "",
        # The leaf says it; what stands above only repeats it.
        node["because"] if ill and (depth == 0 or not node["children"]) else "",
        node["code"] if ill else "",
    )
    for child in node["children"]:
        yield from health_rows(child, depth + 1)
