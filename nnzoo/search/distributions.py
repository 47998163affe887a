"""The search space as distributions of Optuna."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnzoo.search.plan import Plan
from nnzoo.search.space import Dimension, Values

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def distributions_of(plan: Plan) -> dict[str, BaseDistribution]:
    """Returns the distribution of each searched key."""
    return {key: _distribution(each) for key, each in plan.space.items()}


def _distribution(dimension: Dimension) -> BaseDistribution:
    """Returns the distribution of Optuna. Listed values are stored as YAML, since a database has no lists."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(dimension, Values):
        return CategoricalDistribution(list(dimension.texts()))
    is_log = dimension.kind in ("log", "logint")
    if dimension.kind in ("int", "logint"):
        low, step = int(dimension.low), int(dimension.step or 1)
        high = low + (int(dimension.high) - low) // step * step
        return IntDistribution(low, high, log=is_log, step=step)
    low_number, high_number, gap = dimension.low, dimension.high, dimension.step
    if gap is not None:
        high_number = low_number + int((high_number - low_number) / gap + 1e-9) * gap
    return FloatDistribution(low_number, high_number, log=is_log, step=gap)
