"""The log on disk: what is added is there, under a signed checkpoint, or was not added.

The order of writing is: entries and hashes, then the checkpoint that speaks of them. A
crash in between leaves files that no checkpoint speaks of; they are written over.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from functools import partial
from pathlib import Path

from lineshaft.core.errors import Refused
from lineshaft.security.audit import merkle
from lineshaft.security.audit.notes import (
    Checkpoint,
    Signer,
    Verifier,
    open_key,
    read_checkpoint,
)
from lineshaft.security.audit.tiles import (
    ENTRIES,
    HEIGHT,
    LONGEST_ENTRY,
    WIDTH,
    Growing,
    Tiles,
    tile_path,
    write_all,
)
from lineshaft.security.kept import sync_folder

CHECKPOINT, KEY, PUBLIC_KEY, LOCK = "checkpoint", "key", "key.pub", "lock"


class Log:
    """An open log; only one process has it open."""

    def __init__(self, home: Path, signer: Signer) -> None:
        self._home = home
        self._signer = signer
        file = home / CHECKPOINT
        self.checkpoint = Checkpoint(signer.name, 0, merkle.EMPTY)
        if file.exists():
            note = file.read_text("utf-8")
            self.checkpoint = read_checkpoint(note, Verifier(signer.verifier))
        else:
            # An empty log can be verified, too.
            self._write_checkpoint(signer.sign(self.checkpoint))
        self._growing = Growing(Tiles(home, self.checkpoint.size))
        if (
            self.checkpoint.size
            and merkle.root(self._growing, self.checkpoint.size) != self.checkpoint.root
        ):
            raise Refused(
                f"the files under {home} are not those that the checkpoint speaks of; "
                "`lineshaft audit verify` tells which, and a back-up has them"
            )

    @property
    def size(self) -> int:
        """Return how many entries there are."""
        return self.checkpoint.size

    def append(self, entries: Sequence[bytes]) -> None:
        """Add entries; they are on disk under a checkpoint when this returns.

        `OSError` of a disk that takes no more leaves the log as it was: open it anew.
        """
        long = next((e for e in entries if len(e) > LONGEST_ENTRY), None)
        if long is not None:
            raise Refused(f"an entry of {len(long)} bytes is too long for the log")
        before = self._growing.size
        write_all(self._home, self._growing.add(entries))
        size = self._growing.size
        self.checkpoint = Checkpoint(
            self._signer.name, size, merkle.root(self._growing, size)
        )
        self._write_checkpoint(self._signer.sign(self.checkpoint))
        self._drop_partial(before, size)

    def _write_checkpoint(self, note: str) -> None:
        new = self._home / f"{CHECKPOINT}.new"
        write_all(self._home, {new.name: note.encode()})
        new.replace(self._home / CHECKPOINT)
        sync_folder(self._home)

    def _drop_partial(self, before: int, size: int) -> None:
        """Remove the partial files that longer ones have taken the place of."""
        level = 0
        while (count := before >> (HEIGHT * level)) > 0:
            index, width = divmod(count, WIDTH)
            if width and count != size >> (HEIGHT * level):
                for kind in (level, ENTRIES) if not level else (level,):
                    path = self._home / tile_path(kind, index, width)
                    path.unlink(missing_ok=True)
            level += 1


@contextmanager
def open_log(home: Path, name: str) -> Iterator[Callable[[], Log]]:
    """Keep the log under `home` for us alone; yield what opens it, also once more.

    It is made if there is none.

    `name` is its origin, such as `plant.example/audit`; a log keeps the one that it was
    made with. `Refused` if another process has it open, or its files were changed.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(home):
        public = home / PUBLIC_KEY
        key = open_key(home / KEY)
        if public.exists():
            name = Verifier(public.read_text("utf-8")).name
        signer = Signer(name, key)
        if not public.exists():
            write_all(home, {PUBLIC_KEY: f"{signer.verifier}\n".encode()})
        if public.read_text("utf-8").strip() != signer.verifier:
            raise Refused(f"{home / KEY} is not the key that {public} belongs to")
        yield partial(Log, home, signer)


def checkpoint_of(home: Path) -> str:
    """Return the newest checkpoint; `Refused` if it cannot be read."""
    try:
        return (home / CHECKPOINT).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"{home / CHECKPOINT} cannot be read ({error}); restore it from a back-up"
        ) from error


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Keep every other process from writing; `Refused` if one does."""
    number = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            flock(number, LOCK_EX | LOCK_NB)
        except OSError as error:
            raise Refused(f"another process writes the audit log in {home}") from error
        yield
    finally:
        os.close(number)
