"""Verbs that read and prove the audit log."""

from pathlib import Path

from lineshaft.cli.verbs.app import HERE, Data, family

audit = family(
    "audit",
    """Who did what: read the audit log, and prove that nobody changed it.

Example: `lineshaft audit verify`""",
)


@audit.command(name="verify")
def verify_log(
    *,
    where: Data = HERE,
    key: str = "",
    against: list[Path] | None = None,
    proof: Path | None = None,
    json: bool = False,
) -> int:
    """Read the whole log and say whether it is as it was written; 0 if so, else 1.

    It needs the files only, so it works on a stopped plant and on a copy.

    Example: `lineshaft audit verify --against checkpoint-of-may.txt`

    Parameters
    ----------
    key
        The log's public key as it was kept elsewhere; left out, the one beside it.
    against
        A checkpoint that was kept elsewhere; repeatable.
    proof
        Check this file with the proof of one entry instead.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import auditing

    return auditing.check(where.data, key, against or (), proof=proof, as_json=json)


@audit.command(name="show")
def show_log(
    *,
    where: Data = HERE,
    who: str = "",
    kind: str = "",
    name: str = "",
    result: str = "",
    since: str = "",
    limit: int = 50,
    json: bool = False,
) -> None:
    """Print who did what, the newest first.

    Example: `lineshaft audit show --kind 'login.*' --since -1d`

    Parameters
    ----------
    who
        The subject.
    kind
        A kind, or a pattern such as `login.*`.
    name
        What it was done to, or a pattern.
    result
        One of success, denied and failure.
    since
        RFC 3339, or a span before now: `-1d`.
    limit
        How many at most.
    json
        Print JSON for programs.

    """
    from lineshaft.cli.files.security import auditing

    wanted = auditing.wish(who, kind, name, result, since, limit)
    auditing.show(where.data, wanted, as_json=json)


@audit.command(name="checkpoint")
def tell_checkpoint(*, where: Data = HERE) -> None:
    """Print the signed checkpoint, for an auditor to keep elsewhere.

    Example: `lineshaft audit checkpoint`
    """
    from lineshaft.cli.files.security import auditing

    auditing.checkpoint(where.data)


@audit.command(name="key")
def tell_key(*, where: Data = HERE, witness: bool = False) -> None:
    """Print the public key of the log, for auditors and witnesses.

    Example: `lineshaft audit key`

    Parameters
    ----------
    witness
        Print the key that we sign with as a witness of others.

    """
    from lineshaft.cli.files.security import auditing

    auditing.tell_key(where.data, witness=witness)


@audit.command(name="prove")
def prove_entry(number: int, *, where: Data = HERE) -> None:
    """Print the proof that an entry is in the log, as JSON.

    Example: `lineshaft audit prove 17`

    Parameters
    ----------
    number
        The entry, as `lineshaft audit show` numbers it.

    """
    from lineshaft.cli.files.security import auditing

    auditing.prove_entry(where.data, number)
