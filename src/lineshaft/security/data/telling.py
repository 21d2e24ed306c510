"""Each decision about data becomes an audit record."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from lineshaft.core.bus.audit import AuditRecord, Result
from lineshaft.core.errors import Unreachable
from lineshaft.security.data.gate import Decided, Gate, Outcome, Passage, Stage
from lineshaft.security.data.settings import Settings

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
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

    def __init__(self, tell: Callable[[AuditRecord], Awaitable[None]]) -> None:
        """`tell` stores a record, and goes on trying by itself."""
        self._tell = tell
        self._waiting: asyncio.Queue[AuditRecord] = asyncio.Queue(MOST_WAITING)

    def decided(self, origin: str) -> Decided:
        """Return what a gate tells its decisions to.

        That raises `Unreachable` if so many wait that nothing may go on.
        """

        def note(passage: Passage, names: Sequence[str]) -> None:
            self._note(record_of(passage, names, "", origin))

        return note

    def _note(self, record: AuditRecord) -> None:
        try:
            self._waiting.put_nowait(record)
        except asyncio.QueueFull as error:
            raise Unreachable(
                f"{MOST_WAITING:,} decisions wait to be recorded; what is not recorded "
                "does not happen. `lineshaft health` says why the bus is away"
            ) from error

    async def run(self) -> None:
        """Tell what was decided, in order, until cancelled."""
        while True:
            await self._tell(await self._waiting.get())


def gate_of(settings: Settings | None, decided: Decided) -> Gate | None:
    """Return the gate of a plant; None without `[data]`: then all passes."""
    return Gate(settings, decided) if settings else None


def passing(
    settings: Settings | None, names: Sequence[str], decided: Decided
) -> set[str]:
    """Return those points that may go to the outputs of a plant, which are ours too.

    Without `[data]` nothing is labelled, and all may.
    """
    if settings is None:
        return set(names)
    passed = Gate(settings, decided).sift(Stage.TRANSFER, names, datetime.now(UTC))
    if kept := [name for name in names if name not in passed]:
        log.warning(
            "%d of %d points stay in the plant by their label, like %s; see `lineshaft "
            "data catalogue`",
            len(kept),
            len(names),
            kept[0],
        )
    return passed
