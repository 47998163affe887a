"""The verdicts at the end of training: at most two, from what training has measured and a second of trials."""

from __future__ import annotations

import math
from typing import Any

from nnzoo.data.baseline import baseline
from nnzoo.doctor import curves, remedies
from nnzoo.doctor.causes import explain, names_a_cause
from nnzoo.doctor.evidence import Evidence, Scores
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.rules import LAST_RULES, Rule, activations, capacity, data, initialization, optimization, outputs
from nnzoo.doctor.trials import kept_random_state, quiet
from nnzoo.experiment.train.finished import RunWithData

MAX_VERDICTS = 2
SECONDS, LIMIT = 0.12, 0.9
"""Estimated CPU seconds of one short training, and of all together."""
FEW_EPOCHS = 4
WELL = 0.75
"""A run that has learned more than this share of the distance from the baseline to a perfect score is not examined."""

RULES: tuple[Rule, ...] = (
    data.frozen_layers,
    outputs.output_activation,
    data.unscaled_target,
    data.unscaled_columns,
    *initialization.RULES,
    activations.no_activation,
    capacity.too_much_dropout,
    capacity.too_much_weight_decay,
    *optimization.RULES,
    capacity.network_tiny,
    activations.vanishing_gradients,
    activations.exploding_gradients,
    activations.dead_units,
    activations.saturation,
    outputs.constant_prediction,
    outputs.no_better_than_the_baseline,
    outputs.worse_than_a_linear_model,
    outputs.rare_classes_are_missed,
)
"""The rules that need no raw data, except for trials of another scaling, the cheapest first."""


def verdicts(run: RunWithData) -> list[dict[str, Any]]:
    """Returns the most important findings about a run that has just ended, as JSON objects.

    A run that looks healthy costs nothing: only its results are read.
    """
    if run.experiment is None or not looks_ill(run):
        return []
    result = run.result
    seed = result["restarts"]["best"] if isinstance(result.get("restarts"), dict) else None
    evidence = Evidence(
        run.experiment,
        seed=seed,
        best=run.module,
        history=run.history,
        health=run.health,
        status=str(result["status"]),
        scores=Scores({}, run.remarks),
        seconds=SECONDS,
        limit=LIMIT,
    )
    with quiet(), kept_random_state():
        if evidence.config.model.name == "custom":
            found: list[Finding] = []
        else:
            found = [finding for rule in RULES if (finding := rule(evidence)) is not None]
            if not any(map(names_a_cause, found)):
                found += [finding for rule in LAST_RULES if (finding := rule(evidence)) is not None]
        found = explain(evidence, found)
    return [finding.as_dict() for finding in found if finding.severity != "note"][:MAX_VERDICTS]


def looks_ill(run: RunWithData) -> bool:
    """Whether a run has learned little, ended early, or has a setting that is rarely right."""
    result, config, experiment = run.result, run.config, run.experiment
    assert experiment is not None
    if result["status"] == "diverged" or result["notes"]:
        return True
    output = getattr(config.model, "output", None)
    if config.model.freeze or (output is not None and output.activation.name in outputs.RANGES):
        return True
    if remedies.with_init(config) or remedies.largest_dropout(config) >= capacity.HIGH_DROPOUT:
        return True
    if not config.optimizer.lr or config.train.batch_size in (1, 2, 3):
        return True
    score = "r2" if experiment.dataset.task == "regression" else "accuracy"
    train = result["metrics"].get(f"train/{score}")
    if train is None or not math.isfinite(train):
        return train is not None
    floor = baseline(experiment.dataset, "train")[score]
    learned = (train - floor) / (1 - floor) if floor < 1 else 1.0
    is_short = result["epochs"] <= FEW_EPOCHS and optimization.is_still_learning(run.history)
    return learned < WELL or is_short or curves.rise_of_loss(run.history)[0] > 2 * curves.STRONG_RISE
