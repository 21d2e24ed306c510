"""Verbs that read, write and bring in values."""

from pathlib import Path
from typing import Annotated, Literal

from lineshaft.cli.verbs.app import HERE, Data, Hyphened, app, called, wait
from lineshaft.core.errors import ConfigError


@app.command
def read(pattern: str = "**", *, where: Data = HERE, json: bool = False) -> None:
    """Show the newest reading of points.

    Example: `lineshaft read 'demo/*/forge/**'`

    Parameters
    ----------
    pattern
        Which points: `*` is one level, `**` is any number.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import looking

    looking.read(where.data, pattern, as_json=json)


@app.command
def health(*, where: Data = HERE, json: bool = False) -> int:
    """Show how every part of the plant is, and why; 0 if all is well, else 1.

    Example: `lineshaft health`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli import looking

    return looking.health(where.data, as_json=json)


@app.command
def watch(*patterns: str, where: Data = HERE, json: bool = False) -> None:
    """Show readings as they come, until Ctrl-C.

    Example: `lineshaft watch 'demo/**/pump1/*'`

    Parameters
    ----------
    patterns
        Which points: `*` is one level, `**` is any number.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import looking

    wait(looking.watch(where.data, list(patterns or ("**",)), as_json=json))


@app.command
def history(
    name: str,
    *,
    where: Data = HERE,
    start: Annotated[str, Hyphened, called("--from")] = "-1h",
    to: Annotated[str, Hyphened] = "now",
    every: str | None = None,
    form: Annotated[
        Literal["csv", "json", "parquet", "arrow"] | None, called("--format")
    ] = None,
    out: Path | None = None,
    region: str = "",
    encrypt: bool = False,
    json: bool = False,
) -> None:
    """Show the past of a point, or write a file of many.

    Example: `lineshaft history demo/osaka/energy/meter1/energy --from -1d --every 1h`

    Parameters
    ----------
    name
        Which point.
    start
        Begin: `-5m`, `2026-01-31T08:00:00Z`, `now`.
    to
        End.
    every
        Length of buckets, for aggregates instead of readings.
    form
        Write a file with all readings; NAME may then be a pattern.
    out
        Where to write the file; else to standard output.
    region
        The region to which the file goes, if it leaves ours; see `[data]`.
    encrypt
        Seal the file with the key of its place; `lineshaft data decrypt` opens it.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import looking

    if encrypt and not out:
        raise ConfigError("--encrypt needs --out: the name of the sealed file")
    if (out or region) and not form:
        word = "--out" if out else "--region"
        raise ConfigError(f"{word} needs --format: csv, json, parquet or arrow")
    if form and (every or json):
        raise ConfigError("--format writes every reading; leave out --every and --json")
    if form:
        wanted = looking.Wanted(name, (start, to), form, region, encrypt)
        looking.export(where.data, wanted, out)
    else:
        looking.history(where.data, name, (start, to), every, as_json=json)


@app.command
def write(
    name: str,
    value: Annotated[str, Hyphened],
    *,
    where: Data = HERE,
    timeout: float = 5.0,
    json: bool = False,
) -> None:
    """Write a value to a point; done when the device has confirmed it.

    Example: `lineshaft write demo/osaka/energy/meter1/tariff 2`

    Parameters
    ----------
    name
        Which point.
    value
        What to write, as the point's type.
    timeout
        Seconds to wait for the device.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import looking

    looking.write(where.data, name, value, timeout, as_json=json)


@app.command(name="import")
def import_(file: Path, *, where: Data = HERE, skip_bad: bool = False) -> None:
    """Import readings of the past: a CSV file with name, time, value.

    Example: `lineshaft import past.csv`

    Parameters
    ----------
    file
        Where the readings are.
    skip_bad
        Import what is right even if some rows are wrong.

    """
    from lineshaft.cli import importing
    from lineshaft.cli.plant import find

    wait(importing.run(file, find(where.data).bus, skip_bad=skip_bad))
