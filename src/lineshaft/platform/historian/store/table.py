"""The durable store: a Delta Lake table that any reader of that format opens.

Only this file imports deltalake. One commit holds the rows and, in the same
transaction, how far they reach in the bus; delta-rs itself takes a repeated number
without complaint, so whoever writes asks first.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from deltalake import (
    CommitProperties,
    DeltaTable,
    QueryBuilder,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError

from lineshaft.core.errors import ConfigError, Refused, Unreachable
from lineshaft.core.reading import to_us
from lineshaft.platform.historian.arrow import SCHEMA, Table, as_table

_FIELDS = "name, time, type, value, integer, text, quality, reason, unit"
_WRITING = WriterProperties(compression="ZSTD", compression_level=3)


class Store:
    """One table; several threads may read while one writes."""

    def __init__(self, home: Path) -> None:
        """Open the table below `home`, or make it.

        `ConfigError` when it cannot be opened.
        """
        self._path = str(home / "readings")
        self._writing = threading.Lock()
        self._known: dict[str, int] = {}
        try:
            if not DeltaTable.is_deltatable(self._path):
                home.mkdir(parents=True, exist_ok=True)
                DeltaTable.create(
                    self._path,
                    SCHEMA,
                    partition_by=["day"],
                    name="readings",
                    description="Readings of points, one row each",
                )
            self._table = DeltaTable(self._path)
        except (OSError, DeltaError) as error:
            raise ConfigError(
                f"the history in {home} cannot be opened: {error}"
            ) from error

    def reached(self, writer: str) -> int:
        """Return the number that the last commit of `writer` carried; 0 if none."""
        return self._known.setdefault(writer, self._reached(writer))

    def _reached(self, writer: str) -> int:
        return self._table.transaction_version(writer) or 0

    def append(self, rows: Table, writer: str, reached: Mapping[str, int]) -> None:
        """Store rows and, with them, how far each writer got.

        Does nothing when `writer` has reached its number already: so repeating is
        harmless. Returns once both are in the table. `Unreachable` when the disk
        would not take them: nothing was stored, try again. `Refused` when another
        recorder writes to this table.
        """
        transactions = [Transaction(name, number) for name, number in reached.items()]
        with self._writing:
            there = self._reached(writer)
            if there >= reached[writer]:
                self._known.update(reached)
                return
            if there != self.reached(writer):
                raise Refused(self._other())
            try:
                write_deltalake(
                    self._table,
                    rows,
                    mode="append",
                    writer_properties=_WRITING,
                    commit_properties=CommitProperties(app_transactions=transactions),
                )
            except CommitFailedError as error:
                raise Refused(f"{self._other()}: {error}") from error
            except (OSError, DeltaError) as error:
                raise Unreachable(
                    f"the history in {self._path} could not be written: {error}"
                ) from error
            self._known.update(reached)

    def _other(self) -> str:
        return f"another recorder writes to {self._path}; stop one of the two"

    def advance(self) -> "Snapshot":
        """Return the table as it is now; a query reads one state and no other."""
        return Snapshot(self._path)

    def compact(self) -> int:
        """Put the small files of each partition together; return how many went."""
        with self._writing:
            try:
                done = self._table.optimize.compact(writer_properties=_WRITING)
            except (OSError, DeltaError) as error:
                raise Unreachable(
                    f"{self._path}: compaction failed: {error}"
                ) from error
        return int(done["numFilesRemoved"])

    def sort_closed(self, now: datetime) -> date | None:
        """Rewrite one closed partition of many files in order of name and time.

        A partition is closed six hours after its day is over. Returns its day, or
        None when there was nothing to do.
        """
        closed = (now - timedelta(hours=6)).astimezone(UTC).date()
        counts = Snapshot(self._path).files_by_day()
        many = [day for day, files in counts.items() if day < closed and files > 1]
        if not many:
            return None
        day = min(many)
        with self._writing:
            rows = Snapshot(self._path).day(day)
            try:
                write_deltalake(
                    self._table,
                    rows.select(SCHEMA.names).cast(SCHEMA),
                    mode="overwrite",
                    predicate=f"day = '{day}'",
                    writer_properties=_WRITING,
                    target_file_size=256 << 20,
                )
            except (OSError, DeltaError) as error:
                raise Unreachable(f"{self._path}: sorting failed: {error}") from error
        return day

    def vacuum(self, hours: float) -> int:
        """Delete files that no version of the last `hours` needs; return how many."""
        with self._writing:
            try:
                gone = self._table.vacuum(
                    retention_hours=int(hours),
                    dry_run=False,
                    enforce_retention_duration=False,
                )
            except (OSError, DeltaError) as error:
                raise Unreachable(f"{self._path}: vacuum failed: {error}") from error
        return len(gone)


class Snapshot:
    """The table at one version; several threads may read it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._table = DeltaTable(path)

    def read(
        self, names: Sequence[str], start_us: int, end_us: int, limit: int | None = None
    ) -> Table:
        """Return the rows of the named points in `[start_us, end_us)`, oldest first."""
        wanted = ", ".join(map(_quoted, names))
        most = f" LIMIT {limit}" if limit is not None else ""
        return self._query(
            f"SELECT {_FIELDS} FROM readings "  # noqa: S608  quoted
            f"WHERE name IN ({wanted}) AND {_span(start_us, end_us)} "
            f"ORDER BY time{most}"
        )

    def between(self, start_us: int, end_us: int) -> Table:
        """Return the rows of all points in `[start_us, end_us)`, in no order."""
        return self._query(
            f"SELECT {_FIELDS} FROM readings "  # noqa: S608  our own words
            f"WHERE {_span(start_us, end_us)}"
        )

    def gathered(
        self,
        names: Sequence[str],
        span: tuple[int, int],
        buckets: tuple[int, int],
        *,
        ordered: bool,
    ) -> Table:
        """Return what buckets have in `[start, end)` of `span`, a row for each.

        `buckets` are the begin of the first and the length, in microseconds. Columns:
        name, bucket (from 0), heard and usable (numbers of readings), total, least,
        most, and if `ordered` first, first_us, last, last_us; else these are null.
        """
        begin, every = buckets
        order = (
            "first_value(value ORDER BY us) FILTER (WHERE usable)",
            "min(us) FILTER (WHERE usable)",
            "last_value(value ORDER BY us) FILTER (WHERE usable)",
            "max(us) FILTER (WHERE usable)",
        )
        ends = zip(order, ("first", "first_us", "last", "last_us"), strict=True)
        last = ", ".join(f"{how if ordered else 'null'} AS {it}" for how, it in ends)
        return self._query(
            "WITH chosen AS (SELECT name, value, "  # noqa: S608  quoted
            f"(CAST(time AS BIGINT) - {begin}) / {every} AS bucket, "
            "CAST(time AS BIGINT) AS us, quality <> 'bad' AS heard, "
            "quality <> 'bad' AND value IS NOT NULL AND NOT isnan(value) AS usable "
            f"FROM readings WHERE name IN ({', '.join(map(_quoted, names))}) "
            f"AND {_span(*span)}) "
            "SELECT name, bucket, count(*) FILTER (WHERE heard) AS heard, "
            "count(*) FILTER (WHERE usable) AS usable, "
            "sum(value) FILTER (WHERE usable) AS total, "
            "min(value) FILTER (WHERE usable) AS least, "
            f"max(value) FILTER (WHERE usable) AS most, {last} "
            "FROM chosen GROUP BY name, bucket"
        )

    def last_rows(self, days: int) -> Table:
        """Return the newest row of each point among the newest `days` partitions."""
        newest = sorted(self.files_by_day(), reverse=True)[:days]
        if not newest:
            return SCHEMA.empty_table()
        wanted = ", ".join(f"DATE '{day}'" for day in newest)
        newest_of = ", ".join(
            f"last_value({field} ORDER BY time) AS {field}"
            for field in _FIELDS.split(", ")[1:]
        )
        return self._query(
            f"SELECT name, {newest_of} FROM readings "  # noqa: S608  our own words
            f"WHERE day IN ({wanted}) GROUP BY name"
        )

    def day(self, day: date) -> Table:
        """Return all rows of a partition in order of name and time."""
        return self._query(
            "SELECT * FROM readings "  # noqa: S608  our own words
            f"WHERE day = DATE '{day}' ORDER BY name, time"
        )

    def names(self) -> list[str]:
        """Return the name of every point that was ever recorded."""
        table = self._query("SELECT DISTINCT name FROM readings ORDER BY name")
        names: list[str] = table["name"].to_pylist()
        return names

    def span_us(self) -> tuple[int, int] | None:
        """Return the earliest and latest source time, from the table's statistics."""
        actions = as_table(self._table.get_add_actions(flatten=True))
        if "max.time" not in actions.column_names:
            return None
        begins = [time for time in actions["min.time"].to_pylist() if time]
        ends = [time for time in actions["max.time"].to_pylist() if time]
        if not begins or not ends:
            return None
        # Statistics are cut to milliseconds: the true end may lie behind.
        return to_us(min(begins)), to_us(max(ends)) + 1_000

    def files_by_day(self) -> dict[date, int]:
        """Return how many files each partition has."""
        actions = as_table(self._table.get_add_actions(flatten=True))
        if "partition.day" not in actions.column_names:
            return {}
        return Counter(actions["partition.day"].to_pylist())

    def days(self) -> list[date]:
        """Return the partitions, oldest first."""
        return sorted(self.files_by_day())

    def _query(self, sql: str) -> Table:
        try:
            result = QueryBuilder().register("readings", self._table).execute(sql)
            return as_table(result.read_all())
        except (OSError, DeltaError) as error:
            raise Unreachable(f"{self._path} could not be read: {error}") from error


def _span(start_us: int, end_us: int) -> str:
    first = datetime.fromtimestamp(start_us // 1_000_000, UTC).date()
    last = datetime.fromtimestamp(max(end_us - 1, start_us) // 1_000_000, UTC).date()
    return (
        f"day BETWEEN DATE '{first}' AND DATE '{last}' "
        f"AND time >= to_timestamp_micros({start_us}) "
        f"AND time < to_timestamp_micros({end_us})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
