"""Where computed points are listed."""

from pathlib import Path

from pydantic import BaseModel, Field

DEVICE = "computed"
"""The device that computed points belong to, and the name of the room."""


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[computed]`: points that are computed from others."""

    points: Path | None = Field(
        default=None,
        description="The list of computed points: a CSV file, named relative to "
        "lineshaft.toml.",
    )
    heartbeat_s: float = Field(
        default=60.0,
        gt=0,
        description="A result that stays the same is told again after this long.",
    )
