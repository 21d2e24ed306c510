"""Which data a plant has, and what they are worth: its catalogue."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from lineshaft.core.name import place_of
from lineshaft.security.data.labels import Label, Labels


class Entry(msgspec.Struct, frozen=True):
    """A place whose points have one label."""

    place: str
    points: int
    grade: str
    """Empty for points without a label."""
    classes: tuple[str, ...]


def catalogue(labels: Labels, names: Iterable[str]) -> list[Entry]:
    """Return the places of the points, with labels; a place can stand there twice."""
    counted: Counter[tuple[str, Label | None]] = Counter(
        (place_of(name), labels.of(name)) for name in names
    )
    entries = [
        Entry(
            place,
            count,
            label.grade.word if label else "",
            tuple(sorted(label.classes)) if label else (),
        )
        for (place, label), count in counted.items()
    ]
    return sorted(entries, key=lambda entry: (entry.place, entry.grade))
