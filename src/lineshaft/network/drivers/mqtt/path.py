"""Where in a JSON document: `temperature.value`, `readings[0].v`, `["odd.key"][-1]`.

It is the part of JSONPath (RFC 9535) that leads to one value: names and indexes.
"""

import re
from collections.abc import Iterator

import msgspec

from lineshaft.core.errors import ConfigError, NotFound

Path = tuple[str | int, ...]
Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
_STEP = re.compile(
    r"""
    \.?(?P<name>[^.\[\]"'\s]+)
    | \[(?P<index>-?\d{1,9})\]
    | \[(?P<quoted>"(?:[^"\\]|\\.)+")\]
    """,
    re.VERBOSE,
)
_MOST_LEAVES = 1000


def parse_path(text: str) -> Path:
    """Return the steps of a path; `ConfigError` says where it goes wrong."""
    steps: list[str | int] = []
    at = 2 if text.startswith("$.") else 0
    while at < len(text):
        found = _STEP.match(text, at)
        if not found or (text[at] == "." and not steps):
            break
        if found["index"]:
            steps.append(int(found["index"]))
        else:
            steps.append(found["name"] or _unquote(found["quoted"]))
        at = found.end()
        if at < len(text) and text[at] not in ".[":
            break
    if at < len(text) or not steps:
        raise ConfigError(
            f"{text!r} is not a path into JSON from {text[at : at + 12]!r} on; write "
            'it like temperature.value, readings[0].v or ["odd.key"]'
        )
    return tuple(steps)


def write_path(path: Path) -> str:
    """Return the text of a path, as `parse_path` reads it."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(r"[\w-]+", step):
            text += f".{step}" if text else step
        else:
            text += f"[{msgspec.json.encode(step).decode()}]"
    return text


def follow(document: Json, path: Path) -> Json:
    """Return the value at `path`; `NotFound` says which step leads nowhere."""
    here = document
    for depth, step in enumerate(path):
        try:
            here = here[step]  # type: ignore[index]  # else TypeError
        except (KeyError, IndexError, TypeError) as error:
            raise NotFound(
                f"there is nothing at {write_path(path[: depth + 1])} in the payload"
            ) from error
    return here


def build(path: Path, value: Json) -> Json:
    """Return the smallest document that has `value` at `path`."""
    for step in reversed(path):
        if isinstance(step, int):
            raise ConfigError(
                f"{write_path(path)!r}: a value cannot be written into a list; name "
                "the keys of an object, like set.value"
            )
        value = {step: value}
    return value


def leaves(document: Json) -> Iterator[tuple[Path, bool | int | float | str]]:
    """Yield the single values of a document, at most a thousand, with their paths."""
    left = _MOST_LEAVES
    waiting: list[tuple[Path, Json]] = [((), document)]
    while waiting and left:
        path, here = waiting.pop()
        if isinstance(here, dict):
            waiting += [((*path, key), value) for key, value in here.items() if key]
        elif isinstance(here, list):
            waiting += [((*path, n), value) for n, value in enumerate(here)]
        elif here is not None:
            left -= 1
            yield path, here


def _unquote(text: str) -> str:
    try:
        return msgspec.json.decode(text, type=str)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ConfigError(f"{text} is not a quoted key of JSON: {error}") from error
