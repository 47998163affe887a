"""Writes formulas as MathML, which browsers and screen readers know."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnzoo.report.escape import escape
from nnzoo.trace.expression import Expression, shown
from nnzoo.trace.notation import Part, after, around, joined
from nnzoo.trace.typeset import GREEK, HATS, Symbol, Typeset

MINUS = "−"
EQUALS = '<mo form="infix">=</mo>'


def sign(text: str) -> str:
    """Returns a sign between operands."""
    return f"<mo>{text}</mo>"


def row(inner: str) -> str:
    """Returns a formula as one element."""
    is_single = re.fullmatch(r"<(\w+)>[^<]*</\1>", inner)
    return inner if is_single else f"<mrow>{inner}</mrow>"


class MathML(Typeset):
    """MathML, without the element `math` around it."""

    plus, minus, times, over = sign("+"), sign(MINUS), sign("·"), sign("/")
    comma = "<mo>,</mo>"
    negative = f'<mo form="prefix">{MINUS}</mo>'

    def number(self, value: float) -> str:
        mantissa, has_exponent, exponent = shown(abs(value)).partition("e")
        text = f"<mn>{mantissa.replace('inf', '∞')}</mn>"
        if has_exponent:
            power = self.number(int(exponent))
            text += f"{sign('·')}<msup><mn>10</mn>{row(power)}</msup>"
        return (self.negative if value < 0 else "") + text

    def partial(self, symbol: str) -> str:
        return f"<mi>∂</mi>{symbol}"

    def stacked(self, above: str, below: str) -> str:
        return f"<mfrac>{row(above)}{row(below)}</mfrac>"

    def raised(self, base: str, exponent: str) -> str:
        return f"<msup>{row(base)}{row(exponent)}</msup>"

    def letters(self, symbol: Symbol) -> str:
        word = symbol.letters
        if word in HATS:
            base = f"<mover><mi>{HATS[word]}</mi><mo>^</mo></mover>"
        else:
            base = f"<mi>{GREEK.get(word) or escape(word)}</mi>"
        number = f"<mn>{escape(symbol.number)}</mn>" if symbol.number else ""
        below = "<mo>,</mo>".join(each for each in (number, self.letters(symbol.below) if symbol.below else "") if each)
        above = f"<mtext>{escape(symbol.above)}</mtext>" if symbol.above else ""
        if below and above:
            return f"<msubsup>{base}{row(below)}{above}</msubsup>"
        if below:
            return f"<msub>{base}{row(below)}</msub>"
        return f"<msup>{base}{above}</msup>" if above else base

    def group(self, inner: Sequence[Part]) -> list[Part]:
        return around("<mo>(</mo>", inner, "<mo>)</mo>")

    def function(self, name: str, arguments: list[Part]) -> list[Part]:
        if name == "sqrt":
            return [(arguments[0][0], f"<msqrt>{joined(arguments)}</msqrt>")]
        stem = name.rstrip("'")
        word = f"<mi>{escape(stem)}</mi>"
        primed = f"<msup>{word}<mo>′</mo></msup>" if stem != name else word
        return after(primed, self.group(arguments))

    def words(self, text: str) -> str:
        return f"<mtext>{escape(text)}</mtext>"

    def pieces(self, formula: Expression, *, numbers: bool) -> list[str]:
        first, *others = super().pieces(formula, numbers=numbers)
        # At the start of a piece, a browser would take a sign for that of a negative number.
        return [first, *(re.sub("^<mo>", '<mo form="infix">', each) for each in others)]

    def width(self, text: str) -> int:
        return len(re.sub(r"<[^>]*>", "", text))


MATHML = MathML()
