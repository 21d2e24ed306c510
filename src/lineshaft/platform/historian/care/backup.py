"""A copy of a history at one version, made while it records or stands still.

    TARGET/readings/day=.../*.parquet       data files, shared by all back-ups
    TARGET/20260301T120000Z/manifest.json   one back-up: what belongs to it
    TARGET/20260301T120000Z/history/...     its log of commits and its format
    TARGET/20260301T120000Z/configuration/  lineshaft.toml and the point lists

A data file never changes once it is written (Delta protocol, data files), so one that
an earlier back-up has is not copied again.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from lineshaft.core.errors import ConfigError, NotFound, Refused, Unreachable
from lineshaft.core.reading import iso
from lineshaft.platform.historian.care.changes import UNITS_FILE
from lineshaft.platform.historian.care.holding import copying
from lineshaft.platform.historian.care.manifest import (
    FORMAT,
    Entry,
    Manifest,
    backups_in,
    digest,
    read_manifest,
    write_manifest,
)
from lineshaft.platform.historian.care.sealing import (
    SUFFIX,
    Seals,
    open_all,
    sealed,
)
from lineshaft.platform.historian.care.version import FORMAT_FILE, format_of
from lineshaft.platform.historian.store.table import Snapshot

POOL, LOG = "readings", "history/readings/_delta_log"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.parquet")
_TRIES = 3
Put = Callable[[Path, Path], object]
"""Bring a file from one place to another."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be kept, and where."""

    home: Path
    """The directory of the history."""
    target: Path
    configuration: Mapping[str, Path] = field(default_factory=dict)
    """Files of the configuration, by the name that they have in the back-up."""
    keep: int | None = None
    """How many back-ups stay; None: all."""
    seals: Seals | None = None
    """Whoever seals every file; None: none is sealed."""


def back_up(wanted: Wanted, put: Put = shutil.copyfile) -> tuple[Path, Manifest]:
    """Make a back-up that was read back and compared; return its directory.

    `NotFound` without a history, `ConfigError` when another back-up is being made
    there, `Unreachable` when the disk does not take it or it changes too fast.
    """
    if not (wanted.home / "readings" / "_delta_log").is_dir():
        raise NotFound(f"there is no history in {wanted.home}; name it with --data")
    try:
        wanted.target.mkdir(parents=True, exist_ok=True)
        with _alone(wanted.target), copying(wanted.home):
            for left in reversed(range(_TRIES)):
                try:
                    return _back_up(wanted, put)
                except FileNotFoundError:
                    if not left:
                        raise
        raise AssertionError  # the last try returns or raises
    except OSError as error:
        raise Unreachable(f"the back-up could not be made: {error}") from error


def _back_up(wanted: Wanted, put: Put) -> tuple[Path, Manifest]:
    target = wanted.target
    snapshot = Snapshot(str(wanted.home / "readings"))
    made = datetime.now(UTC)
    folder = _fresh_folder(target, made)
    known = _known(target)
    files = [
        _keep_data(wanted, f"{POOL}/{file.path}", known, put)
        for file in snapshot.files()
    ]
    commits = _commits(wanted.home / "readings" / "_delta_log", snapshot.version)
    own = {f"{LOG}/{path.name}": path for path in commits}
    own |= {
        f"configuration/{name}": path for name, path in wanted.configuration.items()
    }
    for name in (FORMAT_FILE, UNITS_FILE):
        if (wanted.home / name).exists():
            own[f"history/{name}"] = wanted.home / name
    files += [_keep_own(wanted, folder, name, path) for name, path in own.items()]
    _compare(snapshot, folder, files, wanted)
    span = snapshot.span_us()
    manifest = Manifest(
        format=FORMAT if wanted.seals else 1,  # older versions read that too
        lineshaft=version("lineshaft"),
        made=made.isoformat(timespec="seconds").replace("+00:00", "Z"),
        history_format=format_of(wanted.home),
        version=snapshot.version,
        rows=sum(file.rows for file in snapshot.files()),
        begin=iso(span[0]) if span else None,
        end=iso(span[1]) if span else None,
        reached=_reached(commits),
        files=files,
    )
    write_manifest(folder, manifest)
    os.sync()
    if wanted.keep is not None:
        _prune(target, wanted.keep)
    return folder, manifest


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    with (target / "backup.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"a back-up to {target} is being made already; wait for it"
            ) from error
        yield


def _fresh_folder(target: Path, made: datetime) -> Path:
    """Make the directory of this back-up; its name sorts behind all others."""
    for number in range(100):
        folder = target / f"{made:%Y%m%dT%H%M%S}Z{f'-{number:02}' if number else ''}"
        if not folder.exists():
            folder.mkdir()
            return folder
    raise Refused(f"there are too many back-ups of one second in {target}")


