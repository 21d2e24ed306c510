"""Each decision about data becomes an audit record."""

import asyncio
from collections.abc import Callable, Sequence

from lineshaft.core.bus import Publishes
from lineshaft.core.bus.audit import AuditRecord, Result, tell_audit
from lineshaft.core.errors import Unreachable
from lineshaft.security.data.gate import Outcome, Passage

Tell = Callable[[AuditRecord], None]
MOST_WAITING = 10_000
RETRY_S = 1.0
_MOST_NAMES = 5


def record_of(
    passage: Passage, names: Sequence[str], who: str, origin: str, text: str = ""
) -> AuditRecord:
    """Return the record of a decision: `data.provide`, `data.destroy` and so on."""
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    allowed = passage.outcome is Outcome.ALLOW
    return AuditRecord(
        kind=f"data.{passage.stage}",
        who=who,
        name=", ".join(names[:_MOST_NAMES]) + more,
        result=Result.SUCCESS if allowed else Result.DENIED,
        text=text or passage.sentence,
        origin=origin,
        detail={
            "label": passage.label,
            "outcome": str(passage.outcome),
            "source": passage.source,
            "approval": passage.approval,
            "points": len(names),
        },
    )


class Telling:
    """A service that tells records in order; `note` takes them from anywhere."""

    def __init__(self, bus: Publishes) -> None:
        self._bus = bus
        self._waiting: asyncio.Queue[AuditRecord] = asyncio.Queue(MOST_WAITING)

    def note(self, record: AuditRecord) -> None:
        """Take a record; `Unreachable` if so many wait that nothing may go on."""
        try:
            self._waiting.put_nowait(record)
        except asyncio.QueueFull as error:
            raise Unreachable(
                f"{MOST_WAITING:,} decisions wait to be recorded; what is not recorded "
                "does not happen. `lineshaft health` says why the bus is away"
            ) from error

    async def run(self) -> None:
        """Tell what was noted, again and again until it is stored."""
        while True:
            record = await self._waiting.get()
            while True:
                try:
                    await tell_audit(self._bus, record)
                    break
                except Unreachable:  # the same id is never written twice
                    await asyncio.sleep(RETRY_S)
