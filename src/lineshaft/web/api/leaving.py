"""What data must pass before they leave as a file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from lineshaft.core.series import Format

LABEL_HEADER = "Lineshaft-Data-Label"
"""Says what the file is worth: `important; production`."""


class ExportGate(Protocol):
    """Whoever knows what the data are worth."""

    def label_export(self, names: Sequence[str], region: str, now: datetime) -> str:
        """Return the label of these points together; `Denied` if they must stay."""


def headers_of(form: Format, label: str) -> dict[str, str]:
    """Return how a file is called, and what it is worth if that is known."""
    called = f'attachment; filename="readings.{form.value}"'
    return {"Content-Disposition": called} | ({LABEL_HEADER: label} if label else {})


def label_of(gate: ExportGate | None, names: Sequence[str], region: str) -> str:
    """Return the label of points together; empty where nothing is labelled."""
    if gate is None:
        return ""
    return gate.label_export(names, region, datetime.now(UTC))
