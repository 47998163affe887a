"""The linear reference: equal to scikit-learn, exact on logic gates, and cheap."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from nnzoo.config import load_config
from nnzoo.experiment.prepare import prepare
from nnzoo.experiment.reference.linear import CHEAP, linear_scores
from nnzoo.experiment.reference.logistic import fit_logistic, fit_ridge, scores_of


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("num_classes", [2, 3, 6])
@pytest.mark.parametrize("penalty", [1.0, 0.05])
@pytest.mark.parametrize("sparse", [False, True])
def test_logistic_regression_equals_scikit_learn(num_classes: int, penalty: float, sparse: bool) -> None:
    inputs = draw(300, 7) * torch.logspace(-1, 1, 7, dtype=torch.float64)
    labels = (inputs @ draw(7, num_classes, seed=1) + draw(300, num_classes, seed=2)).argmax(1)
    weights = fit_logistic(inputs.to_sparse() if sparse else inputs, labels, num_classes, penalty=penalty)
    expected = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(inputs.numpy(), labels.numpy())
    shares = scores_of(inputs, weights).softmax(1)
    assert np.abs(shares.numpy() - expected.predict_proba(inputs.numpy())).max() < 1e-3
    assert ((shares.argmax(1).numpy() == expected.predict(inputs.numpy())).mean()) > 0.99


@pytest.mark.parametrize(("rows", "columns"), [(200, 6), (20, 50)])
def test_ridge_regression_equals_scikit_learn(rows: int, columns: int) -> None:
    inputs, targets = draw(rows, columns) + 3, draw(rows, 2, seed=1) * 100 - 7
    weights = fit_ridge(inputs, targets, penalty=0.7)
    expected = Ridge(alpha=0.7).fit(inputs.numpy(), targets.numpy())
    assert np.allclose(scores_of(inputs, weights).numpy(), expected.predict(inputs.numpy()))


def reference(data: Any, measured: str, **settings: Any) -> dict[str, float]:
    return linear_scores(
        prepare(load_config({"data": data, "model": "mlp", **settings})), measured, max_operations=CHEAP
    )


@pytest.mark.parametrize("gate", ["and", "or", "nand"])
def test_linearly_separable_gates(gate: str) -> None:
    assert reference(gate, "train") == {"accuracy": 1.0}


def test_ties_of_xor_are_not_worse_than_guessing() -> None:
    assert reference("xor", "train") == {"accuracy": 0.5}


@pytest.mark.parametrize(("data", "least"), [("iris", 0.9), ("wine", 0.9), ("digits", 0.9), ("breast_cancer", 0.93)])
def test_bundled_data(data: str, least: float) -> None:
    started = time.process_time()
    assert reference(data, "test")["accuracy"] >= least
    assert time.process_time() - started < 3


def test_a_regression_has_the_scores_of_the_baseline() -> None:
    found = reference("diabetes", "test")
    assert found.keys() == {"mae", "mse", "rmse", "r2"}
    assert 0.2 < found["r2"] < 0.7


def test_expensive_fits_are_skipped() -> None:
    config = load_config(
        {"data": {"name": "random", "shape": [3, 32, 32], "samples": 4000, "classes": 10}, "model": "linear"}
    )
    experiment = prepare(config)
    assert linear_scores(experiment, "test", max_operations=CHEAP) == {}
