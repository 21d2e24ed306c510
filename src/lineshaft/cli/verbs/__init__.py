"""The verbs: what each takes, and who does it."""

from lineshaft.cli.verbs import (
    access,
    audit,
    data,
    devices,
    keeping,
    people,
    plant,
    shell,
    supply,
    trust,
    values,
)
from lineshaft.cli.verbs.app import app, execute

__all__ = [
    "access",
    "app",
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
