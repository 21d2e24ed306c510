"""Accounts: who has one, and what proves that it is theirs."""

import re
import secrets
import sqlite3

import msgspec

from lineshaft.core.errors import NotFound, Refused
from lineshaft.security.people.store import Store, digest, new_secret

OWNER = "local:"
"""Begins the name of whoever runs the plant; no account can be called so."""
_NAME = re.compile(r"[\w.@-]{1,100}")
CODE_S = 24 * 3600.0
"""How long the link of a set-up or an invitation works."""
SETUP = "set-up"
INVITATION = "invitation"


class Account(msgspec.Struct, frozen=True):
    """What is known of an account. It holds no secret."""

    name: str
    """The subject that the policy speaks of."""
    has_password: bool
    has_codes: bool
    """Whether it has an authenticator app."""
    passkeys: int
    must_change: bool
    """Whether its password must be changed at the next login."""
    disabled: bool
    password_us: int
    """When the password was set; 0: never."""
    made_us: int
    seen_us: int
    """When it logged in last; 0: never."""
    issuer: str
    """The OpenID Connect provider that logs it in; empty: none."""


class Accounts:
    """The accounts of a plant."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> list[Account]:
        """Return every account, by name."""
        rows = self._store.rows(f"{_ACCOUNT} ORDER BY name")
        return [_made(row) for row in rows]

    def get(self, name: str) -> Account:
        """Return an account; `NotFound` if there is none."""
        row = self._store.row(f"{_ACCOUNT} WHERE name = ?", name)
        if row is None:
            raise NotFound(f"there is no account {name!r}; `lineshaft people list`")
        return _made(row)

    def find(self, name: str) -> Account | None:
        """Return an account if there is one that may log in."""
        row = self._store.row(f"{_ACCOUNT} WHERE name = ? AND NOT disabled", name)
        return _made(row) if row else None

    def make(self, name: str, now_us: int, issuer: str = "") -> Account:
        """Make an account that nobody can log in to yet.

        `Refused` if there is one, or ever was: who did what must stay clear for ever.
        """
        if not _NAME.fullmatch(name):
            raise Refused(
                f"{name[:100]!r} is no name for an account: use letters, digits, "
                "_ - . and @, at most 100"
            )
        with self._store.changing():
            known = self._store.row("SELECT 1 FROM accounts WHERE name = ?", name)
            if known:
                raise Refused(f"there is an account {name!r} already")
            if self._store.row("SELECT 1 FROM retired WHERE name = ?", name):
                raise Refused(
                    f"the name {name!r} belonged to an account that was removed, and "
                    "no name is given twice; take another"
                )
            self._store.change(
                "INSERT INTO accounts (name, handle, made_us, issuer) "
                "VALUES (?, ?, ?, ?)",
                name, secrets.token_bytes(32), now_us, issuer,
            )  # fmt: skip
        return self.get(name)

    def disable(self, name: str, *, disabled: bool = True) -> None:
        """Let nobody log in to it, or let them again; its sessions and tokens end."""
        self.get(name)
        with self._store.changing():
            order = "UPDATE accounts SET disabled = ? WHERE name = ?"
            self._store.change(order, int(disabled), name)
            if disabled:
                self._end_all(name)

    def remove(self, name: str, now_us: int) -> None:
        """Remove it with all that proves it; nobody gets its name again."""
        self.get(name)
        with self._store.changing():
            self._end_all(name)
            for table in ("passkeys", "codes", "devices"):
                self._store.change(f"DELETE FROM {table} WHERE account = ?", name)  # noqa: S608  a fixed word
            self._store.change("DELETE FROM accounts WHERE name = ?", name)
            self._store.change("INSERT INTO retired VALUES (?, ?)", name, now_us)

    def password(self, name: str) -> str | None:
        """Return what is kept of its password; None if it has none or may not enter."""
        question = "SELECT password FROM accounts WHERE name = ? AND NOT disabled"
        row = self._store.row(question, name)
        return row["password"] if row else None

    def keep_password(self, name: str, kept: str, now_us: int) -> None:
        """Keep another password, as `passwords.hashed` made it; codes sent are void."""
        with self._store.changing():
            order = "UPDATE accounts SET password = ?, password_us = ?, must_change = 0"
            self._store.change(f"{order} WHERE name = ?", kept, now_us, name)
            self._store.change("DELETE FROM codes WHERE account = ?", name)

    def demand_change(self, name: str) -> None:
        """Ask for another password at the next login."""
        self.get(name)
        order = "UPDATE accounts SET must_change = 1 WHERE name = ?"
        self._store.change(order, name)

    def codes_key(self, name: str) -> tuple[str, int] | None:
        """Return the key of its authenticator app, and the last step that was used."""
        question = "SELECT totp, totp_step FROM accounts WHERE name = ?"
        row = self._store.row(question, name)
        return (row["totp"], row["totp_step"]) if row and row["totp"] else None

    def keep_codes_key(self, name: str, key: str | None) -> None:
        """Keep the key of an authenticator app; None takes it away."""
        order = "UPDATE accounts SET totp = ?, totp_step = 0 WHERE name = ?"
        self._store.change(order, key, name)

    def use_step(self, name: str, step: int) -> bool:
        """Use up a code; False if it or a later one was used already."""
        order = "UPDATE accounts SET totp_step = ? WHERE name = ? AND totp_step < ?"
        return self._store.change(order, step, name, step) == 1

    def saw(self, name: str, now_us: int) -> None:
        """Remember when it logged in."""
        self._store.change(
            "UPDATE accounts SET seen_us = ? WHERE name = ?", now_us, name
        )

    def handle(self, name: str) -> bytes:
        """Return the number by which passkeys know it; it says nothing about it."""
        row = self._store.row("SELECT handle FROM accounts WHERE name = ?", name)
        return bytes(row["handle"]) if row else b""

    def invite(self, name: str, purpose: str, until_us: int) -> str:
        """Return a code that works once, to set a password; older ones are void."""
        code = new_secret()
        with self._store.changing():
            order = "DELETE FROM codes WHERE account = ? AND purpose = ?"
            self._store.change(order, name, purpose)
            order = "INSERT INTO codes VALUES (?, ?, ?, ?)"
            self._store.change(order, digest(code), purpose, name, until_us)
        return code

    def invited(self, code: str, now_us: int) -> tuple[str, str] | None:
        """Return the purpose and account of a code that still works."""
        question = "SELECT * FROM codes WHERE digest = ? AND until_us > ?"
        row = self._store.row(question, digest(code), now_us)
        return (row["purpose"], row["account"]) if row else None

    def use_code(self, code: str) -> bool:
        """Use up a code; False if somebody else was first."""
        order = "DELETE FROM codes WHERE digest = ?"
        return self._store.change(order, digest(code)) == 1

    def _end_all(self, name: str) -> None:
        self._store.change("DELETE FROM sessions WHERE account = ?", name)
        self._store.change("DELETE FROM tokens WHERE subject = ?", name)


_ACCOUNT = (
    "SELECT *, (SELECT count(*) FROM passkeys WHERE account = name) AS keys "
    "FROM accounts"
)


def _made(row: sqlite3.Row) -> Account:
    return Account(
        name=row["name"],
        has_password=row["password"] is not None,
        has_codes=row["totp"] is not None,
        passkeys=row["keys"],
        must_change=bool(row["must_change"]),
        disabled=bool(row["disabled"]),
        password_us=row["password_us"],
        made_us=row["made_us"],
        seen_us=row["seen_us"],
        issuer=row["issuer"] or "",
    )
