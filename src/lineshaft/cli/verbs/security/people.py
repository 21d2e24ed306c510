"""Verbs that look after accounts, sessions and tokens."""

from lineshaft.cli.verbs.app import FILES, Files, family

people = family(
    "people",
    """Accounts, sessions and tokens: who may come in. What they may do, `policy` says.

Example: `lineshaft people add anna`""",
)


@people.command(name="list")
def list_people(*, where: Files = FILES, json: bool = False) -> None:
    """List the accounts.

    Example: `lineshaft people list`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import peopling

    peopling.accounts(peopling.Place(where.config, where.data), as_json=json)


@people.command(name="add")
def add_account(name: str, *, where: Files = FILES, json: bool = False) -> None:
    """Make an account, and print a link with which its owner sets a password.

    Example: `lineshaft people add anna`

    Parameters
    ----------
    name
        The subject that the policy speaks of.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import peopling

    peopling.invite(
        peopling.Place(where.config, where.data), name, new=True, as_json=json
    )


@people.command(name="invite")
def invite_again(name: str, *, where: Files = FILES, json: bool = False) -> None:
    """Print a new link with which somebody sets a password, once.

    Example: `lineshaft people invite anna`

    Parameters
    ----------
    name
        The account.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import peopling

    peopling.invite(
        peopling.Place(where.config, where.data), name, new=False, as_json=json
    )


@people.command(name="set-up")
def set_up(*, where: Files = FILES, json: bool = False) -> None:
    """Print a new link with which the first account is made.

    Example: `lineshaft people set-up`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import peopling

    peopling.set_up(peopling.Place(where.config, where.data), as_json=json)


@people.command(name="disable")
def disable_account(name: str, *, where: Files = FILES) -> None:
    """End all sessions and tokens of an account, and let nobody log in to it.

    Example: `lineshaft people disable anna`

    Parameters
    ----------
    name
        The account.

    """
    from lineshaft.cli.files.security import peopling

    peopling.disable(peopling.Place(where.config, where.data), name, disabled=True)


@people.command(name="enable")
def enable_account(name: str, *, where: Files = FILES) -> None:
    """Let somebody log in again.

    Example: `lineshaft people enable anna`

    Parameters
    ----------
    name
        The account.

    """
    from lineshaft.cli.files.security import peopling

    peopling.disable(peopling.Place(where.config, where.data), name, disabled=False)


@people.command(name="remove")
def remove_account(name: str, *, where: Files = FILES) -> None:
    """Remove an account; its name is never given again.

    Example: `lineshaft people remove anna`

    Parameters
    ----------
    name
        The account.

    """
    from lineshaft.cli.files.security import peopling

    peopling.remove(peopling.Place(where.config, where.data), name)


@people.command(name="sessions")
def list_sessions(*, where: Files = FILES, json: bool = False) -> None:
    """List the open sessions.

    Example: `lineshaft people sessions`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import peopling

    peopling.sessions(peopling.Place(where.config, where.data), as_json=json)


@people.command(name="end")
def end_sessions(what: str, *, where: Files = FILES) -> None:
    """End sessions or tokens at once.

    Example: `lineshaft people end anna`

    Parameters
    ----------
    what
        An account, or the begin of the id of a session or token.

    """
    from lineshaft.cli.files.security import peopling

    peopling.end(peopling.Place(where.config, where.data), what)


@people.command(name="token")
def make_token(
    subject: str,
    *,
    may: list[str],
    on: list[str],
    label: str = "",
    days: float = 90,
    where: Files = FILES,
    json: bool = False,
) -> None:
    """Make a token for a program, and print it this once.

    Example: `lineshaft people token reports --may read --on 'acme/**' --days 30`

    Parameters
    ----------
    subject
        Whose rights it has, as the policy grants them; never more.
    may
        Of these rights, the actions that it may use; repeatable.
    on
        Patterns of the names that it may use them on; repeatable.
    label
        What it is for.
    days
        How long it counts.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import peopling

    peopling.token(
        peopling.Place(where.config, where.data),
        subject,
        label,
        (may, on, days),
        as_json=json,
    )


@people.command(name="tokens")
def list_tokens(*, where: Files = FILES, json: bool = False) -> None:
    """List the tokens, without their secrets.

    Example: `lineshaft people tokens`

    Parameters
    ----------
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import peopling

    peopling.tokens(peopling.Place(where.config, where.data), as_json=json)
