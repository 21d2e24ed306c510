"""Bring a history from an older format to this one, with a way back."""

import logging
import os
import shutil
from pathlib import Path

from lineshaft.core.errors import ConfigError
from lineshaft.core.event import Event, Severity
from lineshaft.platform.historian.care.backup import Wanted, back_up
from lineshaft.platform.historian.care.changes import write_units
from lineshaft.platform.historian.care.holding import COPYING
from lineshaft.platform.historian.care.restore import before_of
from lineshaft.platform.historian.care.version import (
    FORMAT,
    FORMAT_FILE,
    format_of,
    write_format,
)
from lineshaft.platform.historian.store.table import Store

log = logging.getLogger(__name__)


def open_store(home: Path) -> tuple[Store, Event | None]:
    """Open a history, new or old; return also what there is to tell of an upgrade.

    Before an upgrade a back-up is made beside the history. Its data files are links:
    they take no room until the history replaces them, and are no protection against
    a broken disk. `ConfigError` when the format is not known, or a restore ended
    half-way.
    """
    if not home.exists() and (before := before_of(home)):
        raise ConfigError(
            f"a restore was interrupted: {home} is missing. Repeat `lineshaft "
            f"restore`, or rename {before[-1]} to {home} to go back"
        )
    found = format_of(home)
    event = None
    if found < FORMAT:
        target = home.parent / "upgrades"
        log.warning("the history has format %d; it is upgraded to %d", found, FORMAT)
        folder, manifest = back_up(Wanted(home, target), _link)
        store = Store(home)
        store.set_properties()
        write_units(home, store.advance().units())
        event = Event(
            kind="historian.upgraded",
            source="historian",
            severity=Severity.INFO,
            text=f"The history was upgraded from format {found} to {FORMAT}. The way "
            f"back: stop the plant, `lineshaft restore {folder} --data {home.parent} "
            f"--replace`, install the version from before. Delete {target} when all "
            "is well; it will hold on to files that the history replaces.",
            detail={"from": found, "to": FORMAT, "readings": manifest.rows},
        )
    store = Store(home)
    if event is not None or not (home / FORMAT_FILE).exists():
        write_format(home)
    (home / COPYING).touch()  # while there is room: a clean-up on a full disk needs it
    return store, event


def _link(source: Path, there: Path) -> None:
    try:
        os.link(source, there)
    except OSError:
        # Not every file system has links; then it is a copy, which is as good.
        shutil.copyfile(source, there)
