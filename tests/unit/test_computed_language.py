import math
from collections.abc import Mapping
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineshaft.core.errors import ConfigError
from lineshaft.core.point import Kind, Point
from lineshaft.core.reading import GOOD, Status, Value, bad, uncertain
from lineshaft.platform.computed.engine import fitting
from lineshaft.platform.computed.evaluation import Broken, Turn
from lineshaft.platform.computed.functions import LAZY, OVER_TIME, PLAIN
from lineshaft.platform.computed.language import FUNCTIONS, Program, compile_expression
from lineshaft.platform.computed.plan import formulas, problems_of

PLACE = "acme/osaka/press"
KINDS: Mapping[str, Kind] = {
    f"{PLACE}/y": Kind.FLOAT,
    f"{PLACE}/a": Kind.FLOAT,
    f"{PLACE}/b": Kind.FLOAT,
    f"{PLACE}/flag": Kind.BOOL,
    f"{PLACE}/state": Kind.STRING,
    "acme/工場/圧力": Kind.FLOAT,
}


def compiled(text: str) -> Program:
    return compile_expression(text, f"{PLACE}/y", KINDS)


class Bench:
    """An expression and the values of its inputs."""

    def __init__(self, text: str) -> None:
        self.program = compiled(text)
        self.values: list[Value | None] = [None] * len(self.program.inputs)
        self.statuses: list[Status] = [GOOD] * len(self.program.inputs)
        self.turn = Turn(self.program.inputs, self.values, self.statuses)

    def say(self, second: float, *values: Value | None) -> Value:
        self.values[:] = values
        places = range(len(values))
        self.turn.begin(places, int(second * 1e6))
        return self.program.run(self.turn)

    @property
    def status(self) -> Status:
        return self.turn.status(GOOD)


def result(text: str, *values: Value | None) -> Value:
    return Bench(text).say(1, *values)


