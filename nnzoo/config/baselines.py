"""The baselines of `train.baselines`: which ones `auto` selects, and which ones the data allows."""

from __future__ import annotations

from collections.abc import Iterator

from nnzoo.config.data import Generated
from nnzoo.config.document import Problem
from nnzoo.config.experiment import Config
from nnzoo.config.facts import Facts
from nnzoo.config.train import BaselineName

LEAST_ROWS = 200
"""With fewer train samples gradient boosting can hardly split them, since a leaf has at least 20."""
MAX_SECONDS = 3.0
"""`auto` selects gradient boosting only if a fit takes less processor time."""
ITERATIONS = 100
_PER_COLUMN, _PER_ENTRY = 3e-5, 8e-9
"""Measured seconds on one core for each column of a tree, and for each entry of the table and tree."""


def choose_baselines(config: Config, facts: Facts) -> tuple[BaselineName, ...] | None:
    """Returns the baselines that `auto` selects; None if the facts that decide are not known yet."""
    if facts.per is None or facts.layout is None or facts.task is None:
        return None
    if facts.per != "sample":
        return ()
    if facts.layout != "features" or isinstance(config.data, Generated):
        return ("linear",)
    if facts.num_train is None:
        return None
    if facts.num_train < LEAST_ROWS or boosting_seconds(facts) > MAX_SECONDS:
        return ("linear",)
    return ("linear", "gradient_boosting")


def skipped_note(config: Config, facts: Facts) -> str:
    """Returns why `auto` leaves out gradient boosting, if it is because of the size of the table; else empty."""
    is_table = facts.layout == "features" and not isinstance(config.data, Generated)
    if config.train.baselines != "auto" or not is_table or boosting_seconds(facts) <= MAX_SECONDS:
        return ""
    return (
        f"gradient boosting is not a baseline of this run, since it would take about {boosting_seconds(facts):.0f} s "
        "on one core; train.baselines: [linear, gradient_boosting] adds it"
    )


def baseline_rules(config: Config, facts: Facts) -> Iterator[Problem]:
    """Rejects baselines that can't be fitted to the data."""
    chosen = config.train.baselines
    if not isinstance(chosen, tuple):
        return
    for index, name in enumerate(chosen):
        if name in chosen[:index]:
            yield ("train", "baselines", index), f"{name} is listed twice."
        elif facts.per not in (None, "sample"):
            yield (
                ("train", "baselines", index),
                f"{name} needs one target per sample, but this data has one per {facts.per}. Remove it.",
            )
        elif name == "gradient_boosting" and facts.layout not in (None, "features"):
            yield (
                ("train", "baselines", index),
                f"gradient_boosting needs a table of features, but this data is of the kind '{facts.layout}'. "
                "Remove it.",
            )


def boosting_seconds(facts: Facts) -> float:
    """Estimates the processor time of gradient boosting, which fits one tree per iteration and output."""
    assert facts.input_shape is not None
    outputs = facts.num_targets if facts.task == "regression" else facts.num_classes
    assert outputs is not None
    trees = ITERATIONS * (1 if facts.task == "classification" and outputs == 2 else outputs)
    return trees * facts.input_shape[0] * (_PER_COLUMN + _PER_ENTRY * (facts.num_train or 0))
