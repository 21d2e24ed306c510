"""A wish to change something in the plant, and its outcome."""

from enum import StrEnum

import msgspec

from lineshaft.core.reading import Value


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """Write `value` (in the point's unit, after scaling) to the point `name`."""

    id: str
    """Unique; the same id is never carried out twice."""
    name: str
    value: Value
    by: str
    """Who asked: a user, an app, a command line."""
    deadline_us: int
    """After this moment (microseconds since 1970 UTC) it must not be carried out."""


class Verdict(StrEnum):
    """How a command ended."""

    CONFIRMED = "confirmed"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """Sent, but no answer came in time: it may or may not have been carried out."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command."""

    id: str
    verdict: Verdict
    reason: str = ""
    """The device's reason, unless confirmed."""
    answer: str = ""
    """What the device answered beyond that: the results of a method, as JSON."""
