"""The verbs: what each takes, and who does it."""

from lineshaft.cli.verbs import access, devices, keeping, plant, shell, supply, values
from lineshaft.cli.verbs.app import app, execute

__all__ = [
    "access",
    "app",
    "devices",
    "execute",
    "keeping",
    "plant",
    "shell",
    "supply",
    "values",
]
