"""The simple models beside the result of a run: a linear model and gradient boosting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nnzoo.data import OnDisk
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.reference.boosting import fit_boosting
from nnzoo.experiment.reference.linear import CHEAP, LinearFit, fit_linear
from nnzoo.training.measures.decoding import Decoder
from nnzoo.training.measures.losses import Reads
from nnzoo.training.measures.metrics import MetricSums


@dataclass(frozen=True)
class Baselines:
    """Simple models that were fitted on train and measured on a split.

    Attributes:
        metrics: The metrics of each model, with the keys of the result of a run: "test/accuracy". Empty if the run has
            no metrics.
        linear: The linear model; None if it was not fitted.
    """

    metrics: dict[str, dict[str, float]]
    linear: LinearFit | None = None


def fit_baselines(experiment: Experiment, split: str) -> Baselines:
    """Fits the models of `train.baselines` to the train samples, and measures them on a split.

    Args:
        experiment: The experiment.
        split: The split on which the network is measured.
    """
    chosen, dataset = experiment.config.train.baselines or (), experiment.dataset
    metrics: dict[str, dict[str, float]] = {}
    linear = fit_linear(experiment, split, max_operations=CHEAP) if "linear" in chosen else None
    if linear is not None:
        metrics["linear"] = _measure(experiment, split, linear.outputs, linear.reads, linear.rows)
    is_in_memory = not isinstance(experiment.splits["train"].inputs, OnDisk)
    outputs = fit_boosting(experiment, split) if "gradient_boosting" in chosen and is_in_memory else None
    if outputs is not None:
        reads: Reads = "values" if dataset.task == "regression" else "probabilities"
        metrics["gradient_boosting"] = _measure(experiment, split, outputs, reads, torch.arange(len(outputs)))
    return Baselines(metrics if experiment.settings.metrics else {}, linear)


def _measure(experiment: Experiment, split: str, outputs: Tensor, reads: Reads, rows: Tensor) -> dict[str, float]:
    """Returns the metrics of a model, computed as those of the network."""
    dataset = experiment.dataset
    sums = MetricSums(experiment.settings.metrics, Decoder(dataset.task, reads, len(dataset.classes)))
    sums.add(outputs, dataset.splits[split].targets.cpu()[rows])
    return {f"{split}/{name}": value for name, value in sums.result().items()}