@pytest.mark.parametrize(
    ("text", "values", "value"),
    [
        ("({a} - {b}) * 1000", (3.0, 1.0), 2000.0),
        ("{a} / {b} + {a} // {b} + {a} % {b}", (7.0, 2.0), 7.5),
        ("2 ** {a}", (10.0,), 1024.0),
        ("-{a} + +{b}", (1.0, 2.0), 1.0),
        ("1 < {a} <= 3", (3.0,), True),
        ("{a} > 1 and not {flag}", (2.0, False), True),
        ("{a} > 1 or {b} > 1", (0.0, 0.0), False),
        ("{a} if {flag} else 0", (True, 5.0), 5.0),
        ("choose({state} == 'läuft', {a}, -1)", ("läuft", 4.0), 4.0),
        ("choose({state} == 'läuft', {a}, -1)", ("steht", 4.0), -1),
        ("min({a}, {b}, 3) + max({a}, {b})", (1.0, 2.0), 3.0),
        ("round({a}) + round({a}, 1)", (2.46,), 4.5),
        ("floor({a}) + ceil({a}) + abs(-1)", (2.5,), 6),
        ("sqrt({a}) + exp(0) + log(1) + log({a}, 2)", (16.0,), 9.0),
        ("sin(0) + cos(0)", (), 1.0),
        ("clip({a}, 0, 10)", (11.0,), 10),
        ("true + pi * 0", (), 1.0),
        ("{./a} + {acme/osaka/press/b}", (1.0, 2.0), 3.0),
        ("{ acme/工場/圧力 } * 2 + {a}", (1.5, 1.0), 4.0),
        ("'ü' == {state} and {a} > 0", ("ü", 1.0), True),
    ],
)
def test_an_expression_means_what_it_says(
    text: str, values: tuple[Value, ...], value: Value
) -> None:
    assert result(text, *values) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{c} + 1", r"at letter 1: there is no point 'acme/osaka/press/c'"),
        ("1 + {stat} * 2", r"at letter 5: there is no point.*did you mean.*state"),
        ("{a} {b}", "this is no expression"),
        ("{a}{b}", "an operator is missing"),
        ("{a}b", "means nothing"),
        ("_ + 1", "an operator is missing"),
        ("'ü' == {state} and {x} > 0", "at letter 20: there is no point"),
        ("{state} + 1", "at letter 1: a number is wanted here, and this is a text"),
        ("{state} == 1", "a number and a text are compared"),
        ("{state}", "it yields a text, and the type of the point is float"),
        ("roud({a})", "there is no function 'roud'; did you mean 'round'"),
        ("clip({a})", r"write it as clip\(x, low, high\)"),
        ("mean({a})", r"write it as mean\(x, seconds\)"),
        ("mean({a}, {b})", "the seconds of a span are a number"),
        ("mean({a}, -1)", "the seconds of a span are a number"),
        ("mean({a}, 100000)", "at most 86,400 s"),
        ("__import__('os').system('x')", "there is no function"),
        ("{a}.__class__", "this is not allowed here"),
        ("[{a}]", "this is not allowed here"),
        ("lambda: 1", "this is not allowed here"),
        ("(x := 1)", "this is not allowed here"),
        ("f'{a}'", "not allowed|no expression"),
        ("{a} @ {b}", "this operator is not allowed"),
        ("~1", "this operator is not allowed"),
        ("{a} is {b}", "this comparison is not allowed"),
        ("b'x'", "neither a number nor a text"),
        ("min(x=1, y=2)", "write it as min"),
        ("", "no expression"),
        ("1+" * 60 + "1", "nested too deeply"),
        ("9" * 3000, "longer than"),
        ("{}", "no point|segment"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        compiled(text)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        compiled("{c} + {d} * roud({state})")
    assert len(caught.value.problems) == 3


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_one_of_our_errors(text: str) -> None:
    with suppress(ConfigError):
        compiled(text)


LETTERS = ("a", "b", "flag", "state")
ATOMS = ["{a}", "{b}", "{flag}", "{state}", "0", "1e308", "-2.5", "'x'", "(", ")", ","]
WORDS = [*FUNCTIONS, "+", "-", "*", "/", "//", "%", "**", "<", "==", "and", "not", "if"]


@given(
    st.lists(st.sampled_from(ATOMS + WORDS), max_size=12).map(" ".join),
    st.tuples(st.floats(), st.floats(), st.booleans(), st.text(max_size=3)),
)
def test_whatever_compiles_ends_in_a_value_or_an_error_of_arithmetic(
    text: str, said: tuple[float, float, bool, str]
) -> None:
    try:
        bench = Bench(text)
    except ConfigError:
        return
    every: list[Value] = [*said]
    values = dict(zip([f"{PLACE}/{n}" for n in LETTERS], every, strict=True))
    given = [values[name] for name in bench.program.inputs]
    with suppress(Broken, ArithmeticError, ValueError):
        fitting(bench.say(1, *given), Point(name=f"{PLACE}/y", address=text))


def test_a_bad_input_is_named_and_an_uncertain_one_makes_the_result_uncertain() -> None:
    bench = Bench("{a} + {b}")
    bench.statuses[1] = uncertain("limits")
    assert bench.say(1, 1.0, 2.0) == 3.0
    assert bench.status == uncertain(f"{PLACE}/b: limits")
    bench.statuses[0] = bad("cable cut")
    with pytest.raises(Broken, match=f"{PLACE}/a: cable cut"):
        bench.say(2, 1.0, 2.0)


def test_only_the_branch_that_is_taken_counts() -> None:
    bench = Bench("choose({flag}, {a}, {b})")
    bench.statuses[2] = bad("cable cut")
    assert bench.say(1, True, 1.0, None) == 1.0
    assert bench.status == GOOD
    with pytest.raises(Broken, match="cable cut"):
        bench.say(2, False, 1.0, None)


def test_a_substitute_is_used_openly() -> None:
    bench = Bench("otherwise({a}, 7) + good({a})")
    assert bench.say(1, 1.0) == 2.0
    assert bench.status == GOOD
    bench.statuses[0] = bad("cable cut")
    assert bench.say(2, None) == 7
    assert "a substitute is used" in bench.status.reason


def test_delta_and_rate_look_at_the_reading_before() -> None:
    bench = Bench("delta({a})")
    with pytest.raises(Broken, match="no earlier value"):
        bench.say(1, 10.0)
    assert bench.say(3, 14.0) == 4.0
    bench = Bench("rate({a}) + 0 * {b}")
    with suppress(Broken):
        bench.say(1, 10.0, 0.0)
    assert bench.say(3, 14.0, 0.0) == 2.0
    assert bench.say(3, 16.0, 0.0) == 3.0, "the newest at that time counts"


def test_an_integral_counts_no_time_that_nobody_knows() -> None:
    bench = Bench("integral({a}) / 3600")
    assert bench.say(0, 10.0) == 0
    assert bench.say(3600, 20.0) == 10.0
    bench.statuses[0] = bad("cable cut")
    with suppress(Broken):
        bench.say(5400, None)
    bench.statuses[0] = GOOD
    assert bench.say(7200, 10.0) == 10.0
    assert bench.say(10800, 0.0) == 20.0


def test_spans_know_what_stood_when_they_began() -> None:
    means, low, high, then = (
        Bench(f"{word}({{a}}, 10)") for word in ("mean", "lowest", "highest", "before")
    )
    said = [(0, 1.0), (8, 9.0), (12, 5.0), (30, 3.0)]
    for second, value in said[:2]:
        means.say(second, value)
        low.say(second, value)
        high.say(second, value)
    assert "only 8 of 10 s" in means.status.reason
    for second, value in said[2:]:
        results = [bench.say(second, value) for bench in (means, low, high)]
    # From 20 to 30 the value 5 stood; at 30 it becomes 3.
    assert results == [5.0, 3.0, 5.0]
    assert means.status == GOOD
    with pytest.raises(Broken, match="nothing was known"):
        then.say(0, 1.0)
    assert then.say(10, 2.0) == 1.0
    assert then.say(15, 3.0) == 1.0
    assert then.say(25, 4.0) == 3.0


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(-50, 50)), min_size=1, max_size=60
    ),
    st.integers(1, 60),
)
def test_a_span_is_what_a_plain_look_at_its_values_says(
    steps: list[tuple[int, int]], span: int
) -> None:
    benches = [
        Bench(f"{word}({{a}}, {span})") for word in ("mean", "lowest", "highest")
    ]
    past: list[tuple[int, int]] = []
    now = 0
    for step, value in steps:
        now += step
        past = [each for each in past if each[0] < now] + [(now, value)]
        got = [bench.say(now, float(value)) for bench in benches]
        ends = [at for at, _ in past[1:]] + [now]
        begin = max(now - span, past[0][0])
        stood = [
            (max(at, begin), end, each)
            for (at, each), end in zip(past, ends, strict=True)
            if end > begin or at == now
        ]
        area = sum((end - at) * each for at, end, each in stood)
        mean = area / (now - begin) if now > begin else value
        values = [each for _, _, each in stood]
        assert got[0] == pytest.approx(mean, abs=1e-9)
        assert got[1:] == [min(values), max(values)]


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=2, max_size=20),
    st.integers(1, 19),
    st.sampled_from([word for word, each in OVER_TIME.items() if each.most == 2]),
)
def test_a_memory_goes_on_where_an_earlier_life_ended(
    steps: list[tuple[int, int]], cut: int, word: str
) -> None:
    whole, first, second = (Bench(f"{word}({{a}}, 20)") for _ in range(3))
    now = 0
    for turn, (step, value) in enumerate(steps):
        now += step
        if turn == cut:
            kept = [memory.kept() for memory in first.program.memories]
            for memory, each in zip(second.program.memories, kept, strict=True):
                memory.restore(each)
        pair = (whole, second if turn >= cut else first)
        results = []
        for bench in pair:
            with suppress(Broken):
                results.append(bench.say(now, float(value)))
        assert len(results) in (0, 2)
        if results:
            assert results[0] == pytest.approx(results[1], abs=1e-9)


def listed(**expressions: str) -> list[Point]:
    return [
        Point(name=f"{PLACE}/{name}", address=text)
        for name, text in expressions.items()
    ]


def test_computed_points_are_computed_behind_what_they_need() -> None:
    points = listed(c="{d} + {e}", d="{e} * 2", e="{a}")
    kinds = {**KINDS, **{point.name: point.type for point in points}}
    order = [formula.point.name[-1] for formula in formulas(points, kinds)]
    assert order == ["e", "d", "c"]


def test_a_circle_is_named() -> None:
    points = listed(c="{d} + 1", d="{e} * 2", e="{c}", f="{f}")
    kinds = {**KINDS, **{point.name: point.type for point in points}}
    [(_, text)] = problems_of(points[:3], kinds)
    assert "computed from itself" in text
    assert all(f"{PLACE}/{each}" in text for each in "cde")
    [(_, text)] = problems_of(points[3:], kinds)
    assert f"{PLACE}/f from {PLACE}/f" in text


def test_every_function_says_how_it_is_written() -> None:
    for word, each in {**PLAIN, **LAZY, **OVER_TIME}.items():
        assert each.usage.startswith(f"{word}(")
        assert each.meaning
    assert math.isclose(float(result("pi")), math.pi)
