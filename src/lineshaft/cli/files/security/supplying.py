"""sbom, verify, release: what we are made of, and whether it is still that."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec

from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError, NotFound
from lineshaft.security.supply.bom import bill
from lineshaft.security.supply.installed import compare
from lineshaft.security.supply.listeners import LISTENERS
from lineshaft.security.supply.parts import US, installed_parts, locked_parts
from lineshaft.security.supply.release import verify_release

SAME, DIFFERS, NOTHING_TO_COMPARE = 0, 1, 2


def sbom(locked: Path | None, out: Path | None) -> None:
    """Print the bill of materials of this installation, or of locked requirements."""
    if locked is None:
        parts = installed_parts()
    else:
        parts = locked_parts(_text(locked))
        if not parts:
            raise ConfigError(f"{locked} pins nothing; it has lines like NAME==VERSION")
    made = bill(parts, version(US), datetime.now(UTC).replace(microsecond=0))
    if out is None:
        screen.write_bytes(made)
    else:
        out.write_bytes(made)


def verify(*, as_json: bool) -> int:
    """Print every installed file that is not as it was installed."""
    compared = compare(US)
    code = DIFFERS if compared.changes else SAME
    code = NOTHING_TO_COMPARE if US in compared.editable and not code else code
    if as_json:
        screen.write_json(msgspec.to_builtins(compared))
        return code
    for change in compared.changes:
        screen.say(f"{change.how}: {change.file} ({change.package})")
    for name in compared.editable:
        screen.complain(
            f"{name} runs from a source tree: there is no list of what was installed, "
            "and it was not compared"
        )
    screen.say(
        f"{compared.files:,} files of {compared.packages} packages compared, "
        f"{len(compared.changes)} not as installed"
    )
    return code


def check_release(folder: Path, key: str, *, as_json: bool) -> None:
    """Print what a release holds if it is as it was signed; else raise why not."""
    text = _text(Path(key)) if Path(key).is_file() else key
    found = verify_release(folder, text)
    if as_json:
        screen.write_json(msgspec.to_builtins(found))
        return
    for name in found.files:
        screen.say(name)
    screen.say(f"signed by the key {found.key}: {found.comment}")


def listeners(*, as_json: bool) -> None:
    """Print every port that Lineshaft can open."""
    if as_json:
        screen.write_json([msgspec.to_builtins(each) for each in LISTENERS])
        return
    rows = [
        (each.name, each.protocol, each.setting, each.port or "any free", each.reach)
        for each in LISTENERS
    ]
    screen.table(("listener", "protocol", "setting", "port", "reach"), rows)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{file} cannot be read: {error}") from error
