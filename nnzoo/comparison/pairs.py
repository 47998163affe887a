"""The comparison of two groups of runs: by the spread of their seeds, and row by row on the same predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np

from nnzoo.comparison.groups import Group
from nnzoo.comparison.predictions import Error, Predictions
from nnzoo.comparison.significance import SignificanceTest, bootstrap_test, mcnemar_test, seeds_test, with_holm
from nnzoo.config.metrics import direction
from nnzoo.numbers import number

Verdict = Literal["different", "not told apart", "untested"]
_ROW_ERRORS: dict[str, tuple[str, Error]] = {
    "mae": ("mae", "absolute"),
    "mape": ("mae", "absolute"),
    "mse": ("mse", "squared"),
}
"""The quantity that is compared row by row for a metric; rmse for all other metrics of a regression."""


@dataclass(frozen=True)
class Pair:
    """Two groups and the tests of their difference.

    Attributes:
        a: The name of the first group.
        b: The name of the second group.
        metric: The compared metric.
        means: Its mean over the seeds of both groups.
        seeds: The test of the trainings, over seeds; None if a group has only one.
        rows: The test of the predictions, over rows; None if the predictions are not of the same rows.
        split: The split that the rows are from.
        num_seeds: The number of seeds of both groups.
    """

    a: str
    b: str
    metric: str
    means: tuple[float, float]
    seeds: SignificanceTest | None
    rows: SignificanceTest | None
    split: str
    num_seeds: tuple[int, int]

    @property
    def verdict(self) -> Verdict:
        """Whether all available tests are significant and agree which group is better."""
        tests = [test for test in (self.seeds, self.rows) if test is not None]
        if not tests:
            return "untested"
        agree = len({self._better(test) for test in tests}) == 1
        return "different" if agree and all(test.is_significant for test in tests) else "not told apart"

    @property
    def better(self) -> str | None:
        """The better group; None unless the verdict is "different"."""
        test = self.seeds or self.rows
        return self._better(test) if test is not None and self.verdict == "different" else None

    def _better(self, test: SignificanceTest) -> str:
        sign = 1 if direction(test.quantity.partition("/")[2] or test.quantity) == "max" else -1
        return self.a if sign * test.difference > 0 else self.b

    def sentences(self) -> list[str]:
        """Returns what the tests say: a line about the seeds, and a line about the rows."""
        return [f"seeds: {self._about_seeds()}.", f"rows: {self._about_rows()}."]

    def _about_seeds(self) -> str:
        test = self.seeds
        if test is None:
            alone = [name for name, count in zip((self.a, self.b), self.num_seeds, strict=True) if count < 2]
            have = f"{alone[0]} has" if len(alone) == 1 else f"{' and '.join(alone)} have"
            return f"the spread is unknown, since {have} one seed only. Train again with other seeds"
        spread = f"the spread of {test.counts['seeds_a']} and {test.counts['seeds_b']} seeds"
        if not test.is_significant:
            return f"the difference is within {spread} ({_shown(test)})"
        return f"{self._better(test)} is better by more than {spread} ({_shown(test)})"

    def _about_rows(self) -> str:
        test = self.rows
        if test is None:
            return f"the predictions on {self.split} can't be compared row by row"
        if not test.is_significant:
            return f"not to be told apart with {test.counts['rows']} rows of {self.split} ({_shown(test)})"
        return f"{self._better(test)} is better on the {test.counts['rows']} rows of {self.split} ({_shown(test)})"

    def as_dict(self) -> dict[str, Any]:
        """Returns the pair as plain values."""
        return {
            "a": self.a,
            "b": self.b,
            "metric": self.metric,
            "means": list(self.means),
            "difference": self.means[0] - self.means[1],
            "seeds": self.seeds and self.seeds.as_dict(),
            "rows": self.rows and self.rows.as_dict(),
            "verdict": self.verdict,
            "better": self.better,
            "text": self.sentences(),
        }


def _shown(test: SignificanceTest) -> str:
    parts = [f"{test.name} of {test.quantity}", f"p = {_p(test.p)}"]
    if test.adjusted_p != test.p:
        parts.append(f"{_p(test.adjusted_p)} after Holm's correction")
    if test.interval is not None:
        parts.append(f"95 % interval {number(test.interval[0])} to {number(test.interval[1])}")
    return ", ".join(parts)


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def compare_pairs(groups: Sequence[Group], metric: str) -> list[Pair]:
    """Returns all pairs of groups that have a metric. Their p-values are corrected for the number of pairs."""
    measured = [group for group in groups if group.values(metric)]
    pairs = [_pair(a, b, metric) for a, b in combinations(measured, 2)]
    seeds, rows = with_holm([pair.seeds for pair in pairs]), with_holm([pair.rows for pair in pairs])
    return [replace(pair, seeds=seeds[i], rows=rows[i]) for i, pair in enumerate(pairs)]


def _pair(a: Group, b: Group, metric: str) -> Pair:
    values = a.values(metric), b.values(metric)
    means = math.fsum(values[0]) / len(values[0]), math.fsum(values[1]) / len(values[1])
    split = a.runs[0].measured_on
    counts = len(values[0]), len(values[1])
    return Pair(a.name, b.name, metric, means, _seeds_test(a, b, metric), _rows_test(a, b, metric), split, counts)


def _seeds_test(a: Group, b: Group, metric: str) -> SignificanceTest | None:
    """Tests a metric over the seeds of runs; if there are too few, over the seeds of random restarts.

    Only train and val are measured for each restart.
    """
    test = seeds_test(metric, a.values(metric), b.values(metric))
    name, monitor = metric.partition("/")[2], a.runs[0].config.train.monitor
    for key in (metric, f"val/{name}", monitor):
        if test is None:
            test = seeds_test(key, a.restart_values(key), b.restart_values(key))
    return test


def _rows_test(a: Group, b: Group, metric: str) -> SignificanceTest | None:
    """Tests the predictions on the rows that all runs share. Scores of a row are averaged over the runs of a group."""
    first = a.runs[0].predictions
    if first is None:
        return None
    quantity, error = _row_error(first.task, metric)
    means = []
    for group in (a, b):
        scores = []
        for run in group.by_seed.values():
            rows = None if run.predictions is None else first.same_rows(run.predictions)
            if run.predictions is None or rows is None:
                return None
            scores.append(run.predictions.scores(error, rows))
        means.append(np.mean(scores, axis=0))
    samples = _independent(first, a)
    alone = len(a.by_seed) == len(b.by_seed) == 1
    if first.task == "classification" and alone and len(set(samples)) == len(samples):
        return mcnemar_test(quantity, means[0][:, 0], means[1][:, 0])
    return bootstrap_test(quantity, means[0], means[1], samples, root=quantity == "rmse")


def _row_error(task: str, metric: str) -> tuple[str, Error]:
    """Returns the quantity that is compared row by row, and the error of a row."""
    if task != "regression":
        return "accuracy", "correct"
    return _ROW_ERRORS.get(metric.partition("/")[2], ("rmse", "squared"))


def _independent(predictions: Predictions, group: Group) -> list[Any]:
    """Returns the independent unit of each row: its sample, or for a series a block of consecutive windows.

    Errors of forecasts that overlap are correlated. Blocks are as long as the horizon, and at least the cube root of
    the number of rows (non-overlapping block bootstrap, Carlstein 1986).
    """
    data = group.runs[0].config.data
    if data.name != "series":
        return list(predictions.samples)
    num_rows = len(predictions.samples)
    length = max(data.horizon, math.ceil(num_rows ** (1 / 3)))
    return [row // length for row in range(num_rows)]
