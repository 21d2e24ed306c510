"""backup and restore: copies of a plant's history and configuration."""

from pathlib import Path

from lineshaft.cli import screen
from lineshaft.cli.files.hiding import Sealed, opens_of, seals_of
from lineshaft.core.errors import ConfigError
from lineshaft.platform.historian.care.manifest import Manifest


def sealed_when(*, encrypt: bool, plain: bool) -> Sealed:
    """Return when a back-up is sealed, by what was said."""
    if plain:
        return "never"
    return "always" if encrypt else "by label"


def backup(
    target: Path, config: Path, data: Path, keep: int, sealed: Sealed
) -> tuple[Path, Manifest]:
    """Make a back-up of a plant, whether it runs or not."""
    from lineshaft.platform.historian.care.backup import Wanted, back_up

    if keep < 1:
        raise ConfigError(f"--keep {keep}: at least one back-up must stay")
    files = files_of_configuration(config)
    seals = seals_of(target, config, data, sealed)
    return back_up(Wanted(data / "history", target, files, keep, seals))


def verify(target: Path) -> tuple[Path, Manifest]:
    """Read a back-up through and compare it with what it says of itself."""
    from lineshaft.platform.historian.care import manifest

    folder = manifest.find(target)
    return folder, manifest.verify(folder)


def restore(source: Path, data: Path, *, replace: bool, as_json: bool) -> None:
    """Put a back-up where a history was."""
    from lineshaft.platform.historian.care.restore import CONFIGURATION
    from lineshaft.platform.historian.care.restore import restore as restored
    from lineshaft.settings.running import hold

    with hold(data):
        seals = opens_of(source)
        manifest, aside = restored(source, data, replace=replace, seals=seals)
    if as_json:
        put_aside = [str(path) for path in aside]
        screen.write_json({"rows": manifest.rows, "put_aside": put_aside})
        return
    screen.say(f"restored: {_what(manifest)}")
    for path in aside:
        screen.say(f"put aside: {path}; delete it when all is well")
    if (data / CONFIGURATION).exists():
        file = data / CONFIGURATION / "lineshaft.toml"
        screen.say(f"start it: lineshaft up --config {file} --data {data}")


def tell(folder: Path, manifest: Manifest, *, as_json: bool) -> None:
    """Say what a back-up holds."""
    if as_json:
        screen.write_json(
            {
                "backup": str(folder),
                "made": manifest.made,
                "rows": manifest.rows,
                "begin": manifest.begin,
                "end": manifest.end,
                "files": len(manifest.files),
                "bytes": sum(entry.size for entry in manifest.files),
            }
        )
        return
    size = sum(entry.size for entry in manifest.files) / (1 << 20)
    screen.say(f"{folder}: {_what(manifest)}")
    screen.say(f"{len(manifest.files):,} files, {size:,.1f} MiB, all as they should be")


def _what(manifest: Manifest) -> str:
    if manifest.end is None:
        return "no readings"
    return f"{manifest.rows:,} readings from {manifest.begin} to {manifest.end}"


def files_of_configuration(config: Path) -> dict[str, Path]:
    """Return lineshaft.toml, its point lists and the policy, by their names there."""
    from lineshaft.settings.policy import FILE
    from lineshaft.settings.toml import read_toml

    if not config.exists():
        screen.complain(
            f"{config} does not exist: the back-up is without configuration"
        )
        return {}
    files = {"lineshaft.toml": config}
    if (policy := config.with_name(FILE)).is_file():
        files[FILE] = policy
    table = read_toml(config)[0]
    devices = table.get("devices")
    tables = [*devices.values()] if isinstance(devices, dict) else []
    for each in (*tables, table.get("computed")):
        points = each.get("points") if isinstance(each, dict) else None
        if not isinstance(points, str):
            continue
        file = config.parent / points
        if Path(points).is_absolute() or ".." in Path(points).parts:
            screen.complain(f"{file} lies elsewhere: it is not in the back-up")
        elif not file.is_file():
            screen.complain(f"{file} does not exist: it is not in the back-up")
        else:
            files[Path(points).as_posix()] = file
    return files
