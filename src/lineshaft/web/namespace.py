"""All configured points by place: fast to open level by level, and to search."""

from collections.abc import Iterable, Sequence

from lineshaft.core.errors import NotFound
from lineshaft.core.name import did_you_mean, place_of, select
from lineshaft.core.point import Point
from lineshaft.web.shapes import Level, PlaceView, PointView


class Namespace:
    """An index that does not change while the plant runs."""

    def __init__(self, points: Iterable[tuple[Point, str, str]]) -> None:
        """Take each point with its device and the device's protocol."""
        self._points = {placed[0].name: placed for placed in points}
        self.names: list[str] = sorted(self._points)
        self._in: dict[str, list[str]] = {}
        self._below: dict[str, dict[str, None]] = {"": {}}
        self._count: dict[str, int] = {}
        for name in self.names:
            self._in.setdefault(place_of(name), []).append(name)
            place, parent = place_of(name), ""
            for segment in place.split("/"):
                path = f"{parent}/{segment}" if parent else segment
                self._below.setdefault(parent, {})[path] = None
                self._count[path] = self._count.get(path, 0) + 1
                parent = path
        self._search = [(name, self._searchable(name)) for name in self.names]

    def __contains__(self, name: str) -> bool:
        return name in self._points

    def unit(self, name: str) -> str:
        """Return the unit of a known point."""
        return self._points[name][0].unit

    def device(self, name: str) -> str:
        """Return the device of a point; `NotFound` with the nearest spelling."""
        if name not in self._points:
            near = did_you_mean(name, self.names)
            raise NotFound(f"there is no point {name!r}{near}")
        return self._points[name][1]

    def level(self, place: str) -> Level:
        """Return what is directly in a place; the top for the empty path."""
        place = place.strip("/")
        if place and place not in self._count:
            near = did_you_mean(place, list(self._count))
            raise NotFound(f"there is no place {place!r}{near}")
        below = [
            PlaceView(path.rpartition("/")[2], path, self._count[path])
            for path in self._below.get(place, {})
        ]
        return Level(
            place, below, [self.view(name) for name in self._in.get(place, [])]
        )

    def find(self, patterns: Sequence[str], search: str = "") -> list[str]:
        """Return the names that any pattern means and that contain `search`.

        `search` is looked for in names and descriptions, in any case.
        """
        found = dict.fromkeys(
            name for pattern in patterns for name in select(pattern, self.names)
        )
        if not search:
            return list(found)
        words = search.casefold().split()
        everything = "**" in patterns
        return [
            name
            for name, text in self._search
            if all(word in text for word in words) and (everything or name in found)
        ]

    def view(self, name: str) -> PointView:
        """Return a point as the API shows it."""
        point, device, protocol = self._points[name]
        return PointView(
            name,
            point.type,
            point.unit,
            point.description,
            device,
            protocol,
            point.address,
            point.period_s,
            point.deadband,
            point.writable,
        )

    def _searchable(self, name: str) -> str:
        return f"{name} {self._points[name][0].description}".casefold()
