"""The register of the authority: whom it knows, what it issued, what counts no more."""

import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lineshaft.core.errors import NotFound, Refused
from lineshaft.security.kept import changing, open_database

REGISTER = "register.sqlite"
CODE_DAYS = 7.0
REASONS = (
    "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
    "cessationOfOperation", "certificateHold", "privilegeWithdrawn",
)  # fmt: skip
"""Why a certificate counts no more (RFC 5280, 5.3.1)."""
_TABLES = """
CREATE TABLE IF NOT EXISTS certificates (
    serial TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL,
    fingerprint TEXT NOT NULL, der BLOB NOT NULL, begins REAL NOT NULL,
    ends REAL NOT NULL, state TEXT NOT NULL DEFAULT 'valid', revoked REAL, reason TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS by_fingerprint ON certificates (fingerprint);
CREATE TABLE IF NOT EXISTS codes (
    digest BLOB PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL,
    hosts TEXT NOT NULL, ends REAL NOT NULL, made_by TEXT NOT NULL
) STRICT;
"""


class State(StrEnum):
    """Whether a certificate counts."""

    VALID = "valid"
    REVOKED = "revoked"


class Whom(Protocol):
    """Whom a certificate is for."""

    @property
    def name(self) -> str:
        """Return the subject."""

    @property
    def kind(self) -> str:
        """Return what it is."""


class Issued(msgspec.Struct, frozen=True):
    """A certificate that was issued."""

    serial: str
    name: str
    kind: str
    fingerprint: str
    der: bytes
    begins: datetime
    ends: datetime
    state: State
    revoked_at: datetime | None
    reason: str


class Invited(msgspec.Struct, frozen=True):
    """Whom an enrolment code is for."""

    name: str
    kind: str
    hosts: tuple[str, ...]


class Register:
    """The register; another process may change it meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection that commits by itself; the tables are made if need be."""
        connection.row_factory = sqlite3.Row
        connection.executescript(_TABLES)
        self._connection = connection

    def keep(self, certificate: x509.Certificate, whom: Whom) -> None:
        """Write down a certificate before anybody gets it."""
        der = certificate.public_bytes(serialization.Encoding.DER)
        self._connection.execute(
            "INSERT INTO certificates (serial, name, kind, fingerprint, der, begins, "
            "ends) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                f"{certificate.serial_number:x}", whom.name, whom.kind,
                hashlib.sha256(der).hexdigest(), der,
                certificate.not_valid_before_utc.timestamp(),
                certificate.not_valid_after_utc.timestamp(),
            ),
        )  # fmt: skip

    def find(self, serial: int) -> Issued | None:
        """Return the certificate of a serial number."""
        question = "SELECT * FROM certificates WHERE serial = ?"
        row = self._connection.execute(question, (f"{serial:x}",)).fetchone()
        return _issued(row) if row else None

    def by_fingerprint(self, fingerprint: str) -> Issued | None:
        """Return the certificate of a SHA-256."""
        question = "SELECT * FROM certificates WHERE fingerprint = ?"
        row = self._connection.execute(question, (fingerprint,)).fetchone()
        return _issued(row) if row else None

    def all(self) -> list[Issued]:
        """Return every certificate, the newest first."""
        question = "SELECT * FROM certificates ORDER BY begins DESC, rowid DESC"
        return [_issued(row) for row in self._connection.execute(question)]

    def valid(self, when: datetime) -> list[tuple[str, str, str]]:
        """Return the serial number, name and kind of each certificate that counts."""
        question = (
            "SELECT serial, name, kind FROM certificates WHERE state = 'valid' AND "
            "ends > ? ORDER BY serial"
        )
        rows = self._connection.execute(question, (when.timestamp(),))
        return [(row["serial"], row["name"], row["kind"]) for row in rows]

    def revoke(self, what: str, reason: str, when: datetime) -> list[Issued]:
        """Revoke all certificates of a name, or the one of a serial number.

        Codes that were sent to the name are void as well. `NotFound` if nothing that
        counts is called so, `Refused` for a reason that is none.
        """
        if reason not in REASONS:
            raise Refused(f"{reason!r} is no reason; reasons are {', '.join(REASONS)}")
        with changing(self._connection):
            rows = self._connection.execute(
                "SELECT * FROM certificates WHERE (name = ? OR serial = ?) AND "
                "state = 'valid'",
                (what, what.lower().replace(":", "")),
            ).fetchall()
            codes = self._connection.execute(
                "DELETE FROM codes WHERE name = ?", (what,)
            ).rowcount
            for row in rows:
                self._connection.execute(
                    "UPDATE certificates SET state = 'revoked', revoked = ?, "
                    "reason = ? WHERE serial = ?",
                    (when.timestamp(), reason, row["serial"]),
                )
        if not rows and not codes:
            raise NotFound(
                f"no certificate that counts has the name or number {what!r}"
            )
        return [_issued(row) for row in rows]

    def revoked(self) -> Iterator[tuple[int, datetime, str]]:
        """Yield what is revoked: serial number, when, and why."""
        for issued in self.all():
            if issued.state is State.REVOKED and issued.revoked_at:
                yield int(issued.serial, 16), issued.revoked_at, issued.reason

    def invite(
        self, invited: Invited, by: str, when: datetime, days: float = CODE_DAYS
    ) -> str:
        """Return a code with which somebody gets a certificate, once."""
        code = secrets.token_urlsafe(18)
        ends = (when + timedelta(days=days)).timestamp()
        hosts = " ".join(invited.hosts)
        self._connection.execute(
            "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?)",
            (_digest(code), invited.name, invited.kind, hosts, ends, by),
        )
        return code

    def use(self, name: str, code: str, when: datetime) -> Invited | None:
        """Use up a code; None unless it is for this name, in time and not used yet."""
        with changing(self._connection):
            question = "SELECT * FROM codes WHERE digest = ? AND ends > ?"
            asked = (_digest(code), when.timestamp())
            row = self._connection.execute(question, asked).fetchone()
            if row is None or not hmac.compare_digest(
                row["name"].encode(), name.encode()
            ):
                return None
            order = "DELETE FROM codes WHERE digest = ?"
            self._connection.execute(order, (_digest(code),))
        return Invited(row["name"], row["kind"], tuple(row["hosts"].split()))


def open_register(home: Path) -> AbstractContextManager[Register]:
    """Open the register of an authority; it is made, for us alone, if need be."""
    file = home / REGISTER
    return open_database(file, Register, "restore it from a back-up")


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def _issued(row: sqlite3.Row) -> Issued:
    revoked = row["revoked"]
    return Issued(
        row["serial"], row["name"], row["kind"], row["fingerprint"], row["der"],
        datetime.fromtimestamp(row["begins"], UTC),
        datetime.fromtimestamp(row["ends"], UTC), State(row["state"]),
        datetime.fromtimestamp(revoked, UTC) if revoked else None, row["reason"] or "",
    )  # fmt: skip
