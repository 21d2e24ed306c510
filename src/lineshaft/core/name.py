"""A place in the plant, and patterns over places: the only parser of names.

A name is the path of the ISA-95 role-based equipment hierarchy (IEC 62264-1, 5.3):
`enterprise/site/area/line/cell/point`. Levels between the enterprise and the point
may be left out, so a name has two to eight segments. The path without its last
segment is the point's *place*.

A segment holds letters and digits of any script, `_` and `-`. Everything that has a
meaning on a road we use is refused: `/ . * > # + $` and white space.

A pattern is a name in which `*` stands for one segment (or a part of one) and `**`
for any number of segments; at the end of a pattern `**` stands for at least one, so
`acme/osaka/**` is everything in the place `acme/osaka`, however deep.
"""

import re
from difflib import get_close_matches
from functools import lru_cache

from lineshaft.core.errors import ConfigError, NotFound

FEWEST_SEGMENTS, MOST_SEGMENTS = 2, 8
LONGEST = 255
_SEGMENT = re.compile(r"[\w-]+")
_NAME = re.compile(rf"[\w-]+(?:/[\w-]+){{{FEWEST_SEGMENTS - 1},{MOST_SEGMENTS - 1}}}")
_PATTERN_SEGMENT = re.compile(r"[\w*-]+")


def check_name(text: str) -> str:
    """Return `text` when it is a name; `ConfigError` says what is wrong with it."""
    if len(text) <= LONGEST and _NAME.fullmatch(text):
        return text
    segments = text.split("/")
    if not FEWEST_SEGMENTS <= len(segments) <= MOST_SEGMENTS:
        raise ConfigError(
            f"{text!r} has {len(segments)} segments, a name has 2 to {MOST_SEGMENTS}: "
            "write it like enterprise/site/area/line/cell/point"
        )
    if len(text) > LONGEST:
        raise ConfigError(f"{text[:40]!r}... is longer than {LONGEST} characters")
    for segment in segments:
        if not _SEGMENT.fullmatch(segment):
            mended = re.sub(r"[^\w-]+", "_", segment).strip("_") or "x"
            raise ConfigError(
                f"{text!r}: {segment!r} is not a segment of a name; use letters, "
                f"digits, _ and - only, for example {mended!r}"
            )
    return text


def place_of(name: str) -> str:
    """Return where the point is: its name without the last segment."""
    return name.rpartition("/")[0]


def subject_of(place: str) -> str:
    """Return the bus subject on which the readings of a place travel."""
    return "readings." + place.replace("/", ".")


def subject_for(pattern: str) -> str:
    """Return the narrowest bus subject that carries all that `pattern` matches."""
    segments = pattern.split("/")
    kept: list[str] = []
    for segment in segments[:-1]:
        if segment == "**":
            return ".".join(["readings", *kept, ">"])
        kept.append("*" if "*" in segment else segment)
    if segments[-1] == "**":
        # `a/b/**` means the points of place `a/b` as well as those below it, and
        # the subject `a.b.>` would miss the former.
        return ".".join(["readings", *kept[:-1], ">"])
    return ".".join(["readings", *kept])


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return an expression that fully matches the names that `pattern` means.

    `NotFound` is raised for text that can never match a name.
    """
    parts: list[str] = []
    segments = pattern.strip("/").split("/")
    for position, segment in enumerate(segments, 1):
        if segment == "**":
            parts.append(r"(?:[^/]+/)" + ("+" if position == len(segments) else "*"))
            continue
        if not _PATTERN_SEGMENT.fullmatch(segment) or "**" in segment:
            raise NotFound(
                f"{pattern!r} is not a pattern: {segment!r} must be a segment of a "
                "name, `*` for one segment or `**` for any number of them"
            )
        parts.append(re.escape(segment).replace(r"\*", "[^/]*") + "/")
    # Names are matched with a slash after each segment, so a `**` may match none.
    return re.compile("".join(parts))


def matches(pattern: str, name: str) -> bool:
    """Whether `pattern` means `name`."""
    return compile_pattern(pattern).fullmatch(name + "/") is not None


def select(pattern: str, names: list[str]) -> list[str]:
    """Return those of `names` that `pattern` means, in their order."""
    expression = compile_pattern(pattern)
    return [name for name in names if expression.fullmatch(name + "/")]


def did_you_mean(word: str, known: list[str]) -> str:
    """Return the end of an error message: the nearest known spelling, or nothing."""
    near = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
