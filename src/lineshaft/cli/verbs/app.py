"""What the verbs have in common. Only this file knows cyclopts."""

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
Logged = Annotated[
    Literal["debug", "info", "warning", "error"], Parameter(env_var="LINESHAFT_LOG")
]
LogForm = Annotated[
    Literal["text", "json"] | None, Parameter(env_var="LINESHAFT_LOG_FORMAT")
]
Hyphened = Parameter(allow_leading_hyphen=True)
"""A value that may begin with a hyphen, such as -5 or -1h."""


def family(name: str, told: str) -> App:
    """Return a verb that has verbs of its own, such as `policy check`."""
    made = App(name=name, help=told, help_format="markdown")
    app.command(made)
    return made


def called(name: str) -> Parameter:
    """Return how an option is called that Python cannot name so."""
    return Parameter(name=name)


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

        said = {
            "kind": type(error).__name__,
            "code": error.stable_code,
            "problems": list(problems),
        }
        screen.complain(json.dumps({"error": said}))
        return
    for problem in problems:
        screen.complain(problem)
    count = f"{len(problems)} problems; " if len(problems) > 1 else ""
    code = error.stable_code
    screen.complain(f"{count}error {code}: `lineshaft explain {code}` says more")


def wait(work: Coroutine[None, None, None]) -> None:
    """Do something that waits for others."""
    asyncio.run(work)


def verbs() -> list[str]:
    """Return the verbs that people type."""
    return sorted(
        name for name in app if not name.startswith("-") and name != "complete-names"
    )
