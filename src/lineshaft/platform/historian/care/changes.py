"""Points whose type or unit changes: noticed once, and remembered.

`units.json` in the history names every point that has readings in more than one unit.
It is written before the first reading in a new unit is stored.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from lineshaft.core.errors import ConfigError, Refused, Unreachable
from lineshaft.core.frame import KIND_NONE, Frame
from lineshaft.core.message import read_json
from lineshaft.platform.historian.arrow import TYPES

UNITS_FILE = "units.json"


class Shape(NamedTuple):
    """What a point's readings are."""

    type: str
    unit: str


class Change(NamedTuple):
    """A point that is told in another way from now on."""

    name: str
    before: Shape
    after: Shape


class Changes:
    """Knows the shape of each point, and all units that it ever had."""

    def __init__(self, home: Path, known: Mapping[str, tuple[str, str]]) -> None:
        """Begin with what an earlier life recorded; `ConfigError` if it is garbled."""
        self._file = home / UNITS_FILE
        self._known = {name: Shape(*shape) for name, shape in known.items()}
        self._told = dict(self._known)
        self._seen: dict[str, tuple[tuple[str, ...], tuple[str, ...], bytes]] = {}
        self.units: dict[str, list[str]] = {}
        """All units of each point that has had several."""
        if not self._file.exists():
            return
        try:
            content = self._file.read_bytes()
            self.units = read_json(content, dict[str, list[str]], "a list of units")
        except (OSError, Refused) as error:
            raise ConfigError(
                f"{self._file} cannot be understood: {error}; restore a back-up"
            ) from error

    def look(self, frame: Frame) -> list[Change]:
        """Return what changes with this frame; of a new point nothing does."""
        kinds = np.full(len(frame.names), KIND_NONE, np.uint8)
        kinds[frame.columns.point] = frame.columns.kind
        seen = (frame.names, frame.units, kinds.tobytes())
        # A device says the same names again and again: comparing them is cheap.
        if self._seen.get(frame.device) == seen:
            return []
        self._seen[frame.device] = seen
        found = [*self._compare(frame, kinds)]
        if found:
            # Another device may tell one of these points, too.
            self._seen = {}
        return found

    def _compare(self, frame: Frame, kinds: NDArray[np.uint8]) -> list[Change]:
        found = []
        for name, unit, kind in zip(
            frame.names, frame.units, kinds.tolist(), strict=True
        ):
            before = self._known.get(name)
            if kind == KIND_NONE and before is None:
                continue
            type_ = TYPES[kind] if kind != KIND_NONE or before is None else before.type
            after = self._known[name] = Shape(type_, unit)
            if before is None and not frame.is_import:
                self._told[name] = after
            if before is not None and before != after:
                found.append(Change(name, before, after))
        return found

    def news(self, changes: list[Change]) -> list[Change]:
        """Return what the plant itself changed, each once.

        A file from elsewhere may have been in between, in a unit of its own.
        """
        found = []
        for change in changes:
            before = self._told.get(change.name, change.before)
            self._told[change.name] = change.after
            if before != change.after:
                found.append(Change(change.name, before, change.after))
        return found

    def remember(self, changes: list[Change]) -> None:
        """Write down which points now have several units.

        `Unreachable` when the disk does not take it: try again.
        """
        for change in changes:
            if change.before.unit != change.after.unit:
                units = self.units.setdefault(change.name, [change.before.unit])
                if change.after.unit not in units:
                    units.append(change.after.unit)
        try:
            write_units(self._file.parent, self.units)
        except OSError as error:
            raise Unreachable(f"{self._file} could not be written: {error}") from error


def write_units(home: Path, units: Mapping[str, list[str]]) -> None:
    """Write down all units of the points that have had several."""
    fresh = home / f"{UNITS_FILE}.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(units), indent=1))
    fresh.replace(home / UNITS_FILE)
