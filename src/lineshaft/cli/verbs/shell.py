"""Verbs for the shell that a person types in."""

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


@app.command(name="complete-names", show=False)
def complete_names(prefix: str = "", *, where: Data = HERE) -> None:
    """Print names of points that begin with a prefix; nothing if no plant runs."""
    from lineshaft.cli import completing

    for name in completing.names(where.data, prefix):
        screen.say(name)
