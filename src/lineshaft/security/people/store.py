"""The file that accounts, sessions and tokens are kept in, and how it is changed.

Another process, such as the command line, may change it while the plant runs: nothing
of it is remembered elsewhere, so what was revoked is revoked for the next request.
Secrets that people bear (sessions, tokens, codes) are kept as SHA-256 only.
"""

import hashlib
import secrets
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path

from lineshaft.security.kept import changing, open_database

_TABLES = """
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, password TEXT, password_us INTEGER NOT NULL DEFAULT 0,
    must_change INTEGER NOT NULL DEFAULT 0, totp TEXT, totp_step INTEGER NOT NULL
    DEFAULT 0, handle BLOB NOT NULL, disabled INTEGER NOT NULL DEFAULT 0,
    made_us INTEGER NOT NULL, seen_us INTEGER NOT NULL DEFAULT 0, issuer TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS retired (name TEXT PRIMARY KEY, ended_us INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS passkeys (
    id BLOB PRIMARY KEY, account TEXT NOT NULL, public_key BLOB NOT NULL,
    uses INTEGER NOT NULL, label TEXT NOT NULL, made_us INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS sessions (
    digest BLOB PRIMARY KEY, id TEXT UNIQUE NOT NULL, account TEXT NOT NULL,
    how TEXT NOT NULL, made_us INTEGER NOT NULL, active_us INTEGER NOT NULL,
    until_us INTEGER NOT NULL, locked INTEGER NOT NULL DEFAULT 0,
    origin TEXT NOT NULL, agent TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
    digest BLOB PRIMARY KEY, id TEXT UNIQUE NOT NULL, subject TEXT NOT NULL,
    label TEXT NOT NULL, actions TEXT NOT NULL, places TEXT NOT NULL,
    made_us INTEGER NOT NULL, until_us INTEGER NOT NULL,
    used_us INTEGER NOT NULL DEFAULT 0, made_by TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS codes (
    digest BLOB PRIMARY KEY, purpose TEXT NOT NULL, account TEXT NOT NULL,
    until_us INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS devices (
    digest BLOB PRIMARY KEY, account TEXT NOT NULL, until_us INTEGER NOT NULL
) STRICT;
"""


def new_secret() -> str:
    """Return a secret to bear: 256 bits from the system's source of randomness."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """Return what is kept of a secret that is random and long by itself."""
    return hashlib.sha256(secret.encode()).digest()


class Store:
    """The open file; only one thread uses it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection that commits by itself; the tables are made if need be."""
        self._connection = connection
        connection.row_factory = sqlite3.Row
        connection.executescript(_TABLES)

    def rows(self, question: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows that a question finds."""
        return self._connection.execute(question, values).fetchall()

    def row(self, question: str, *values: object) -> sqlite3.Row | None:
        """Return the first row that a question finds."""
        found: sqlite3.Row | None = self._connection.execute(
            question, values
        ).fetchone()
        return found

    def change(self, order: str, *values: object) -> int:
        """Change rows, at once or not at all; return how many."""
        return self._connection.execute(order, values).rowcount

    def changing(self) -> AbstractContextManager[sqlite3.Connection]:
        """Do several changes as one; nobody else changes anything meanwhile."""
        return changing(self._connection)


def open_store(file: Path) -> AbstractContextManager[Store]:
    """Open the file of accounts; it is made, for us alone, if it is not there.

    `Refused` if it is there and damaged.
    """
    return open_database(
        file,
        Store,
        "restore it from a back-up, or move it away: then accounts must be made anew",
    )
