"""Finds labels that may be wrong, with a linear model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from nnzoo.doctor.duplicates import name_of
from nnzoo.doctor.finding import MAX_NAMED, Finding
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.reference.linear import select_samples

SURE = 0.95


def doubtful_labels(experiment: Experiment) -> Iterator[Finding]:
    """Finds train samples whose label differs from what a cross-validated linear model confidently predicts.

    The method is that of Northcutt et al. (2021).
    """
    dataset = experiment.dataset
    sample = select_samples(experiment, "train") if dataset.task == "classification" else None
    if sample is None or len(sample.targets) < 10 * len(dataset.classes):
        return
    labels, rows = sample.targets.numpy(), sample.rows
    if min(np.bincount(labels, minlength=1)[np.unique(labels)]) < 3 or len(np.unique(labels)) < 2:
        return
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = cross_val_predict(
            LogisticRegression(max_iter=200), _to_array(sample.inputs), labels, cv=3, method="predict_proba"
        )
    present = np.unique(labels)
    predicted = present[shares.argmax(1)]
    accuracy = float((predicted == labels).mean())
    if accuracy < (1 + np.bincount(labels).max() / len(labels)) / 2:
        return
    is_sure = shares.max(1) >= SURE
    doubtful = np.flatnonzero((predicted != labels) & is_sure)
    # A calibrated model is wrong in up to 1 - SURE of its sure predictions; if there are more, the model is at fault.
    if 0 < len(doubtful) <= (1 - SURE) * is_sure.sum():
        order = doubtful[np.argsort(-shares[doubtful].max(1), kind="stable")][:MAX_NAMED]
        yield Finding(
            "note",
            "label noise",
            f"a linear model with a cross-validated accuracy of {accuracy:.0%} confidently assigns a different class "
            f"to {len(doubtful)} of {len(labels)} train samples. Check their labels first.",
            tuple(
                f"{name_of('train', int(rows[index]), dataset)}: {dataset.classes[labels[index]]}, "
                f"or {dataset.classes[predicted[index]]}?"
                for index in order
            ),
        )


def _to_array(inputs: Tensor) -> Any:
    """Converts inputs to a NumPy array or a SciPy sparse matrix."""
    if not inputs.is_sparse:
        return inputs.numpy()
    from scipy.sparse import csr_matrix

    return csr_matrix((inputs.values().numpy(), inputs.indices().numpy()), shape=tuple(inputs.shape))
