"""Formulas as trees, which are rendered as text and LaTeX, with symbols or with numbers, and can be evaluated."""

from __future__ import annotations

import math
import re
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


def latex_number(value: float) -> str:
    """Returns a number as LaTeX, with a power of ten in place of an exponent."""
    text = shown(value).replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
    mantissa, has_exponent, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if has_exponent else text


def latex_name(name: str) -> str:
    """Returns a symbol as LaTeX: `h1` -> h_{1}, `z_h2.1[3]` -> z_{h_{2.1}}^{[3]}, `dE/dw5` -> a fraction."""
    if "/d" in name:
        above, _, below = name.partition("/d")
        return rf"\frac{{\partial {latex_name(above.removeprefix('d'))}}}{{\partial {latex_name(below)}}}"
    index = re.fullmatch(r"(.*?)(\[[^\]]*\])", name)
    if index:
        return f"{{{latex_name(index[1])}}}^{{{index[2]}}}"
    head, has_below, below = name.partition("_")
    if has_below:
        return f"{latex_name(head)}_{{{latex_name(below)}}}"
    if name.endswith("'"):
        return f"{latex_name(name[:-1])}'"
    letters = re.fullmatch(r"([A-Za-z]+)([\d.]*)", name)
    if not letters:
        return "".join(f"\\{each}" if each in "#$%&_{}" else each for each in name)
    word = letters[1] if len(letters[1]) == 1 else rf"\mathrm{{{letters[1]}}}"
    return f"{word}_{{{letters[2]}}}" if letters[2] else word


class Expression(ABC):
    """A formula whose leaves have a symbol and a value."""

    binding: int = ATOM

    @abstractmethod
    def evaluate(self) -> float:
        """Returns the value, computed from the values of the leaves."""

    @abstractmethod
    def render(self, *, numbers: bool, latex: bool = False) -> str:
        """Returns the formula with its symbols, or with the numbers put in."""

    def inside(self, binding: int, *, numbers: bool, latex: bool) -> str:
        """Returns the formula as an operand, in parentheses if it binds less than its operator."""
        text = self.render(numbers=numbers, latex=latex)
        weak = self.binding < binding or (text.startswith("-") and binding > SUM)
        return text if not weak else rf"\left({text}\right)" if latex else f"({text})"


@dataclass(frozen=True)
class Var(Expression):
    """A symbol with its value, such as `w5` = 0.4.

    Attributes:
        name: The symbol.
        value: The value.
    """

    name: str
    value: float

    @property
    def binding(self) -> int:  # type: ignore[override]
        return ATOM

    def evaluate(self) -> float:
        return self.value

    def render(self, *, numbers: bool, latex: bool = False) -> str:
        if numbers:
            return latex_number(self.value) if latex else shown(self.value)
        return latex_name(self.name) if latex else self.name


@dataclass(frozen=True)
class Num(Expression):
    """A constant.

    Attributes:
        value: The value.
    """

    value: float

    def evaluate(self) -> float:
        return self.value

    def render(self, *, numbers: bool, latex: bool = False) -> str:  # noqa: ARG002
        return latex_number(self.value) if latex else shown(self.value)


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
    def binding(self) -> int:  # type: ignore[override]
        return SUM if len(self.terms) + (self.hidden > 0) != 1 else self.terms[0].binding

    def evaluate(self) -> float:
        return math.fsum([*(term.evaluate() for term in self.terms), self.rest])

    def render(self, *, numbers: bool, latex: bool = False) -> str:
        text = ""
        for term in self.terms:
            if isinstance(term, Neg):
                inner = term.operand.inside(PRODUCT, numbers=numbers, latex=latex)
                text += f" - {inner}" if text else f"-{inner}"
            else:
                # A negative number after the first term is put in parentheses.
                inner = term.render(numbers=numbers, latex=latex)
                if text and isinstance(term, Var | Num) and inner.startswith("-"):
                    inner = rf"\left({inner}\right)" if latex else f"({inner})"
                text += f" + {inner}" if text else inner
        if self.hidden:
            more = f"{self.hidden} more term{'s' if self.hidden > 1 else ''}"
            rest = latex_number(self.rest) if latex else shown(self.rest)
            tail = f"({more}: {rest})" if numbers else f"({more})"
            text += f" + {_words(tail) if latex else tail}"
        return text or "0"


