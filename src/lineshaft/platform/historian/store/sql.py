"""What a query says about places and times, in the words of SQL."""

from datetime import UTC, datetime

from lineshaft.platform.historian.store.pieces import Piece


def span(start_us: int, end_us: int) -> str:
    """Return what the rows of `[start_us, end_us)` have in common."""
    first = datetime.fromtimestamp(start_us // 1_000_000, UTC).date()
    last = datetime.fromtimestamp(max(end_us - 1, start_us) // 1_000_000, UTC).date()
    return (
        f"day BETWEEN DATE '{first}' AND DATE '{last}' "
        f"AND time >= to_timestamp_micros({start_us}) "
        f"AND time < to_timestamp_micros({end_us})"
    )


def within(piece: Piece) -> str:
    """Return what the rows of a piece have in common."""
    (low, from_us), (high, until_us) = piece
    first, last = quoted(low), quoted(high)
    return (
        f"name >= {first} AND name <= {last} "
        f"AND (name > {first} OR time >= to_timestamp_micros({from_us})) "
        f"AND (name < {last} OR time < to_timestamp_micros({until_us}))"
    )


def gathering(rows: str, buckets: tuple[int, int], *, ordered: bool) -> str:
    """Return a question for what buckets have among `rows`, a row for each.

    `buckets` are the begin of the first and the length, in microseconds. Columns:
    name, bucket (from 0), heard and usable (numbers of readings), total, least, most,
    and if `ordered` first, first_us, last, last_us; else these are null.
    """
    begin, every = buckets
    ends = {
        "first": "first_value(value ORDER BY us)",
        "first_us": "min(us)",
        "last": "last_value(value ORDER BY us)",
        "last_us": "max(us)",
    }
    of_usable = {"total": "sum(value)", "least": "min(value)", "most": "max(value)"}
    if ordered:
        of_usable |= ends
    told = [f"{how} FILTER (WHERE usable) AS {it}" for it, how in of_usable.items()]
    told += [] if ordered else [f"null AS {it}" for it in ends]
    return (
        "WITH chosen AS (SELECT name, value, "  # noqa: S608  our own words
        f"(CAST(time AS BIGINT) - {begin}) / {every} AS bucket, "
        "CAST(time AS BIGINT) AS us, quality <> 'bad' AS heard, "
        "quality <> 'bad' AND value IS NOT NULL AND NOT isnan(value) AS usable "
        f"{rows}) SELECT name, bucket, count(*) FILTER (WHERE heard) AS heard, "
        f"count(*) FILTER (WHERE usable) AS usable, {', '.join(told)} "
        "FROM chosen GROUP BY name, bucket"
    )


def quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
