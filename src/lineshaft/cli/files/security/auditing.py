"""audit: read and verify the files of the audit log, running or stopped."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError, NotFound
from lineshaft.core.message import read_json
from lineshaft.core.reading import iso
from lineshaft.security.audit.asking import Search
from lineshaft.security.audit.log import CHECKPOINT, PUBLIC_KEY, checkpoint_of
from lineshaft.security.audit.notes import (
    COSIGNED,
    Signer,
    Verifier,
    open_key,
)
from lineshaft.security.audit.reading import (
    ATTEMPTS,
    home_of,
    search,
    steadily,
)
from lineshaft.security.audit.service import COSIGNED_FILE
from lineshaft.security.audit.verifying import Proof, check_proof, prove, verify
from lineshaft.web.api.past.times import parse_time

HOLDS, BROKEN = 0, 1


def check(
    data: Path, key: str, against: Sequence[Path], *, proof: Path | None, as_json: bool
) -> int:
    """Print whether the log is as it was written; return 0 if so, else 1."""
    if proof is not None:
        return _check_proof(data, key, proof, as_json=as_json)
    home, earlier = home_of(data), [_text(file) for file in against]
    for _ in range(ATTEMPTS):
        before = checkpoint_of(home)
        verdict = verify(home, key, earlier)
        # A plant that runs goes on writing while we read.
        if verdict.holds or before == checkpoint_of(home):
            break
    if as_json:
        screen.write_json(
            msgspec.to_builtins(verdict) | {"holds": verdict.holds, "own_key": not key}
        )
    elif verdict.holds:
        screen.say(f"all {verdict.size} entries are as they were written")
        if not key:
            screen.complain(
                "the key beside the log was taken; with --key, one that was kept "
                "elsewhere, nobody who changed the log could have changed it too"
            )
    else:
        for problem in verdict.problems:
            screen.say(problem)
    return HOLDS if verdict.holds else BROKEN


def show(data: Path, wanted: Search, *, as_json: bool) -> None:
    """Print records, the newest first."""
    home = home_of(data)
    found = steadily(home, lambda size: list(search(home, size, wanted)))
    if as_json:
        screen.write_json([msgspec.to_builtins(each) for each in found])
        return
    rows = [
        (
            str(each.number), iso(each.record.time_us)[:19], each.record.kind,
            each.record.result, each.record.who, each.record.name,
            each.record.origin, each.record.text,
        )
        for each in found
    ]  # fmt: skip
    screen.table(
        ("number", "time", "kind", "result", "who", "name", "from", "text"), rows
    )


def wish(who: str, kind: str, name: str, result: str, since: str, limit: int) -> Search:
    """Return what is searched for; `ConfigError` for a time that is none."""
    since_us = parse_time(since) if since else 0
    return Search(who, kind, name, result, since_us, limit=limit)


def checkpoint(data: Path) -> None:
    """Print the newest checkpoint, cosigned if there is a witness."""
    home = home_of(data)
    cosigned = home / COSIGNED_FILE
    if cosigned.exists():
        screen.complain("cosigned by the witness; a newer one may be in the log")
    screen.say(_text(cosigned if cosigned.exists() else home / CHECKPOINT).rstrip("\n"))


def tell_key(data: Path, *, witness: bool) -> None:
    """Print the public key of the log, or of the witness that we are for others."""
    home = home_of(data)
    text = _text(home / PUBLIC_KEY).strip()
    if witness:
        if not (home / "witness" / "key").exists():
            raise NotFound("we are no witness: set [audit] witness_for and start")
        name = f"{Verifier(text).name}/witness"
        text = Signer(name, open_key(home / "witness" / "key"), COSIGNED).verifier
    screen.say(text)


def prove_entry(data: Path, number: int) -> None:
    """Print the proof that an entry is in the log, as JSON."""
    screen.write_json(msgspec.to_builtins(prove(home_of(data), number)))


def _check_proof(data: Path, key: str, file: Path, *, as_json: bool) -> int:
    proof = read_json(file.read_bytes(), Proof, "a proof")
    found = check_proof(proof, key or _text(home_of(data) / PUBLIC_KEY))
    if as_json:
        screen.write_json({"number": proof.number, "size": found.size, "holds": True})
    else:
        screen.say(f"entry {proof.number} is among the {found.size} of {found.origin}")
    return HOLDS


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
