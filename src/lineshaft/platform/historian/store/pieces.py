"""A day cut into pieces that fit into memory, in order of name and time."""

from collections.abc import Iterator, Sequence

MOST_ROWS = 500_000
"""Rows of a piece, up to 1 kB each while they are sorted; an hour is not cut."""
_HOUR_US = 3_600_000_000
Mark = tuple[str, int]
"""A name and a source time, microseconds since 1970 UTC."""
Piece = tuple[Mark, Mark]
"""From the first mark on, up to the second and without it; names before times."""


def cut(
    names: Sequence[str],
    hours_us: Sequence[int],
    rows: Sequence[int],
    most: int = MOST_ROWS,
) -> Iterator[Piece]:
    """Yield pieces that have all the rows, at most `most` each if hours allow.

    Each item of the three sequences is an hour of a point with its number of rows, in
    order of name and time.
    """
    begin: Mark | None = None
    held = 0
    for name, hour_us, count in zip(names, hours_us, rows, strict=True):
        mark = (name, hour_us)
        if begin is not None and held + count > most:
            yield begin, mark
            begin, held = None, 0
        begin = begin or mark
        held += count
    if begin is not None:
        yield begin, (names[-1], hours_us[-1] + _HOUR_US)
