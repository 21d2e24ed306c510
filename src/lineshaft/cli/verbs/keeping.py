"""Verbs that keep a plant's history safe."""

from pathlib import Path

from lineshaft.cli.verbs.app import FILES, HERE, Data, Files, app
from lineshaft.core.errors import ConfigError


@app.command
def backup(
    target: Path,
    *,
    where: Files = FILES,
    verify: bool = False,
    keep: int = 7,
    encrypt: bool = False,
    plain: bool = False,
    json: bool = False,
) -> None:
    """Copy history and configuration of a plant, also while it runs.

    Only what earlier back-ups in the same directory do not have is copied. If the plant
    has important data it is sealed, with a key that LINESHAFT_KEY_PASSPHRASE wraps.

    Example: `lineshaft backup mnt/backups`, and to look at it: `lineshaft backup
    mnt/backups --verify`

    Parameters
    ----------
    target
        The directory of all back-ups; with --verify also that of one.
    verify
        Make none, but read the newest through and compare it with its manifest.
    keep
        How many back-ups stay there; older ones are removed.
    encrypt
        Seal it, whatever the data are worth.
    plain
        Do not seal it, although the plant has important data; this is recorded.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import keeping

    if verify:
        folder, manifest = keeping.verify(target)
    else:
        if encrypt and plain:
            raise ConfigError("--encrypt and --plain exclude each other; say one")
        sealed = keeping.sealed_when(encrypt=encrypt, plain=plain)
        folder, manifest = keeping.backup(
            target, where.config, where.data, keep, sealed
        )
    keeping.tell(folder, manifest, as_json=json)


@app.command
def restore(
    source: Path, *, where: Data = HERE, replace: bool = False, json: bool = False
) -> None:
    """Put a back-up into a data directory, where no plant may run meanwhile.

    Everything is verified before anything is changed.

    Example: `lineshaft restore mnt/backups --data lineshaft-data`

    Parameters
    ----------
    source
        The directory of back-ups, for the newest, or that of one.
    replace
        Put aside what the data directory has.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import keeping

    keeping.restore(source, where.data, replace=replace, as_json=json)
