"""How fast passwords may be guessed: ever slower, and never so that nobody gets in.

Failures are counted for the account as tried by strangers, for the address, and for
each known browser by itself. Whoever guesses at an account therefore slows down other
strangers, but not the browser at the line from which its owner has logged in before;
and sessions that are open do not notice at all (IEC 62443-3-3 SR 1.11).
"""

from collections import OrderedDict

FREE_FAILURES = 4
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
FORGET_AFTER_S = 3600.0
MOST_KEPT = 20_000


class Throttle:
    """Says how long somebody must wait; what it knows is lost with the process."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, keys: tuple[str, ...], now_s: float) -> float:
        """Return how many seconds whoever has these keys must wait; 0: none."""
        return max((self._left(key, now_s) for key in keys), default=0.0)

    def failed(self, keys: tuple[str, ...], now_s: float) -> None:
        """Count a failure."""
        for key in keys:
            count, at_s = self._failures.pop(key, (0, now_s))
            if now_s - at_s > FORGET_AFTER_S:
                count = 0
            self._failures[key] = (count + 1, now_s)
        while len(self._failures) > MOST_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, keys: tuple[str, ...]) -> None:
        """Begin to count anew."""
        for key in keys:
            self._failures.pop(key, None)

    def _left(self, key: str, now_s: float) -> float:
        count, at_s = self._failures.get(key, (0, 0.0))
        if count <= FREE_FAILURES or now_s - at_s > FORGET_AFTER_S:
            return 0.0
        wait_s = FIRST_WAIT_S * (1 << min(count - FREE_FAILURES - 1, 30))
        return max(0.0, at_s + min(wait_s, LONGEST_WAIT_S) - now_s)
