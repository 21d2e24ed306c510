"""What is done at the command line and must be proved later.

A plant that stands still has no bus, so a record is first written beside the keys, and
told when a verb finds the plant running. A record that was told twice is kept once.
"""

import asyncio
import fcntl
import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from lineshaft.cli.plant import find
from lineshaft.core.bus.audit import AuditRecord, tell_audit
from lineshaft.core.errors import Unreachable
from lineshaft.core.message import read_json

ORIGIN = "command line"
WAITING = "audit-waiting.jsonl"
_PATIENCE_S = 5.0


def who() -> str:
    """Return the subject: whoever is logged in at this machine."""
    return f"local:{getpass.getuser()}"


def tell(data: Path, record: AuditRecord) -> None:
    """Write a record down for good, and tell it if the plant runs."""
    data.mkdir(parents=True, exist_ok=True)
    with _alone(data):
        _append(data / WAITING, [record], os.O_APPEND)
    try:
        bus_url = find(data).bus
        records = waiting(data)
        asyncio.run(_pass_on(bus_url, records))
    except Unreachable:
        return  # the next verb tries again
    told = {each.id for each in records}
    with _alone(data):
        left = [each for each in waiting(data) if each.id not in told]
        _append(data / WAITING, left, os.O_TRUNC)


def waiting(data: Path) -> list[AuditRecord]:
    """Return the records that were not told yet."""
    file = data / WAITING
    lines = file.read_bytes().splitlines() if file.is_file() else []
    return [read_json(line, AuditRecord, f"a line of {file}") for line in lines]


async def _pass_on(bus_url: str, records: list[AuditRecord]) -> None:
    from lineshaft.core.bus.nats import open_bus

    async with open_bus(bus_url, most_bytes=None, patience_s=_PATIENCE_S) as bus:
        for record in records:
            await tell_audit(bus, record)


def _append(file: Path, records: list[AuditRecord], how: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | how, 0o600), "ab") as out:
        out.writelines(msgspec.json.encode(record) + b"\n" for record in records)
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep other verbs from the file meanwhile."""
    with (data / f"{WAITING}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
