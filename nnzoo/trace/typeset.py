"""Typeset formulas: symbols such as `z_h1[2]` or `dE/dw5` with indices and fractions."""

from __future__ import annotations

import re
from abc import abstractmethod
from dataclasses import dataclass

from nnzoo.trace.expression import ATOM, POWER, PRODUCT, Expression, Frac, Num, Pow, Var, shown
from nnzoo.trace.notation import LONGEST, Notation, Part, after, joined

GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "mu": "μ", "rho": "ρ", "eps": "ε"}
"""Names that are written as Greek letters."""
HATS = {"mhat": "m", "vhat": "v"}
"""Names that are written as a letter with a hat."""


@dataclass(frozen=True)
class Symbol:
    """A symbol.

    Attributes:
        letters: The letters, such as w.
        number: The number behind them, such as 5, or 2.1; may be empty.
        below: What the symbol belongs to, such as h1 in z_h1.
        index: The sample and the place, such as 2;1,3; may be empty.
        is_new: Whether it is the value after the step.
    """

    letters: str
    number: str = ""
    below: Symbol | None = None
    index: str = ""
    is_new: bool = False

    @property
    def above(self) -> str:
        """What is written above on the right."""
        return (f"[{self.index}]" if self.index else "") + "+" * self.is_new


@dataclass(frozen=True)
class Derivative:
    """The derivative of one symbol by another.

    Attributes:
        above: What is differentiated.
        below: By what.
    """

    above: Symbol
    below: Symbol


def parse(name: str) -> Symbol | Derivative:
    """Returns the structure of a symbol."""
    above, is_derivative, below = name.partition("/d")
    if is_derivative:
        return Derivative(parse_symbol(above.removeprefix("d")), parse_symbol(below))
    return parse_symbol(name)


def parse_symbol(name: str) -> Symbol:
    """Returns the structure of a symbol that is not a derivative."""
    found = re.fullmatch(
        r"(?P<letters>[^\W\d_]+)(?P<number>[\d.,]*)(?:_(?P<below>.+?))?(?:\[(?P<index>.*)\])?(?P<new>\+?)", name
    )
    if found is None or (found["below"] and _is_word(name)):
        return Symbol(name)
    number = found["number"].rstrip(".,")
    below = parse_symbol(found["below"]) if found["below"] else None
    return Symbol(found["letters"], number, below, found["index"] or "", bool(found["new"]))


def _is_word(name: str) -> bool:
    """Whether the parts of a name are one word, such as weight_decay."""
    head, *others = name.split("_")
    return len(head) > 2 and head not in GREEK and head not in HATS and all(each.isalpha() for each in others)


class Typeset(Notation):
    """What LaTeX and MathML have in common: fractions are stacked, and symbols have indices."""

    @abstractmethod
    def letters(self, symbol: Symbol) -> str:
        """Returns a symbol with its indices."""

    @abstractmethod
    def stacked(self, above: str, below: str) -> str:
        """Returns a fraction."""

    @abstractmethod
    def partial(self, symbol: str) -> str:
        """Returns the sign of a partial derivative with a symbol."""

    @abstractmethod
    def raised(self, base: str, exponent: str) -> str:
        """Returns a power."""

    def symbol(self, name: str) -> str:
        found = parse(name)
        if isinstance(found, Derivative):
            above, below = (self.partial(self.letters(each)) for each in (found.above, found.below))
            return self.stacked(above, below)
        return self.letters(found)

    def binding(self, formula: Expression, *, numbers: bool) -> int:
        match formula:
            case Frac():
                return POWER
            case Var() | Num() if numbers or isinstance(formula, Num):
                return POWER if "e" in shown(formula.value) else ATOM
            case Var():
                found = parse(formula.name)
                return POWER if isinstance(found, Derivative) or found.above else ATOM
        return formula.binding

    def fraction(self, formula: Frac, depth: int, *, numbers: bool) -> list[Part]:
        above, below = (self.of(each, numbers=numbers) for each in (formula.above, formula.below))
        if self.width(above) > LONGEST:
            broken = self.operand(formula.above, PRODUCT, depth, numbers=numbers)
            return [*broken, *after(self.over, self.operand(formula.below, POWER, depth, numbers=numbers))]
        return [(depth, self.stacked(above, below))]

    def power(self, formula: Pow, *, numbers: bool) -> str:
        base = joined(self.operand(formula.base, ATOM, 0, numbers=numbers))
        return self.raised(base, self.of(formula.exponent, numbers=numbers))
