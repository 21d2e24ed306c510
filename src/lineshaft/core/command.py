"""A wish to change something in the plant, and its outcome."""

import time
import uuid
from enum import StrEnum

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.errors import LineshaftError, Unreachable
from lineshaft.core.message import read_json
from lineshaft.core.reading import Value

MARGIN_S = 2.0
"""The device's time is up first, so that its own word about it arrives."""


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


async def carry_out(
    bus: Asks, device: str, wish: tuple[str, Value], *, by: str, within_s: float
) -> Outcome:
    """Write a value (`wish` is the point's name and the value) once.

    Returns the outcome; whoever answers with an error has refused it. Silence leaves it
    unknown: it may or may not have been carried out.
    """
    name, value = wish
    deadline_us = int((time.time() + within_s) * 1e6)
    number = uuid.uuid4().hex
    command = Command(id=number, name=name, value=value, by=by, deadline_us=deadline_us)
    question = msgspec.json.encode(command)
    try:
        answer = bus.ask(f"commands.{device}", question, within_s + MARGIN_S)
        said = b"".join([part async for part in answer])
    except Unreachable as silence:
        return Outcome(id=number, verdict=Verdict.UNKNOWN, reason=str(silence))
    except LineshaftError as refusal:
        return Outcome(id=number, verdict=Verdict.REFUSED, reason=str(refusal))
    return read_json(said, Outcome, "the outcome of a command")
