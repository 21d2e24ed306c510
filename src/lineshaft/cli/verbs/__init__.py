"""The verbs: what each takes, and who does it."""

from lineshaft.cli.verbs import devices, keeping, plant, shell, values
from lineshaft.cli.verbs.app import app, execute

__all__ = ["app", "devices", "execute", "keeping", "plant", "shell", "values"]
