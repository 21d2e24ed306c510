"""Codes of everything that goes wrong on purpose: `LS-1212`, stable and explained.

The book, `book.toml`, has an entry for each code. Most codes are found by where an
error is raised and by its class: the entry with the longest matching place counts, so
that no call site has to name one. The few that are named are listed in `Code`. The
ranges are those of the rooms: 1 bus and core, 2 network, 3 platform, 4 security,
5 web, 6 settings, 7 command line, 8 readings of quality BAD, 9 everything else.
"""

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType

PACKAGE = "lineshaft."
_BOOK = Path(__file__).with_name("book.toml")
_CODE = re.compile(r"LS-\d{4}")


class Code(StrEnum):
    """Codes that are named where they are used, since no error is raised there."""

    BUS_AWAY = "LS-1208"
    BUS_FULL = "LS-1209"
    STARTED_AGAIN = "LS-1019"
    NOT_CONNECTED = "LS-2018"
    DRIVER_HANGS = "LS-2019"
    BUS_IS_BEHIND = "LS-2038"
    READINGS_LOST = "LS-2039"
    NOT_STORED = "LS-3108"
    NOT_COMPUTED = "LS-3208"
    CODE_WANTED = "LS-4308"
    NO_LOGIN = "LS-4309"
    SESSION_LOCKED = "LS-4318"
    AUDIT_TROUBLE = "LS-4408"
    CERTIFICATE_ENDS = "LS-4508"
    NO_SIGN_OF_LIFE = "LS-5008"
    STARTS = "LS-5009"
    BUG = "LS-9001"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a code means."""

    code: str
    what: str
    """What happened, in one sentence."""
    causes: tuple[str, ...]
    """The likely causes, the likeliest first."""
    do: tuple[str, ...]
    """What to do next, in this order."""
    where: str = ""
    """The module or room, without `lineshaft.`, whose errors have this code."""
    kind: str = ""
    """The class of those errors."""
    reason: str = ""
    """A pattern of the reasons of BAD readings that have this code."""


@functools.cache
def book() -> Mapping[str, Entry]:
    """Return every code that there is, by code, in order."""
    found = tomllib.loads(_BOOK.read_text("utf-8"))
    return {code: _entry(code, told) for code, told in sorted(found.items())}


def _entry(code: str, told: Mapping[str, str | list[str]]) -> Entry:
    words = {key: value for key, value in told.items() if isinstance(value, str)}
    causes, do = tuple(told["causes"]), tuple(told["do"])
    return Entry(code, causes=causes, do=do, **words)


@functools.cache
def code_at(module: str, kind: str) -> str:
    """Return the code of an error of the class `kind` that `module` raises.

    `module` is written without the package: `core.bus.nats`.
    """
    place = module
    entries = {(entry.where, entry.kind): entry.code for entry in book().values()}
    while place:
        if (place, kind) in entries:
            return entries[place, kind]
        place = place.rpartition(".")[0]
    return entries["main", kind]


def code_of_traceback(trace: TracebackType | None, kind: str) -> str:
    """Return the code of an error by the deepest of our modules that it came through.

    Without a traceback, for an error that was never raised, it is that of `main`.
    """
    module = "main"
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        if name.startswith(PACKAGE):
            module = name.removeprefix(PACKAGE)
        trace = trace.tb_next
    return code_at(module, kind)


def code_of_reason(reason: str) -> str:
    """Return the code of the reason of a BAD reading; empty if none is known."""
    for entry in book().values():
        if entry.reason and re.search(entry.reason, reason):
            return entry.code
    return ""


def codes_in(text: str) -> list[str]:
    """Return the codes that a text names."""
    return _CODE.findall(text)
