"""The functions of the language, each with how it is written."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lineshaft.core.reading import Value
from lineshaft.platform.computed.evaluation import Broken, Evaluation, Node
from lineshaft.platform.computed.windows import (
    Before,
    Delta,
    Highest,
    Integral,
    Lowest,
    Mean,
    Rate,
)

LONGEST_S = 86_400
_ANY_NUMBER = 50


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language."""

    usage: str
    meaning: str
    act: Callable[..., Any]  # Any: a value, or a memory of the past
    fewest: int = 1
    most: int = 1
    longest_s: int = LONGEST_S


def _clip(value: float, low: float, high: float) -> float:
    if low > high:
        raise Broken(f"clip from {low:g} to {high:g}: the first is the lower one")
    return min(max(value, low), high)


def _round(value: float, digits: int = 0) -> float:
    if digits:
        return round(value, int(digits))
    return round(value)


def _good(run: Evaluation, part: Node) -> Value:
    """Whether there is a value; a doubt about it is no doubt about that."""
    try:
        part(run)
    except Broken:
        return False
    return True


def _otherwise(run: Evaluation, part: Node, instead: Node) -> Value:
    try:
        return part(run)
    except Broken as trouble:
        run.doubt(f"a substitute is used, since {trouble}")
        return instead(run)


PLAIN: Mapping[str, Function] = {
    "abs": Function("abs(x)", "without its sign", abs),
    "min": Function("min(x, y, ...)", "the lowest", min, 2, _ANY_NUMBER),
    "max": Function("max(x, y, ...)", "the highest", max, 2, _ANY_NUMBER),
    "round": Function(
        "round(x) or round(x, digits)", "to the nearest, half to even", _round, 1, 2
    ),
    "floor": Function("floor(x)", "the next whole number below", math.floor),
    "ceil": Function("ceil(x)", "the next whole number above", math.ceil),
    "sqrt": Function("sqrt(x)", "the square root", math.sqrt),
    "exp": Function("exp(x)", "e to the power of x", math.exp),
    "log": Function("log(x) or log(x, base)", "the logarithm", math.log, 1, 2),
    "sin": Function("sin(x)", "the sine, x in radians", math.sin),
    "cos": Function("cos(x)", "the cosine, x in radians", math.cos),
    "clip": Function("clip(x, low, high)", "x, kept between two bounds", _clip, 3, 3),
}
"""Of numbers, without a memory."""

LAZY: Mapping[str, Function] = {
    "choose": Function(
        "choose(condition, x, y)", "x where the condition is true, else y", max, 3, 3
    ),
    "good": Function("good(x)", "whether x has a value that is not bad", _good),
    "otherwise": Function(
        "otherwise(x, y)",
        "x, or y while x is bad; the result is uncertain then",
        _otherwise,
        2,
        2,
    ),
}
"""Which do not look at all of their parts, or bear that one is bad."""

OVER_TIME: Mapping[str, Function] = {
    "delta": Function("delta(x)", "how much x grew since its last reading", Delta),
    "rate": Function("rate(x)", "how fast x grows, per second", Rate),
    "integral": Function(
        "integral(x)", "the sum of x over time, in x times seconds", Integral
    ),
    "mean": Function(
        "mean(x, seconds)", "mean weighted by how long each value stood", Mean, 2, 2
    ),
    "lowest": Function("lowest(x, seconds)", "the lowest of a span", Lowest, 2, 2),
    "highest": Function("highest(x, seconds)", "the highest of a span", Highest, 2, 2),
    "before": Function("before(x, seconds)", "what x was so long ago", Before, 2, 2),
}
"""Which remember the past."""
