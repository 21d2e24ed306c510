"""Verbs that ask who may do what, and keep the policy that says so."""

from lineshaft.cli.verbs.app import FILES, HERE, Data, Files, app, family

policy = family(
    "policy",
    """Check, test and keep the policy: `policy.toml` beside lineshaft.toml.

Example: `lineshaft policy check`""",
)


@app.command
def may(
    who: str,
    action: str,
    name: str,
    *,
    where: Files = FILES,
    why: bool = False,
    json: bool = False,
) -> int:
    """Say whether somebody may do something; 0 if so, else 1.

    It asks `policy.toml` beside lineshaft.toml. Actions are read, write, command,
    acknowledge, configure, enrol, export, publish and audit-read.

    Example: `lineshaft may anna write acme/osaka/press/1/speed --why`

    Parameters
    ----------
    who
        A subject of the policy.
    action
        What is to be done.
    name
        The point or place that it is done to.
    why
        Say which rule decides, or which grant comes nearest.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    asked = (who, action, name)
    return permitting.may(where.config, where.data, asked, tell=why, as_json=json)


@policy.command(name="check")
def check_policy(*, where: Files = FILES, json: bool = False) -> None:
    """Check the policy; tell all problems at once, each with its place.

    Example: `lineshaft policy check`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    permitting.check(where.config, where.data, as_json=json)


@policy.command(name="test")
def try_policy(*, where: Files = FILES, json: bool = False) -> int:
    """Run the tests that the policy carries; 0 if all hold, else 1.

    Example: `lineshaft policy test`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    return permitting.test(where.config, as_json=json)


@policy.command(name="show")
def show_policy(
    *, where: Files = FILES, version: int | None = None, json: bool = False
) -> None:
    """Print the policy, or a version that was accepted.

    Example: `lineshaft policy show --version 3`

    Parameters
    ----------
    version
        Which one; left out, the file.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    permitting.show(where.config, where.data, version, as_json=json)


@policy.command(name="diff")
def diff_policy(
    version: int | None = None, *, where: Files = FILES, json: bool = False
) -> None:
    """Print what the file changes against a version that was accepted, by meaning.

    Example: `lineshaft policy diff`

    Parameters
    ----------
    version
        Which one; left out, the newest.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    permitting.diff(where.config, where.data, version, as_json=json)


@policy.command(name="accept")
def accept_policy(*, where: Files = FILES, note: str = "", json: bool = False) -> None:
    """Keep the policy as the next version, if all its tests hold.

    Example: `lineshaft policy accept --note "Ben joins the night shift"`

    Parameters
    ----------
    note
        Why it was changed.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    permitting.accept(where.config, where.data, note, as_json=json)


@policy.command(name="take-back")
def take_back_policy(
    version: int, *, where: Files = FILES, note: str = "", json: bool = False
) -> None:
    """Write an accepted version into the file again, and accept it under a new number.

    Example: `lineshaft policy take-back 2`

    Parameters
    ----------
    version
        Which one.
    note
        Why.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    permitting.take_back(where.config, where.data, version, note, as_json=json)


@policy.command(name="history")
def history_of_policy(*, where: Data = HERE, json: bool = False) -> None:
    """List the versions that were accepted: when, by whom, and their hashes.

    Example: `lineshaft policy history`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import permitting

    permitting.history(where.data, as_json=json)
