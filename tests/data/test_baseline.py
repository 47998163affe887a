from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyRegressor
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score, root_mean_squared_error
from torch import Tensor

from nnzoo.data import Dataset, Split, Task
from nnzoo.data.baseline import baseline


def _dataset(task: Task, train: Tensor, val: Tensor) -> Dataset:
    splits = {name: Split(torch.zeros(len(targets), 1), targets) for name, targets in (("train", train), ("val", val))}
    return Dataset(splits, task=task, layout="features")


def test_classification_predicts_the_majority_of_train() -> None:
    dataset = _dataset("classification", torch.tensor([1, 1, 2, 0, 1]), torch.tensor([1, 2, 2, 2]))
    assert baseline(dataset, "train") == {"accuracy": pytest.approx(0.6)}
    assert baseline(dataset, "val") == {"accuracy": 0.25}


def test_probabilities_count_as_their_most_probable_class() -> None:
    train = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    assert baseline(_dataset("classification", train, train[:1]), "val") == {"accuracy": 0.0}
    assert baseline(_dataset("classification", train, train[1:]), "val") == {"accuracy": 1.0}


def test_multilabel_predicts_each_label_independently() -> None:
    train = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    val = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert baseline(_dataset("multilabel", train, val), "val") == {"accuracy": 0.75}


@pytest.mark.parametrize("num_targets", [1, 3])
def test_regression_equals_scikit_learn(num_targets: int) -> None:
    generator = torch.Generator().manual_seed(0)
    train, val = (torch.randn(50, num_targets, generator=generator) * 30 + 100 for _ in range(2))
    truth = val.double().numpy()
    predicted = DummyRegressor().fit(np.zeros((50, 1)), train.double().numpy()).predict(np.zeros((50, 1)))
    measured = baseline(_dataset("regression", train, val), "val")
    assert measured == {
        "mae": pytest.approx(mean_absolute_error(truth, predicted)),
        "mse": pytest.approx(mean_squared_error(truth, predicted)),
        "rmse": pytest.approx(root_mean_squared_error(truth, predicted)),
        "r2": pytest.approx(r2_score(truth, predicted.reshape(truth.shape))),
    }


@pytest.mark.parametrize(("value", "r2"), [(2.0, 1.0), (3.0, 0.0), (0.1, 0.0)])
def test_r2_of_a_constant_target(value: float, r2: float) -> None:
    dataset = _dataset("regression", torch.tensor([[1.0], [3.0]]), torch.full((7, 1), value))
    assert baseline(dataset, "val")["r2"] == r2
