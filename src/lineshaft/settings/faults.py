"""What pydantic found wrong, as sentences with a place and the nearest spelling."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from lineshaft.core.name import did_you_mean
from lineshaft.settings.toml import place_of

_PLAINER = {
    "tuple_type": "write a list of them, in [ and ]",
    "too_short": "is empty, write at least one",
}
"""Faults that pydantic tells in words of Python."""
_QUOTED = re.compile(r"'([^']*)'")


def explain(
    error: ValidationError, root: type[BaseModel], file: Path, text: str
) -> Iterator[str]:
    """Yield a line for each fault in a file of the shape `root`: place, key, what."""
    for fault in error.errors(include_url=False):
        where = fault["loc"]
        said = sentence(fault, known_at(root, where[:-1]))
        yield f"{file}{place_of(text, where)}: {key_of(where)}: {said}"


def key_of(path: Sequence[str | int]) -> str:
    """Return the key as it is told: `grant.2.role` is the role of the second grant."""
    return ".".join(str(part) for part in path)


def sentence(fault: ErrorDetails, known: list[str]) -> str:
    """Say what is wrong; `known` are the keys that could stand there."""
    if fault["type"] == "extra_forbidden":
        key = str(fault["loc"][-1])
        hint = did_you_mean(key, known) or f"; there are: {', '.join(sorted(known))}"
        return f"there is no such setting{hint}"
    if fault["type"] == "missing":
        return "is missing; add it to this table"
    given = fault["input"]
    shown = f"{given!r}: " if isinstance(given, str | int | float) else ""
    if fault["type"] in _PLAINER:
        return f"{shown}{_PLAINER[fault['type']]}"
    near = ""
    if fault["type"] in ("enum", "literal_error"):
        near = did_you_mean(str(given), _QUOTED.findall(fault["msg"]))
    return f"{shown}{fault['msg'].lower().removeprefix('value error, ')}{near}"


def known_at(root: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Return the keys of the table at `path`; none if it is not a table of ours."""
    model, inside = root, False
    for part in path:
        if inside:  # the name in a dict of tables, or the number in a list of them
            inside = False
            continue
        field = model.model_fields.get(str(part))
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        tables = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if not tables:
            return []
        inside = kinds[0] is not tables[0] and type(None) not in kinds
        model = tables[0]
    return [field.alias or name for name, field in model.model_fields.items()]
