"""How the historian keeps readings."""

from pydantic import BaseModel, Field, field_validator

from lineshaft.core.errors import NotFound
from lineshaft.core.name import compile_pattern
from lineshaft.platform.historian.duration import seconds_of


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
    retention: dict[str, str] = Field(
        default={},
        description="How long readings are kept: a pattern of names and a duration "
        'each, like `"acme/osaka/**" = "90d"` (h, d, w, y). The most specific pattern '
        "counts. Without one, readings are kept for ever.",
    )
    most_gib: float | None = Field(
        default=None,
        gt=0,
        description="Most disk space of the history, in GiB. When it is used up, the "
        "oldest readings beyond `guarantee` are deleted, day by day, and events say "
        "so. Left out, only the disk bounds it, and nothing is deleted for room.",
    )
    guarantee: str = Field(
        default="30d",
        description="What is younger is never deleted for room; readings rather wait "
        "on the bus.",
    )
    least_free_gib: float = Field(
        default=0.5,
        ge=0,
        description="When the disk has less than this free, in GiB, readings wait on "
        "the bus. Below four times as much there are warnings.",
    )

    @field_validator("retention")
    @classmethod
    def _check_retention(cls, rules: dict[str, str]) -> dict[str, str]:
        problems = []
        for pattern, keep in rules.items():
            try:
                compile_pattern(pattern)
                seconds_of(keep)
            except (NotFound, ValueError) as error:
                problems.append(f"{pattern}: {error}")
        if problems:
            raise ValueError("; ".join(problems))
        return rules

    @field_validator("guarantee")
    @classmethod
    def _check_guarantee(cls, text: str) -> str:
        seconds_of(text)
        return text
