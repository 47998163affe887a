"""Checks the data for metrics that would be undefined, and for digits that are lost in float32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnzoo import log
from nnzoo.config import Config
from nnzoo.config.load import problems_of
from nnzoo.data import Dataset, Preprocess

_MAX_ENTRIES = 200_000
"""The number of entries of the train split whose distinct values are counted."""
_MAX_NAMED = 5


def check_metrics(config: Config, dataset: Dataset, metrics: Sequence[str], monitor: str) -> None:
    """Warns about metrics that are undefined on a split. Their cells in tables stay empty.

    Args:
        config: The config, for the location in the error message.
        dataset: The dataset with its splits, before preprocessing.
        metrics: The metrics that are computed on every split.
        monitor: The monitored metric, such as "val/auroc".

    Raises:
        ConfigError: The monitored metric is undefined.
    """
    for split in dataset.splits:
        for metric, reason in undefined_metrics(dataset, split, metrics).items():
            if monitor == f"{split}/{metric}":
                problem = f"{monitor} is undefined: {reason}. Monitor {split}/loss, or provide other {split} samples."
                raise problems_of(config, [(("train", "monitor"), problem)])
            log.data_warning("%s/%s is undefined: %s. Its cells stay empty.", split, metric, reason)


def undefined_metrics(dataset: Dataset, split: str, metrics: Sequence[str]) -> dict[str, str]:
    """Returns the metrics that are undefined on a split, and why."""
    measured = dataset.measured_split(split)
    reasons = {}
    if "auroc" in metrics:
        if dataset.task == "multilabel":
            share = measured.targets.double().mean(dim=0)
            if bool(((share == 0) | (share == 1)).all()):
                reasons["auroc"] = f"no label has both values in {split}"
        else:
            classes = measured.class_indices()
            if bool((classes == classes[0]).all()):
                reasons["auroc"] = f"{split} has only one class ('{dataset.classes[int(classes[0])]}')"
    if "average_precision" in metrics:
        if dataset.task == "multilabel":
            has_positive = bool((measured.targets > 0).any())
        else:
            has_positive = len(dataset.classes) > 2 or bool((measured.class_indices() == 1).any())
        if not has_positive:
            positive = "any label" if dataset.task == "multilabel" else f"'{dataset.classes[1]}'"
            reasons["average_precision"] = f"{split} has no sample of {positive}"
    if "r2" in metrics and len(measured) == 1:
        reasons["r2"] = f"{split} has only one sample"
    return reasons


def warn_of_lost_digits(dataset: Dataset, transformed: Dataset, preprocess: Preprocess) -> None:
    """Warns about distinct values that become equal in float32.

    Args:
        dataset: The dataset before preprocessing.
        transformed: The dataset after preprocessing.
        preprocess: The preprocessing.
    """
    raw, train = dataset.train, transformed.train
    if dataset.layout in ("features", "sequence") and preprocess.mean is None:
        lost = _columns_losing_digits(_sample_rows(raw.inputs), _sample_rows(train.inputs))
        names = [dataset.feature_names[column] if dataset.feature_names else str(column) for column in lost]
        if names:
            shown = ", ".join(f"'{name}'" for name in names[:_MAX_NAMED]) + (", ..." if len(names) > _MAX_NAMED else "")
            fix = "Set preprocess: {normalize: standardize}"
            if preprocess.shift is not None:
                fix = "Outliers may be the cause: correct them"
            log.data_warning(
                "%d of %d columns lose significant digits (%s), because the network computes in float32. "
                "%s, or subtract an offset.",
                len(names),
                raw.inputs.shape[-1],
                shown,
                fix,
            )
    if train.exact is not None and _columns_losing_digits(_sample_rows(train.exact), _sample_rows(train.targets)):
        log.data_warning(
            "the targets lose significant digits, because the loss is computed in float32. Set preprocess: "
            "{scale_target: true}, or subtract an offset."
        )


def _sample_rows(values: Tensor) -> Tensor:
    """Returns some rows of (N, F) or (N, T, F), evenly spread, as (M, F)."""
    num_rows = max(100, _MAX_ENTRIES // max(1, values[:1].numel()))
    rows = torch.arange(0, len(values), max(1, len(values) // num_rows))
    return values[rows].flatten(0, -2)


def _columns_losing_digits(exact: Tensor, rounded: Tensor) -> list[int]:
    """Returns the columns of (M, F) that lose more than half of their distinct values when rounded to float32."""
    if exact.dtype == torch.float32 and torch.equal(exact, rounded):
        return []
    before, after = (1 + (each.sort(dim=0).values.diff(dim=0) != 0).sum(dim=0) for each in (exact, rounded))
    return (2 * after < before).nonzero().flatten().tolist()
