"""Gradient boosting on the features of a table, as a reference for networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.config.baselines import ITERATIONS
from nnzoo.experiment.prepare import Experiment

_MANY_ROWS = 10_000
"""With more train samples, a tenth of them stops the fit early."""


def fit_boosting(experiment: Experiment, measured: str) -> Tensor | None:
    """Fits scikit-learn's histogram gradient boosting with its defaults to the train samples.

    The features are those of the network. Trees depend only on the order of the values of a column, so standardization
    changes nothing. More than 10,000 train samples stop the fit early by a tenth of them; val and test are not used.
    There is one model for each label and for each target of a regression.

    Args:
        experiment: An experiment with one target per sample, and features in memory.
        measured: The split to predict.

    Returns:
        (N, K) float64: probabilities of classes or labels, or values in the unit of the targets. None if the targets
        are probabilities, or if the train samples have only one class.
    """
    dataset = experiment.dataset
    train, targets = _features(experiment, "train"), dataset.train.targets.cpu().numpy()
    others = _features(experiment, measured)
    if dataset.task == "classification":
        if targets.ndim > 1 or len(np.unique(targets)) < 2:
            return None
        return torch.from_numpy(_probabilities(train, targets, others, len(dataset.classes)))
    if dataset.task == "multilabel":
        columns = [_of_label(train, labels > 0.5, others) for labels in targets.T]
    else:
        columns = [_regressor(train, values, others) for values in targets.T]
    return torch.from_numpy(np.stack(columns, axis=1))


def _features(experiment: Experiment, name: str) -> NDArray[Any]:
    return experiment.splits[name].inputs.flatten(1).cpu().numpy()


def _probabilities(train: NDArray[Any], labels: NDArray[Any], others: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Returns the probability of each class, (N, K); that of a class without train samples is 0."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    # The held-out tenth is stratified, which needs two samples of every class.
    counts = np.unique(labels, return_counts=True)[1]
    stops = len(labels) > _MANY_ROWS and int(counts.min()) > 1 and len(counts) < len(labels) // 10
    model = HistGradientBoostingClassifier(max_iter=ITERATIONS, early_stopping=stops, random_state=0)
    shares = np.zeros((len(others), size))
    shares[:, np.unique(labels)] = model.fit(train, labels).predict_proba(others)
    return shares


def _of_label(train: NDArray[Any], labels: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the probability of a label, (N,)."""
    if labels.all() or not labels.any():
        return np.full(len(others), float(labels[0]))
    return _probabilities(train, labels.astype(np.int64), others, 2)[:, 1]


def _regressor(train: NDArray[Any], targets: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """Returns the predictions of one target, (N,). It is standardized, because squares of large values overflow."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    values = targets.astype(np.float64)
    shift, scale = values.mean(), values.std() or 1.0
    model = HistGradientBoostingRegressor(max_iter=ITERATIONS, random_state=0)
    return np.asarray(model.fit(train, (values - shift) / scale).predict(others) * scale + shift)
