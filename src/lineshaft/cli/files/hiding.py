"""backup, restore: whether a back-up is sealed, and with which key."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from lineshaft import settings
from lineshaft.cli import screen
from lineshaft.cli.files import telling
from lineshaft.cli.files.sealing import ring_of
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.errors import ConfigError
from lineshaft.security.data.keys.escrow import FOLDER, BackupKey
from lineshaft.security.data.keys.ring import PASSPHRASE, SealedFile
from lineshaft.security.data.keys.suites import Suite
from lineshaft.security.data.labels import Grade

Sealed = Literal["by label", "always", "never"]


def seals_of(
    target: Path, config: Path, data: Path, sealed: Sealed
) -> BackupKey | None:
    """Return what seals a back-up; None if it is not to be sealed.

    `ConfigError` if it must be and there is no passphrase.
    """
    grave = _is_grave(config, data)
    if sealed == "never" and grave:
        _tell(data, target, "important data were backed up without sealing, as asked")
        screen.complain("the back-up holds important data and is not sealed")
    if sealed == "never" or (sealed == "by label" and not grave):
        return None
    passphrase = os.environ.get(PASSPHRASE, "")
    if not passphrase and sealed == "by label":
        raise ConfigError(
            f"the plant has important data, so its back-up is sealed; set {PASSPHRASE} "
            "to a passphrase that opens it on another machine, or say --plain"
        )
    seals, now = BackupKey(target, passphrase), datetime.now(UTC)
    ring = ring_of(data)
    name, raw = ring.key_for("", Suite.AES, now)
    copy, stamp = seals.use(name, raw), now.isoformat(timespec="seconds")
    known = {each.file for each in ring.sealed_with([name])}
    for file in (str(copy.resolve()), str(target.resolve())):
        if file not in known:
            ring.note(SealedFile(key=name, file=file, time=stamp, label="back-up"))
    _tell(data, target, f"a back-up is sealed with the key {name}")
    return seals


def opens_of(source: Path) -> BackupKey | None:
    """Return what opens a back-up; None without a passphrase."""
    passphrase = os.environ.get(PASSPHRASE, "")
    root = source if (source / FOLDER).is_dir() else source.parent
    return BackupKey(root, passphrase) if passphrase else None


def _is_grave(config: Path, data: Path) -> bool:
    """Whether the plant has important or core data."""
    if not config.exists():
        return False
    wanted = settings.load(config, data, drivers=False).settings.data
    labels = wanted.label if wanted else ()
    return any(each.label.grade >= Grade.IMPORTANT for each in labels)


def _tell(data: Path, target: Path, text: str) -> None:
    record = AuditRecord(
        kind="data.backup",
        who=telling.who(),
        name=str(target.resolve()),
        text=text,
        origin=telling.ORIGIN,
    )
    telling.tell(data, record)
