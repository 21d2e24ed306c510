"""Who did what: the records that the audit room keeps for ever.

An event is for whoever runs the plant, and old ones go. An audit record is for whoever
must be able to prove who did what, so none is ever dropped unsaid.
"""

import time
import uuid
from enum import StrEnum

import msgspec

from lineshaft.core.bus import Publishes
from lineshaft.core.message import read_json


class Result(StrEnum):
    """How something ended that somebody wanted to do."""

    SUCCESS = "success"
    DENIED = "denied"
    """Whoever asked may not."""
    FAILURE = "failure"
    """It was allowed and did not come about, or nobody knows whether it did."""


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what, from where, when, with which result (IEC 62443-3-3, SR 2.8)."""

    kind: str
    """Category and type, such as `login.password`, `access.write`, `export.file`."""
    who: str
    """The subject; empty if nobody knows."""
    name: str = ""
    """What it was done to: a point, a place, an account, a file."""
    result: Result = Result.SUCCESS
    text: str = ""
    """One sentence for people. Never a secret."""
    origin: str = ""
    """Where it came from: an address, a service, `command line`."""
    time_us: int = msgspec.field(default_factory=lambda: time.time_ns() // 1000)
    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    """Unique; the same id is never written twice."""
    detail: dict[str, str | int | float | bool | None] = {}


async def tell_audit(bus: Publishes, record: AuditRecord) -> None:
    """Store an audit record on the bus, whence the audit room takes it, in order.

    `Unreachable` leaves it unknown whether it was stored: tell the same record again.
    """
    data = msgspec.json.encode(record)
    await bus.publish(f"audit.{record.kind}", data, record.id)


def decode_audit(data: bytes) -> AuditRecord:
    """Return the record that `tell_audit` stored; `Refused` for anything else."""
    return read_json(data, AuditRecord, "an audit record")
