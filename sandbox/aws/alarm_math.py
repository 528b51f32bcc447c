"""The metric math of alarms, as far as the templates need it: numbers, ids, + - *, brackets, FILL(id, number), and
MIN([id, …]), which is the least of several metrics in each period.

Source: "Using math expressions with CloudWatch metrics" in AWS's user guide. Where a metric has no datapoint the result
has none either; FILL puts a number there. SEARCH is no expression for an alarm (same page): an alarm names its metrics.
"""

from __future__ import annotations

import ast
import operator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OPERATIONS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}


class UnsupportedMathError(ValueError):
    """An expression that the sandbox does not compute."""


class Expression:
    """One expression. Raises UnsupportedMathError for what it does not know."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.names: set[str] = set()
        self.filled: set[str] = set()
        """Ids that stand in a FILL: their metrics have a value at any time."""
        try:
            self._tree = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise UnsupportedMathError(f"{text}: {error.msg}") from error
        self._check(self._tree)

    def value(self, metrics: Mapping[str, float | None]) -> float | None:
        """The result for one period, given each id's datapoint; None where one is missing that must not be."""
        return _value(self._tree, metrics)

    def _check(self, node: ast.expr) -> None:
        match node:
            case ast.Constant(value=int() | float()):
                return
            case ast.Name(id=name):
                self.names.add(name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                self._check(left)
                self._check(right)
            case ast.Call(func=ast.Name(id="FILL"), args=[ast.Name(id=name), ast.Constant(value=int() | float())]):
                self.names.add(name)
                self.filled.add(name)
            case ast.Call(func=ast.Name(id="MIN"), args=[ast.List(elts=[_, *_] as several)]):
                for each in several:
                    self._check(each)
            case _:
                raise UnsupportedMathError(f"the sandbox does not compute {ast.unparse(node)}")


def _value(node: ast.expr, metrics: Mapping[str, float | None]) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return metrics[name]
        case ast.BinOp(left=left, op=op, right=right):
            one, other = _value(left, metrics), _value(right, metrics)
            return None if one is None or other is None else _OPERATIONS[type(op)](one, other)
        case ast.Call(args=[ast.List(elts=several)]):
            values = [_value(each, metrics) for each in several]
            return None if None in values else min(value for value in values if value is not None)
        case ast.Call(args=[ast.Name(id=name), ast.Constant(value=int() | float() as number)]):
            found = metrics[name]
            return float(number) if found is None else found
    raise UnsupportedMathError(ast.unparse(node))
