"""The durable store: a Delta Lake table that any reader of that format opens.

Only this file imports deltalake. One commit holds the rows and, in the same
transaction, how far they reach in the bus; delta-rs itself takes a repeated number
without complaint, so whoever writes asks first.
"""

import contextlib
import copy
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    QueryBuilder,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from lineshaft.core.errors import ConfigError, Refused, Unreachable
from lineshaft.core.reading import to_us
from lineshaft.platform.historian.arrow import SCHEMA, Table, as_table
from lineshaft.platform.historian.store.files import DataFile, files_of, span_of
from lineshaft.platform.historian.store.pieces import cut
from lineshaft.platform.historian.store.sorting import Written, write_in_order
from lineshaft.platform.historian.store.sql import gathering, quoted, span, within

_FIELDS = "name, time, type, value, integer, text, quality, reason, unit"
_WRITING = WriterProperties(compression="ZSTD", compression_level=3)
# A snapshot in use may still need the log that a clean-up would take; `tidy` says when.
_HOOKS = PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)
_TRIES = 5
LOG_KEPT_S = 3600
PROPERTIES = {
    "delta.logRetentionDuration": f"interval {LOG_KEPT_S} seconds",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.checkpointInterval": "100",
}
"""What keeps the log of commits short; vacuum finds old files by itself."""


