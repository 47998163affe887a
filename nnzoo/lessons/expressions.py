"""Evaluates the expressions of a lesson: arithmetic, comparisons, comprehensions and calls of a fixed set of functions.

An expression is parsed to a syntax tree and walked. Attributes, subscript assignments, lambdas and every other node are
errors, so that the file of a lesson can't run code. Lists of numbers in arithmetic are NumPy arrays.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError

Function = Callable[..., Any]
CONSTANTS = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}
LARGEST_EXPONENT = 1000
LONGEST_RANGE = 1_000_000

_BINARY: dict[type[ast.AST], Function] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.MatMult: operator.matmul,
}
_COMPARISONS: dict[type[ast.AST], Function] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_NODES = (
    *(ast.Expression, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Name, ast.Load, ast.Store, ast.BinOp),
    *(ast.UnaryOp, ast.USub, ast.UAdd, ast.Not, ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Call, ast.keyword),
    *(ast.ListComp, ast.comprehension, ast.Subscript, ast.Slice, ast.IfExp, *_BINARY, *_COMPARISONS),
)


def parse(text: str) -> ast.expr:
    """Parses an expression.

    Raises:
        ValueError: The text is not an expression, or has a part that is not allowed.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ValueError(f"'{text}' is not an expression: {error.msg}") from None
    for node in ast.walk(tree):
        if not isinstance(node, _NODES):
            raise ValueError(f"'{text}' has a part that is not allowed: {type(node).__name__}")
        if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
            raise ValueError(f"'{text}' calls something that is not a function name")
    return tree.body


def names_in(text: str) -> set[str]:
    """Returns the names that an expression reads, except functions that it calls and variables of comprehensions."""
    tree = parse(text)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}
    return names - {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def check_expression(text: str, known: Collection[str]) -> None:
    """Raises ValueError if the text is not an expression, or reads a name that is not known."""
    for name in sorted(names_in(text) - set(known) - set(CONSTANTS)):
        raise ValueError(f"'{text}' reads '{name}', which is not defined.{did_you_mean(name, known)}")


def evaluate(text: str, functions: Mapping[str, Function], values: Mapping[str, Any]) -> Any:
    """Returns the value of an expression.

    Args:
        text: The expression.
        functions: The functions that it may call, by name.
        values: The values that it may read, by name.

    Raises:
        UsageError: The expression is invalid or can't be computed.
    """
    try:
        return _Evaluator(functions, values).value(parse(text))
    except UsageError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, ArithmeticError, RuntimeError) as error:
        reason = str(error).split("\n")[0] or type(error).__name__
        raise UsageError(f"'{text}' can't be computed: {reason}.", where="lesson") from error


class _Evaluator:
    """Walks a syntax tree.

    Args:
        functions: The functions by name.
        values: The values by name.
    """

    def __init__(self, functions: Mapping[str, Function], values: Mapping[str, Any]) -> None:
        self.functions = functions
        self.values = {**CONSTANTS, **values}

    def value(self, node: ast.expr) -> Any:
        """Returns the value of a node."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise ValueError(f"{type(node).__name__} is not allowed here")
        return method(node)

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.values:
            raise UsageError(f"'{node.id}' is not defined.{did_you_mean(node.id, self.values)}", where="lesson")
        return self.values[node.id]

    def _list(self, node: ast.List | ast.Tuple) -> list[Any]:
        return [self.value(each) for each in node.elts]

    _tuple = _list

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        return {
            self.value(key): self.value(each)
            for key, each in zip(node.keys, node.values, strict=True)
            if key is not None
        }

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.value(node.operand)
        if isinstance(node.op, ast.Not):
            return not truth(value)
        return -numeric(value) if isinstance(node.op, ast.USub) else numeric(value)

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = numeric(self.value(node.left)), numeric(self.value(node.right))
        if isinstance(node.op, ast.Pow) and isinstance(right, int | float) and abs(right) > LARGEST_EXPONENT:
            raise ValueError(f"the exponent {right} is too large")
        return _BINARY[type(node.op)](left, right)

    def _boolop(self, node: ast.BoolOp) -> bool:
        decide = all if isinstance(node.op, ast.And) else any
        return decide(truth(self.value(each)) for each in node.values)

    def _compare(self, node: ast.Compare) -> bool:
        left = self.value(node.left)
        for op, each in zip(node.ops, node.comparators, strict=True):
            right = self.value(each)
            if not truth(_COMPARISONS[type(op)](numeric(left), numeric(right))):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.value(node.body if truth(self.value(node.test)) else node.orelse)

    def _subscript(self, node: ast.Subscript) -> Any:
        value = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            ends = [None if each is None else self.value(each) for each in (node.slice.lower, node.slice.upper)]
            return value[slice(*ends)]
        index = self.value(node.slice)
        return value[index if isinstance(value, dict) else int(index)]

    def _call(self, node: ast.Call) -> Any:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        if name not in self.functions:
            raise UsageError(f"'{name}' is not a function.{did_you_mean(name, self.functions)}", where="lesson")
        given = {keyword.arg: self.value(keyword.value) for keyword in node.keywords if keyword.arg is not None}
        return self.functions[name](*(self.value(each) for each in node.args), **given)

    def _listcomp(self, node: ast.ListComp) -> list[Any]:
        before, found = dict(self.values), []

        def loop(rest: list[ast.comprehension]) -> None:
            if not rest:
                found.append(self.value(node.elt))
                return
            for item in self.value(rest[0].iter):
                self._bind(rest[0].target, item)
                if all(truth(self.value(test)) for test in rest[0].ifs):
                    loop(rest[1:])

        loop(node.generators)
        self.values = before
        return found

    def _bind(self, target: ast.expr, item: Any) -> None:
        if isinstance(target, ast.Name):
            self.values[target.id] = item
        elif isinstance(target, ast.Tuple):
            for each, part in zip(target.elts, item, strict=True):
                self._bind(each, part)
        else:
            raise ValueError("a comprehension assigns to something that is not a name")


def numeric(value: Any) -> Any:
    """Returns lists as NumPy arrays, for arithmetic and comparisons; other values unchanged."""
    if isinstance(value, list | tuple):
        import numpy as np

        return np.asarray(value)
    return value


def truth(value: Any) -> bool:
    """Returns whether a value is true; an array is if all of its entries are."""
    every = getattr(value, "all", None)
    return bool(every()) if every is not None else bool(value)