@dataclass(frozen=True)
class Neg(Expression):
    """The negative of an expression.

    Attributes:
        operand: The expression.
    """

    operand: Expression

    @property
    def binding(self) -> int:  # type: ignore[override]
        return SUM

    def evaluate(self) -> float:
        return -self.operand.evaluate()

    def render(self, *, numbers: bool, latex: bool = False) -> str:
        return f"-{self.operand.inside(PRODUCT, numbers=numbers, latex=latex)}"


@dataclass(frozen=True)
class Prod(Expression):
    """A product.

    Attributes:
        factors: The factors.
    """

    factors: Sequence[Expression]

    @property
    def binding(self) -> int:  # type: ignore[override]
        return PRODUCT if len(self.factors) > 1 else self.factors[0].binding

    def evaluate(self) -> float:
        return math.prod(factor.evaluate() for factor in self.factors)

    def render(self, *, numbers: bool, latex: bool = False) -> str:
        sign = r" \cdot " if latex else " * "
        first, *others = self.factors
        texts = [
            first.render(numbers=numbers, latex=latex)
            if first.binding >= PRODUCT
            else first.inside(PRODUCT, numbers=numbers, latex=latex)
        ]
        return sign.join([*texts, *(each.inside(POWER, numbers=numbers, latex=latex) for each in others)])


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
    def binding(self) -> int:  # type: ignore[override]
        return PRODUCT

    def evaluate(self) -> float:
        return self.above.evaluate() / self.below.evaluate()

    def render(self, *, numbers: bool, latex: bool = False) -> str:
        if latex:
            above, below = (each.render(numbers=numbers, latex=True) for each in (self.above, self.below))
            return rf"\frac{{{above}}}{{{below}}}"
        above = self.above.inside(PRODUCT, numbers=numbers, latex=False)
        return f"{above} / {self.below.inside(POWER, numbers=numbers, latex=False)}"


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
    def binding(self) -> int:  # type: ignore[override]
        return POWER

    def evaluate(self) -> float:
        return float(self.base.evaluate() ** self.exponent.evaluate())

    def render(self, *, numbers: bool, latex: bool = False) -> str:
        base = self.base.inside(ATOM, numbers=numbers, latex=latex)
        if latex:
            return f"{{{base}}}^{{{self.exponent.render(numbers=numbers, latex=True)}}}"
        return f"{base}^{self.exponent.inside(ATOM, numbers=numbers, latex=False)}"


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

    def render(self, *, numbers: bool, latex: bool = False) -> str:
        inner = ", ".join(each.render(numbers=numbers, latex=latex) for each in self.arguments)
        if not latex:
            return f"{self.name}({inner})"
        if self.name == "sqrt":
            return rf"\sqrt{{{inner}}}"
        stem = self.name.rstrip("'")
        known = stem in ("exp", "log", "tanh", "max", "min")
        safe = stem.replace("_", r"\_")
        name = f"\\{stem}" if known else rf"\mathrm{{{safe}}}"
        return rf"{name}{chr(39) * (len(self.name) - len(stem))}\left({inner}\right)"


def _words(text: str) -> str:
    """Returns a remark inside a formula as LaTeX; its number stays in math mode."""
    start, has_number, number = text.partition(": ")
    return rf"\text{{{start}: }}{number}" if has_number else rf"\text{{{text}}}"


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

    def text(self) -> str:
        """Returns `name = formula = numbers = value` on one line."""
        parts = [self.name]
        if self.formula is not None:
            symbols, numbers = (self.formula.render(numbers=each) for each in (False, True))
            parts += list(dict.fromkeys([symbols, numbers]))
        parts += [] if parts[-1] == shown(self.value) and len(parts) > 1 else [shown(self.value)]
        return " = ".join(parts) + (f"   ({self.remark})" if self.remark else "")
