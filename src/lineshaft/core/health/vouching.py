"""Who vouches for the readings of a device: its collector, while it is heard of."""

from collections.abc import Iterable

from lineshaft.core.health import EVERY_S, Health

SILENT_AFTER_S = 3 * EVERY_S


class Vouching:
    """Knows which collectors give signs of life. Moments are of a monotonic clock.

    A device of several connections is vouched for while all that were heard of are.
    """

    def __init__(self, devices: Iterable[str], now: float) -> None:
        """Give each device the benefit of the doubt at `now`."""
        self._heard: dict[str, dict[str, float]] = {name: {} for name in devices}
        self._begin = now
        self._silent: set[str] = set()

    def note(self, health: Health, now: float) -> None:
        """Take in a sign of life of anything."""
        kind, _, name = health.service.partition(".")
        parts = self._heard.get(name.partition("/")[0])
        if kind == "collector" and parts is not None:
            parts[health.service] = now

    def changes(self, now: float) -> list[tuple[str, bool]]:
        """Return each device that fell silent (True) or is back since the last call."""
        changed = []
        for device, parts in self._heard.items():
            oldest = min(parts.values(), default=self._begin)
            is_silent = now - oldest > SILENT_AFTER_S
            if is_silent != (device in self._silent):
                (self._silent.add if is_silent else self._silent.discard)(device)
                changed.append((device, is_silent))
        return changed
