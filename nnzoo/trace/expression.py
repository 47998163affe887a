"""Formulas as trees that can be evaluated. Module `notation` writes them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

DIGITS = 9
"""Significant digits of every number that is shown."""

# How tightly an expression binds, to set parentheses.
SUM, PRODUCT, POWER, ATOM = 1, 2, 3, 4


def shown(value: float) -> str:
    """Returns a number with nine significant digits, without trailing zeros: 0.74136507, 4.3856772e-05."""
    return f"{value:.{DIGITS}g}"


class Expression(ABC):
    """A formula whose leaves have a symbol and a value."""

    @property
    def binding(self) -> int:
        """How tightly the formula binds."""
        return ATOM

    @abstractmethod
    def evaluate(self) -> float:
        """Returns the value, computed from the values of the leaves."""


@dataclass(frozen=True)
class Var(Expression):
    """A symbol with its value, such as `w5` = 0.4.

    Attributes:
        name: The symbol.
        value: The value.
    """

    name: str
    value: float

    def evaluate(self) -> float:
        return self.value


@dataclass(frozen=True)
class Num(Expression):
    """A constant.

    Attributes:
        value: The value.
    """

    value: float

    def evaluate(self) -> float:
        return self.value


@dataclass(frozen=True)
class Sum(Expression):
    """A sum. Terms that are negated with `Neg` are subtracted.

    Attributes:
        terms: The terms that are shown.
        hidden: The number of further terms.
        rest: The sum of the further terms.
    """

    terms: Sequence[Expression]
    hidden: int = 0
    rest: float = 0.0

    @property
    def binding(self) -> int:
        return SUM if len(self.terms) + (self.hidden > 0) != 1 else self.terms[0].binding

    def evaluate(self) -> float:
        return math.fsum([*(term.evaluate() for term in self.terms), self.rest])


@dataclass(frozen=True)
class Neg(Expression):
    """The negative of an expression.

    Attributes:
        operand: The expression.
    """

    operand: Expression

    @property
    def binding(self) -> int:
        return SUM

    def evaluate(self) -> float:
        return -self.operand.evaluate()


@dataclass(frozen=True)
class Prod(Expression):
    """A product.

    Attributes:
        factors: The factors.
    """

    factors: Sequence[Expression]

    @property
    def binding(self) -> int:
        return PRODUCT if len(self.factors) > 1 else self.factors[0].binding

    def evaluate(self) -> float:
        return math.prod(factor.evaluate() for factor in self.factors)


@dataclass(frozen=True)
class Frac(Expression):
    """A fraction.

    Attributes:
        above: The numerator.
        below: The denominator.
    """

    above: Expression
    below: Expression

    @property
    def binding(self) -> int:
        return PRODUCT

    def evaluate(self) -> float:
        return self.above.evaluate() / self.below.evaluate()


@dataclass(frozen=True)
class Pow(Expression):
    """A power.

    Attributes:
        base: The base.
        exponent: The exponent.
    """

    base: Expression
    exponent: Expression

    @property
    def binding(self) -> int:
        return POWER

    def evaluate(self) -> float:
        return float(self.base.evaluate() ** self.exponent.evaluate())


@dataclass(frozen=True)
class Call(Expression):
    """A function of expressions, such as max(a, b).

    Attributes:
        name: The name of the function.
        arguments: The arguments.
        function: Computes the value from the values of the arguments.
    """

    name: str
    arguments: Sequence[Expression]
    function: Callable[..., float] = field(compare=False)

    def evaluate(self) -> float:
        return float(self.function(*(each.evaluate() for each in self.arguments)))


def exp(operand: Expression) -> Call:
    """Returns the exponential function of an expression."""
    return Call("exp", [operand], math.exp)


def sqrt(operand: Expression) -> Call:
    """Returns the square root of an expression."""
    return Call("sqrt", [operand], math.sqrt)


def square(operand: Expression) -> Pow:
    """Returns operand^2."""
    return Pow(operand, Num(2))


def minus(first: Expression, second: Expression) -> Sum:
    """Returns first - second."""
    return Sum([first, Neg(second)])


@dataclass(frozen=True)
class Equation:
    """A number of the step with the formula that it comes from.

    Attributes:
        name: The symbol on the left.
        value: The number that the training step computed.
        formula: The formula; None for a number that is given, such as an input.
        remark: A short explanation; may be empty.
    """

    name: str
    value: float
    formula: Expression | None = None
    remark: str = ""
