"""Packed readings are the same readings, and a search finds exactly what is there."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lineshaft.core.frame import KIND_INT, Columns
from lineshaft.core.reading import GOOD, bad
from lineshaft.platform.historian.block import Block
from lineshaft.platform.historian.memory.packed import pack

STATUSES = (GOOD, bad("no answer"))
HOURS = 10**11
rows = st.lists(
    st.tuples(
        st.sampled_from([0, 3, 4, 4_000_000_000]),
        # Within what 32 bits reach, and far outside.
        st.one_of(st.integers(0, 50), st.integers(-HOURS, HOURS)),
        st.integers(-9, 9),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=30,
)


def sorted_block(said: list[tuple[int, int, int, int]]) -> Block:
    point, time, value, status = (np.array(each) for each in zip(*said, strict=True))
    columns = Columns(
        point.astype(np.uint32),
        time.astype(np.int64),
        np.full(len(said), KIND_INT, np.uint8),
        value.astype(np.int64),
        status.astype(np.uint16),
    )
    return Block(columns, (), STATUSES).sorted()


def told(block: Block) -> list[tuple[int, ...]]:
    columns = block.columns
    lists = (columns.point, columns.time, columns.bits, columns.status)
    return list(zip(*(each.tolist() for each in lists), strict=True))


@given(rows)
def test_packing_changes_nothing(said: list[tuple[int, int, int, int]]) -> None:
    block = sorted_block(said)
    assert told(block) == sorted(said, key=lambda row: row[:2])
    assert told(pack(block).block()) == told(block)


@settings(deadline=None)
@given(
    rows,
    st.lists(st.sampled_from([0, 1, 3, 4, 4_000_000_000]), min_size=1, unique=True),
    st.one_of(st.integers(0, 50), st.integers(-HOURS, HOURS)),
    st.one_of(st.integers(0, 60), st.integers(0, 2 * HOURS)),
)
def test_a_search_finds_exactly_the_readings_of_the_points_in_the_span(
    said: list[tuple[int, int, int, int]], asked: list[int], start: int, length: int
) -> None:
    block = sorted_block(said)
    found = pack(block).of(np.array(asked, np.uint32), start, start + length)
    wanted = [
        (asked.index(point), *rest)
        for point, *rest in told(block)
        if point in asked and start <= rest[0] < start + length
    ]
    assert ([] if found is None else sorted(told(found))) == sorted(wanted)


@given(rows)
def test_the_last_times_are_those_of_each_point(
    said: list[tuple[int, int, int, int]],
) -> None:
    packed = pack(sorted_block(said))
    wanted = {
        point: max(row[1] for row in said if row[0] == point) for point, *_ in said
    }
    told_last = zip(packed.points.tolist(), packed.last_times().tolist(), strict=True)
    assert dict(told_last) == wanted
