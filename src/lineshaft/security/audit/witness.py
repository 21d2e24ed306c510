"""A witness: it remembers what each log has shown, and signs only what follows from it.

Whoever changes a log afterwards would have to show the witness another history, and it
says so (C2SP tlog-witness).
"""

import time
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from lineshaft.core.errors import NotFound, Refused
from lineshaft.security.audit.merkle import EMPTY, is_consistent
from lineshaft.security.audit.notes import (
    COSIGNED,
    Checkpoint,
    Signer,
    Verifier,
    open_key,
    read_checkpoint,
)
from lineshaft.security.kept import write_private

LARGEST = 1 << 16
MOST_STEPS = 63


class Stale(Refused):
    """The witness has seen another size than the log believes; `size` tells which."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"the witness has seen {size} entries of this log")


class TwoHistories(Refused):
    """A log has shown what cannot both be true."""


class Witness:
    """Remembers the logs whose public keys it was given."""

    def __init__(self, home: Path, name: str, logs: Mapping[str, Verifier]) -> None:
        """Know the logs, whose keys are given by their origins."""
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._home = home
        self._logs = logs
        self._signer = Signer(name, open_key(home / "key"), COSIGNED)

    @property
    def verifier(self) -> str:
        """Return the public key of the witness."""
        return self._signer.verifier

    def add(self, body: bytes) -> str:
        """Take a new checkpoint with the proof that it follows; return the cosignature.

        `NotFound` for a log whose key is not known, `Stale` if the proof begins at
        another size than the witness knows, `TwoHistories` if the log has changed what
        it had shown, `Refused` for anything that is no such request.
        """
        old, path, note = _parse(body)
        verifier = self._logs.get(note.partition("\n")[0])
        if verifier is None:
            raise NotFound("this log is not one that the witness knows")
        checkpoint = read_checkpoint(note, verifier)
        seen = self._seen(checkpoint.origin)
        if old != seen.size:
            raise Stale(seen.size)
        if not is_consistent(
            (seen.size, seen.root), (checkpoint.size, checkpoint.root), path
        ):
            raise TwoHistories(
                f"{checkpoint.origin} has shown two histories: its {checkpoint.size} "
                f"entries do not begin with the {seen.size} that were there before. "
                "Compare its files with a back-up by `lineshaft audit verify --against`"
            )
        self._keep(checkpoint)
        return self._signer.line(checkpoint.text, int(time.time()))

    def _seen(self, origin: str) -> Checkpoint:
        file = self._file(origin)
        if not file.exists():
            return Checkpoint(origin, 0, EMPTY)
        return read_checkpoint(file.read_text("utf-8") + "\n\n", None)

    def _keep(self, checkpoint: Checkpoint) -> None:
        write_private(self._file(checkpoint.origin), checkpoint.text.encode())

    def _file(self, origin: str) -> Path:
        return self._home / f"{sha256(origin.encode()).hexdigest()}.seen"


def open_witness(home: Path, name: str, keys: Sequence[str]) -> Witness | None:
    """Return a witness for the logs with these public keys; None for no logs."""
    verifiers = map(Verifier, keys)
    logs = {verifier.name: verifier for verifier in verifiers}
    return Witness(home, f"{name}/witness", logs) if logs else None


def request(old: int, path: list[bytes], note: str) -> bytes:
    """Return what a witness is sent."""
    steps = "".join(f"{b64encode(step).decode()}\n" for step in path)
    return f"old {old}\n{steps}\n{note}".encode()


def _parse(body: bytes) -> tuple[int, list[bytes], str]:
    try:
        if len(body) > LARGEST:
            raise ValueError("it is too long")  # noqa: TRY301  told like any other
        head, _, note = body.decode().partition("\n\n")
        first, *steps = head.split("\n")
        word, _, number = first.partition(" ")
        if word != "old" or len(steps) > MOST_STEPS:
            raise ValueError("its first line is not `old N`")  # noqa: TRY301
        return int(number), [b64decode(step, validate=True) for step in steps], note
    except ValueError as error:
        raise Refused(f"this is no request to a witness: {error}") from error
