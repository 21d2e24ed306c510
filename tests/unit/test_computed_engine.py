from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from lineshaft.core.errors import Refused
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Status, Value, bad, uncertain
from lineshaft.platform.computed.engine import Engine, Result, newest_of
from lineshaft.platform.computed.memory import (
    read_state,
    restore,
    state_of,
    write_state,
)
from lineshaft.platform.computed.plan import formulas
from support.frames import Row, frame

S = 1_000_000
A, B = "acme/osaka/a", "acme/tokyo/b"
KINDS: Mapping[str, Kind] = {A: Kind.FLOAT, B: Kind.FLOAT}
SUM = "acme/osaka/sum"


def engine(
    heartbeat_s: float = 60.0, kind: Kind = Kind.FLOAT, **expressions: str
) -> Engine:
    points = [
        Point(name=f"acme/osaka/{name}", address=text, type=kind)
        for name, text in expressions.items()
    ]
    kinds = {**KINDS, **{point.name: point.type for point in points}}
    return Engine(formulas(points, kinds), heartbeat_s)


def take(
    engine: Engine, *rows: Row, statuses: Sequence[Status] | None = None
) -> list[tuple[str, Value | None, int]]:
    return said(engine, engine.take(frame(rows, statuses=statuses)))


def said(
    engine: Engine, results: Sequence[Result]
) -> list[tuple[str, Value | None, int]]:
    return [
        (engine.formulas[r.formula].point.name.rpartition("/")[2], r.value, r.time_us)
        for r in results
    ]


def test_a_result_bears_the_newest_time_of_its_inputs() -> None:
    sums = engine(sum=f"{{a}} + {{{B}}}")
    assert take(sums, (A, 5 * S, 1.0)) == [("sum", None, 5 * S)]
    assert take(sums, (B, 4 * S, 2.0)) == [("sum", 3.0, 5 * S + 1)]
    assert take(sums, (B, 6 * S, 3.0)) == [("sum", 4.0, 6 * S)]


def test_every_moment_of_a_frame_is_computed_in_order() -> None:
    sums = engine(sum=f"{{a}} + {{{B}}}")
    rows = [(A, 2 * S, 1.0), (B, 1 * S, 1.0), (B, 2 * S, 5.0), (A, 3 * S, 2.0)]
    values = [value for _, value, _ in take(sums, *rows)]
    assert values == [None, 6.0, 7.0]


def test_what_is_older_than_what_is_known_changes_nothing() -> None:
    double = engine(d="{a} * 2")
    assert take(double, (A, 5 * S, 1.0)) == [("d", 2.0, 5 * S)]
    assert take(double, (A, 4 * S, 9.0)) == []


def test_results_go_on_into_other_results_at_once() -> None:
    chain = engine(c="{d} + 1", d="{a} * 2")
    assert take(chain, (A, S, 5.0)) == [("d", 10.0, S), ("c", 11.0, S)]


def test_a_bad_input_makes_everything_behind_it_bad_with_its_name() -> None:
    chain = engine(c="{d} + 1", d="{a} * 2")
    results = chain.take(frame([(A, S, None)], statuses=[bad("cable cut")]))
    assert [r.status for r in results] == [
        bad(f"{A}: cable cut"),
        bad(f"acme/osaka/d: {A}: cable cut"),
    ]
    assert take(chain, (A, 2 * S, 1.0))[-1] == ("c", 3.0, 2 * S)


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("1 / {a}", 0.0, "divided by zero"),
        ("sqrt({a})", -1.0, "cannot be computed"),
        ("{a} ** 2", 1e300, "cannot be computed"),
        ("{a} * 10", 1e308, "is inf, which is no number"),
    ],
)
def test_what_has_no_result_is_bad_and_says_why(
    text: str, value: float, reason: str
) -> None:
    one = engine(x=text)
    [result] = one.take(frame([(A, S, value)]))
    assert result.value is None
    assert reason in result.status.reason


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.INT, "{a} * 2", 6),
        (Kind.BOOL, "{a} > 1", True),
        (Kind.FLOAT, "{a} > 1", 1.0),
        (Kind.STRING, "choose({a} > 1, 'high', 'low')", "high"),
    ],
)
def test_a_result_takes_the_type_of_its_point(
    kind: Kind, text: str, value: Value
) -> None:
    [(_, result, _)] = take(engine(x=text, kind=kind), (A, S, 3.0))
    assert (result, type(result)) == (value, type(value))


