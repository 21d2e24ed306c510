"""The files of a table at one version, from what the log says of them."""

from dataclasses import dataclass
from datetime import date

from lineshaft.core.reading import to_us
from lineshaft.platform.historian.arrow import Table


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of the table at one version."""

    path: str
    """Relative to the table."""
    day: date
    size: int
    rows: int


def files_of(actions: Table) -> list[DataFile]:
    """Return the files that the log tells of."""
    if "partition.day" not in actions.column_names:
        return []
    columns = ("path", "partition.day", "size_bytes", "num_records")
    found = zip(*(actions[each].to_pylist() for each in columns), strict=True)
    return [DataFile(*each) for each in found]


def span_of(actions: Table) -> tuple[int, int] | None:
    """Return the earliest and latest source time that the log's statistics tell."""
    if "max.time" not in actions.column_names:
        return None
    begins = [time for time in actions["min.time"].to_pylist() if time]
    ends = [time for time in actions["max.time"].to_pylist() if time]
    if not begins or not ends:
        return None
    # Statistics are cut to milliseconds: the true end may lie behind.
    return to_us(min(begins)), to_us(max(ends)) + 1_000
