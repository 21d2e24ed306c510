"""Writes on their way to a device."""

import time
import uuid

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.command import Command, Outcome, Verdict
from lineshaft.core.errors import Refused, Unreachable
from lineshaft.core.message import read_json
from lineshaft.web.shapes import Write

MARGIN_S = 2.0
"""The device's time is up first, so that its own word about it arrives."""


async def carry_out(bus: Asks, device: str, wish: Write) -> Outcome:
    """Send the command once, and wait for its outcome.

    Silence leaves it unknown: it may or may not have been carried out.
    """
    command = Command(
        id=uuid.uuid4().hex,
        name=wish.name,
        value=wish.value,
        by=wish.by,
        deadline_us=int((time.time() + wish.timeout_s) * 1e6),
    )
    question = msgspec.json.encode(command)
    try:
        answer = bus.ask(f"commands.{device}", question, wish.timeout_s + MARGIN_S)
        said = b"".join([part async for part in answer])
    except Unreachable as silence:
        return Outcome(id=command.id, verdict=Verdict.UNKNOWN, reason=str(silence))
    except Refused as refusal:
        return Outcome(id=command.id, verdict=Verdict.REFUSED, reason=str(refusal))
    return read_json(said, Outcome, "the outcome of a command")
