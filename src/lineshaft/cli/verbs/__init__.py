"""The verbs: what each takes, and who does it."""

from lineshaft.cli.verbs import (
    data,
    devices,
    keeping,
    plant,
    shell,
    values,
)
from lineshaft.cli.verbs.app import app, execute
from lineshaft.cli.verbs.security import (
    access,
    assess,
    audit,
    people,
    supply,
    trust,
)

__all__ = [
    "access",
    "app",
    "assess",
    "audit",
    "data",
    "devices",
    "execute",
    "keeping",
    "people",
    "plant",
    "shell",
    "supply",
    "trust",
    "values",
]
