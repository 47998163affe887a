"""Writes formulas, with symbols or with numbers: the rules that all notations share, and plain text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise

from nnzoo.trace.expression import (
    ATOM,
    POWER,
    PRODUCT,
    Call,
    Equation,
    Expression,
    Frac,
    Neg,
    Num,
    Pow,
    Prod,
    Sum,
    Var,
    shown,
)

LONGEST = 34
"""Pieces of a formula are not broken further if they have at most this many characters."""

Part = tuple[int, str]
"""A part of a formula, and how deeply the place before it is nested, where a line may be broken."""


class Notation(ABC):
    """How formulas are written. A subclass has the look of each part; where parentheses are needed is common.

    Attributes:
        plus: The sign between terms.
        minus: The sign before a term that is subtracted.
        times: The sign between factors.
        over: The sign of a division on one line.
        comma: The sign between the arguments of a function.
        negative: The sign before a negative formula.
    """

    plus, minus, times, over, comma, negative = " + ", " - ", " * ", " / ", ", ", "-"

    @abstractmethod
    def number(self, value: float) -> str:
        """Returns a number with nine significant digits."""

    @abstractmethod
    def symbol(self, name: str) -> str:
        """Returns a symbol, such as `z_h1`."""

    @abstractmethod
    def group(self, inner: Sequence[Part]) -> list[Part]:
        """Returns a formula in parentheses."""

    @abstractmethod
    def fraction(self, formula: Frac, depth: int, *, numbers: bool) -> list[Part]:
        """Returns a fraction."""

    @abstractmethod
    def power(self, formula: Pow, *, numbers: bool) -> str:
        """Returns a power."""

    @abstractmethod
    def function(self, name: str, arguments: list[Part]) -> list[Part]:
        """Returns a function with its arguments, which are separated by commas."""

    @abstractmethod
    def words(self, text: str) -> str:
        """Returns words inside a formula."""

    @abstractmethod
    def width(self, text: str) -> int:
        """Returns about how many characters wide a part is."""

    def binding(self, formula: Expression, *, numbers: bool) -> int:  # noqa: ARG002
        """Returns how tightly a formula binds."""
        return formula.binding

    def of(self, formula: Expression, *, numbers: bool) -> str:
        """Returns a formula with its symbols, or with the numbers put in."""
        return joined(self.parts(formula, 0, numbers=numbers))

    def pieces(self, formula: Expression, *, numbers: bool) -> list[str]:
        """Returns a formula in pieces, between which a line may be broken. Together they are the whole formula."""
        return self._split(self.parts(formula, 0, numbers=numbers))

    def parts(self, formula: Expression, depth: int, *, numbers: bool) -> list[Part]:
        """Returns a formula in the smallest parts."""
        match formula:
            case Var() | Num():
                is_number = numbers or isinstance(formula, Num)
                return [(depth, self.number(formula.value) if is_number else self.symbol(formula.name))]  # type: ignore[union-attr]
            case Neg():
                return after(self.negative, self.operand(formula.operand, PRODUCT, depth, numbers=numbers))
            case Sum():
                return self._sum(formula, depth, numbers)
            case Prod():
                found = self.operand(formula.factors[0], PRODUCT, depth, numbers=numbers, is_first=True)
                for factor in formula.factors[1:]:
                    found += after(self.times, self.operand(factor, POWER, depth, numbers=numbers))
                return found
            case Frac():
                return self.fraction(formula, depth, numbers=numbers)
            case Pow():
                return [(depth, self.power(formula, numbers=numbers))]
            case Call():
                return self._call(formula, depth, numbers)
        raise TypeError(type(formula).__name__)

    def operand(
        self, formula: Expression, binding: int, depth: int, *, numbers: bool, is_first: bool = False
    ) -> list[Part]:
        """Returns an operand, in parentheses if it binds less than its operator, or if it is negative.

        Args:
            formula: The operand.
            binding: How tightly the operator binds.
            depth: How deeply the operator is nested.
            numbers: Whether the numbers are put in.
            is_first: Whether a sign at the start is clear without parentheses.
        """
        found = self.parts(formula, depth + 1, numbers=numbers)
        is_negative = found[0][1].startswith(self.negative) and not is_first
        if is_negative or self.binding(formula, numbers=numbers) < binding:
            found = self.group(found)
        return _at(depth, found)

    def _sum(self, formula: Sum, depth: int, numbers: bool) -> list[Part]:
        found: list[Part] = []
        for term in formula.terms:
            if isinstance(term, Neg):
                inner = self.operand(term.operand, PRODUCT, depth, numbers=numbers)
                found += after(self.minus if found else self.negative, inner)
                continue
            inner = _at(depth, self.parts(term, depth + 1, numbers=numbers))
            if found and inner[0][1].startswith(self.negative):
                # Of a product, only the first factor is put in parentheses.
                inner = [*self.group(inner[:1]), *inner[1:]]
            found += after(self.plus if found else "", inner)
        if formula.hidden:
            more = f"{formula.hidden} more term{'s' * (formula.hidden > 1)}"
            rest = self.words(f"{more}: ") + self.number(formula.rest) if numbers else self.words(more)
            found += after(self.plus if found else "", self.group([(depth, rest)]))
        return found or [(depth, self.number(0.0))]

    def _call(self, formula: Call, depth: int, numbers: bool) -> list[Part]:
        arguments: list[Part] = []
        for place, each in enumerate(formula.arguments):
            inner = _at(depth + 1, self.parts(each, depth + 2, numbers=numbers))
            arguments += after(self.comma if place else "", inner)
        return _at(depth, self.function(formula.name, arguments))

    def _split(self, parts: list[Part]) -> list[str]:
        """Joins parts to pieces: a long one is broken where it is least nested."""
        if len(parts) == 1 or self.width(joined(parts)) <= LONGEST:
            return [joined(parts)]
        level = min(depth for depth, _ in parts[1:])
        starts = [0, *(place for place in range(1, len(parts)) if parts[place][0] == level), len(parts)]
        chunks = [parts[start:end] for start, end in pairwise(starts)]
        return [piece for chunk in chunks for piece in self._split(chunk)]


class Text(Notation):
    """Plain text: `dE/do1 * o1 * (1 - o1)`."""

    def number(self, value: float) -> str:
        return shown(value)

    def symbol(self, name: str) -> str:
        return name

    def group(self, inner: Sequence[Part]) -> list[Part]:
        return around("(", inner, ")")

    def fraction(self, formula: Frac, depth: int, *, numbers: bool) -> list[Part]:
        above = self.operand(formula.above, PRODUCT, depth, numbers=numbers)
        return [*above, *after(self.over, self.operand(formula.below, POWER, depth, numbers=numbers))]

    def power(self, formula: Pow, *, numbers: bool) -> str:
        base, exponent = (
            joined(self.operand(each, ATOM, 0, numbers=numbers)) for each in (formula.base, formula.exponent)
        )
        return f"{base}^{exponent}"

    def function(self, name: str, arguments: list[Part]) -> list[Part]:
        return around(f"{name}(", arguments, ")")

    def words(self, text: str) -> str:
        return text

    def width(self, text: str) -> int:
        return len(text)

    def equation(self, equation: Equation) -> str:
        """Returns `name = formula = numbers = value` on one line."""
        parts = [equation.name]
        if equation.formula is not None:
            parts += dict.fromkeys(self.of(equation.formula, numbers=each) for each in (False, True))
        parts += [] if parts[-1] == shown(equation.value) and len(parts) > 1 else [shown(equation.value)]
        return " = ".join(parts) + (f"   ({equation.remark})" if equation.remark else "")


TEXT = Text()


def around(start: str, parts: Sequence[Part], end: str) -> list[Part]:
    """Returns parts with something before the first and after the last one."""
    found = after(start, parts)
    return [*found[:-1], (found[-1][0], found[-1][1] + end)]


def after(sign: str, parts: Sequence[Part]) -> list[Part]:
    """Returns parts with a sign before the first one."""
    (depth, first), *others = parts
    return [(depth, sign + first), *others]


def _at(depth: int, parts: Sequence[Part]) -> list[Part]:
    (_, first), *others = parts
    return [(depth, first), *others]


def joined(parts: Sequence[Part]) -> str:
    """Returns parts as one text."""
    return "".join(text for _, text in parts)
