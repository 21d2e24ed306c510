"""What monitoring systems read: OpenMetrics 1.0, made of what every service tells.

A family of metrics stands in one block, whoever tells of it. Its kind, unit and
sentence are those of its first teller; a figure of the same name and of another kind
is left out, since a family can have only one.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lineshaft.core.health import Health, State
from lineshaft.core.health.meaning import Kind, Meaning, Spread

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_NOT_A_NAME = re.compile(r"[^a-zA-Z0-9_]")
_STATE = "lineshaft_service_state"
Labels = Mapping[str, str]


@dataclass(slots=True)
class _Family:
    """Metrics of one name."""

    meaning: Meaning
    lines: list[str] = field(default_factory=list)


def openmetrics(told: Iterable[tuple[Health, float]]) -> bytes:
    """Return the exposition of services; with each, seconds since it last told."""
    services = list(told)
    families: dict[str, _Family] = {}
    for health, _ in services:
        labels = _labels_of(health.service)
        for key, value in health.figures.items():
            if isinstance(value, int | float):
                meaning = health.meanings.get(key) or _unknown(key)
                _add(families, meaning, _samples(meaning, value, labels))
        for key, table in health.tables.items():
            if known := health.meanings.get(key):
                _add(families, known, _rows(known, table, labels))
        for key, spread in health.spreads.items():
            if known := health.meanings.get(key):
                _add(families, known, _buckets(known, spread, labels))
    lines = [*_states(services), *_written(families), "# EOF", ""]
    return "\n".join(lines).encode()


def _labels_of(service: str) -> Labels:
    """Return the labels of a service; a collector's tell its device."""
    kind, _, rest = service.partition(".")
    if kind == "collector" and rest:
        device, _, session = rest.partition("/")
        found = {"service": service, "device": device}
        return found | {"connection": session} if session else found
    return {"service": service}


def _unknown(key: str) -> Meaning:
    name = _NOT_A_NAME.sub("_", key)
    return Meaning(Kind.UNKNOWN, f"figure_{name}", "", f"{key}, as it was told.")


def name_of(meaning: Meaning) -> str:
    """Return the name of the family; its unit ends it (OpenMetrics 1.0, 4.4.2)."""
    unit = f"_{meaning.unit}" if meaning.unit else ""
    return f"lineshaft_{meaning.name}{unit}"


def _add(families: dict[str, _Family], meaning: Meaning, lines: Iterable[str]) -> None:
    family = families.setdefault(name_of(meaning), _Family(meaning))
    if (family.meaning.kind, family.meaning.unit) == (meaning.kind, meaning.unit):
        family.lines += lines


def _samples(meaning: Meaning, value: float, labels: Labels) -> Iterator[str]:
    ending = "_total" if meaning.kind is Kind.COUNTER else ""
    # A counter that is not a number would not be one (5.1.2).
    if math.isfinite(value) or not ending:
        yield f"{name_of(meaning)}{ending}{_braces(labels)} {_number(value)}"


def _rows(meaning: Meaning, table: Mapping[str, int], labels: Labels) -> Iterator[str]:
    for row, value in table.items():
        key = meaning.label or "row"
        yield from _samples(meaning, value, {**labels, key: row})


def _buckets(meaning: Meaning, spread: Spread, labels: Labels) -> Iterator[str]:
    name, total = name_of(meaning), 0
    for bound, count in zip((*spread.bounds, math.inf), spread.counts, strict=True):
        total += count
        yield f"{name}_bucket{_braces({**labels, 'le': _number(bound)})} {total}"
    yield f"{name}_count{_braces(labels)} {total}"
    yield f"{name}_sum{_braces(labels)} {_number(spread.sum)}"


def _states(services: list[tuple[Health, float]]) -> Iterator[str]:
    yield f"# TYPE {_STATE} stateset"
    yield f"# HELP {_STATE} How each service is; one of its states is 1."
    for health, _ in services:
        for state in State:
            labels = {**_labels_of(health.service), _STATE: str(state)}
            yield f"{_STATE}{_braces(labels)} {int(health.state is state)}"
    for name, text in (
        ("lineshaft_service_since", "When its state began, since 1970."),
        ("lineshaft_service_silence", "How long ago it last told of itself."),
    ):
        yield f"# TYPE {name}_seconds gauge"
        yield f"# UNIT {name}_seconds seconds"
        yield f"# HELP {name}_seconds {text}"
        for health, silence_s in services:
            value = health.since_us / 1e6 if name.endswith("since") else silence_s
            braces = _braces(_labels_of(health.service))
            yield f"{name}_seconds{braces} {_number(value)}"


def _written(families: Mapping[str, _Family]) -> Iterator[str]:
    for name, family in sorted(families.items()):
        yield f"# TYPE {name} {family.meaning.kind}"
        if family.meaning.unit:
            yield f"# UNIT {name} {family.meaning.unit}"
        yield f"# HELP {name} {_escaped(family.meaning.text)}"
        yield from family.lines


def _braces(labels: Labels) -> str:
    inside = ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items())
    return f"{{{inside}}}"


def _escaped(text: str) -> str:
    """Escape what a quoted text must not have (OpenMetrics 1.0, ABNF)."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return escaped.replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)
