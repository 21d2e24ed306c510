import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.network.drivers.modbus.address import Area
from lineshaft.network.drivers.modbus.polling.plan import (
    Block,
    Fence,
    Limits,
    Span,
    divide,
    plan,
)
from lineshaft.network.drivers.modbus.polling.survey import RECHECK_S, Survey

LIMITS = Limits(max_registers=125, max_bits=2000, max_gap=16)

spans_of_any_kind = st.lists(
    st.builds(
        Span,
        st.integers(1, 2),
        st.sampled_from([Area.HOLDING, Area.COIL]),
        st.integers(0, 400),
        st.integers(1, 8),
    ),
    min_size=1,
)
limits_of_any_kind = st.builds(
    Limits, st.integers(8, 125), st.integers(8, 2000), st.integers(0, 30)
)
fences_of_any_kind = st.lists(
    st.builds(
        lambda unit, start, width: Fence(unit, Area.HOLDING, start, start + width),
        st.integers(1, 2),
        st.integers(0, 400),
        st.integers(0, 3),
    )
)


def holding(*places: tuple[int, int]) -> list[Span]:
    return [Span(1, Area.HOLDING, start, width) for start, width in places]


@given(spans_of_any_kind, limits_of_any_kind, fences_of_any_kind)
def test_every_value_is_in_exactly_one_block_and_whole(
    spans: list[Span], limits: Limits, fences: list[Fence]
) -> None:
    blocks = plan(spans, range(len(spans)), limits, fences)
    covered = [member for block in blocks for member in block.members]
    assert sorted(covered) == list(range(len(spans)))
    for block in blocks:
        assert 1 <= block.size <= limits.largest(block.area)
        for member in block.members:
            span = spans[member]
            assert (span.unit, span.area) == (block.unit, block.area)
            assert block.start <= span.start
            assert span.stop <= block.start + block.size
        _check_gaps(spans, block, limits, fences)


def _check_gaps(
    spans: list[Span], block: Block, limits: Limits, fences: list[Fence]
) -> None:
    stop = spans[block.members[0]].stop
    for member in block.members[1:]:
        span = spans[member]
        assert span.start - stop <= limits.widest_gap(block.area)
        for fence in fences:
            if fence[:2] == span[:2]:
                assert not stop <= fence.start <= fence.stop <= span.start
        stop = max(stop, span.stop)


@given(spans_of_any_kind)
def test_dividing_ends_at_single_spans_and_loses_nothing(spans: list[Span]) -> None:
    waiting = plan(spans, range(len(spans)), LIMITS)
    ended: list[int] = []
    while waiting:
        block = waiting.pop()
        parts = divide(spans, block)
        if parts is None:
            assert len({spans[member] for member in block.members}) == 1
            ended.extend(block.members)
        else:
            assert parts[0].members + parts[1].members == block.members
            waiting.extend(parts[:2])
    assert sorted(ended) == list(range(len(spans)))


def test_near_values_are_read_in_one_block() -> None:
    spans = holding((0, 2), (10, 2), (26, 1), (50, 1))
    assert plan(spans, range(4), LIMITS) == [
        Block(1, Area.HOLDING, 0, 27, (0, 1, 2)),
        Block(1, Area.HOLDING, 50, 1, (3,)),
    ]


def test_a_gap_of_zero_joins_only_neighbours() -> None:
    spans = holding((0, 2), (2, 2), (5, 1))
    never = Limits(125, 2000, 0)
    assert [block.members for block in plan(spans, range(3), never)] == [(0, 1), (2,)]


def test_a_value_at_the_limit_is_not_cut_in_two() -> None:
    spans = holding((0, 2), (122, 2), (124, 2))
    wide = Limits(125, 2000, 125)
    assert [block.members for block in plan(spans, range(3), wide)] == [(0, 1), (2,)]


def test_a_block_is_divided_where_the_gap_is_widest() -> None:
    spans = holding((0, 1), (1, 1), (9, 1), (12, 1))
    [block] = plan(spans, range(4), LIMITS)
    parts = divide(spans, block)
    assert parts is not None
    left, right, fence = parts
    assert (left.members, right.members) == ((0, 1), (2, 3))
    assert fence == Fence(1, Area.HOLDING, 2, 9)


def test_a_fence_is_not_crossed_and_its_neighbours_are_still_joined() -> None:
    spans = holding((0, 1), (1, 1), (9, 1), (12, 1))
    blocks = plan(spans, range(4), LIMITS, [Fence(1, Area.HOLDING, 2, 9)])
    assert [block.members for block in blocks] == [(0, 1), (2, 3)]


def test_a_bad_span_is_asked_again_after_a_while_and_forgiven() -> None:
    now_s = 100.0
    survey = Survey(lambda: now_s)
    [span] = holding((5, 2))
    survey.condemn(span, "illegal")
    assert survey.is_bad(span)
    assert survey.reason(span) == "illegal"
    now_s += RECHECK_S - 1
    assert not survey.is_due(span)
    now_s += 1
    assert survey.is_due(span)
    version = survey.version
    survey.acquit(span)
    assert not survey.is_bad(span)
    assert not survey.fences
    assert survey.version > version


@pytest.mark.parametrize(("gap", "blocks"), [(0, 2), (1, 1)])
def test_sixteen_bits_count_as_one_register_of_gap(gap: int, blocks: int) -> None:
    spans = [Span(1, Area.COIL, 0, 1), Span(1, Area.COIL, 17, 1)]
    assert len(plan(spans, range(2), Limits(125, 2000, gap))) == blocks
