"""The search space: the values or the range of each searched config key, and how they are written."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from nnzoo.config.suggest import did_you_mean
from nnzoo.config.yaml_reader import parse
from nnzoo.config.yaml_writer import flow
from nnzoo.errors import ConfigError, UsageError

Kind = Literal["uniform", "log", "int", "logint"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SYNONYMS = {
    **dict.fromkeys(("float", "linear", "range", "between"), "uniform"),
    **dict.fromkeys(("loguniform", "log_uniform", "uniformlog", "lograndom", "logspace"), "log"),
    **dict.fromkeys(("randint", "integer", "quniform", "intuniform"), "int"),
    **dict.fromkeys(("log_int", "intlog", "int_log", "lograndint", "loginteger"), "logint"),
}
EXAMPLE = "Examples: optimizer.lr=0.1,0.01 or optimizer.lr=log(1e-4,1e-1)"
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*", flags=re.DOTALL)


@dataclass(frozen=True)
class Values:
    """Listed values, in any order.

    Attributes:
        values: The values, as in a config.
    """

    values: Sequence[Any]

    def texts(self) -> dict[str, Any]:
        """Returns the values by their YAML on one line."""
        return {text_of(value): value for value in self.values}

    def ends(self) -> Sequence[Any]:
        """Returns the values that represent all others in checks: all of them."""
        return self.values

    def __str__(self) -> str:
        return ",".join(self.texts())


@dataclass(frozen=True)
class Range:
    """All numbers between two ends, which are included.

    Attributes:
        kind: uniform: real numbers; log: real numbers, uniform in their logarithm; int: integers; logint: integers,
            uniform in their logarithm.
        low: The lower end.
        high: The upper end.
        step: The distance of neighbouring numbers, from `low`; None for all numbers.
    """

    kind: Kind
    low: float
    high: float
    step: float | None = None

    def ends(self) -> Sequence[Any]:
        """Returns the values that represent all others in checks: the two ends, and a number between them."""
        if self.kind in ("int", "logint"):
            return (self.low, self.high)
        return (self.low, self.high, self.low + (self.step or 0.382 * (self.high - self.low)))

    def __str__(self) -> str:
        step = () if self.step is None else (self.step,)
        return f"{self.kind}({','.join(flow(each) for each in (self.low, self.high, *step))})"


Dimension = Values | Range


def text_of(value: Any) -> str:
    """Returns a value as YAML on one line, with quotes if it has a comma."""
    return flow([value])[1:-1]


def parse_dimension(key: str, text: str) -> Dimension:
    """Parses the values of a key as they are written on the command line: `V1,V2,...` or `KIND(LOW,HIGH)`.

    Commas inside brackets, braces and quotes belong to a value: `[64],[64,64]` has two values.

    Raises:
        UsageError: The text is neither.
    """
    where = f"{key}={text}"
    call = _CALL.fullmatch(text)
    if call:
        return _range(call[1], call[2], where)
    if re.search(r"(?:^|,)\s*(?:" + "|".join((*KINDS, *SYNONYMS)) + r")\s*\(", text):
        raise UsageError("a range can't be mixed with values. Use only values, or only one range.", where=where)
    try:
        listed = parse(f"[{text}]", "values").plain()
    except ConfigError as error:
        problem = error.problems[0].split("\n")[0].split(": ", 1)[1]
        raise UsageError(f"{problem} Values are YAML, separated by commas. {EXAMPLE}.", where=where) from None
    return values_of(key, listed or [None])


def values_of(key: str, listed: Sequence[Any]) -> Values:
    """Returns listed values.

    Raises:
        UsageError: There is none, or a value is listed twice.
    """
    found = Values(tuple(listed))
    if not listed:
        raise UsageError(f"there are no values. {EXAMPLE}.", where=key)
    if len(found.texts()) < len(listed):
        texts = [text_of(value) for value in listed]
        twice = next(text for text in texts if texts.count(text) > 1)
        raise UsageError(f"the value {twice} is listed twice. Remove one of them.", where=key)
    return found


def _range(name: str, arguments: str, where: str) -> Range:
    name = name.lower()
    if name in ("choice", "choices", "categorical"):
        raise UsageError(f"values are listed without '{name}()', separated by commas. {EXAMPLE}.", where=where)
    if name not in KINDS:
        known = SYNONYMS.get(name)
        hint = f" Did you mean '{known}'?" if known else did_you_mean(name, KINDS)
        raise UsageError(f"'{name}' is not a range.{hint} ({', '.join(KINDS)})", where=where)
    kind: Kind = next(each for each in KINDS if each == name)
    has_step = kind in ("uniform", "int")
    form = f"{kind}(LOW,HIGH{'[,STEP]' if has_step else ''})"
    try:
        numbers = parse(f"[{arguments}]", "range").plain()
    except ConfigError:
        numbers = []
    if not 2 <= len(numbers) <= 2 + has_step:
        raise UsageError(f"expected {form}.", where=where)
    integers = kind in ("int", "logint")
    for each in numbers:
        if isinstance(each, bool) or not isinstance(each, int | float) or not math.isfinite(each):
            raise UsageError(f"expected numbers in {form}, got {flow(each)}.", where=where)
        if integers and float(each) != int(each):
            raise UsageError(f"expected integers in {form}, got {flow(each)}. Use uniform or log.", where=where)
    low, high, *steps = (int(each) if integers else float(each) for each in numbers)
    if kind in ("log", "logint") and low <= 0:
        raise UsageError(
            f"the lower end must be more than 0, since the logarithm of {flow(low)} does not exist. "
            "Use a small positive number, or uniform.",
            where=where,
        )
    if low >= high:
        raise UsageError(f"the lower end must be less than the upper one (got {low:g} and {high:g}).", where=where)
    step = steps[0] if steps else None
    if step is not None and not 0 < step <= high - low:
        raise UsageError(f"the step must be more than 0, and at most {high - low:g} (got {step:g}).", where=where)
    return Range(kind, low, high, step)


def num_combinations(space: Mapping[str, Dimension]) -> int | None:
    """Returns the number of combinations of values; None if it is not finite."""
    counts = [listed(each) for each in space.values()]
    return None if any(each is None for each in counts) else math.prod(len(each) for each in counts if each)


def listed(dimension: Dimension) -> Sequence[Any] | None:
    """Returns all values of a dimension; None for a range without a step. Integers have a step of 1."""
    if isinstance(dimension, Values):
        return dimension.values
    low, high, step = dimension.low, dimension.high, dimension.step
    if dimension.kind == "int" and isinstance(low, int) and isinstance(high, int):
        return range(low, high + 1, int(step or 1))
    if step is None:
        return range(int(low), int(high) + 1) if dimension.kind == "logint" else None
    return [low + index * step for index in range(math.floor((high - low) / step + 1e-9) + 1)]
