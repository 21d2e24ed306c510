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


def quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
