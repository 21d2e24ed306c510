"""Files that are for the plant's user alone: small databases, keys, and the like."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from lineshaft.core.errors import Refused

Kept = TypeVar("Kept")


@contextmanager
def open_database(
    file: Path, make: Callable[[sqlite3.Connection], Kept], otherwise: str
) -> Iterator[Kept]:
    """Open a SQLite file, made if it is not there; yield what `make` makes of it.

    The connection commits by itself, and what it has committed is on disk. `Refused` if
    the file is damaged; `otherwise` tells what to do then.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.touch(mode=0o600)
    with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            made = make(connection)
        except sqlite3.DatabaseError as error:
            raise Refused(f"{file} cannot be used ({error}); {otherwise}") from error
        yield made


@contextmanager
def changing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do several changes as one; nobody else changes anything meanwhile."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def create_private(file: Path, data: bytes) -> None:
    """Write a new file that nobody else can read at any moment; it is on disk then.

    `FileExistsError` if there is one.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(file, flags, 0o600), "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def write_private(file: Path, data: bytes) -> None:
    """Write a file for nobody but its owner; what was there stays until it is done."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    create_private(fresh, data)
    fresh.replace(file)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last through a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
