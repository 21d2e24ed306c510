"""Patterns of many rules as one tree: found by walking a name once.

It means exactly what `core.name.compile_pattern` means, but asks only the rules that
have a chance, so that tens of thousands of them cost no more than a few.
"""

import re
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
_Partial = tuple[re.Pattern[str], "Tree[T]"]


class Tree(Generic[T]):
    """What is known of the names that begin like this."""

    __slots__ = ("below", "deep", "here", "is_deep", "is_plain", "literal", "partial")

    def __init__(self, *, is_deep: bool = False) -> None:
        self.literal: dict[str, Tree[T]] = {}
        """By the next segment."""
        self.partial: dict[str, _Partial[T]] | None = None
        """By a next segment that has `*` in it."""
        self.here: list[T] | None = None
        """Leaves of patterns that end here."""
        self.below: list[T] | None = None
        """Leaves of patterns that end with `**` after this."""
        self.deep: Tree[T] | None = None
        """What follows a `**` that comes next."""
        self.is_deep = is_deep
        """Whether this follows a `**`, so that any segments may be skipped here."""
        self.is_plain = True
        """Of the root: whether no pattern has a `*` but for a `**` at its end."""

    def add(self, pattern: str, leaf: T) -> None:
        """Let `find` return `leaf` for the names that `pattern` means."""
        *ways, last = pattern.split("/")
        node = self
        for segment in ways:
            node = node.step(segment)
        if last == "**":
            node.below = node.below or []
            node.below.append(leaf)
        else:
            node = node.step(last)
            node.here = node.here or []
            node.here.append(leaf)
        self.is_plain &= "*" not in "".join(ways) and ("*" not in last or last == "**")

    def step(self, segment: str) -> "Tree[T]":
        """Return the node after a segment of a pattern; make it if there is none."""
        if segment == "**":
            if self.is_deep:
                return self
            self.deep = self.deep or Tree(is_deep=True)
            return self.deep
        if "*" in segment:
            self.partial = self.partial or {}
            if segment not in self.partial:
                shape = re.compile(re.escape(segment).replace(r"\*", ".*"))
                self.partial[segment] = (shape, Tree())
            return self.partial[segment][1]
        return self.literal.setdefault(segment, Tree())

    def find(self, segments: Sequence[str]) -> list[T]:
        """Return the leaves of all patterns that mean the name of these segments."""
        found = self._on_one_path if self.is_plain else self._on_all_paths
        return found(segments)

    def _on_all_paths(self, segments: Sequence[str]) -> list[T]:
        found: list[T] = []
        active = [self] if self.deep is None else [self, self.deep]
        for segment in segments:
            after: list[Tree[T]] = []
            for node in active:
                if node.below:
                    found += node.below
                child = node.literal.get(segment)
                if child is not None:
                    child.enter(after)
                if node.partial or node.is_deep:
                    node.widen(segment, after)
            if not after:
                return found
            active = after
        for node in active:
            found += node.here or ()
        return found

    def _on_one_path(self, segments: Sequence[str]) -> list[T]:
        """Do the same where patterns have no `*` on the way, as most do."""
        found: list[T] = []
        node = self
        for segment in segments:
            if node.below:
                found += node.below
            child = node.literal.get(segment)
            if child is None:
                return found
            node = child
        found += node.here or ()
        return found

    def enter(self, active: "list[Tree[T]]") -> None:
        """Count this node, and what follows a `**` after it, among the active."""
        active.append(self)
        if self.deep is not None and self.deep not in active:
            active.append(self.deep)

    def widen(self, segment: str, active: "list[Tree[T]]") -> None:
        """Count among the active what a segment leads to by `*` and `**`."""
        for shape, child in (self.partial or {}).values():
            if shape.fullmatch(segment):
                child.enter(active)
        if self.is_deep and self not in active:
            active.append(self)
