"""A form for a leak of data: what to tell, to whom, and until when."""

import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec

from lineshaft.core.errors import NotFound
from lineshaft.security.data.reports.sheet import Language, say

_DEADLINES = Path(__file__).with_name("deadlines.toml")
_ASKED = ("leak_what", "leak_how", "leak_amount", "leak_effect", "leak_measures",
          "leak_contact")  # fmt: skip
_BLANK = "_" * 40


class Deadline(msgspec.Struct, frozen=True):
    """By when somebody is to be told."""

    region: str
    hours: float
    """0: at once."""
    to: str
    what: str
    source: str


@cache
def _all() -> tuple[Deadline, ...]:
    told = tomllib.loads(_DEADLINES.read_text("utf-8"))["deadline"]
    return tuple(msgspec.convert(each, Deadline) for each in told)


def deadlines(region: str) -> list[Deadline]:
    """Return those of a region, the soonest first; `NotFound` if we know of none."""
    found = [each for each in _all() if each.region == region]
    if not found:
        known = ", ".join(sorted({each.region for each in _all()}))
        raise NotFound(
            f"no deadlines are known for the region {region!r}; there are {known}. "
            "Ask your lawyer, and name one of these with --region if it holds for you"
        )
    return sorted(found, key=lambda each: each.hours)


def form(
    place: str,
    label: str,
    discovered: datetime,
    due: Sequence[Deadline],
    language: Language,
) -> str:
    """Return the form, filled in as far as a program can know."""
    return "\n".join(_lines(place, label, discovered, due, language)) + "\n"


def _lines(
    place: str,
    label: str,
    discovered: datetime,
    due: Sequence[Deadline],
    language: Language,
) -> Iterator[str]:
    yield f"# {say('leak', language)}"
    yield ""
    yield f"- {say('place', language)}: {place}"
    yield f"- {say('label', language)}: {label or say('no_label', language)}"
    yield f"- {say('leak_discovered', language)}: {_moment(discovered)}"
    for key in _ASKED:
        yield f"- {say(key, language)}: {_BLANK}"
    yield ""
    yield f"## {say('leak_deadlines', language)}"
    yield ""
    for each in due:
        at = _moment(discovered + timedelta(hours=each.hours))
        until = say("at_once", language) if not each.hours else at
        yield f"- [ ] {until}: {each.to}: {each.what} [{each.source}]"
    yield ""
    yield say("leak_check", language)


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="minutes")
