"""Runs a lesson: trains its variants, measures, and checks whether its claim holds."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnzoo.lessons import expressions
from nnzoo.lessons.functions import classical, formulas, maths
from nnzoo.lessons.functions.networks import Networks
from nnzoo.lessons.functions.sequences import Sequences
from nnzoo.lessons.functions.tokens import Tokens
from nnzoo.lessons.functions.trained import Trained
from nnzoo.lessons.schema import Language, Lesson
from nnzoo.lessons.training import Variant, train_lesson
from nnzoo.numbers import number

MAX_SHOWN = 6
"""The largest number of entries of a list that are shown."""
SYMBOLS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "=", ast.NotEq: "!="}


@dataclass(frozen=True)
class Check:
    """A checked statement.

    Attributes:
        text: The statement.
        held: Whether it was true.
    """

    text: str
    held: bool


@dataclass(frozen=True)
class LessonResult:
    """What a lesson has shown.

    Attributes:
        lesson: The lesson.
        seed: The seed of the lesson.
        overrides: The overrides of the configs. With any, the claim is observed, not judged.
        variants: The trained variants.
        values: The values of `let` and `measure`, by name.
        measured: The measured values by name, in order.
        expected: The expected values of the measures that have one, by name.
        bounds: The bounds that the checks set for measures, by name, such as "< 0.5".
        checks: The checked statements.
        seconds: The wall time.
    """

    lesson: Lesson
    seed: int
    overrides: tuple[str, ...]
    variants: Mapping[str, Variant]
    values: Mapping[str, Any]
    measured: Mapping[str, Any]
    expected: Mapping[str, Any]
    bounds: Mapping[str, str]
    checks: tuple[Check, ...]
    seconds: float

    @property
    def held(self) -> bool:
        """Whether every check was true."""
        return all(check.held for check in self.checks)

    @property
    def is_judged(self) -> bool:
        """Whether the lesson ran as it was written, so that the claim is judged."""
        return not self.overrides

    def evaluate(self, text: Any) -> Any:
        """Returns the value of an expression of a figure; other values than texts unchanged."""
        if not isinstance(text, str):
            return text
        return expressions.evaluate(text, functions_of(self.variants), self.values)

    def rows(self, language: Language) -> list[tuple[str, str, str]]:
        """Returns one row per measure: what it is, the measured value, the expected value."""
        found = []
        for name, measure in self.lesson.measure.items():
            label = measure.zh if language == "zh" else measure.en
            found.append((label, shown(self.measured[name], exact=name in self.expected), self._expected(name)))
        return found

    def _expected(self, name: str) -> str:
        return shown(self.expected[name], exact=True) if name in self.expected else self.bounds.get(name, "")

    def without_networks(self) -> LessonResult:
        """Returns the result without the networks, their data and intermediate values, which need much memory."""
        return replace(self, variants={}, values={})

    def as_dict(self) -> dict[str, Any]:
        """Returns the plain values for JSON."""
        return {
            "lesson": self.lesson.name,
            "number": self.lesson.number,
            "claim": self.lesson.en.claim,
            "seed": self.seed,
            "overrides": list(self.overrides),
            "measured": {name: _json(value) for name, value in self.measured.items()},
            "expected": {name: _json(value) for name, value in self.expected.items()},
            "checks": [{"check": check.text, "held": check.held} for check in self.checks],
            "held": self.held,
            "judged": self.is_judged,
            "seconds": round(self.seconds, 3),
        }


def run_lesson(lesson: Lesson, *, seed: int = 0, overrides: Sequence[str] = ()) -> LessonResult:
    """Runs a lesson.

    Args:
        lesson: The lesson.
        seed: The seed of the lesson.
        overrides: `KEY=VALUE` for the configs of all variants.

    Raises:
        UsageError: An override can't be used, or a value can't be computed with it.
        ConfigError: A config can't be used.
        InterruptedRunError: A signal arrived.
    """
    start = time.monotonic()
    variants = train_lesson(lesson, seed=seed, overrides=overrides)
    functions = functions_of(variants)
    values: dict[str, Any] = {"seed": seed}
    for name, text in lesson.let.items():
        values[name] = expressions.evaluate(text, functions, values)
    measured, expected, checks = {}, {}, []
    for name, measure in lesson.measure.items():
        if measure.expect is not None:
            wanted = measure.expect
            expected[name] = expressions.evaluate(wanted, functions, values) if isinstance(wanted, str) else wanted
        values[name] = measured[name] = expressions.evaluate(measure.value, functions, values)
        if name in expected:
            is_same = maths.close(measured[name], expected[name], measure.within)
            checks.append(Check(f"{name} = {shown(expected[name], exact=True)}", is_same))
    checks += [Check(text, expressions.truth(expressions.evaluate(text, functions, values))) for text in lesson.check]
    bounds = {name: text for name in measured if (text := bounds_of(lesson.check, name, functions, values))}
    return LessonResult(
        lesson,
        seed,
        tuple(overrides),
        variants,
        values,
        measured,
        expected,
        bounds,
        tuple(checks),
        time.monotonic() - start,
    )


def functions_of(variants: Mapping[str, Variant]) -> dict[str, Callable[..., Any]]:
    """Returns all functions that expressions may call."""
    trained = Trained(variants)
    of_networks = {**trained.functions(), **Networks(trained).functions()}
    of_sequences = {**Sequences(trained).functions(), **Tokens(trained).functions()}
    return {**maths.FUNCTIONS, **formulas.FUNCTIONS, **classical.FUNCTIONS, **of_networks, **of_sequences}


def bounds_of(
    checks: Sequence[str], name: str, functions: Mapping[str, Callable[..., Any]], values: Mapping[str, Any]
) -> str:
    """Returns the bounds that comparisons such as `accuracy >= 0.9` and `train20 < train6` set for a measure.

    Bounds are shown as numbers, and a bound that is a measure has its value.
    """
    bounds = []
    for check in checks:
        tree = expressions.parse(check)
        if isinstance(tree, ast.Compare) and isinstance(tree.left, ast.Name) and tree.left.id == name:
            for relation, bound in zip(tree.ops, tree.comparators, strict=True):
                text = ast.unparse(bound)
                value = text if isinstance(bound, ast.Constant) else expressions.evaluate(text, functions, values)
                bounds.append(f"{SYMBOLS[type(relation)]} {value if value is text else shown(value)}")
    return ", ".join(bounds)


def shown(value: Any, *, exact: bool = False) -> str:
    """Returns a measured value as text; with `exact`, numbers have eight digits instead of four decimals."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    if isinstance(value, float | np.floating):
        return f"{float(value):.8g}" if exact or float(value).is_integer() else number(float(value))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(each, exact=exact)}" for key, each in value.items())
    items = np.asarray(value).tolist() if isinstance(value, np.ndarray) else list(value)
    texts = [shown(item, exact=exact) for item in items[:MAX_SHOWN]]
    return f"({', '.join([*texts, *(['...'] if len(items) > MAX_SHOWN else [])])})"


def _json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [_json(each) for each in value]
    return value
