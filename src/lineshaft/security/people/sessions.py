"""Sessions of people who logged in: kept by us, so that we can end them."""

import sqlite3
import uuid

import msgspec

from lineshaft.security.people.settings import Settings
from lineshaft.security.people.store import Store, digest, new_secret

NOTE_ACTIVITY_S = 15.0
"""Activity is written down so often; each time costs a visit to the disk."""
KNOWN_BROWSER_DAYS = 180


class Session(msgspec.Struct, frozen=True):
    """A session, as its owner and an administrator may see it."""

    id: str
    account: str
    how: str
    """What proved it: `password`, `password+code`, `passkey`, `single sign-on`."""
    made_us: int
    active_us: int
    """When its owner did something last, to the quarter of a minute."""
    until_us: int
    locked: bool
    """Idle for long: it may look on, and nothing else, until it is unlocked."""
    origin: str
    """The address that it was opened from."""
    agent: str
    """What the browser calls itself."""


class Sessions:
    """The sessions of a plant."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def begin(
        self, account: str, how: str, where: tuple[str, str], now_us: int
    ) -> tuple[str, Session]:
        """Open a session; return its secret, which we forget, and the session.

        `where` is the address and the name of the browser. One session more than
        `people.most_sessions` ends the one that was idle for longest.
        """
        secret, origin, agent = new_secret(), where[0], where[1][:200]
        until_us = now_us + int(self._settings.session_h * 3600e6)
        number = uuid.uuid4().hex
        with self._store.changing():
            self._store.change("DELETE FROM sessions WHERE until_us <= ?", now_us)
            self._store.change(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
                digest(secret), number, account, how, now_us, now_us, until_us,
                origin, agent,
            )  # fmt: skip
            self._store.change(
                "DELETE FROM sessions WHERE account = ? AND id NOT IN (SELECT id FROM "
                "sessions WHERE account = ? ORDER BY active_us DESC, made_us DESC, "
                "rowid DESC LIMIT ?)",
                account, account, self._settings.most_sessions,
            )  # fmt: skip
        session = Session(
            number, account, how, now_us, now_us, until_us, False, origin, agent  # noqa: FBT003  a column
        )  # fmt: skip
        return secret, session

    def find(self, secret: str, now_us: int, *, active: bool) -> Session | None:
        """Return the session of a secret; None if it is over or never was.

        `active`: its owner does something just now, rather than the page by itself.
        """
        row = self._store.row(
            "SELECT sessions.* FROM sessions JOIN accounts ON accounts.name = account "
            "WHERE digest = ? AND until_us > ? AND NOT disabled",
            digest(secret), now_us,
        )  # fmt: skip
        if row is None:
            return None
        session = _made(row)
        idle_s = (now_us - session.active_us) / 1e6
        if not session.locked and idle_s > self._settings.idle_min * 60:
            self._store.change("UPDATE sessions SET locked = 1 WHERE id = ?", row["id"])
            return msgspec.structs.replace(session, locked=True)
        if active and not session.locked and idle_s > NOTE_ACTIVITY_S:
            order = "UPDATE sessions SET active_us = ? WHERE id = ?"
            self._store.change(order, now_us, row["id"])
        return session

    def lives(self, number: str, now_us: int) -> bool:
        """Whether a session is still open."""
        return bool(
            self._store.row(
                "SELECT 1 FROM sessions JOIN accounts ON accounts.name = account "
                "WHERE id = ? AND until_us > ? AND NOT disabled",
                number, now_us,
            )
        )  # fmt: skip

    def unlock(self, number: str, now_us: int) -> None:
        """Let its owner do everything again."""
        order = "UPDATE sessions SET locked = 0, active_us = ? WHERE id = ?"
        self._store.change(order, now_us, number)

    def end(self, number: str) -> bool:
        """End a session; False if there was none."""
        return self._store.change("DELETE FROM sessions WHERE id = ?", number) == 1

    def end_all(self, account: str, but: str = "") -> int:
        """End the sessions of somebody, but for one; return how many."""
        order = "DELETE FROM sessions WHERE account = ? AND id != ?"
        return self._store.change(order, account, but)

    def all(self, now_us: int, account: str | None = None) -> list[Session]:
        """Return the open sessions, the newest first; of one account if it is told."""
        rows = self._store.rows(
            "SELECT * FROM sessions WHERE until_us > ? AND (? IS NULL OR account = ?) "
            "ORDER BY made_us DESC",
            now_us, account, account,
        )  # fmt: skip
        return [_made(row) for row in rows]

    def remember_browser(self, account: str, now_us: int) -> str:
        """Return a secret by which we know a browser that this account logged in on."""
        secret = new_secret()
        until_us = now_us + KNOWN_BROWSER_DAYS * 86_400_000_000
        with self._store.changing():
            self._store.change("DELETE FROM devices WHERE until_us <= ?", now_us)
            order = "INSERT INTO devices VALUES (?, ?, ?)"
            self._store.change(order, digest(secret), account, until_us)
        return secret

    def knows_browser(self, account: str, secret: str, now_us: int) -> bool:
        """Whether this account has logged in on the browser that bears the secret."""
        return bool(
            self._store.row(
                "SELECT 1 FROM devices WHERE digest = ? AND account = ? "
                "AND until_us > ?",
                digest(secret), account, now_us,
            )
        )  # fmt: skip


def _made(row: sqlite3.Row) -> Session:
    return Session(
        row["id"], row["account"], row["how"], row["made_us"], row["active_us"],
        row["until_us"], bool(row["locked"]), row["origin"], row["agent"],
    )  # fmt: skip