def _known(target: Path) -> dict[str, Entry]:
    """Return the data files that earlier back-ups have."""
    known: dict[str, Entry] = {}
    for folder in backups_in(target):
        with contextlib.suppress(Refused, ConfigError, NotFound):
            files = read_manifest(folder).files
            known |= {e.stored: e for e in files if e.stored.startswith(f"{POOL}/")}
    return known


def _keep_data(
    wanted: Wanted, stored: str, known: Mapping[str, Entry], put: Put
) -> Entry:
    name = f"{stored}{SUFFIX if wanted.seals else ''}"
    there = wanted.target / name
    before = known.get(name)
    same = before and there.exists() and there.stat().st_size == before.size
    if before and same and _is_our_key(before, wanted.seals):
        return before
    entry = Entry(f"history/{stored}", name, 0, "")
    return _bring(wanted.home / stored, wanted, entry, put)


def _is_our_key(entry: Entry, seals: Seals | None) -> bool:
    return entry.key == (seals.key if seals else "")


def _keep_own(wanted: Wanted, folder: Path, name: str, source: Path) -> Entry:
    stored = f"{folder.name}/{name}{SUFFIX if wanted.seals else ''}"
    return _bring(source, wanted, Entry(name, stored, 0, ""), shutil.copyfile)


def _bring(source: Path, wanted: Wanted, entry: Entry, put: Put) -> Entry:
    """Copy a file, read it back and compare; nothing half stays under its name."""
    there = wanted.target / entry.stored
    there.parent.mkdir(parents=True, exist_ok=True)
    part = there.with_name(f"{there.name}.part")
    part.unlink(missing_ok=True)
    key = plain = ""
    if wanted.seals is None:
        told = digest(source)
        put(source, part)
    else:
        key, work = wanted.seals.key, wanted.home.parent
        plain = sealed(source, part, work, wanted.seals)
        told = digest(part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    if digest(part) != told:
        raise Unreachable(f"{part} is not what was written; look at that disk")
    part.replace(there)
    size = there.stat().st_size
    return Entry(entry.path, entry.stored, size, told, key, plain)


def _commits(log: Path, last: int) -> list[Path]:
    """Return the files of the log that make up version `last` of the table."""
    commits: dict[int, Path] = {}
    checkpoints: dict[int, Path] = {}
    for path in log.iterdir():
        if found := _COMMIT.fullmatch(path.name):
            commits[int(found[1])] = path
        elif found := _CHECKPOINT.fullmatch(path.name):
            checkpoints[int(found[1])] = path
    start = max((number for number in checkpoints if number <= last), default=None)
    first = 0 if start is None else start + 1
    missing = [number for number in range(first, last + 1) if number not in commits]
    if missing:
        raise FileNotFoundError(f"{log} has no commit {missing[0]}")
    chosen = [commits[number] for number in range(first, last + 1)]
    return chosen if start is None else [checkpoints[start], *chosen]


def _compare(
    snapshot: Snapshot, folder: Path, files: Sequence[Entry], wanted: Wanted
) -> None:
    """Read the table from the copied log: it must be the one that was copied."""
    log = [entry for entry in files if entry.path.startswith(LOG)]
    with tempfile.TemporaryDirectory(dir=wanted.home.parent) as opened:
        if wanted.seals:
            open_all(log, folder.parent, Path(opened), wanted.seals)
        home = Path(opened) if wanted.seals else folder
        copied = Snapshot(str(home / "history" / "readings"))
        same = copied.version == snapshot.version
        if not same or {*copied.files()} != {*snapshot.files()}:
            raise Unreachable(f"the log in {folder} does not lead to the same table")


def _reached(commits: list[Path]) -> dict[str, int]:
    reached: dict[str, int] = {}
    for path in commits:
        if not _COMMIT.fullmatch(path.name):
            continue
        for line in path.read_text("utf-8").splitlines():
            txn = json.loads(line).get("txn", {})
            if str(txn.get("appId", "")).startswith("historian/"):
                reached[txn["appId"]] = txn["version"]
    return reached


def _prune(target: Path, keep: int) -> None:
    """Remove the oldest back-ups, what never became one, and what only they have."""
    whole = backups_in(target)
    for folder in whole[: max(len(whole) - keep, 0)]:
        shutil.rmtree(folder)
    whole = whole[-keep:]
    for folder in target.glob("*T*Z*"):
        if folder.is_dir() and folder not in whole:
            shutil.rmtree(folder)
    needed = {entry.stored for folder in whole for entry in read_manifest(folder).files}
    for file in (target / POOL).rglob("*"):
        if file.is_file() and str(file.relative_to(target)) not in needed:
            file.unlink()
