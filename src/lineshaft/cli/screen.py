"""What people see: tables, trees, progress. Programs ask for JSON instead."""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Literal

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from typing_extensions import override

SLOW_S = 2.0
LINE_EVERY_S = 10.0
_STYLE = {
    "good": "green",
    "ok": "green",
    "uncertain": "yellow",
    "warning": "yellow",
    "degraded": "yellow",
    "bad": "red",
    "fault": "red",
    "down": "red",
}
WIDE = 1000


# Where no person looks, nothing is cut to the width of a screen.
class _Screen(Console):
    @override
    def on_broken_pipe(self) -> None:
        """Let `lineshaft read | head` end as it does with JSON: that is no failure."""
        raise BrokenPipeError


# `file.csv:100:` is a place and not an emoji.
out = _Screen(highlight=False, emoji=False, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print a line for people."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line on standard error."""
    err.print(text, markup=False, soft_wrap=True)


def write_json(value: object) -> None:
    """Print JSON for programs: one document, indented when a person looks at it."""
    indent = 2 if sys.stdout.isatty() else None
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent) + "\n")
    sys.stdout.flush()


def write_bytes(data: bytes) -> None:
    """Write a part of a file to standard output."""
    sys.stdout.buffer.write(data)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; words that tell a quality or a state have its colour."""
    out.print(_table(columns, rows))


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column == "value" else "left"
        overflow: Literal["fold", "ellipsis"] = (
            "fold" if column == "name" else "ellipsis"
        )
        made.add_column(column, justify=justify, overflow=overflow)
    for row in rows:
        made.add_row(*(_cell(cell) for cell in row))
    return made


def _cell(cell: object) -> Text:
    text = shown(cell)
    return Text(text, style=_STYLE.get(text, ""))


def shown(value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.7g}"
    return str(value)


def clock(time: str | None) -> str:
    """Return a time as people here read it: the clock on their wall."""
    if time is None:
        return "-"
    local = datetime.fromisoformat(time).astimezone()
    today = datetime.now().astimezone().date()
    day = "" if local.date() == today else f"{local:%Y-%m-%d }"
    return f"{day}{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


@contextlib.contextmanager
def live_table(
    columns: Sequence[str],
) -> Iterator[Callable[[Sequence[Sequence[object]]], None]]:
    """Show a table that changes in place while the block is open."""
    with Live(console=out, auto_refresh=False, screen=False) as live:

        def show(rows: Sequence[Sequence[object]]) -> None:
            live.update(_table(columns, rows), refresh=True)

        yield show


@contextlib.contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show how far something is; the block is given a function to count up with.

    Where nobody watches, a line is printed every ten seconds instead of a bar; what
    is done within two seconds says nothing.
    """
    if err.is_terminal:
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bar = Progress(what, *columns, console=err, transient=True)
        with bar:
            task = bar.add_task(what, total=total)
            yield lambda more: bar.advance(task, more)
        return
    began = told = time.monotonic()
    done = 0

    def count(more: int) -> None:
        nonlocal done, told
        done += more
        now = time.monotonic()
        if now - told >= LINE_EVERY_S:
            told = now
            of = f" of {total:,}" if total else ""
            complain(f"{what}: {done:,}{of} after {now - began:.0f} s")

    yield count
    if time.monotonic() - began > SLOW_S:
        complain(f"{what}: {done:,} in {time.monotonic() - began:.1f} s")


def ask(question: str) -> bool:
    """Ask a person; without one the answer is no."""
    if not sys.stdin.isatty():
        return False
    return out.input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
