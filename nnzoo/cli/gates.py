"""The option `--fail-under METRIC=VALUE`, which scripts use to check a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nnzoo.config.metrics import METRICS, direction
from nnzoo.config.suggest import did_you_mean
from nnzoo.errors import UsageError

SPLITS = ("train", "val", "test")
_OPTION = "--fail-under"


class Gate(NamedTuple):
    """A bound on a metric.

    Attributes:
        metric: The name of the metric.
        bound: The worst value that passes.
        split: The split of the metric, as in `test/auroc`; None for any split.
    """

    metric: str
    bound: float
    split: str | None


def parse_gates(texts: Sequence[str]) -> list[Gate]:
    """Parses `METRIC=VALUE` and `SPLIT/METRIC=VALUE`.

    Raises:
        UsageError: A text does not have this form, or its split or metric is unknown.
    """
    gates = []
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            bound = float(value)
        except ValueError:
            bound = math.nan
        if not equals or math.isnan(bound):
            raise UsageError(f"expected METRIC=VALUE such as accuracy=0.9, got '{text}'.", where=_OPTION)
        split, slash, metric = name.strip().rpartition("/")
        if slash and split not in SPLITS:
            raise UsageError(
                f"'{split}' is not a split.{did_you_mean(split, SPLITS)} ({', '.join(SPLITS)})", where=_OPTION
            )
        known = ["loss", *METRICS]
        if metric not in known:
            raise UsageError(
                f"'{metric}' is not a metric.{did_you_mean(metric, known)} ({', '.join(known)})", where=_OPTION
            )
        gates.append(Gate(metric, bound, split or None))
    return gates


def split_of(gates: Sequence[Gate], split: str | None, *, is_new_data: bool) -> str | None:
    """Returns the split to evaluate: the requested one, otherwise the one that the gates name.

    Raises:
        UsageError: A gate names a split that is not evaluated.
    """
    named = [gate.split for gate in gates if gate.split is not None]
    for name in named:
        if is_new_data:
            raise UsageError(
                f"'{name}/...' is a metric of the {name} split, but --data evaluates different data. Remove '{name}/'.",
                where=_OPTION,
            )
        if name != (split or named[0]):
            raise UsageError(
                f"'{name}/...' is a metric of the {name} split, but the {split or named[0]} split is evaluated. Use "
                f"--split {name}.",
                where=_OPTION,
            )
    return split or (named[0] if named else None)


def check_gates(gates: Sequence[Gate], metrics: Mapping[str, float]) -> list[str]:
    """Returns a message for each metric that is worse than its bound. NaN is always worse."""
    failed = []
    for gate in gates:
        value, is_higher_better = metrics[gate.metric], direction(gate.metric) == "max"
        if not (value >= gate.bound if is_higher_better else value <= gate.bound):
            failed.append(f"{gate.metric} {value:.6g} is {'below' if is_higher_better else 'above'} {gate.bound:g}.")
    return failed
