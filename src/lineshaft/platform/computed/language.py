"""The language of computed points: what an expression may be, and what it means.

    ({flow} - {leak}) * 1000
    choose({acme/osaka/press/1/state} == 3, mean({power}, 60), 0)

A name in braces is a point. Without a slash it lies in the place of the computed point,
behind `./` below that. The rest is arithmetic, comparison, `and`, `or`, `not`,
`A if C else B` and the functions of `functions`. An expression is parsed as Python
writes it, and made into closures from a list of what is allowed: nothing else of Python
can be reached.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from lineshaft.core.errors import ConfigError
from lineshaft.core.name import check_name, did_you_mean, place_of
from lineshaft.core.point import Kind
from lineshaft.core.reading import Value
from lineshaft.platform.computed.evaluation import Broken, Evaluation, Node, describe
from lineshaft.platform.computed.functions import LAZY, OVER_TIME, PLAIN, Function
from lineshaft.platform.computed.windows import OverTime

LONGEST = 2_000
DEEPEST = 40
_BRACES = re.compile(r"\{([^{}]*)\}")
_NAMED: Mapping[str, Value] = {"true": True, "false": False, "pi": 3.141592653589793}


class Sort(Enum):
    """What a part of an expression yields."""

    NUMBER = "a number"
    TEXT = "a text"
    ANY = "a number or a text"


_SORT_OF = {Kind.STRING: Sort.TEXT}
Part = tuple[Node, Sort]


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression."""

    text: str
    inputs: tuple[str, ...]
    """The names of the points that it reads."""
    run: Node
    memories: tuple[OverTime, ...]
    """Its parts that remember the past, in the order of the text."""


def compile_expression(text: str, name: str, kinds: Mapping[str, Kind]) -> Program:
    """Return what `text` means as the expression of the computed point `name`.

    `kinds` has every point that may be read. `ConfigError` says all that is wrong,
    and where (letters from 1). Each call makes memories of its own.
    """
    return _Compiler(text, name, kinds).compile()


def inputs_of(text: str, name: str) -> list[str]:
    """Return the full names that stand in braces, right or not."""
    return [_full(each, name) for each in _BRACES.findall(text)]


def check_result(program_sort: Sort, kind: Kind) -> str:
    """Return why results of that sort can not be of the point's type; empty if so."""
    if program_sort is Sort.ANY or (program_sort is Sort.TEXT) == (kind is Kind.STRING):
        return ""
    return f"it yields {program_sort.value}, and the type of the point is {kind.value}"


def _full(written: str, name: str) -> str:
    written = written.strip()
    below = written.removeprefix("./")
    is_relative = below != written or "/" not in written
    return f"{place_of(name)}/{below}" if is_relative else written


