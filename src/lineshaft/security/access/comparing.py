"""What differs between two policies, by meaning: order and spacing do not count."""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from lineshaft.security.access.document import Document

TABLES = ("grant", "deny", "approval")


class Difference(msgspec.Struct, frozen=True):
    """One thing that is new, gone or otherwise."""

    what: str
    """Like `grant 'night shift'`."""
    how: Literal["added", "removed", "changed"]
    before: Mapping[str, object] = {}
    """Of what changed, only the keys that did; of what is gone, all."""
    after: Mapping[str, object] = {}


def compare(before: Document, after: Document) -> list[Difference]:
    """Return what one must do to `before` to have `after`; tests are not compared."""
    old, new = dict(_things(before)), dict(_things(after))
    found = []
    for what in sorted(old.keys() | new.keys()):
        was, becomes = old.get(what), new.get(what)
        if was is None:
            found.append(Difference(what, "added", {}, becomes or {}))
        elif becomes is None:
            found.append(Difference(what, "removed", was, {}))
        elif was != becomes:
            keys = sorted(was.keys() | becomes.keys())
            keys = [key for key in keys if was.get(key) != becomes.get(key)]
            found.append(
                Difference(
                    what,
                    "changed",
                    {key: was[key] for key in keys if key in was},
                    {key: becomes[key] for key in keys if key in becomes},
                )
            )
    return found


def _things(document: Document) -> Iterator[tuple[str, Mapping[str, object]]]:
    plain = document.model_dump(mode="json", exclude_defaults=True)
    for name, subject in plain.get("subjects", {}).items():
        yield f"subject {name!r}", subject
    for name, members in plain.get("groups", {}).items():
        yield f"group {name!r}", {"members": sorted(members)}
    for table in TABLES:
        for rule in plain.get(table, ()):
            told = {
                key: sorted(value) if isinstance(value, list) else value
                for key, value in rule.items()
                if key != "name"
            }
            yield f"{table} {rule['name']!r}", told
