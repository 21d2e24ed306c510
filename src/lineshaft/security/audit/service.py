"""The audit room: takes records off the bus into the log, and answers about them."""

import asyncio
import hashlib
import logging
import shutil
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from http import HTTPStatus
from pathlib import Path

import msgspec

from lineshaft.core.bus import AUDIT, Bus, Message
from lineshaft.core.bus.audit import AuditRecord, Result, decode_audit, tell_audit
from lineshaft.core.errors import LineshaftError, Refused
from lineshaft.core.errors.codes import Code
from lineshaft.core.health import EVERY_S, Health, State
from lineshaft.core.health.meaning import counter, gauge
from lineshaft.core.message import read_json
from lineshaft.core.process.tasks import beside
from lineshaft.security.audit import merkle
from lineshaft.security.audit.asking import Entry, Search
from lineshaft.security.audit.log import CHECKPOINT, Log
from lineshaft.security.audit.notes import Verifier, cosigned_at
from lineshaft.security.audit.reading import search
from lineshaft.security.audit.settings import Settings
from lineshaft.security.audit.tiles import LONGEST_ENTRY, Tiles
from lineshaft.security.audit.verifying import prove
from lineshaft.security.audit.witness import Stale, TwoHistories, Witness, request

log = logging.getLogger(__name__)

RETRY_S = 5.0
MOST_IDS = 20_000
"""Records whose ids are remembered: whoever is unsure tells one again, soon."""
MOST_LETTERS = 1_000
_TEXTS = ("kind", "who", "name", "text", "origin", "id")
COSIGNED_FILE = "checkpoint.cosigned"
Post = Callable[[str, bytes], tuple[int, bytes]]
"""Sends bytes to an address; returns the status (RFC 9110) and the answer."""
_MEANINGS = {
    "entries": counter("audit_entries", "Entries of the audit log."),
    "bytes": gauge("audit_bytes", "Size of the audit log.", "bytes"),
    "witness_lag_entries": gauge(
        "audit_witness_lag_entries", "Entries that the witness has not seen."
    ),
}


