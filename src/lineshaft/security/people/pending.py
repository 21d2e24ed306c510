"""What was begun with a browser and waits for its answer."""

from collections import OrderedDict
from typing import Generic, TypeVar

Begun = TypeVar("Begun")
MOST_KEPT = 1_000
WITHIN_S = 300.0


class Pending(Generic[Begun]):
    """Keeps what was begun for five minutes, each to be taken once.

    There are at most a thousand; the oldest go first, and whoever began them begins
    anew.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Begun]] = OrderedDict()

    def keep(self, key: str, begun: Begun, now_s: float) -> None:
        """Keep it under a key that nobody can guess."""
        self._kept[key] = (now_s, begun)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    def take(self, key: str, now_s: float) -> Begun | None:
        """Take out what was kept; None if it is not there, or too old."""
        since_s, begun = self._kept.pop(key, (0.0, None))
        return begun if now_s - since_s <= WITHIN_S else None
