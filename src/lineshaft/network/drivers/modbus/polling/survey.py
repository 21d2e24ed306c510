"""What is learned about a device while it is connected; no sockets.

Some addresses do not exist, and some blocks cannot be read across. Both are found out
once and remembered, so that a bad register costs neither its neighbours their values
nor the device a question each period.
"""

import time
from collections.abc import Callable

from lineshaft.network.drivers.modbus.polling.plan import Fence, Span

RECHECK_S = 60.0
"""A bad address is asked for again after this long: a program may be loaded by then."""


class Survey:
    """Remembers bad spans, and fences for the planner."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self.fences: set[Fence] = set()
        self.version = 0
        """Counts up whenever plans made earlier are out of date."""
        self._bad: dict[Span, tuple[str, float]] = {}

    def fence(self, fence: Fence) -> None:
        """Let no later block reach across."""
        self.fences.add(fence)
        self.version += 1

    def condemn(self, span: Span, reason: str) -> None:
        """Remember that this span cannot be read."""
        if span not in self._bad:
            self.fence(_around(span))
        self._bad[span] = (reason, self._now_s() + RECHECK_S)

    def acquit(self, span: Span) -> None:
        """Forget what was held against a span: it was read."""
        if self._bad.pop(span, None) is not None:
            self.fences.discard(_around(span))
            self.version += 1

    def is_bad(self, span: Span) -> bool:
        """Whether it is known to be unreadable."""
        return span in self._bad

    def reason(self, span: Span) -> str:
        """Return why it cannot be read; nothing if it can."""
        return self._bad[span][0] if span in self._bad else ""

    def is_due(self, span: Span) -> bool:
        """Whether it is time to ask for a bad span again."""
        return self._now_s() >= self._bad[span][1]


def _around(span: Span) -> Fence:
    return Fence(span.unit, span.area, span.start, span.stop)
