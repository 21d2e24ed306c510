"""Verbs that start a plant or look at its configuration."""

from lineshaft.cli.verbs.app import (
    FILES,
    HERE,
    Data,
    Files,
    LogForm,
    Logged,
    app,
    wait,
)


@app.command
def demo(
    *,
    where: Data = HERE,
    port: int = 8080,
    remove: bool = False,
    log: Logged = "warning",
    log_format: LogForm = None,
) -> int:
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
    log_format
        A line of text or of JSON for each record; left out, text on a terminal.

    """
    from lineshaft.cli import running

    if remove:
        running.remove_demo(where.data)
        return 0
    return running.demo(where.data, port, running.Log(log, log_format))


@app.command
def up(
    *,
    where: Files = FILES,
    watch: bool = False,
    log: Logged = "warning",
    log_format: LogForm = None,
) -> int:
    """Start the plant that lineshaft.toml describes.

    Example: `lineshaft up --config plant/lineshaft.toml`

    Parameters
    ----------
    watch
        Take in changes of lineshaft.toml and its point lists by itself.
    log
        How much to say.
    log_format
        A line of text or of JSON for each record; left out, text on a terminal.

    """
    from lineshaft.cli import running

    form = running.Log(log, log_format)
    return running.up(where.config, where.data, form, watch=watch)


@app.command
def reload(*, where: Data = HERE, json: bool = False) -> None:
    """Let the running plant take in its changed configuration.

    Everything is checked first; with an error nothing changes. Devices that are
    configured as before keep their connections.

    Example: `lineshaft reload`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli import running
    from lineshaft.cli.plant import find

    wait(running.reload(find(where.data).bus, as_json=json))


@app.command
def run(
    room: str,
    *,
    where: Files = FILES,
    log: Logged = "warning",
    log_format: LogForm = None,
) -> int:
    """Run one room of a plant in this process: collector, historian or web.

    Example: `lineshaft run historian`

    Parameters
    ----------
    room
        Which one.
    log
        How much to say.
    log_format
        A line of text or of JSON for each record; left out, text on a terminal.

    """
    from lineshaft.cli import running

    return running.run(room, where.config, where.data, running.Log(log, log_format))


@app.command
def check(*, where: Files = FILES, json: bool = False) -> None:
    """Check the configuration; tell all problems at once, each with its place.

    Example: `lineshaft check --config plant/lineshaft.toml`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.checking import check as check_files

    check_files(where.config, where.data, as_json=json)
