"""How the historian keeps readings."""

from pydantic import BaseModel, Field


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The table `[historian]` of lineshaft.toml."""

    commit_every_s: float = Field(
        default=30.0,
        gt=0,
        le=600,
        description="How long readings are gathered for one commit to the Delta table. "
        "Until then the bus keeps them; they can be queried at once.",
    )
    commit_readings: int = Field(
        default=500_000,
        ge=1_000,
        le=5_000_000,
        description="A commit is made earlier when so many readings have gathered.",
    )
    hot_window_s: float = Field(
        default=3600.0,
        ge=0,
        description="How long committed readings also stay in memory, to answer fast.",
    )
    hot_readings: int = Field(
        default=20_000_000,
        ge=0,
        description="Most readings that stay in memory; the oldest go first (about 23 "
        "bytes each).",
    )
    standing_s: float = Field(
        default=180.0,
        gt=0,
        description="How long a value counts as standing when nothing more is heard: "
        "a few times the longest heartbeat of the devices. After that there is a gap.",
    )
    compact_every_s: float = Field(
        default=3600.0,
        gt=0,
        description="How often the small files of the current day are put together.",
    )
    vacuum_after_h: float = Field(
        default=168.0,
        ge=1,
        description="How long files that were replaced by compaction stay on disk, for "
        "readers that still use them.",
    )
