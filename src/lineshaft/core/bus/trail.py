"""Audit records on their way to the bus, kept on our own disk while it is away."""

import asyncio
import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, flock
from pathlib import Path

import msgspec

from lineshaft.core.bus import Publishes
from lineshaft.core.bus.audit import AuditRecord, tell_audit
from lineshaft.core.errors import LineshaftError

log = logging.getLogger(__name__)

WITHIN_S = 2.0
AGAIN_S = 5.0
MOST_BYTES = 64 << 20


class Trail:
    """A service: `run` brings on what waits, until it is cancelled.

    Whatever somebody does is not held up by the trail: what the bus does not take is
    written to `file` first, in order, and told again until the bus has it. When the
    disk does not take it either, `trouble` says so, and how many records were lost.
    """

    def __init__(self, bus: Publishes, file: Path) -> None:
        self._bus = bus
        self._file = file
        self._moved = file.with_suffix(".sending")
        self._wakes = asyncio.Event()
        self._lock = asyncio.Lock()
        self.lost = 0
        """Records that neither the bus nor the disk took."""
        self.trouble = ""
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def waits(self) -> bool:
        """Whether records wait on our disk."""
        return self._file.exists() or self._moved.exists()

    async def tell(self, record: AuditRecord) -> None:
        """Store a record: on the bus, or else on our disk. It never raises."""
        async with self._lock:
            if not self.waits and await self._send(record):
                return
            try:
                keep(self._file, record)
            except OSError as error:
                self.lost += 1
                self.trouble = (
                    f"{self.lost} audit records are lost: neither the bus nor "
                    f"{self._file} took them ({error.strerror or error})"
                )
                log.exception("%s: %s by %s", self.trouble, record.kind, record.who)
            self._wakes.set()

    async def run(self) -> None:
        """Tell the bus what waits, for ever; each record at least once, by its id."""
        while True:
            async with self._lock:
                sent = await self._bring_on() if self.waits else True
            if not sent:
                self.trouble = self.trouble or "audit records wait: the bus is away"
            # The command line, too, leaves records in the file.
            with suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._wakes.wait()
            self._wakes.clear()

    async def _bring_on(self) -> bool:
        # Moved away first: another process may write a new one meanwhile.
        if not self._moved.exists():
            with _open_alone(self._file):
                self._file.rename(self._moved)
        for line in self._moved.read_bytes().splitlines():
            try:
                record = msgspec.json.decode(line, type=AuditRecord)
            except msgspec.DecodeError:
                log.warning(
                    "%s: %r is no audit record; it is left out", self._file, line
                )
                continue
            if not await self._send(record):
                return False
        self._moved.unlink()
        if not self.lost:
            self.trouble = ""
        return True

    async def _send(self, record: AuditRecord) -> bool:
        try:
            async with asyncio.timeout(WITHIN_S):
                await tell_audit(self._bus, record)
        except (LineshaftError, TimeoutError):
            return False
        return True


def keep(file: Path, record: AuditRecord) -> None:
    """Write a record where the trail of a plant will find it; `OSError` if it cannot.

    It is on disk when this returns. Several processes may do so.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _open_alone(file) as number:
        if os.fstat(number).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"it holds {MOST_BYTES} bytes already")
        line = msgspec.json.encode(record) + b"\n"
        if os.write(number, line) != len(line):
            raise OSError(errno.ENOSPC, "the disk is full")
        os.fsync(number)


@contextmanager
def _open_alone(file: Path) -> Iterator[int]:
    """Open the file for us alone; not one that was moved away meanwhile."""
    while True:
        number = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            flock(number, LOCK_EX)
            here = file.stat().st_ino if file.exists() else 0
            if here == os.fstat(number).st_ino:
                yield number
                return
        finally:
            os.close(number)
