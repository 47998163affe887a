"""The values of the trials of a grid and of a random search. They depend only on the plan."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

from nnzoo.search.plan import MAX_GRID, Plan
from nnzoo.search.space import Dimension, Range, Values, listed, num_combinations, text_of

Parameters = dict[str, Any]
"""The value of each key as it is stored: numbers of ranges, and listed values as YAML on one line."""


def points_of(plan: Plan, count: int) -> list[Parameters] | None:
    """Returns the values of the first trials; None if the method chooses them from the results of earlier ones."""
    if plan.method == "tpe":
        return None
    keys = list(plan.space)
    if plan.method == "grid":
        values = itertools.product(*(_stored_values(each) for each in plan.space.values()))
        return [dict(zip(keys, each, strict=True)) for each in itertools.islice(values, count)]
    combinations = num_combinations(plan.space)
    if combinations is None or combinations > MAX_GRID:
        return [_drawn(plan, number) for number in range(1, count + 1)]
    # Of few combinations, each is drawn once.
    every = list(itertools.product(*(_stored_values(each) for each in plan.space.values())))
    random.Random(plan.seed).shuffle(every)
    return [dict(zip(keys, each, strict=True)) for each in every[:count]]


def config_values(plan: Plan, parameters: Parameters) -> dict[str, Any]:
    """Returns the values of the keys as in a config."""
    return {
        key: each.texts()[parameters[key]] if isinstance(each, Values) else parameters[key]
        for key, each in plan.space.items()
    }


def _stored_values(dimension: Dimension) -> list[Any]:
    values = listed(dimension)
    assert values is not None
    return [text_of(value) for value in values] if isinstance(dimension, Values) else list(values)


def _drawn(plan: Plan, number: int) -> Parameters:
    """Returns the values of one trial, drawn with a seed of its own, so that more trials do not change it."""
    generator = random.Random(f"{plan.seed} {number}")
    return {key: _draw(each, generator) for key, each in plan.space.items()}


def _draw(dimension: Dimension, generator: random.Random) -> Any:
    if isinstance(dimension, Values):
        return generator.choice(list(dimension.texts()))
    if dimension.kind in ("int", "uniform") and (values := listed(dimension)) is not None:
        return generator.choice(values)
    low, high = dimension.low, dimension.high
    if dimension.kind == "uniform":
        return generator.uniform(low, high)
    if dimension.kind == "log":
        return _clamped(math.exp(generator.uniform(math.log(low), math.log(high))), dimension)
    drawn = math.exp(generator.uniform(math.log(low - 0.5), math.log(high + 0.5)))
    return int(_clamped(round(drawn), dimension))


def _clamped(value: float, dimension: Range) -> float:
    return min(max(value, dimension.low), dimension.high)
