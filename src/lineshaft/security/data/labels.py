"""Class and grade of the data of a plant: inherited, and joined by the highest.

Classes are those of the guide for the classification of industrial data (MIIT
2020/6), grades those of the measures for data security in industry (MIIT 2022/166,
art. 8).
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum

import msgspec
from typing_extensions import override

from lineshaft.security.tree import Tree


class Class(StrEnum):
    """What data are about."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"
    OPERATION = "operation and maintenance"
    MANAGEMENT = "management"
    EXTERNAL = "external"


class Grade(IntEnum):
    """What harm comes of data that are leaked, changed or destroyed; more is worse."""

    GENERAL = 1
    IMPORTANT = 2
    CORE = 3

    @property
    def word(self) -> str:
        """Return it as it is written."""
        return self.name.lower()


class Label(msgspec.Struct, frozen=True):
    """What is known of some data."""

    classes: frozenset[Class]
    grade: Grade

    @override
    def __str__(self) -> str:
        """Return it as files and answers carry it."""
        return f"{self.grade.word}; {', '.join(sorted(self.classes))}"


def join(labels: Iterable[Label | None]) -> Label | None:
    """Return the label of data together: every class, and the highest grade.

    None, which is no label, if any of them has none, or there are no data at all.
    """
    found = list(labels)
    sure = [label for label in found if label is not None]
    if not sure or len(sure) < len(found):
        return None
    classes = frozenset[Class]().union(*(label.classes for label in sure))
    return Label(classes, max(label.grade for label in sure))


class Labels:
    """The labels of a plant, by patterns of names."""

    def __init__(self, given: Iterable[tuple[str, Label]]) -> None:
        self._tree: Tree[Label] = Tree()
        for pattern, label in given:
            self._tree.add(pattern, label)
            if not pattern.endswith("**"):
                self._tree.add(f"{pattern}/**", label)

    def of(self, name: str) -> Label | None:
        """Return the label of a point or place: of all that it inherits, joined."""
        return join(self._tree.find(name.split("/")))

    def together(self, names: Iterable[str]) -> Label | None:
        """Return the label of several, as of a file that has them all."""
        return join(self.of(name) for name in names)