class Store:
    """One table; several threads may read while one writes.

    What keeps the table in order works with a view of its own, so that recording goes
    on beside it; a commit that crosses another one is refused by the format, and
    repeated.
    """

    def __init__(self, home: Path) -> None:
        """Open the table below `home`, or make it.

        `ConfigError` when it cannot be opened.
        """
        self._path = str(home / "readings")
        self._writing = threading.Lock()
        self._known: dict[str, int] = {}
        self._sorted: dict[date, int] = {}
        try:
            if not DeltaTable.is_deltatable(self._path):
                home.mkdir(parents=True, exist_ok=True)
                DeltaTable.create(
                    self._path,
                    SCHEMA,
                    partition_by=["day"],
                    name="readings",
                    description="Readings of points, one row each",
                    configuration=PROPERTIES,
                )
            self._table = DeltaTable(self._path)
        except (OSError, DeltaError) as error:
            raise ConfigError(
                f"the history in {home} cannot be opened: {error}"
            ) from error

    def set_properties(self) -> None:
        """Give a table that was made without them the properties of new ones."""
        try:
            self._table.alter.set_table_properties(PROPERTIES)
        except (OSError, DeltaError) as error:
            raise ConfigError(f"{self._path} cannot be upgraded: {error}") from error

    def reached(self, writer: str) -> int:
        """Return the number that the last commit of `writer` carried; 0 if none."""
        return self._known.setdefault(writer, self._reached(writer))

    def _reached(self, writer: str) -> int:
        with _trouble(f"{self._path} could not be read"):
            return self._table.transaction_version(writer) or 0

    def append(self, rows: Table, writer: str, reached: Mapping[str, int]) -> None:
        """Store rows and, with them, how far each writer got.

        Does nothing when `writer` has reached its number already: so repeating is
        harmless. Returns once both are in the table. `Unreachable` when the disk
        would not take them: nothing was stored, try again. `Refused` when another
        recorder writes to this table.
        """
        transactions = [Transaction(name, number) for name, number in reached.items()]
        commit = CommitProperties(app_transactions=transactions)
        with self._writing:
            for _ in range(_TRIES):
                self._refresh()
                there = self._reached(writer)
                if there >= reached[writer]:
                    self._known.update(reached)
                    return
                if there != self.reached(writer):
                    raise Refused(self._other())
                try:
                    _write(self._table, rows, commit)
                except CommitFailedError:
                    continue  # care was taken of the table meanwhile, or: see above
                except (OSError, DeltaError) as error:
                    raise Unreachable(
                        f"the history in {self._path} could not be written: {error}"
                    ) from error
                self._known.update(reached)
                return
        raise Unreachable(
            f"the history in {self._path} changes too often to be written"
        )

    def _refresh(self) -> None:
        """Look at the table as it is; it also has commits that are not ours."""
        try:
            self._table.update_incremental()
        except (OSError, DeltaError):
            # Our view may be from before a clean-up of the log.
            with _trouble(f"{self._path} could not be read"):
                self._table = DeltaTable(self._path)

    def _other(self) -> str:
        return f"another recorder writes to {self._path}; stop one of the two"

    def advance(self) -> "Snapshot":
        """Return the table as it is now; a query reads one state and no other."""
        return Snapshot(self._path)

    def compact(self) -> int:
        """Put the small files of each partition together; return how many went.

        Partitions that are sorted stay as they are.
        """
        gone = 0
        for day in self._unsorted(Snapshot(self._path), fewest=2):
            with _trouble(f"{self._path}: compaction of {day} failed"):
                done = DeltaTable(self._path).optimize.compact(
                    partition_filters=[("day", "=", str(day))],
                    writer_properties=_WRITING,
                    max_concurrent_tasks=1,
                    post_commithook_properties=_HOOKS,
                )
            gone += int(done["numFilesRemoved"])
        return gone

    def _unsorted(self, snapshot: "Snapshot", fewest: int) -> list[date]:
        """Return the partitions of some files that got readings since they were sorted.

        How many rows a partition had then lies in the log, under a name of its own.
        """
        files: Counter[date] = Counter()
        rows: Counter[date] = Counter()
        for file in snapshot.files():
            files[file.day] += 1
            rows[file.day] += file.rows
        found = []
        for day in sorted(rows):
            if self._sorted.get(day) != rows[day]:
                self._sorted[day] = snapshot.reached(_sorted_name(day))
            if self._sorted[day] != rows[day] and files[day] >= fewest:
                found.append(day)
        return found

    def sort_closed(self, now: datetime) -> date | None:
        """Rewrite one closed partition in order of name and time.

        A partition is closed six hours after its day is over. Returns its day, or
        None when there was nothing to do. It goes piece by piece, so a day of any
        length needs the memory of a few pieces. Recording goes on meanwhile;
        `Unreachable` when readings of that day came in between: try again.
        """
        closed = (now - timedelta(hours=6)).astimezone(UTC).date()
        snapshot = Snapshot(self._path)
        day = next(iter(self._unsorted(snapshot, fewest=1)), closed)
        if day >= closed:
            return None
        old = [file for file in snapshot.files() if file.day == day]
        rows = sum(file.rows for file in old)
        with _trouble(f"{self._path}: sorting {day} failed"):
            fresh = [
                *write_in_order(snapshot.sorted_pieces(day), Path(self._path), day)
            ]
            if (got := sum(file.facts.rows for file in fresh)) != rows:
                raise Unreachable(f"{self._path}: {got} rows were read of {rows}")
            # Not `write_deltalake`: it writes batches in the order in which its threads
            # come to them.
            snapshot.table.create_write_transaction(
                [*(_removed(file) for file in old), *map(_added, fresh)],
                "append",
                snapshot.table.schema(),
                ["day"],
                commit_properties=CommitProperties(
                    app_transactions=[Transaction(_sorted_name(day), rows)]
                ),
                post_commithook_properties=_HOOKS,
            )
        return day

    def delete(self, day: date, rows: int, names: Sequence[str] | None = None) -> int:
        """Delete a partition of so many rows, or all that it has of some points.

        Returns how many went. `Unreachable` when readings of that day came in since
        they were counted: count again. The files go with the vacuum that follows.
        """
        chosen = f"day = '{day}'"
        if names is not None:
            chosen += f" AND name IN ({', '.join(map(quoted, names))})"
        with self._writing, _trouble(f"{self._path}: {day} could not be deleted"):
            snapshot = Snapshot(self._path)
            there = sum(file.rows for file in snapshot.files() if file.day == day)
            if there != rows:
                raise Unreachable(f"{self._path}: {day} has got readings meanwhile")
            snapshot.table.delete(
                chosen,
                writer_properties=_WRITING,
                post_commithook_properties=_HOOKS,
            )
            left = Snapshot(self._path).files()
        return rows - sum(file.rows for file in left if file.day == day)

    def vacuum(self, hours: float) -> int:
        """Delete files that no version of the last `hours` needs; return how many.

        With at least an hour, files that a crash left behind go as well: such a file
        could be one that is just being written, but not after an hour.
        """
        with self._writing, _trouble(f"{self._path}: vacuum failed"):
            gone = DeltaTable(self._path).vacuum(
                retention_hours=int(hours),
                dry_run=False,
                enforce_retention_duration=False,
                post_commithook_properties=_HOOKS,
                full=hours >= 1,
            )
        return len(gone)

    def checkpoint(self) -> None:
        """Sum the log up, so that what is older may go."""
        with self._writing, _trouble(f"{self._path}: no checkpoint could be made"):
            DeltaTable(self._path).create_checkpoint()

    def tidy_log(self) -> None:
        """Delete what of the log is older than an hour and summed up.

        Snapshots from before the last checkpoint must not be in use any more.
        """
        with self._writing, _trouble(f"{self._path}: the log could not be tidied"):
            self._refresh()
            self._table.cleanup_metadata()


