"""Labels that a linear model doubts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from nnzoo.doctor.duplicates import name_of
from nnzoo.doctor.finding import MAX_NAMED, Finding
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.reference.linear import some_samples

SURE = 0.95


def doubtful_labels(experiment: Experiment) -> Iterator[Finding]:
    """Finds train samples whose class a linear model that did not see them nearly rules out (Northcutt et al. 2021)."""
    dataset = experiment.dataset
    found = some_samples(experiment, "train") if dataset.task == "classification" else None
    if found is None or len(found.targets) < 10 * len(dataset.classes):
        return
    labels, rows = found.targets.numpy(), found.rows
    if min(np.bincount(labels, minlength=1)[np.unique(labels)]) < 3 or len(np.unique(labels)) < 2:
        return
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = cross_val_predict(
            LogisticRegression(max_iter=200), _array(found.inputs), labels, cv=3, method="predict_proba"
        )
    present = np.unique(labels)
    sure = present[shares.argmax(1)]
    right = float((sure == labels).mean())
    if right < (1 + np.bincount(labels).max() / len(labels)) / 2:
        return
    is_sure = shares.max(1) >= SURE
    doubtful = np.flatnonzero((sure != labels) & is_sure)
    # By its own account so many of its sure answers may be wrong; if there are more, the model is at fault.
    if 0 < len(doubtful) <= (1 - SURE) * is_sure.sum():
        order = doubtful[np.argsort(-shares[doubtful].max(1), kind="stable")][:MAX_NAMED]
        yield Finding(
            "note",
            "label noise",
            f"a linear model that is right on {right:.0%} of the samples it did not see is sure that {len(doubtful)} "
            f"of {len(labels)} train samples have another class. Look at them first.",
            tuple(
                f"{name_of('train', int(rows[index]), dataset)}: {dataset.classes[labels[index]]}, "
                f"or {dataset.classes[sure[index]]}?"
                for index in order
            ),
        )


def _array(inputs: Tensor) -> Any:
    """Returns inputs as scikit-learn takes them."""
    if not inputs.is_sparse:
        return inputs.numpy()
    from scipy.sparse import csr_matrix

    return csr_matrix((inputs.values().numpy(), inputs.indices().numpy()), shape=tuple(inputs.shape))
