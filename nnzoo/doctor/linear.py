"""How far a linear model gets, and which labels it doubts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data import Preprocess, Split
from nnzoo.data.baseline import regression_scores
from nnzoo.data.fitting import fit_scale
from nnzoo.doctor.duplicates import name_of
from nnzoo.doctor.finding import MAX_NAMED, Finding
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.record import PREDICTED_SPLITS

MAX_ROWS = 5_000
MAX_NUMBERS, MAX_MEASURED = 10_000_000, 200_000_000
"""The most entries that are read of train and of the measured split."""
SURE = 0.95
_FEW = 20


def linear_scores(experiment: Experiment) -> dict[str, float]:
    """Returns what a linear model on up to 5,000 of the train samples reaches, by the names of the baseline.

    It is logistic or ridge regression on preprocessed and standardized inputs, in float64; they are flattened, and
    tokens are counted. Empty if there is no such model: several labels, one target per step, or one class in that part
    of train.
    """
    train = _sample(experiment, "train")
    if train is None:
        return {}
    measured = next(name for name in PREDICTED_SPLITS if name in experiment.splits)
    other = _sample(experiment, measured)
    if other is None or (experiment.dataset.task == "classification" and len(np.unique(train[1])) < 2):
        return {}
    from sklearn.linear_model import LogisticRegression, Ridge

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if experiment.dataset.task == "classification":
            model = LogisticRegression(C=_inverse_penalty(len(train[1])), max_iter=200)
            answers = model.fit(train[0], train[1]).predict(other[0])
            return {"accuracy": float((answers == other[1]).mean())}
        # Targets are scaled, since squares of large ones overflow.
        scale, truth = Preprocess.fit(experiment.dataset, scale_target=True), torch.from_numpy(other[1])
        fitted = Ridge(alpha=1 / _inverse_penalty(len(train[1]))).fit(
            train[0], scale.scale_targets(torch.from_numpy(train[1])).numpy()
        )
        answers = torch.from_numpy(fitted.predict(other[0]).reshape(other[1].shape))
    return regression_scores(scale.unscale_targets(answers) - truth, truth)


def _inverse_penalty(num_samples: int) -> float:
    """Scikit-learn's default of 1 outweighs the loss of a few samples: even AND would look inseparable."""
    return 1.0 if num_samples >= _FEW else 1000.0


def doubtful_labels(experiment: Experiment) -> Iterator[Finding]:
    """Finds train samples whose class a linear model that did not see them nearly rules out (Northcutt et al. 2021)."""
    dataset = experiment.dataset
    found = _sample(experiment, "train") if dataset.task == "classification" else None
    if found is None or len(found[1]) < 10 * len(dataset.classes):
        return
    inputs, labels, rows = found
    if min(np.bincount(labels, minlength=1)[np.unique(labels)]) < 3 or len(np.unique(labels)) < 2:
        return
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = cross_val_predict(LogisticRegression(max_iter=200), inputs, labels, cv=3, method="predict_proba")
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


def _sample(experiment: Experiment, name: str) -> tuple[Any, NDArray[Any], NDArray[np.int64]] | None:
    """Returns inputs (M, D), targets and positions of some samples of a split, always the same ones."""
    dataset, split = experiment.dataset, experiment.splits[name]
    if dataset.task == "multilabel" or dataset.splits[name].targets.ndim > 1 + (dataset.task == "regression"):
        return None
    width = dataset.num_tokens if dataset.layout == "tokens" else split.inputs[0].numel()
    num_train = min(MAX_ROWS, max(100, MAX_NUMBERS // max(width, 1)))
    rows = _rows(len(split), num_train if name == "train" else max(100, MAX_MEASURED // max(width, 1)))
    targets = dataset.splits[name].targets[rows]
    if dataset.layout == "tokens":
        return _counts(split, rows, width), targets.numpy(), rows.numpy()
    inputs = _flat(experiment, name, rows, _rows(len(dataset.train), num_train))
    return (inputs, targets.numpy(), rows.numpy()) if np.isfinite(inputs).all() else None


def _rows(num_samples: int, most: int) -> Tensor:
    return torch.randperm(num_samples, generator=torch.Generator().manual_seed(0))[:most].sort().values


def _flat(experiment: Experiment, name: str, rows: Tensor, train: Tensor) -> NDArray[np.float64]:
    """Returns (M, D) inputs: raw numbers standardized as some rows of train are; images and components unchanged."""
    dataset, split = experiment.dataset, experiment.splits[name]
    if dataset.layout not in ("features", "sequence") or experiment.preprocess.mean is not None:
        flat = split.network_inputs(rows.to(split.inputs.device)).flatten(1).double().cpu()
    else:
        shift, scale = fit_scale(lambda: iter([dataset.train.inputs[train].flatten(1).double()]), "standardize")
        flat = (dataset.splits[name].inputs[rows].flatten(1).double() - shift) / scale
    array: NDArray[np.float64] = flat.numpy()
    return array


def _counts(split: Split, rows: Tensor, num_tokens: int) -> Any:
    """Returns how often each token occurs in each text, (M, V), without the padding."""
    from scipy.sparse import csr_matrix

    tokens = split.inputs.cpu()[rows]
    steps = torch.arange(tokens.shape[1])
    lengths = torch.full((len(rows),), tokens.shape[1]) if split.lengths is None else split.lengths.cpu()[rows]
    valid = steps < lengths.unsqueeze(1)
    places = torch.arange(len(rows)).unsqueeze(1).expand_as(tokens)[valid]
    ones = np.ones(len(places), dtype=np.float32)
    return csr_matrix((ones, (places.numpy(), tokens[valid].numpy())), shape=(len(rows), num_tokens))
