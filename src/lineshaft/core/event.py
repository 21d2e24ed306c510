"""Something happened: a device fell silent, a command was refused."""

import time
from enum import StrEnum

import msgspec

from lineshaft.core.message import read_json


class Severity(StrEnum):
    """How much attention an event deserves."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event; kept in the bus's event stream, in order, and shown on the page."""

    kind: str
    """A dotted word such as `device.silent`, `command.confirmed`, `outbox.full`."""
    source: str
    """What it happened to: a device, a point, a service."""
    text: str
    """One sentence for people: what happened and what to do next."""
    severity: Severity = Severity.INFO
    code: str = ""
    """The code of what went wrong, which `lineshaft explain` knows."""
    time_us: int = msgspec.field(default_factory=lambda: time.time_ns() // 1000)
    detail: dict[str, str | int | float | bool | None] = {}


def encode_event(event: Event) -> bytes:
    """Return the event as JSON."""
    return msgspec.json.encode(event)


def decode_event(data: bytes) -> Event:
    """Return the event that `encode_event` wrote; `Refused` for anything else."""
    return read_json(data, Event, "an event")