def test_a_result_that_does_not_fit_its_type_is_bad() -> None:
    [result] = engine(x="{a} / 2", kind=Kind.INT).take(frame([(A, S, 3.0)]))
    assert result.status == bad("the result 1.5 is no int")


def test_the_same_result_is_told_again_at_the_heartbeat_only() -> None:
    high = engine(60.0, high="{a} > 1", kind=Kind.BOOL)
    told = [take(high, (A, s * S, 5.0 + s)) for s in range(1, 130, 10)]
    assert [len(each) for each in told] == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]


def test_a_deadband_holds_small_changes_back() -> None:
    point = Point(name=SUM, address="{a}", deadband=1.0)
    one = Engine(formulas([point], {**KINDS, SUM: Kind.FLOAT}), 60.0)
    values = [take(one, (A, s * S, v)) for s, v in ((1, 1.0), (2, 1.9), (3, 2.1))]
    assert [len(each) for each in values] == [1, 0, 1]


def test_an_input_that_nobody_vouches_for_is_doubted_until_it_speaks() -> None:
    double = engine(d="{a} * 2")
    take(double, (A, S, 1.0))
    [result] = double.doubt([A], uncertain("silence"))
    assert (result.value, result.status) == (2.0, uncertain(f"{A}: silence"))
    [result] = double.doubt([A], None)
    assert result.status == GOOD
    double.doubt([A], uncertain("silence"))
    [result] = double.take(frame([(A, 2 * S, 1.0)]))
    assert result.status == GOOD


def test_what_is_imported_or_computed_elsewhere_changes_nothing() -> None:
    double = engine(d="{a} * 2")
    assert double.take(frame([(A, S, 1.0)], device="import/x")) == []
    assert double.take(frame([("acme/osaka/other", S, 1.0)])) == []


def test_after_a_crash_the_same_comes_out_again(tmp_path: Path) -> None:
    def made() -> Engine:
        return engine(m=f"mean({{a}}, 10) + integral({{{B}}})", d="delta({m})")

    def turn(each: int) -> list[Row]:
        return [(A, each * S, each * 1.5), (B, each * S, 0.5)]

    one = made()
    for each in range(20):
        take(one, *turn(each))
    write_state(tmp_path / "s", state_of(one, "stream", 20))
    expected = [take(one, *turn(each)) for each in range(20, 40)]
    state = read_state(tmp_path / "s")
    assert state is not None
    assert (state.stream, state.sequence) == ("stream", 20)
    two = made()
    restore(two, state)
    assert [take(two, *turn(each)) for each in range(20, 40)] == expected


def test_a_changed_expression_begins_its_memory_anew(tmp_path: Path) -> None:
    one = engine(i="integral({a})")
    take(one, (A, S, 1.0), (A, 11 * S, 1.0))
    state = state_of(one, "stream", 1)
    two = engine(i="integral({a} * 2)")
    restore(two, state)
    assert take(two, (A, 21 * S, 1.0))[0][1] == 0.0
    three = engine(i="integral({a})")
    restore(three, state)
    assert take(three, (A, 21 * S, 1.0))[0][1] == 20.0


def test_a_damaged_state_is_refused_and_a_missing_one_is_none(tmp_path: Path) -> None:
    assert read_state(tmp_path / "s") is None
    (tmp_path / "s").write_bytes(b"rubbish")
    with pytest.raises(Refused, match="the state in"):
        read_state(tmp_path / "s")


def test_last_values_fill_what_was_not_heard_and_undo_nothing() -> None:
    sums = engine(sum=f"{{a}} + {{{B}}}")
    take(sums, (A, 9 * S, 1.0))
    sums.recall(frame([(A, 5 * S, 7.0), (B, 5 * S, 2.0), (SUM, 3 * S, 1.0)]))
    assert said(sums, sums.all()) == [("sum", 3.0, 9 * S + 1)]


def test_results_that_only_the_stream_has_are_told_again_behind_them() -> None:
    double = engine(d="{a} * 2")
    take(double, (A, 5 * S, 1.0))
    own = frame([("acme/osaka/d", 8 * S, 2.0)], device="computed")
    double.tell_again(newest_of([own, frame([(A, 9 * S, 1.0)])], "computed"))
    assert said(double, double.all()) == [("d", 2.0, 8 * S + 1)]
