"""Writes formulas as LaTeX, and a trace as a LaTeX document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from nnzoo.trace.explain import StepExplanation, Trace
from nnzoo.trace.expression import Equation, shown
from nnzoo.trace.notation import Part, after, around, joined
from nnzoo.trace.stage import Group
from nnzoo.trace.text import after_step, heading, loss_rows, step_title
from nnzoo.trace.typeset import GREEK, HATS, Symbol, Typeset

LINE = 70
"""Longer formulas continue on the next line."""
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
LETTERS = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿĂăĄąĆćČčĎďĐđĘęĚěĞğŁłŃńŇňŐőŒœŔŕŘřŚśŞşŠšŢţŤťŮůŰűŸŹźŻżŽž"
)
"""The letters beyond ASCII that the fonts of every LaTeX have."""
FUNCTIONS = ("exp", "log", "tanh", "max", "min")
PREAMBLE = r"""\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath}
\usepackage[margin=18mm]{geometry}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\begin{document}"""


class Latex(Typeset):
    r"""LaTeX: `\frac{\partial E}{\partial o_{1}} \cdot o_{1} \cdot (1 - o_{1})`."""

    times = r" \cdot "

    def number(self, value: float) -> str:
        text = shown(value).replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
        mantissa, has_exponent, exponent = text.partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if has_exponent else text

    def partial(self, symbol: str) -> str:
        return rf"\partial {symbol}"

    def stacked(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def letters(self, symbol: Symbol) -> str:
        word = symbol.letters
        if word in GREEK:
            base = r"\epsilon" if word == "eps" else f"\\{word}"
        elif word in HATS:
            base = rf"\hat{{{HATS[word]}}}"
        else:
            base = word if len(word) == 1 else rf"\mathrm{{{escape(word)}}}"
        below = ",".join(each for each in (symbol.number, self.letters(symbol.below) if symbol.below else "") if each)
        above = symbol.above
        return base + (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")

    def group(self, inner: Sequence[Part]) -> list[Part]:
        size = r"\bigl", r"\bigr"
        left, right = size if r"\frac" in joined(inner) else ("", "")
        return around(f"{left}(", inner, f"{right})")

    def function(self, name: str, arguments: list[Part]) -> list[Part]:
        if name == "sqrt":
            return [(arguments[0][0], rf"\sqrt{{{joined(arguments)}}}")]
        stem = name.rstrip("'")
        command = f"\\{stem}" if stem in FUNCTIONS else rf"\operatorname{{{escape(stem)}}}"
        return after(command + name[len(stem) :], self.group(arguments))

    def words(self, text: str) -> str:
        return rf"\text{{{text}}}"

    def width(self, text: str) -> int:
        return len(re.sub(r"\\[A-Za-z]+|[{}^_\\]", "", text))


LATEX = Latex()


def latex(trace: Trace) -> str:
    """Returns the trace as a LaTeX document that needs only amsmath and geometry."""
    first, *others = heading(trace).split("\n")
    parts = [PREAMBLE, rf"\section*{{{escape(first)}}}", "\n\n".join(map(escape, others))]
    parts += [part for step in trace.steps for part in _step(trace, step)]
    if len(trace.recording.losses) > 1:
        rows = [("step", "lr", "$E$"), *loss_rows(trace)]
        body = " \\\\\n".join(" & ".join(row) for row in rows)
        table = f"\\begin{{tabular}}{{rrr}}\n{body}\n\\end{{tabular}}"
        parts.append(f"\\section*{{The loss of each step}}\n\n{table}")
    return "\n\n".join([*parts, r"\end{document}"])


def escape(text: str) -> str:
    """Returns a text with LaTeX's special characters escaped. Letters that most fonts lack become code points."""
    return "".join(SPECIAL.get(each, each if _is_safe(each) else f"(U+{ord(each):04X})") for each in text)


def _is_safe(character: str) -> bool:
    return (character.isascii() and character.isprintable()) or character in LETTERS


def _step(trace: Trace, step: StepExplanation) -> Iterator[str]:
    yield rf"\section*{{{escape(step_title(trace, step))}}}"
    for name, groups in step.parts():
        yield rf"\subsection*{{{name}}}"
        yield from (_group(group) for group in groups if group.equations)
    yield escape(after_step(step))


def _group(group: Group) -> str:
    body = " \\\\\n".join(line for equation in group.equations for line in equation_lines(equation))
    note = f"\n\n{escape(group.note)}" if group.note else ""
    return f"\\paragraph{{{escape(group.title)}}}\n\\begin{{align*}}\n{body}\n\\end{{align*}}{note}"


def equation_lines(equation: Equation) -> list[str]:
    """Returns the lines of an equation in align*: the formula, the numbers, and the value."""
    sides: list[list[str]] = []
    if equation.formula is not None:
        texts = [LATEX.pieces(equation.formula, numbers=numbers) for numbers in (False, True)]
        sides = [_lines(pieces) for pieces in (texts if texts[0] != texts[1] else texts[:1])]
    value = LATEX.number(equation.value)
    if not sides or sides[-1] != [value]:
        sides.append([value])
    lines = [("&= " if not place else r"&\quad ") + line for side in sides for place, line in enumerate(side)]
    remark = rf" && \text{{{escape(equation.remark)}}}" if equation.remark else ""
    return [f"{LATEX.symbol(equation.name)} {lines[0]}{remark}", *lines[1:]]


def _lines(pieces: Sequence[str]) -> list[str]:
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if LATEX.width(lines[-1]) + LATEX.width(piece) > LINE:
            lines.append(piece.strip())
        else:
            lines[-1] += piece
    return lines
