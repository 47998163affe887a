"""Trains a shipped config again and checks whether its measured result repeats."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnzoo import log
from nnzoo.errors import InterruptedRunError, NnzooError, UsageError
from nnzoo.recipes.measure import data_of, train_recipe
from nnzoo.recipes.results import Result, config_digest, result_of
from nnzoo.run.environment import versions

CONFIDENCE = 0.99
"""The probability with which new seeds are in the interval if nothing has changed, for normally distributed results."""
COUNTED = ("accuracy", "top5_accuracy")
"""Metrics that are fractions of samples."""
ROUNDING = 0.01
"""The smallest relative half width of the interval of other metrics: other machines round differently."""


@dataclass(frozen=True)
class Verification:
    """The comparison of new trainings with the measured result.

    Attributes:
        recipe: The name of the config.
        measured: The measured result.
        seeds: The seeds of the new trainings.
        values: The metric of each new training.
        interval: The bounds within which the mean of the new values repeats the result.
        notes: Differences from the measurement: data, config, versions.
    """

    recipe: str
    measured: Result
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    interval: tuple[float, float]
    notes: tuple[str, ...]

    @property
    def mean(self) -> float:
        """The mean of the new values."""
        return statistics.fmean(self.values)

    @property
    def repeats(self) -> bool:
        """Whether the mean of the new values is within the interval."""
        return self.interval[0] <= self.mean <= self.interval[1]

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `verify --json`."""
        return {
            "recipe": self.recipe,
            "metric": self.measured.metric,
            "seeds": list(self.seeds),
            "values": list(self.values),
            "mean": self.mean,
            "interval": list(self.interval),
            "repeats": self.repeats,
            "measured": self.measured.as_dict(),
            "notes": list(self.notes),
        }


def repeat_interval(measured: Result, count: int) -> tuple[float, float]:
    """Returns the interval in which the mean over `count` new seeds repeats a result.

    It is the prediction interval mean +- t * sd * sqrt(1 / count + 1 / n) of n measured seeds, where t is the quantile
    of Student's t distribution with n - 1 degrees of freedom for a probability of 99 %. Its half width is at least one
    sample for an accuracy, and 1 % of the mean for other metrics.

    Raises:
        UsageError: The result was measured with a single seed, so its spread is unknown.
    """
    from scipy import stats

    num_seeds = len(measured.values)
    if num_seeds < 2:
        raise UsageError("was measured with a single seed, so its spread is unknown.", where="verify")
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, num_seeds - 1))
    half = quantile * measured.std * math.sqrt(1 / count + 1 / num_seeds)
    counted = measured.metric.partition("/")[2] in COUNTED
    half = max(half, 1 / measured.num_samples if counted else ROUNDING * abs(measured.mean))
    # A difference of exactly one sample must not depend on the last bits of the mean.
    half *= 1 + 1e-6
    return measured.mean - half, measured.mean + half


def verify(name: str, *, num_seeds: int = 1, first_seed: int = 0, device: str = "cpu") -> Verification:
    """Trains a shipped config again.

    Args:
        name: The name of the config.
        num_seeds: The number of trainings.
        first_seed: The seed of the first training; the others follow.
        device: The device.

    Raises:
        UsageError: There is no such config, or it was not measured.
        DataError: The data is missing.
    """
    measured = result_of(name)
    interval = repeat_interval(measured, num_seeds)
    seeds = tuple(range(first_seed, first_seed + num_seeds))
    notes = differences(name, measured, data_of(name, download=True).digest, seeds)
    for note in notes:
        log.info("%s: %s", name, note)
    values = []
    with tempfile.TemporaryDirectory(prefix="nnzoo-verify-") as runs_dir:
        for seed in seeds:
            values.append(_value(name, seed, measured.metric, runs_dir, device))
            log.info("%s: seed %d: %s %.6g", name, seed, measured.metric, values[-1])
    return Verification(name, measured, seeds, tuple(values), interval, notes)


def _value(name: str, seed: int, metric: str, runs_dir: str, device: str) -> float:
    try:
        found, _ = train_recipe(name, seed, runs_dir, device=device)
    except InterruptedRunError as error:
        stopped = NnzooError("interrupted; nothing was kept.", where="verify")
        stopped.exit_code, stopped.kind = error.exit_code, error.kind
        raise stopped from None
    return found.metrics[metric]


def differences(name: str, measured: Result, data_digest: str, seeds: Sequence[int]) -> tuple[str, ...]:
    """Returns what differs from the measurement, one sentence per difference."""
    notes = []
    if data_digest != measured.data_digest:
        notes.append("the data differs from the measured data (by checksum)")
    if config_digest(name) != measured.config_digest:
        notes.append("the config has changed since the measurement")
    now = versions()
    changed = [f"{key} {now[key]} instead of {old}" for key, old in measured.versions.items() if now.get(key) != old]
    if changed:
        notes.append(f"versions differ: {', '.join(changed)}")
    new = [seed for seed in seeds if seed not in measured.seeds]
    if new:
        notes.append(f"seeds that were not measured: {', '.join(map(str, new))}")
    return tuple(notes)
