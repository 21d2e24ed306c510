"""Write the generated reference pages: `python docs/generate.py [--check]`.

With `--check` nothing is written; the names of pages that differ are printed, and the
exit code is 1. Run it with the package installed.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from cyclopts import App
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from lineshaft.cli.verbs import app
from lineshaft.core.errors.codes import book
from lineshaft.network import drivers
from lineshaft.network.settings import DeviceSettings
from lineshaft.platform.computed.functions import LAZY, OVER_TIME, PLAIN
from lineshaft.settings import Settings
from lineshaft.web.api.app import openapi_json

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
GENERATED = "*This page is generated: `make generated`.*"


def pages() -> dict[Path, str]:
    """Return the text of every generated file."""
    api = json.loads(openapi_json())
    return {
        REFERENCE / "settings.md": "\n".join(settings()) + "\n",
        REFERENCE / "lineshaft.schema.json": _json(Settings.model_json_schema()),
        REFERENCE / "commands.md": "\n".join(commands()) + "\n",
        REFERENCE / "errors.md": "\n".join(errors()) + "\n",
        REFERENCE / "expressions.md": "\n".join(expressions()) + "\n",
        REFERENCE / "api.md": "\n".join(routes(api)) + "\n",
        ROOT / "frontend" / "openapi.json": _json(api),
    }


def settings() -> Iterator[str]:
    """Yield the page of all settings."""
    yield from ("# Settings", "", GENERATED, "")
    yield (
        "Everything in `lineshaft.toml`. An environment variable stands above the "
        "file: `LINESHAFT_WEB__PORT=8081` is `port` in `[web]`. Unknown keys are "
        "refused."
    )
    for name, field in Settings.model_fields.items():
        for kind in (field.annotation, *_optional(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from ("", f"## `[{name}]`", "")
                yield from _table(kind)
                yield from _tables_in(name, kind)
    yield from ("", "## `[devices.NAME]`", "", "Every device has these:", "")
    yield from _table(DeviceSettings)
    for driver in drivers.names():
        yield from ("", f'## `[devices.NAME]` with `driver = "{driver}"`', "")
        yield from _table(drivers.load(driver).Settings)


def _optional(annotation: object) -> tuple[object, ...]:
    """Return the kinds of a table that may be left out."""
    kinds = get_args(annotation)
    return kinds if type(None) in kinds else ()


def _tables_in(name: str, model: type[BaseModel]) -> Iterator[str]:
    """Yield the tables that may be left out, which are `Table | None`."""
    for key, field in model.model_fields.items():
        for kind in get_args(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                table = f"[{name}.{key}]"
                is_list = get_origin(field.annotation) is tuple
                yield from ("", f"### `{f'[{table}]' if is_list else table}`", "")
                yield from _table(kind)


def _table(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | type | if left out | what it does |"
    yield "|---|---|---|---|"
    for name, field in model.model_fields.items():
        default = _default(field.get_default(call_default_factory=True))
        kind = _type(field.annotation)
        key, told = field.alias or name, field.description or ""
        yield f"| `{key}` | {kind} | {default} | {told} |"


def _default(value: object) -> str:
    if value is PydanticUndefined:
        return "must be given"
    if value is None or value in ("", (), {}) or "SecretStr" in repr(value):
        return "none"
    if isinstance(value, BaseModel):
        return "see there"
    return f"`{value}`" if not isinstance(value, bool) else f"`{str(value).lower()}`"


def _type(annotation: object) -> str:
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for long, short in (("typing.", ""), ("pathlib.", ""), ("pydantic.types.", "")):
        text = text.replace(long, short)
    return f"`{text}`".replace("|", "or")


def commands() -> Iterator[str]:
    """Yield the page of all verbs."""
    yield from ("# Commands", "", GENERATED, "")
    yield (
        "Exit codes: 0 done; 1 it failed, and the message says why; 2 the "
        "configuration or the command is wrong; 130 stopped with Ctrl-C. `--json` "
        "prints what programs read. `--data` names the plant's data directory, "
        "`--config` its file."
    )
    yield from _verbs(app, "lineshaft", "##")


def _verbs(of: App, called: str, mark: str) -> Iterator[str]:
    for name in sorted(name for name in of if not name.startswith("-")):
        verb = of[name]
        if isinstance(verb, App) and verb.show:
            yield from ("", f"{mark} `{called} {name}`", "")
            told = (verb.help or "").partition("Parameters\n")[0]
            yield "\n".join(line.strip() for line in told.strip().splitlines())
            yield from _verbs(verb, f"{called} {name}", f"{mark}#")


def routes(api: dict[str, Any]) -> Iterator[str]:  # Any: JSON
    """Yield the page of all routes."""
    yield from ("# HTTP API", "", GENERATED, "")
    yield (
        "OpenAPI 3.1 at `/api/v1/openapi.json`. Times are RFC 3339; a time in a "
        "question may also be `now` or a span before it, like `-5m`. Errors are "
        "problem details (RFC 9457). The live stream has "
        "[a page of its own](live-stream.md)."
    )
    for path, verbs in sorted(api["paths"].items()):
        for verb, route in sorted(verbs.items()):
            yield from ("", f"## `{verb.upper()} {path}`", "", route.get("summary", ""))
            if route.get("parameters"):
                yield from ("", "| parameter | what it is |", "|---|---|")
            for parameter in route.get("parameters", []):
                text = parameter.get("description", "")
                yield f"| `{parameter['name']}` | {text} |"
            yield from ("", "| status | meaning |", "|---|---|")
            for status, answer in sorted(route["responses"].items()):
                yield f"| {status} | {answer.get('description', '')} |"


RANGES = {
    "1": "Core, bus and the plant as a whole",
    "2": "Network: machines and the way to them",
    "3": "Platform: the historian",
    "4": "Security",
    "5": "Web",
    "6": "Settings",
    "7": "Command line",
    "8": "Readings of quality BAD",
    "9": "Everything else",
}


def errors() -> Iterator[str]:
    """Yield the page of all codes."""
    yield from ("# Error codes", "", GENERATED, "")
    yield (
        "Every message about something that went wrong bears a code: on the command "
        "line, in the problem details of the API, in health, events and the log. A "
        "code keeps its meaning for good. `lineshaft explain LS-1212` says the same "
        "as this page, without a network; it takes the reason of a BAD reading too."
    )
    room = ""
    for code, entry in book().items():
        if code[3] != room:
            room = code[3]
            yield from ("", f"## LS-{room}xxx: {RANGES[room]}")
        yield from ("", f"### {code}", "", entry.what, "", "Likely causes:", "")
        yield from (f"- {cause}" for cause in entry.causes)
        yield from ("", "What to do:", "")
        yield from (f"{n}. {step}" for n, step in enumerate(entry.do, 1))


def expressions() -> Iterator[str]:
    """Yield the page of all functions of computed points."""
    yield from ("# Expressions", "", GENERATED, "")
    yield (
        "What [computed points](../how-to/compute-points.md) may call. Time is the "
        "source time of the inputs; a span is at most 86,400 s long."
    )
    parts = {
        "Of numbers": PLAIN,
        "Of choice and quality": LAZY,
        "Over time": OVER_TIME,
    }
    for title, functions in parts.items():
        yield from ("", f"## {title}", "", "| function | what it yields |", "|---|---|")
        for each in functions.values():
            yield f"| `{each.usage.replace(' or ', '` or `')}` | {each.meaning} |"


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write or compare; return 1 when something differs."""
    differ = []
    for path, text in pages().items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        differ.append(path)
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
    for path in differ:
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return 1 if differ and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
