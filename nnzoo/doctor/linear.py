"""How far a linear model gets, and what it says of the labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data import Split
from nnzoo.doctor.duplicates import name_of
from nnzoo.doctor.finding import MAX_NAMED, Finding
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.record import PREDICTED_SPLITS

MAX_ROWS = 5_000
MAX_NUMBERS, MAX_MEASURED = 10_000_000, 200_000_000
"""Samples times columns, of train and of the measured split: more are not read."""
LARGE = 1e15
"""Sums of squares of larger numbers may overflow."""
SURE = 0.95


def linear_scores(experiment: Experiment) -> dict[str, float]:
    """What a linear model on (up to 5,000 of) the preprocessed train samples reaches, by the names of the baseline.

    Logistic regression, or ridge regression; inputs are flattened, of tokens their counts. Empty where there is no such
    model: several labels, a target for every step, one class in that part of train, or numbers too large for it.
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
            answers = LogisticRegression(max_iter=200).fit(train[0], train[1]).predict(other[0])
            return {"accuracy": float((answers == other[1]).mean())}
        answers = Ridge().fit(train[0], train[1]).predict(other[0])
    errors = other[1] - answers.reshape(other[1].shape)
    mse, spread = (errors**2).mean(0), other[1].var(0)
    return {
        "mae": float(np.abs(errors).mean()),
        "mse": float(mse.mean()),
        "rmse": float(np.sqrt(mse).mean()),
        "r2": float(np.where(spread > 0, 1 - mse / np.where(spread > 0, spread, 1), 0).mean()),
    }


def doubtful_labels(experiment: Experiment) -> Iterator[Finding]:
    """Train samples whose class a linear model that did not see them all but rules out (Northcutt et al. 2021)."""
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
    # Of what it is sure of, so much may be wrong by its own account; beyond that it is the model that is at fault.
    if 0 < len(doubtful) <= (1 - SURE) * is_sure.sum():
        order = doubtful[np.argsort(-shares[doubtful].max(1), kind="stable")][:MAX_NAMED]
        yield Finding(
            "note",
            "label noise",
            f"a linear model, right on {right:.0%} of the samples it did not see, is sure that {len(doubtful)} of "
            f"{len(labels)} train samples are of another class. Look at them first.",
            tuple(
                f"{name_of('train', int(rows[index]), dataset)}: {dataset.classes[labels[index]]}, "
                f"or {dataset.classes[sure[index]]}?"
                for index in order
            ),
        )


def _sample(experiment: Experiment, name: str) -> tuple[Any, NDArray[Any], NDArray[np.int64]] | None:
    """Inputs (M, D), targets and positions of some samples of a split, always the same ones."""
    dataset, split = experiment.dataset, experiment.splits[name]
    if dataset.task == "multilabel" or dataset.splits[name].targets.ndim > 1 + (dataset.task == "regression"):
        return None
    width = dataset.num_tokens if dataset.layout == "tokens" else split.inputs[0].numel()
    rows_at_most, numbers = (MAX_ROWS, MAX_NUMBERS) if name == "train" else (len(split), MAX_MEASURED)
    most = min(rows_at_most, max(100, numbers // max(width, 1)))
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[:most].sort().values
    targets = dataset.splits[name].targets[rows]
    inputs = _counts(split, rows, width) if dataset.layout == "tokens" else _flat(split, rows)
    if dataset.layout != "tokens" and max(np.abs(inputs).max(initial=0), float(targets.abs().max())) > LARGE:
        return None
    return inputs, targets.numpy(), rows.numpy()


def _flat(split: Split, rows: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = split.network_inputs(rows.to(split.inputs.device)).flatten(1).float().cpu().numpy()
    return array


def _counts(split: Split, rows: Tensor, num_tokens: int) -> Any:
    """(M, V) how often each token stands in each text, without the padding."""
    from scipy.sparse import csr_matrix

    tokens = split.inputs.cpu()[rows]
    steps = torch.arange(tokens.shape[1])
    lengths = torch.full((len(rows),), tokens.shape[1]) if split.lengths is None else split.lengths.cpu()[rows]
    valid = steps < lengths.unsqueeze(1)
    places = torch.arange(len(rows)).unsqueeze(1).expand_as(tokens)[valid]
    ones = np.ones(len(places), dtype=np.float32)
    return csr_matrix((ones, (places.numpy(), tokens[valid].numpy())), shape=(len(rows), num_tokens))
