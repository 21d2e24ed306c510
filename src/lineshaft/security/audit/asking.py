"""Questions to the audit room over the bus, and who asks them."""

from collections.abc import AsyncIterator

import msgspec

from lineshaft.core.bus import Asks
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.message import read_json
from lineshaft.security.audit.verifying import Proof


class Search(msgspec.Struct, frozen=True):
    """Asks on `auditor.search`: records that are all of what is given."""

    who: str = ""
    kind: str = ""
    """A pattern such as `login.*`."""
    name: str = ""
    result: str = ""
    since_us: int = 0
    until_us: int = 1 << 62
    limit: int = 100


class Entry(msgspec.Struct, frozen=True):
    """An entry of the log."""

    stream: str
    """The stream of the bus that it came over, and its place there; it is told twice
    by nobody."""
    sequence: int
    record: AuditRecord


class Numbered(msgspec.Struct, frozen=True):
    """A record and its number in the log, from 0."""

    number: int
    record: AuditRecord


class AuditClient:
    """Asks the audit room; `Unreachable` if it does not answer."""

    def __init__(self, bus: Asks) -> None:
        self._bus = bus

    async def search(self, wanted: Search) -> list[Numbered]:
        """Return records, the newest first."""
        said = await self._ask("search", msgspec.json.encode(wanted))
        return read_json(said, list[Numbered], "what the audit room found")

    async def checkpoint(self) -> str:
        """Return the signed checkpoint, with the cosignature of the witness."""
        return (await self._ask("checkpoint", b"")).decode()

    async def prove(self, number: int) -> Proof:
        """Return the proof that an entry is in the log; `Refused` if there is none."""
        said = await self._ask("prove", str(number).encode())
        return read_json(said, Proof, "a proof")

    async def witness(self, body: bytes) -> str:
        """Have a checkpoint of another log cosigned; see `Witness.add`.

        `old N` instead of a signature: it had N entries when it was seen last.
        """
        return (await self._ask("witness", body)).decode()

    async def _ask(self, question: str, data: bytes) -> bytes:
        parts: AsyncIterator[bytes] = self._bus.ask(f"auditor.{question}", data, 30.0)
        return b"".join([part async for part in parts])
