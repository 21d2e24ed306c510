"""The verbs: what each takes, and who does it. Only this file knows cyclopts."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError

from lineshaft.cli import screen
from lineshaft.core.errors import ConfigError, LineshaftError

DONE, FAILED, MISCONFIGURED, INTERRUPTED = 0, 1, 2, 130

app = App(
    name="lineshaft",
    version=version("lineshaft"),
    help="""The open industrial internet in one package.

Start a plant to look at: `lineshaft demo`. Connect your own: `lineshaft add ADDRESS`.

Exit codes: 0 done; 1 it failed; 2 the configuration or the command is wrong;
130 stopped with Ctrl-C.""",
    help_format="markdown",
)
Time = Annotated[str, Parameter(allow_leading_hyphen=True)]
Level = Literal["debug", "info", "warning", "error"]


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Data:
    """Where a plant keeps what it makes."""

    data: Annotated[Path, Parameter(env_var="LINESHAFT_DATA")] = Path("lineshaft-data")
    "Directory of the plant's data."


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Files(Data):
    """The files of a plant."""

    config: Annotated[Path, Parameter(env_var="LINESHAFT_CONFIG")] = Path(
        "lineshaft.toml"
    )
    "The file that describes the plant."


HERE, FILES = Data(), Files()


@app.command
def demo(
    *,
    where: Data = HERE,
    port: int = 8080,
    remove: bool = False,
    log: Level = "warning",
) -> None:
    """Start a demonstration plant of real protocol servers.

    Example: `lineshaft demo`, and to delete it: `lineshaft demo --remove`

    Parameters
    ----------
    port
        Port of the page.
    remove
        Delete the demonstration plant with its history.
    log
        How much to say.

    """
    from lineshaft.cli import running

    if remove:
        running.remove_demo(where.data)
    else:
        running.demo(where.data, port, log)


@app.command
def up(*, where: Files = FILES, log: Level = "warning") -> None:
    """Start the plant that lineshaft.toml describes.

    Example: `lineshaft up --config plant/lineshaft.toml`

    Parameters
    ----------
    log
        How much to say.

    """
    from lineshaft.cli import running

    running.up(where.config, where.data, log)


@app.command
def run(room: str, *, where: Files = FILES, log: Level = "warning") -> None:
    """Run one room of a plant in this process: collector, historian or web.

    Example: `lineshaft run historian`

    Parameters
    ----------
    room
        Which one.
    log
        How much to say.

    """
    from lineshaft.cli import running

    running.run(room, where.config, where.data, log)


@app.command
def check(*, where: Files = FILES, json: bool = False) -> None:
    """Check the configuration; tell all problems at once, each with its place.

    Example: `lineshaft check --config plant/lineshaft.toml`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.checking import check as check_files

    check_files(where.config, where.data, as_json=json)


@app.command
def doctor(
    address: str | None = None, *, where: Files = FILES, json: bool = False
) -> int:
    """Find the usual troubles, or walk to a device step by step.

    Example: `lineshaft doctor`, `lineshaft doctor opc.tcp://127.0.0.1:4840`

    Parameters
    ----------
    address
        The device to walk to.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import doctor as surgery

    if address is None:
        return surgery.run(where.config, where.data, as_json=json)
    return asyncio.run(surgery.walk(address, as_json=json))


@app.command
def browse(address: str, *, select: str = "*", json: bool = False) -> None:
    """Show what a device has, with its values now.

    Example: `lineshaft browse modbus://127.0.0.1:5020/1?area=input&first=0&last=9`

    Parameters
    ----------
    address
        Where the device is.
    select
        Only what matches, such as `*/Press1/*`.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import adding

    _wait(adding.browse(address, select, as_json=json))


@app.command
def add(
    address: str,
    *,
    where: Files = FILES,
    name: str | None = None,
    place: str | None = None,
    select: str = "*",
    yes: bool = False,
    replace: bool = False,
) -> None:
    """Show what a device has, then add it to lineshaft.toml.

    Example: `lineshaft add opc.tcp://127.0.0.1:4840 --place acme/osaka/press/1`

    Parameters
    ----------
    address
        Where the device is.
    name
        What to call the device.
    place
        Where its points are in the plant.
    select
        Only what matches.
    yes
        Write without asking.
    replace
        Replace a device of that name.

    """
    from lineshaft.cli import adding

    wanted = (name, place, select)
    _wait(adding.add(address, where.config, wanted, yes=yes, replace=replace))


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

    _wait(looking.watch(where.data, list(patterns or ("**",)), as_json=json))


@app.command
def history(
    name: str,
    *,
    where: Data = HERE,
    start: Annotated[Time, Parameter(name="--from")] = "-1h",
    to: Time = "now",
    every: str | None = None,
    form: Annotated[
        Literal["csv", "json", "parquet", "arrow"] | None, Parameter(name="--format")
    ] = None,
    out: Path | None = None,
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
    json
        Print JSON for programs.

    """
    from lineshaft.cli import looking

    if out and not form:
        raise ConfigError("--out needs --format: csv, json, parquet or arrow")
    if form and (every or json):
        raise ConfigError("--format writes every reading; leave out --every and --json")
    if form:
        looking.export(where.data, name, (start, to), form, out)
    else:
        looking.history(where.data, name, (start, to), every, as_json=json)


@app.command
def write(
    name: str,
    value: Annotated[str, Parameter(allow_leading_hyphen=True)],
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

    _wait(importing.run(file, find(where.data).bus, skip_bad=skip_bad))


@app.command
def completion(shell: Literal["bash", "zsh", "fish"]) -> None:
    """Print the completion script of a shell, which knows names of points too.

    Example: `lineshaft completion bash >> ~/.bash_completion`

    Parameters
    ----------
    shell
        For which shell.

    """
    from lineshaft.cli import completing

    screen.write_bytes(completing.script(shell, _verbs()).encode())


@app.command(name="complete-names", show=False)
def complete_names(prefix: str = "", *, where: Data = HERE) -> None:
    """Print names of points that begin with a prefix; nothing if no plant runs."""
    from lineshaft.cli import completing

    for name in completing.names(where.data, prefix):
        screen.say(name)


def execute(arguments: Sequence[str]) -> int:
    """Run the command line; every expected failure is one message."""
    try:
        code = app(
            arguments,
            exit_on_error=False,
            print_error="--json" not in arguments,
            result_action="return_value",
        )
        return code if isinstance(code, int) else DONE
    except CycloptsError as error:
        if "--json" in arguments:  # else it has been said
            _fail(ConfigError(str(error)), arguments)
        return MISCONFIGURED
    except ConfigError as error:
        _fail(error, arguments)
        return MISCONFIGURED
    except LineshaftError as error:
        _fail(error, arguments)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has seen enough; Python must not complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _fail(error: LineshaftError, arguments: Sequence[str]) -> None:
    problems = error.problems if isinstance(error, ConfigError) else (str(error),)
    if "--json" in arguments:
        import json

        said = {"kind": type(error).__name__, "problems": list(problems)}
        screen.complain(json.dumps({"error": said}))
        return
    for problem in problems:
        screen.complain(problem)
    if len(problems) > 1:
        screen.complain(f"{len(problems)} problems")


def _wait(work: Coroutine[None, None, None]) -> None:
    asyncio.run(work)


def _verbs() -> list[str]:
    return sorted(
        name for name in app if not name.startswith("-") and name != "complete-names"
    )
