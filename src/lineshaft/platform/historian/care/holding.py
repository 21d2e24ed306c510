"""Who may take files of a history away, and when: locks that die with their holder."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from lineshaft.core.errors import ConfigError

COPYING, RECORDING = "copying.lock", "recording.lock"


@contextlib.contextmanager
def copying(home: Path) -> Iterator[None]:
    """Keep every file of the history below `home` while the block is open.

    Several may copy at once; new files may come meanwhile. Waits for a clean-up that
    is under way.
    """
    with (home / COPYING).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def cleaning(home: Path) -> Iterator[bool]:
    """Say whether files may be deleted: not while somebody copies."""
    with (home / COPYING).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def recording(home: Path) -> Iterator[None]:
    """Be the only one that records into the history below `home`, or replaces it.

    `ConfigError` when another process does. The lock lies beside the history, so that
    it stays when the history is replaced.
    """
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{home.name}.{RECORDING}").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"a historian works with {home} already; stop it first"
            ) from error
        yield