class Snapshot:
    """The table at one version; several threads may read it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._source = "readings"
        with _trouble(f"{path} could not be read"):
            self._table = DeltaTable(path)

    def of_unit(self, unit: str) -> "Snapshot":
        """Return the same table, as if it only had the readings in this unit."""
        view = copy.copy(self)
        view._source = (  # noqa: SLF001  it is one of us
            f"(SELECT * FROM readings WHERE coalesce(unit, '') = {quoted(unit)})"  # noqa: S608
        )
        return view

    def units(self) -> dict[str, list[str]]:
        """Return the units of each point that has several, in order of time."""
        table = self._query(
            "SELECT name, coalesce(unit, '') AS unit, max(time) AS last "  # noqa: S608
            f"FROM {self._source} GROUP BY 1, 2 ORDER BY 3"
        )
        found: dict[str, list[str]] = {}
        columns = (table[each].to_pylist() for each in ("name", "unit"))
        for name, unit in zip(*columns, strict=True):
            found.setdefault(name, []).append(unit)
        return {name: units for name, units in found.items() if len(units) > 1}

    @property
    def table(self) -> DeltaTable:
        """Return the table as delta-rs knows it, at this version."""
        return self._table

    @property
    def version(self) -> int:
        """Return the number of the last commit."""
        return int(self._table.version())

    def reached(self, writer: str) -> int:
        """Return the number that the last commit of `writer` carried; 0 if none."""
        return self._table.transaction_version(writer) or 0

    def read(
        self, names: Sequence[str], start_us: int, end_us: int, limit: int | None = None
    ) -> Table:
        """Return the rows of the named points in `[start_us, end_us)`, oldest first."""
        wanted = ", ".join(map(quoted, names))
        most = f" LIMIT {limit}" if limit is not None else ""
        return self._query(
            f"SELECT {_FIELDS} FROM {self._source} "  # noqa: S608  quoted
            f"WHERE name IN ({wanted}) AND {span(start_us, end_us)} "
            f"ORDER BY time{most}"
        )

    def between(self, start_us: int, end_us: int) -> Table:
        """Return the rows of all points in `[start_us, end_us)`, in no order."""
        return self._query(
            f"SELECT {_FIELDS} FROM {self._source} "  # noqa: S608  our own words
            f"WHERE {span(start_us, end_us)}"
        )

    def gathered(
        self,
        names: Sequence[str],
        of: tuple[int, int],
        buckets: tuple[int, int],
        *,
        ordered: bool,
    ) -> Table:
        """Return what buckets have in `[start, end)` of `of`, a row for each.

        `buckets` are the begin of the first and the length, in microseconds; see
        `sql.gathering` for the columns.
        """
        rows = (
            f"FROM {self._source} WHERE name IN ({', '.join(map(quoted, names))}) "
            f"AND {span(*of)}"
        )
        return self._query(gathering(rows, buckets, ordered=ordered))

    def last_rows(self, days: int) -> Table:
        """Return the newest row of each point among the newest `days` partitions."""
        if not (wanted := self._newest(days)):
            return SCHEMA.empty_table()
        newest_of = ", ".join(
            f"last_value({field} ORDER BY time) AS {field}"
            for field in _FIELDS.split(", ")[1:]
        )
        return self._query(
            f"SELECT name, {newest_of} FROM {self._source} "  # noqa: S608  our own words
            f"WHERE day IN ({wanted}) GROUP BY name"
        )

    def sorted_pieces(self, day: date) -> Iterator[Table]:
        """Yield all rows of a partition in order of name and time, piece by piece."""
        counts = self._query(
            "SELECT name, date_trunc('hour', time) AS hour, count(*) AS rows "  # noqa: S608
            f"FROM {self._source} WHERE day = DATE '{day}' "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        )
        for piece in cut(
            counts["name"].to_pylist(),
            [to_us(hour) for hour in counts["hour"].to_pylist()],
            counts["rows"].to_pylist(),
        ):
            yield (
                self._query(
                    f"SELECT * FROM {self._source} "  # noqa: S608  quoted
                    f"WHERE day = DATE '{day}' AND {within(piece)} ORDER BY name, time"
                )
                .select(SCHEMA.names)
                .cast(SCHEMA)
            )

    def counts_of(self, day: date) -> dict[str, int]:
        """Return how many readings a partition has of each point."""
        table = self._query(
            f"SELECT name, count(*) AS rows FROM {self._source} "  # noqa: S608  our own words
            f"WHERE day = DATE '{day}' GROUP BY name"
        )
        names, rows = table["name"].to_pylist(), table["rows"].to_pylist()
        return dict(zip(names, rows, strict=True))

    def kinds(self, days: int) -> dict[str, tuple[str, str]]:
        """Return type and unit of the newest reading with a value of each point."""
        if not (wanted := self._newest(days)):
            return {}
        rows = self._query(
            "SELECT name, last_value(type ORDER BY time) AS type, "  # noqa: S608
            f"last_value(unit ORDER BY time) AS unit FROM {self._source} "
            f"WHERE day IN ({wanted}) AND type <> 'none' GROUP BY name"
        )
        found = zip(
            *(rows[each].to_pylist() for each in rows.column_names), strict=True
        )
        return {name: (kind, unit or "") for name, kind, unit in found}

    def count(self) -> int:
        """Return how many readings there are, counted and not told by statistics."""
        # A count of all rows would be taken from the statistics in the log.
        table = self._query(
            f"SELECT count(*) AS n FROM {self._source} WHERE name <> ''"  # noqa: S608
        )
        return int(table["n"][0].as_py())

    def names(self) -> list[str]:
        """Return the name of every point that was ever recorded."""
        table = self._query(
            f"SELECT DISTINCT name FROM {self._source} ORDER BY name"  # noqa: S608
        )
        return list(table["name"].to_pylist())

    def span_us(self) -> tuple[int, int] | None:
        """Return the earliest and latest source time, from the table's statistics."""
        return span_of(self._actions())

    def files(self) -> list[DataFile]:
        """Return the files that this version is made of."""
        return files_of(self._actions())

    def files_by_day(self) -> dict[date, int]:
        """Return how many files each partition has."""
        return Counter(file.day for file in self.files())

    def days(self) -> list[date]:
        """Return the partitions, oldest first."""
        return sorted(self.files_by_day())

    def _actions(self) -> Table:
        return as_table(self._table.get_add_actions(flatten=True))

    def _newest(self, days: int) -> str:
        """Return the newest partitions as SQL writes them; empty if there is none."""
        return ", ".join(f"DATE '{day}'" for day in self.days()[-days:])

    def _query(self, sql: str) -> Table:
        with _trouble(f"{self._path} could not be read"):
            result = QueryBuilder().register("readings", self._table).execute(sql)
            return as_table(result.read_all())


def _write(table: DeltaTable, rows: Table, commit: CommitProperties) -> None:
    write_deltalake(
        table,
        rows,
        mode="append",
        writer_properties=_WRITING,
        commit_properties=commit,
        post_commithook_properties=_HOOKS,
    )


@contextlib.contextmanager
def _trouble(what: str) -> Iterator[None]:
    """Turn what goes wrong with the table into `Unreachable`: it is tried again."""
    try:
        yield
    except (OSError, DeltaError) as error:
        raise Unreachable(f"{what}: {error}") from error


def _sorted_name(day: date) -> str:
    return f"sorted/{day}"


def _added(file: Written) -> AddAction:
    return AddAction(
        file.path,
        file.size,
        {"day": str(file.day)},
        _now_ms(),
        data_change=False,
        stats=file.statistics(),
    )


def _removed(file: DataFile) -> RemoveAction:
    return RemoveAction(
        file.path,
        deletion_timestamp=_now_ms(),
        data_change=False,
        partition_values={"day": str(file.day)},
        size=file.size,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
