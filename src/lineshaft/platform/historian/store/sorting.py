"""A partition written anew, in order of name and time."""

import itertools
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from lineshaft.core.reading import iso
from lineshaft.platform.historian.arrow import FileFacts, Table, write_store_file

FILE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """A file that is on disk and not yet part of the table."""

    path: str
    """Relative to the table."""
    day: date
    size: int
    facts: FileFacts

    def statistics(self) -> str:
        """Return what the log says of the file's rows (Delta protocol, statistics)."""
        names, times = self.facts.names, self.facts.times_us
        return json.dumps(
            {
                "numRecords": self.facts.rows,
                "minValues": {"name": min(names), "time": iso(min(times))},
                "maxValues": {"name": max(names), "time": iso(max(times))},
                "nullCount": {"name": 0, "time": 0},
            }
        )


def write_in_order(pieces: Iterator[Table], home: Path, day: date) -> Iterator[Written]:
    """Write pieces that follow each other into files of the table below `home`.

    Nothing of it counts before it is committed.
    """
    folder = home / f"day={day}"
    for number in itertools.count():
        file = folder / f"part-{number:05}-{uuid.uuid4()}-c000.zstd.parquet"
        facts = write_store_file(file, pieces, FILE_BYTES)
        if not facts.rows:
            file.unlink()
            return
        yield Written(f"{folder.name}/{file.name}", day, file.stat().st_size, facts)
