"""Put a back-up where a history was, all of it or nothing."""

import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lineshaft.core.errors import Refused, Unreachable
from lineshaft.platform.historian.care.holding import recording
from lineshaft.platform.historian.care.manifest import (
    Entry,
    Manifest,
    digest,
    find,
    verify,
)
from lineshaft.platform.historian.care.sealing import Seals, bring_back
from lineshaft.platform.historian.store.table import Snapshot

HISTORY, CONFIGURATION = "history", "configuration"


def before_of(home: Path) -> list[Path]:
    """Return what restores have put aside, oldest first."""
    return sorted(home.parent.glob(f"{home.name}.before-*"))


def restore(
    source: Path, data: Path, *, replace: bool, seals: Seals | None = None
) -> tuple[Manifest, list[Path]]:
    """Restore the back-up at `source` into a data directory; nobody may run there.

    Everything is verified before, and the restored table is read through before it
    takes its place. What was there is put aside: the paths are returned. `Refused`
    when there is something and `replace` was not said, or the back-up is not whole.
    """
    home = data / HISTORY
    with recording(home):
        if home.exists() and not replace:
            raise Refused(
                f"{home} holds a history already; say --replace to put it aside, or "
                "choose another directory with --data"
            )
        folder = find(source)
        manifest = verify(folder)
        try:
            return manifest, _restore(folder, manifest, data, seals)
        except OSError as error:
            raise Unreachable(
                f"the back-up could not be restored, and nothing was changed: {error}"
            ) from error


def _restore(
    folder: Path, manifest: Manifest, data: Path, seals: Seals | None
) -> list[Path]:
    fresh = data / "restoring"
    if fresh.exists():
        shutil.rmtree(fresh)
    _copy(manifest.files, folder.parent, fresh, seals)
    _read_through(fresh / HISTORY, manifest)
    os.sync()
    aside = []
    stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z"
    for name in (CONFIGURATION, HISTORY):
        if not (fresh / name).exists():
            continue
        place = data / name
        if place.exists():
            aside.append(place.rename(data / f"{name}.before-{stamp}"))
        (fresh / name).rename(place)
    fresh.rmdir()
    os.sync()
    return aside


def _copy(
    files: Iterable[Entry], source: Path, fresh: Path, seals: Seals | None
) -> None:
    for entry in files:
        there = (fresh / entry.path).resolve()
        if not there.is_relative_to(fresh.resolve()):
            raise Refused(f"the back-up names a file outside of itself: {entry.path}")
        there.parent.mkdir(parents=True, exist_ok=True)
        if entry.key:
            bring_back(entry, source / entry.stored, there, seals)
            continue
        shutil.copyfile(source / entry.stored, there)
        if digest(there) != entry.sha256:
            raise Unreachable(f"{there} is not what was written; look at that disk")


def _read_through(home: Path, manifest: Manifest) -> None:
    snapshot = Snapshot(str(home / "readings"))
    rows = snapshot.count()
    if (snapshot.version, rows) != (manifest.version, manifest.rows):
        raise Refused(
            f"the restored table has {rows} readings at version {snapshot.version}, "
            f"the back-up says {manifest.rows} at {manifest.version}; use another one"
        )
