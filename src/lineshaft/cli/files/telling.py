"""What is done at the command line and must be proved later."""

import getpass
from pathlib import Path

from lineshaft.cli import screen
from lineshaft.core.bus.audit import AuditRecord
from lineshaft.core.bus.trail import keep
from lineshaft.core.errors import Unreachable
from lineshaft.security.people.accounts import OWNER

ORIGIN = "command line"
WAITING = "people/audit.jsonl"
"""Below the data directory; the plant takes it from there when it runs."""


def who() -> str:
    """Return the subject: whoever is logged in at this machine."""
    return OWNER + getpass.getuser()


def tell(data: Path, record: AuditRecord) -> None:
    """Write a record down for good; `Unreachable` if the disk does not take it."""
    try:
        keep(data / WAITING, record)
    except OSError as error:
        raise Unreachable(
            f"{data / WAITING}: {error.strerror or error}; what cannot be recorded is "
            "not done. Make room on that disk"
        ) from error


def note(data: Path, kind: str, name: str, text: str = "", **detail: str) -> None:
    """Write down what was done; it is done, also where the disk takes no record."""
    record = AuditRecord(
        kind=kind, who=who(), name=name, text=text, origin=ORIGIN, detail={**detail}
    )
    try:
        tell(data, record)
    except Unreachable as error:
        screen.complain(f"it is done, but not written down: {error}")