@dataclass
class _Compiler:
    text: str
    name: str
    kinds: Mapping[str, Kind]
    inputs: list[str] = field(default_factory=list)
    memories: list[OverTime] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    plain: bytes = b""

    def compile(self) -> Program:
        tree = self._parse()
        run, sort = self._part(tree.body, 0)
        if not self.problems and (why := check_result(sort, self.kinds[self.name])):
            self.problems.append(why)
        if self.problems:
            raise ConfigError(self.problems)
        return Program(self.text, tuple(self.inputs), run, tuple(self.memories))

    def _parse(self) -> ast.Expression:
        if len(self.text) > LONGEST:
            raise ConfigError(f"it is longer than {LONGEST} letters")
        # Same length, so that places in the text stay what they are.
        plain = _BRACES.sub(lambda found: "_" * len(found[0]), self.text)
        self.plain = plain.replace("\n", " ").encode()
        try:
            return ast.parse(self.plain, mode="eval")
        except SyntaxError as error:
            at = f"at letter {error.offset}: " if error.offset else ""
            raise ConfigError(f"{at}{error.msg}; this is no expression") from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ConfigError(f"this is no expression: {error}") from error

    def _tell(self, node: ast.expr, text: str) -> None:
        self.problems.append(f"at letter {self._offset(node) + 1}: {text}")

    def _offset(self, node: ast.expr) -> int:
        """Return the place in letters of what Python counts in bytes."""
        return len(self.plain[: node.col_offset].decode())

    def _part(self, node: ast.expr, depth: int) -> Part:
        make = self._maker(node)
        if make is None or depth > DEEPEST:
            why = "this is nested too deeply" if make else "this is not allowed here"
            self._tell(node, f"{why}; see the list of what an expression may hold")
            return _nothing, Sort.ANY
        return make(node, depth + 1)

    def _maker(self, node: ast.expr) -> Callable[..., Part] | None:
        makers: Mapping[type[ast.expr], Callable[..., Part]] = {
            ast.Constant: self._constant,
            ast.Name: self._point,
            ast.BinOp: self._binary,
            ast.UnaryOp: self._unary,
            ast.BoolOp: self._logic,
            ast.Compare: self._compare,
            ast.IfExp: self._choice,
            ast.Call: self._call,
        }
        return makers.get(type(node))

    def _constant(self, node: ast.Constant, _depth: int) -> Part:
        value = node.value
        if isinstance(value, str):
            return (lambda _: value), Sort.TEXT
        if isinstance(value, bool | int | float):
            return (lambda _: value), Sort.NUMBER
        self._tell(node, f"{value!r} is neither a number nor a text")
        return _nothing, Sort.ANY

    def _point(self, node: ast.Name, _depth: int) -> Part:
        if node.id.strip("_"):
            return self._word(node)
        found = _BRACES.match(self.text, self._offset(node))
        if found is None or len(found[0]) != len(node.id):
            self._tell(node, "an operator is missing behind a point, or its name")
            return _nothing, Sort.ANY
        name = _full(found[1], self.name)
        if name not in self.kinds:
            self._tell(node, _unknown(name, self.kinds))
            return _nothing, Sort.ANY
        if name not in self.inputs:
            self.inputs.append(name)
        place = self.inputs.index(name)
        return (lambda run: run.read(place)), _SORT_OF.get(
            self.kinds[name], Sort.NUMBER
        )

    def _word(self, node: ast.Name) -> Part:
        if node.id.lower() in _NAMED:
            value = _NAMED[node.id.lower()]
            return (lambda _: value), Sort.NUMBER
        hint = did_you_mean(node.id, [*_NAMED, *FUNCTIONS])
        self._tell(node, f"{node.id!r} means nothing; points stand in braces{hint}")
        return _nothing, Sort.ANY

    def _number(self, node: ast.expr, depth: int) -> Node:
        part, sort = self._part(node, depth)
        if sort is Sort.TEXT:
            self._tell(node, "a number is wanted here, and this is a text")
        if sort is Sort.NUMBER:
            return part
        return lambda run: _numeric(part(run))

    def _binary(self, node: ast.BinOp, depth: int) -> Part:
        act = _BINARY.get(type(node.op))
        left, right = self._number(node.left, depth), self._number(node.right, depth)
        if act is None:
            self._tell(node, "this operator is not allowed here")
            return _nothing, Sort.NUMBER
        return (lambda run: act(left(run), right(run))), Sort.NUMBER

    def _unary(self, node: ast.UnaryOp, depth: int) -> Part:
        act = _UNARY.get(type(node.op))
        part = self._number(node.operand, depth)
        if act is None:
            self._tell(node, "this operator is not allowed here")
            return _nothing, Sort.NUMBER
        return (lambda run: act(part(run))), Sort.NUMBER

    def _logic(self, node: ast.BoolOp, depth: int) -> Part:
        parts = [self._number(each, depth) for each in node.values]
        if isinstance(node.op, ast.And):
            return (lambda run: all(part(run) for part in parts)), Sort.NUMBER
        return (lambda run: any(part(run) for part in parts)), Sort.NUMBER

    def _compare(self, node: ast.Compare, depth: int) -> Part:
        nodes = [node.left, *node.comparators]
        parts = [self._part(each, depth) for each in nodes]
        acts = [_COMPARE.get(type(op)) for op in node.ops]
        if any(act is None for act in acts):
            self._tell(node, "this comparison is not allowed here")
        if {Sort.TEXT, Sort.NUMBER} <= {sort for _, sort in parts}:
            self._tell(node, "a number and a text are compared")
        runs = [part for part, _ in parts]

        def compare(run: Evaluation) -> bool:
            left = runs[0](run)
            for act, part in zip(acts, runs[1:], strict=True):
                right = part(run)
                if isinstance(left, str) != isinstance(right, str):
                    raise Broken("a number and a text are compared")
                if act is None or not act(left, right):
                    return False
                left = right
            return True

        return compare, Sort.NUMBER

    def _choice(self, node: ast.IfExp, depth: int) -> Part:
        return self._choose(node.test, node.body, node.orelse, depth)

    def _choose(
        self, test: ast.expr, then: ast.expr, other: ast.expr, depth: int
    ) -> Part:
        asked = self._number(test, depth)
        (yes, a), (no, b) = self._part(then, depth), self._part(other, depth)
        return (
            lambda run: yes(run) if asked(run) else no(run)
        ), a if a is b else Sort.ANY

    def _call(self, node: ast.Call, depth: int) -> Part:
        word = node.func.id if isinstance(node.func, ast.Name) else ""
        known = FUNCTIONS.get(word)
        if known is None:
            hint = did_you_mean(word, list(FUNCTIONS))
            self._tell(node, f"there is no function {word!r}{hint}")
            return _nothing, Sort.ANY
        if node.keywords or not known.fewest <= len(node.args) <= known.most:
            self._tell(node, f"write it as {known.usage}")
            return _nothing, Sort.ANY
        if word == "choose":
            return self._choose(node.args[0], node.args[1], node.args[2], depth)
        if word in LAZY:
            return self._lazy(word, node, depth)
        if word in OVER_TIME:
            return self._over_time(word, node, depth)
        act = PLAIN[word].act
        parts = [self._number(each, depth) for each in node.args]
        return (lambda run: act(*[part(run) for part in parts])), Sort.NUMBER

    def _lazy(self, word: str, node: ast.Call, depth: int) -> Part:
        parts = [self._part(each, depth) for each in node.args]
        act = LAZY[word].act
        sorts = {sort for _, sort in parts}
        sort = sorts.pop() if len(sorts) == 1 else Sort.ANY
        runs = [part for part, _ in parts]
        return (lambda run: act(run, *runs)), Sort.NUMBER if word == "good" else sort

    def _over_time(self, word: str, node: ast.Call, depth: int) -> Part:
        part = self._number(node.args[0], depth)
        span = node.args[1] if len(node.args) > 1 else None
        seconds = 0.0
        if span is not None:
            value = span.value if isinstance(span, ast.Constant) else None
            if isinstance(value, bool) or not isinstance(value, int | float):
                self._tell(span, "the seconds of a span are a number, written out")
            elif not 0 < value <= OVER_TIME[word].longest_s:
                longest = OVER_TIME[word].longest_s
                self._tell(span, f"a span is longer than 0 and at most {longest:,} s")
            else:
                seconds = float(value)
        memory = OVER_TIME[word].act(part, seconds)
        self.memories.append(memory)
        return memory.run, Sort.NUMBER


def _nothing(_: Evaluation) -> Value:
    raise Broken("this was not compiled")


def _numeric(value: Value) -> bool | int | float:
    if isinstance(value, str):
        raise Broken(f"{describe(value)} is a text, and a number is wanted")
    return value


def _unknown(name: str, kinds: Mapping[str, Kind]) -> str:
    try:
        check_name(name)
    except ConfigError as error:
        return "; ".join(error.problems)
    near = [
        each for each in kinds if each.rpartition("/")[2] == name.rpartition("/")[2]
    ]
    hint = did_you_mean(name, near or list(kinds)[:5_000])
    return f"there is no point {name!r}{hint}"


def _power(base: float, exponent: float) -> float:
    # math.pow says so where there is no real number; ** would go on with a complex one.
    return math.pow(base, exponent)


_BINARY: Mapping[type[ast.operator], Callable[..., Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: Mapping[type[ast.unaryop], Callable[..., Value]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[..., bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS: Mapping[str, Function] = {**PLAIN, **LAZY, **OVER_TIME}
