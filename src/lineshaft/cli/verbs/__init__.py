"""The verbs: what each takes, and who does it."""

from lineshaft.cli.verbs import (
    access,
    audit,
    devices,
    keeping,
    people,
    plant,
    shell,
    trust,
    values,
)
from lineshaft.cli.verbs.app import app, execute

__all__ = [
    "access",
    "app",
    "audit",
    "devices",
    "execute",
    "keeping",
    "people",
    "plant",
    "shell",
    "trust",
    "values",
]
