"""Tokens of programs: whose rights they have, which of these, where and how long."""

import sqlite3
import uuid
from collections.abc import Sequence

import msgspec

from lineshaft.core.errors import NotFound, Refused
from lineshaft.core.name import compile_pattern
from lineshaft.security.access.roles import Action
from lineshaft.security.people.store import Store, digest, new_secret

PREFIX = "lst_"
"""Every token begins so, which lets scanners find one that lies about."""
LONGEST_DAYS = 366
NOTE_USE_S = 60.0


class Token(msgspec.Struct, frozen=True):
    """A token, without its secret."""

    id: str
    subject: str
    """Whose rights it has, as the policy grants them; never more."""
    label: str
    actions: tuple[Action, ...]
    """Of these rights, the kinds of action that it may use."""
    places: tuple[str, ...]
    """Patterns of the names that it may use them on."""
    made_us: int
    until_us: int
    used_us: int
    made_by: str


class Tokens:
    """The tokens of a plant."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def make(
        self,
        subject: str,
        label: str,
        scope: tuple[Sequence[Action], Sequence[str]],
        until: tuple[int, int],
        made_by: str,
    ) -> tuple[str, Token]:
        """Make a token; return its secret, which we forget, and the token.

        `scope` are actions and patterns of names, `until` now and the end. `Refused`
        for a token that could do nothing, or for longer than a year; `NotFound` for
        what is no pattern.
        """
        (actions, places), (now_us, until_us) = scope, until
        if not actions or not places:
            raise Refused("a token without actions or places could do nothing")
        if not now_us < until_us <= now_us + LONGEST_DAYS * 86_400_000_000:
            raise Refused(f"a token lasts from now on, at most {LONGEST_DAYS} days")
        for place in places:
            compile_pattern(place)
        secret = PREFIX + new_secret()
        token = Token(
            uuid.uuid4().hex, subject, label[:100], tuple(actions), tuple(places),
            now_us, until_us, 0, made_by,
        )  # fmt: skip
        self._store.change(
            "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
            digest(secret), token.id, subject, token.label, " ".join(actions),
            "\n".join(places), now_us, until_us, made_by,
        )  # fmt: skip
        return secret, token

    def find(self, secret: str, now_us: int) -> Token | None:
        """Return the token of a secret; None if it is over or never was."""
        row = self._store.row(
            "SELECT * FROM tokens WHERE digest = ? AND until_us > ? AND NOT EXISTS "
            "(SELECT 1 FROM accounts WHERE name = subject AND disabled)",
            digest(secret), now_us,
        )  # fmt: skip
        if row is None:
            return None
        if now_us - row["used_us"] > NOTE_USE_S * 1e6:
            order = "UPDATE tokens SET used_us = ? WHERE id = ?"
            self._store.change(order, now_us, row["id"])
        return _made(row)

    def lives(self, number: str, now_us: int) -> bool:
        """Whether a token still works."""
        question = "SELECT 1 FROM tokens WHERE id = ? AND until_us > ?"
        return self._store.row(question, number, now_us) is not None

    def all(self, subject: str | None = None) -> list[Token]:
        """Return the tokens, the newest first; of one subject if it is told."""
        rows = self._store.rows(
            "SELECT * FROM tokens WHERE ? IS NULL OR subject = ? ORDER BY made_us DESC",
            subject, subject,
        )  # fmt: skip
        return [_made(row) for row in rows]

    def get(self, number: str) -> Token:
        """Return a token by its id; `NotFound` if there is none."""
        row = self._store.row("SELECT * FROM tokens WHERE id = ?", number)
        if row is None:
            raise NotFound(f"there is no token {number[:40]!r}")
        return _made(row)

    def end(self, number: str) -> None:
        """End a token at once; `NotFound` if there is none."""
        self.get(number)
        self._store.change("DELETE FROM tokens WHERE id = ?", number)


def _made(row: sqlite3.Row) -> Token:
    return Token(
        row["id"], row["subject"], row["label"],
        tuple(Action(each) for each in row["actions"].split()),
        tuple(row["places"].splitlines()), row["made_us"], row["until_us"],
        row["used_us"], row["made_by"],
    )  # fmt: skip
