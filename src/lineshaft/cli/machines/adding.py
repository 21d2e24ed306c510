"""browse and add: what a device has, seen before anything is saved."""

import asyncio
import difflib
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import tomlkit
from tomlkit.container import OutOfOrderTableProxy
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from lineshaft.cli import screen
from lineshaft.cli.machines.address import Target, look, parse
from lineshaft.core.errors import ConfigError, NotFound, Refused
from lineshaft.core.name import check_name
from lineshaft.core.point import Kind, Point
from lineshaft.network.device import Found
from lineshaft.settings.points import write_points
from lineshaft.settings.toml import read_toml

MOST_FOUND = 100_000
MOST_SHOWN = 200
_LONGEST_WORD = 40
_NAME = re.compile(r"[\w-]+")


async def browse(address: str, select: str, *, as_json: bool) -> None:
    """Print what the device has, with its values now."""
    found = await _look(parse(address), select)
    if as_json:
        screen.write_json([_plain(each) for each in found])
        return
    _show(found)


async def add(
    address: str,
    config: Path,
    wanted: tuple[str | None, str | None, str],
    *,
    yes: bool,
    replace: bool,
) -> None:
    """Show what the device has, then write its table and its point list.

    `wanted` holds the device's name, the place of its points, and which of them.
    """
    name, place, select = wanted
    target = parse(address)
    name = name or _word(f"{target.protocol}-{_short(target.host)}")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--name {name!r}: use letters, digits, _ and - only")
    place = check_place(place or f"plant/{name}")
    found = await _look(target, select)
    _show(found)
    points = suggest(found, place)
    list_file = config.parent / f"{name}.csv"
    before = _text_of(config, list_file, replace=replace)
    table: dict[str, object] = {"driver": target.protocol, "points": list_file.name}
    after = with_device(before, name, table | target.settings, replace=replace)
    _show_change(config, before, after)
    screen.say(f"and {list_file} with {len(points)} points")
    if not yes and not screen.ask("Write this?"):
        raise Refused("nothing was written; add --yes where nobody can answer")
    await asyncio.to_thread(_save, config, after, list_file, points)
    screen.say(f"written; see names and units in {list_file}, then `lineshaft up`")


def _text_of(config: Path, list_file: Path, *, replace: bool) -> str:
    """Return the file as it is, unless something of the device is there already."""
    if list_file.exists() and not replace:
        raise Refused(f"{list_file} exists; choose another --name, or add --replace")
    return read_toml(config)[1] if config.exists() else ""


def _save(config: Path, text: str, list_file: Path, points: list[Point]) -> None:
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        write_points(list_file, points)
        config.write_text(text, "utf-8")
    except OSError as error:
        raise Refused(
            f"{error.filename} cannot be written: {error.strerror}"
        ) from error


def suggest(found: Sequence[Found], place: str) -> list[Point]:
    """Return points with names made from the device's own, valid and unique."""
    points: list[Point] = []
    taken: set[str] = set()
    for each in found:
        words = [_word(part) for part in each.path[-2:]] or [_word(each.address)]
        name = f"{place}/{words[-1]}"
        # A number alone, or a name that is there already, says too little.
        if len(words) > 1 and (name in taken or words[-1].isdecimal()):
            name = f"{place}/{words[-2]}_{words[-1]}"
        stem, number = name, 2
        while name in taken:
            name, number = f"{stem}_{number}", number + 1
        taken.add(name)
        points.append(
            Point(
                name=check_name(name),
                address=each.address,
                type=Kind(each.type),
                unit=each.unit,
                # A point list has one line for each point.
                description=" ".join(each.description.split()),
            )
        )
    return points


def check_place(place: str) -> str:
    """Return a place that is one; `ConfigError` if no name can begin with it."""
    check_name(f"{place}/point")
    return place


def with_device(
    text: str, name: str, table: Mapping[str, object], *, replace: bool
) -> str:
    """Return the file with the table `[devices.NAME]` added, and all its comments.

    `Refused` when it is there already, unless it shall be replaced.
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"the file is not TOML: {error}") from error
    devices = document.get("devices")
    if devices is None:
        devices = tomlkit.table(is_super_table=True)
        document["devices"] = devices
    if not isinstance(devices, Table | OutOfOrderTableProxy):
        raise ConfigError("`devices` must be written as tables, [devices.NAME] each")
    if name in devices and not replace:
        raise Refused(
            f"there is a device {name!r}; choose another --name, or add --replace"
        )
    fresh = tomlkit.table()
    for key, value in table.items():
        fresh[key] = value
    devices[name] = fresh
    return tomlkit.dumps(document)


async def _look(target: Target, select: str) -> list[Found]:
    found: list[Found] = []
    async with look(target) as offered:
        with screen.progress("found", None) as count:
            async for each in offered:
                path = "/".join(each.path)
                if each.type and (fnmatchcase(path, select) or select in each.address):
                    found.append(each)
                    count(1)
                if len(found) >= MOST_FOUND:
                    more = f"there is more; these are the first {MOST_FOUND:,}"
                    screen.complain(more)
                    break
    if not found:
        raise NotFound(
            f"{target.protocol} at {target.where} has nothing readable "
            f"that matches {select!r}"
        )
    return found


def _show(found: Sequence[Found]) -> None:
    rows = [
        (
            "/".join(each.path),
            each.value,
            each.unit,
            each.type,
            each.status.quality.value,
            "yes" if each.writable else "",
            each.address,
        )
        for each in found[:MOST_SHOWN]
    ]
    columns = ("path", "value", "unit", "type", "quality", "writable", "address")
    screen.table(columns, rows)
    if len(found) > MOST_SHOWN:
        screen.say(f"... and {len(found) - MOST_SHOWN:,} more; narrow with --select")


def _show_change(file: Path, before: str, after: str) -> None:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), str(file), str(file), lineterm=""
    )
    screen.say("\n".join(lines))


def _plain(found: Found) -> dict[str, object]:
    return {
        "address": found.address,
        "path": list(found.path),
        "type": found.type,
        "value": found.value,
        "quality": found.status.quality.value,
        "unit": found.unit,
        "description": found.description,
        "writable": found.writable,
    }


def _short(host: str) -> str:
    """Return the first label of a host, or the last part of an address or a path."""
    if "/" in host:
        return host.rpartition("/")[2]
    is_name = any(letter.isalpha() for letter in host) and ":" not in host
    return host.partition(".")[0] if is_name else re.split(r"[.:]", host)[-1]


def _word(text: str) -> str:
    """Return a segment of a name that reminds of the text."""
    return re.sub(r"[^\w-]+", "_", text).strip("_")[:_LONGEST_WORD] or "x"
