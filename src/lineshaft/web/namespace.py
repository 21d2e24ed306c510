"""All configured points by place: fast to open level by level, and to search."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from lineshaft.core.errors import NotFound
from lineshaft.core.name import compile_pattern, place_of
from lineshaft.core.point import Point
from lineshaft.web.shapes import Level, PlaceView, PointView

MOST_WILDCARDS = 200
_BEHIND_ALL = "\U0010ffff"
_MOST_COMPARED = 2_000


class Namespace:
    """An index of points; `take` puts others in their place."""

    def __init__(self, points: Iterable[tuple[Point, str, str]]) -> None:
        """Take each point with its device and the device's protocol."""
        self.version = 0
        """Counts how often other points took their place."""
        self.take(points)

    def take(self, points: Iterable[tuple[Point, str, str]]) -> None:
        """Know these points from now on, and no others."""
        self.version += 1
        self._points = {placed[0].name: placed for placed in points}
        self.devices = frozenset(device for _, device, _ in self._points.values())
        self.names: list[str] = sorted(self._points)
        self._in: dict[str, list[str]] = {}
        self._below: dict[str, dict[str, None]] = {"": {}}
        self._count: dict[str, int] = {}
        for name in self.names:
            place = place_of(name)
            self._in.setdefault(place, []).append(name)
            parent = ""
            for segment in place.split("/"):
                path = f"{parent}/{segment}" if parent else segment
                self._below.setdefault(parent, {})[path] = None
                self._count[path] = self._count.get(path, 0) + 1
                parent = path
        self._text = {name: self._searchable(name) for name in self.names}

    def __contains__(self, name: str) -> bool:
        return name in self._points

    def placed(self, names: Iterable[str]) -> list[tuple[Point, str, str]]:
        """Return known points with their devices and protocols, as they were given."""
        return [self._points[name] for name in names]

    def unit(self, name: str) -> str:
        """Return the unit of a known point."""
        return self._points[name][0].unit

    def device(self, name: str) -> str:
        """Return the device of a point; `NotFound` with the nearest spelling."""
        if name not in self._points:
            place, _, last = name.rpartition("/")
            near = self._nearest_place(place)
            points = [each.rpartition("/")[2] for each in self._in.get(near or "", [])]
            spelt = _near(last, points)
            hint = f"; did you mean {f'{near}/{spelt}'!r}?" if spelt else ""
            raise NotFound(f"there is no point {name!r}{hint}")
        return self._points[name][1]

    def level(self, place: str) -> Level:
        """Return what is directly in a place; the top for the empty path."""
        place = place.strip("/")
        if place and place not in self._count:
            near = self._nearest_place(place)
            hint = f"; did you mean {near!r}?" if near else ""
            raise NotFound(f"there is no place {place!r}{hint}")
        below = [
            PlaceView(path.rpartition("/")[2], path, self._count[path])
            for path in self._below.get(place, {})
        ]
        return Level(
            place, below, [self.view(name) for name in self._in.get(place, [])]
        )

    def find(self, patterns: Sequence[str], search: str = "") -> list[str]:
        """Return the names that any pattern means and that contain `search`.

        Each word of `search` is looked for in names and descriptions, in any case.
        `NotFound` for what is no pattern, or for more than 200 with a wildcard:
        each of those is compared with all names that begin like it.
        """
        if sum("*" in pattern for pattern in patterns) > MOST_WILDCARDS:
            raise NotFound(
                f"more than {MOST_WILDCARDS} patterns with a wildcard at once; "
                "ask for wider ones or for names"
            )
        if len(patterns) == 1:
            found = list(self._match(patterns[0]))
        else:
            each = (name for pattern in patterns for name in self._match(pattern))
            found = list(dict.fromkeys(each))
        for word in search.casefold().split():
            found = [name for name in found if word in self._text[name]]
        return found

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

    def _match(self, pattern: str) -> Sequence[str]:
        pattern = pattern.strip("/")
        if pattern in self._points:
            return (pattern,)
        expression = compile_pattern(pattern)
        head, star, rest = pattern.partition("*")
        if not star:
            return ()
        begin = bisect_left(self.names, head)
        alike = self.names[begin : bisect_left(self.names, head + _BEHIND_ALL)]
        if rest == "*" and (not head or head.endswith("/")):
            return alike
        return [name for name in alike if expression.fullmatch(name + "/")]

    def _nearest_place(self, path: str) -> str:
        """Return the place that is spelt most like `path`, level by level, or none."""
        here = ""
        for segment in path.split("/"):
            known = [below.rpartition("/")[2] for below in self._below.get(here, {})]
            spelt = _near(segment, known)
            if not spelt:
                return ""
            here = f"{here}/{spelt}" if here else spelt
        return here

    def _searchable(self, name: str) -> str:
        return f"{name} {self._points[name][0].description}".casefold()


def _near(word: str, known: list[str]) -> str:
    if len(known) > _MOST_COMPARED:
        # Comparing takes long: among very many, look around where it would stand.
        known = sorted(known)
        middle = bisect_left(known, word)
        half = _MOST_COMPARED // 2
        known = known[max(0, middle - half) : middle + half]
    return next(iter(get_close_matches(word, known, n=1, cutoff=0.5)), "")