class AuditRoom:
    """A service: `run` works until it is cancelled."""

    def __init__(
        self,
        home: Path,
        settings: Settings,
        bus: Bus,
        reopen: Callable[[], Log],
        post: Post,
        witness: Witness | None,
    ) -> None:
        """`reopen` opens the log anew; `post` sends bytes to an address."""
        self._home, self._settings, self._bus = home, settings, bus
        self._reopen, self._post, self._witness = reopen, post, witness
        self._log = reopen()
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._last = ("", 0)
        self._trouble = ""
        self._witness_trouble = ""
        self._cosigned = 0
        self._since_us = time.time_ns() // 1000
        self._bytes = 0

    async def run(self) -> None:
        """Take records and answer questions for ever."""
        await asyncio.to_thread(self._recall)
        questions = {
            "search": self._search,
            "checkpoint": self._checkpoint,
            "prove": self._prove,
            "witness": self._cosign,
        }
        async with AsyncExitStack() as stack:
            for question, answer in questions.items():
                subject = f"auditor.{question}"
                await stack.enter_async_context(self._bus.answer(subject, answer))
            works = [self._tell()]
            if self._settings.witness:
                works.append(self._ask_witness())
            await stack.enter_async_context(beside(*works))
            await self._take()

    async def _take(self) -> None:
        """Write down every record, in order: stored first, taken off the bus second."""
        stream = await self._bus.identity(AUDIT)
        after = self._last[1] if self._last[0] == stream else 0
        async for batch in self._bus.batches(AUDIT, after=after):
            entries = list(self._fresh(batch, stream))
            # A disk tells nobody that it has room again.
            while not await self._write(entries):  # noqa: ASYNC110
                await asyncio.sleep(RETRY_S)
            await self._bus.forget(AUDIT, through=batch[-1].sequence)

    def _fresh(self, batch: list[Message], stream: str) -> Iterator[bytes]:
        """Yield the entries of a batch that are not in the log yet."""
        for message in batch:
            try:
                record = decode_audit(message.data)
            except Refused as error:
                record = AuditRecord(
                    kind="audit.refused",
                    who="",
                    result=Result.FAILURE,
                    text=f"{message.subject}: {error}",
                    id=f"{stream}:{message.sequence}",
                )
            if record.id in self._ids:
                continue
            self._remember(record.id)
            yield entry_of(stream, message.sequence, record)

    async def _write(self, entries: list[bytes]) -> bool:
        """Write entries; False, and why in the health, if the disk does not take it."""
        if not entries:
            return True
        try:
            await asyncio.to_thread(self._log.append, entries)
        except OSError as error:
            self._trouble = (
                f"the audit log cannot be written ({error.strerror}); records wait on "
                "the bus, which refuses more when it is full: make room on the disk"
            )
            log.warning("%s", self._trouble)
            self._log = await asyncio.to_thread(self._reopen)
            return False
        self._trouble = ""
        self._bytes += sum(map(len, entries))
        return True

    def _remember(self, number: str) -> None:
        self._ids[number] = None
        if len(self._ids) > MOST_IDS:
            self._ids.popitem(last=False)

    def _recall(self) -> None:
        """Read the newest entries: whom we have, and where we were on the bus."""
        size = self._log.size
        for _, data in Tiles(self._home, size).entries(max(0, size - MOST_IDS), size):
            entry = read_json(data, Entry, "an entry of the audit log")
            self._remember(entry.record.id)
            self._last = (entry.stream, entry.sequence)
        files = (self._home / "tile").rglob("*")
        self._bytes = sum(file.stat().st_size for file in files if file.is_file())

    async def _search(self, question: bytes) -> AsyncIterator[bytes]:
        wanted = read_json(question, Search, "a search of the audit log")
        found = await asyncio.to_thread(
            lambda: list(search(self._home, self._log.size, wanted))
        )
        yield msgspec.json.encode(found)

    async def _checkpoint(self, _: bytes) -> AsyncIterator[bytes]:
        file = self._home / CHECKPOINT
        yield file.read_bytes() if file.exists() else b""

    async def _prove(self, question: bytes) -> AsyncIterator[bytes]:
        number = int(question) if question.isdigit() else -1
        yield msgspec.json.encode(await asyncio.to_thread(prove, self._home, number))

    async def _cosign(self, question: bytes) -> AsyncIterator[bytes]:
        if self._witness is None:
            raise Refused("we are no witness: [audit] witness_for is empty")
        try:
            yield self._witness.add(question).encode()
        except Stale as stale:
            yield b"old %d" % stale.size
        except TwoHistories as error:
            self._witness_trouble = str(error)
            await self._record("audit.two-histories", str(error))
            raise

    async def _record(self, kind: str, text: str) -> None:
        record = AuditRecord(kind=kind, who="", result=Result.FAILURE, text=text)
        await tell_audit(self._bus, record)

    async def _ask_witness(self) -> None:
        """Show the witness each new checkpoint, for ever."""
        verifier = Verifier(self._settings.witness_key)
        while True:
            try:
                await asyncio.to_thread(self._show, verifier)
                self._witness_trouble = ""
            except (LineshaftError, OSError) as error:
                self._witness_trouble = f"the witness: {error}"
            await asyncio.sleep(self._settings.witness_every_s)

    def _show(self, verifier: Verifier) -> None:
        """Show the witness the log as it is now, from what it saw last."""
        note = (self._home / CHECKPOINT).read_text("utf-8")
        size = self._log.checkpoint.size
        if not size or size == self._cosigned:
            return
        address = f"{self._settings.witness.rstrip('/')}/api/v1/witness/add-checkpoint"
        tiles = Tiles(self._home, size)
        status, said = HTTPStatus.CONFLICT, b"%d" % self._cosigned
        for _ in range(2):
            # It tells what it saw last, and we begin there.
            if status != HTTPStatus.CONFLICT or not said.strip().isdigit():
                break
            before = int(said)
            path = merkle.consistency(tiles, before, size) if before else []
            answer = self._post(address, request(before, path, note))
            status, said = HTTPStatus(answer[0]), answer[1]
        told = said.decode(errors="replace")
        signed = note + told
        if status != HTTPStatus.OK or cosigned_at(signed, verifier) is None:
            raise Refused(f"it answers {status} {told[:300]!r}")
        (self._home / COSIGNED_FILE).write_text(signed, "utf-8")
        self._cosigned = size

    async def _tell(self) -> None:
        while True:
            self._bus.tell("status.audit", msgspec.json.encode(self._health()))
            await asyncio.sleep(EVERY_S)

    def _health(self) -> Health:
        reasons = [self._trouble, self._witness_trouble, self._room()]
        reason = "; ".join(filter(None, reasons))
        figures: dict[str, float | int | str] = {
            "entries": self._log.size,
            "bytes": self._bytes,
        }
        if self._settings.witness:
            figures["witness_lag_entries"] = self._log.size - self._cosigned
        return Health(
            service="audit",
            state=State.DEGRADED if reason else State.OK,
            reason=reason,
            code=Code.AUDIT_TROUBLE if reason else "",
            since_us=self._since_us,
            figures=figures,
            meanings={key: _MEANINGS[key] for key in figures},
        )

    def _room(self) -> str:
        most = self._settings.warn_gib * (1 << 30)
        free = shutil.disk_usage(self._home).free
        if self._bytes > most:
            return f"the audit log has {self._bytes >> 20} MiB, more than warn_gib"
        if free < most / 10:
            return f"the disk of the audit log has {free >> 20} MiB left"
        return ""


def entry_of(stream: str, sequence: int, record: AuditRecord) -> bytes:
    """Return an entry of the log; of texts that are too long it has the begin."""
    entry = msgspec.json.encode(Entry(stream, sequence, record))
    if len(entry) <= LONGEST_ENTRY:
        return entry
    texts = {key: getattr(record, key) for key in _TEXTS}
    cut = {key: text[:MOST_LETTERS] for key, text in texts.items()}
    told = {key: len(text) for key, text in texts.items() if len(text) > MOST_LETTERS}
    whole = hashlib.sha256(entry).hexdigest()
    detail: dict[str, str | int | float | bool | None] = {"cut": whole, **told}
    short = msgspec.structs.replace(record, **cut, detail=detail)
    return msgspec.json.encode(Entry(stream, sequence, short))
