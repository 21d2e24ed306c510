"""Verbs for a person at a shell, with or without a plant."""

from typing import Literal

from lineshaft.cli import screen
from lineshaft.cli.verbs.app import HERE, Data, app, verbs


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

    screen.write_bytes(completing.script(shell, verbs()).encode())


@app.command
def explain(code: str = "", *, json: bool = False) -> None:
    """Say what a code means and what to do; without one, list all codes.

    Example: `lineshaft explain LS-1212`

    Parameters
    ----------
    code
        The code, such as LS-1212, or the reason of a BAD reading.
    json
        Print JSON for programs.

    """
    from lineshaft.cli import explaining

    if code or json:
        explaining.explain(code, as_json=json)
    else:
        explaining.list_all()


@app.command(name="complete-names", show=False)
def complete_names(prefix: str = "", *, where: Data = HERE) -> None:
    """Print names of points that begin with a prefix; nothing if no plant runs."""
    from lineshaft.cli import completing

    for name in completing.names(where.data, prefix):
        screen.say(name)
