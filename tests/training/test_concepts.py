"""What a first course says of small networks, shown by training them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import sklearn.linear_model
import sklearn.svm

import nnzoo

QUICK: dict[str, Any] = {
    "batch_size": "full",
    "early_stopping": None,
    "metrics": ["accuracy"],
    "checkpoint": {"every_epochs": None, "every_minutes": None},
}


def accuracy(tmp_path: Path, model: object, *, data: str = "xor", seed: int = 0, epochs: int = 150) -> float:
    config = {
        "seed": seed,
        "data": data,
        "model": model,
        "optimizer": {"name": "adam", "lr": 0.05},
        "train": QUICK | {"epochs": epochs},
    }
    return float(nnzoo.train(config, runs_dir=tmp_path, quiet=True).metrics["train/accuracy"])


@pytest.mark.parametrize("gate", ["and", "or", "nand"])
def test_a_linear_unit_learns_what_a_line_divides(tmp_path: Path, gate: str) -> None:
    assert accuracy(tmp_path, "linear", data=gate) == 1


def test_xor_needs_a_hidden_layer(tmp_path: Path) -> None:
    hidden = {"name": "mlp", "hidden": [8], "activation": "tanh"}
    assert [accuracy(tmp_path, hidden, seed=seed) for seed in range(10)].count(1.0) >= 9


@pytest.mark.parametrize("model", ["linear", {"name": "mlp", "hidden": [8, 8], "activation": "identity"}])
def test_no_line_divides_xor(tmp_path: Path, model: object) -> None:
    assert max(accuracy(tmp_path, model, seed=seed) for seed in range(5)) <= 0.75


def test_xor_needs_a_bias(tmp_path: Path) -> None:
    # Without biases an odd activation makes an odd network: f(0, 0) = 0 gives both classes the same output.
    model = {"name": "mlp", "hidden": [8], "activation": "tanh"}
    config = {
        "data": "xor",
        "model": model,
        "loss": {"name": "bce"},
        "optimizer": {"name": "adam", "lr": 0.05},
        "train": QUICK | {"epochs": 150},
    }
    losses = []
    for bias in (False, True):
        net = model | {"bias": bias, "output": {"bias": bias}}
        run = nnzoo.train(config, overrides={"model": net}, runs_dir=tmp_path, quiet=True)
        outputs = run.model.outputs(np.array([[0.0, 0.0]]))
        assert (float(outputs) == 0) == (not bias)
        losses.append(run.metrics["train/loss"])
    assert losses[0] > np.log(2) / 4 > 5 * losses[1]


def tumours() -> tuple[Any, Any]:
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    return (x - x.mean(0)) / x.std(0), y


def linear(tmp_path: Path, loss: str, l2: float, *, lr: float, epochs: int) -> tuple[Any, float]:
    """Weights and bias on all samples of breast_cancer, by the gradient of all of them."""
    config = {
        "data": {"name": "breast_cancer", "split": {"val": 0, "test": 0}},
        "model": "linear",
        "loss": loss,
        "optimizer": {"name": "sgd", "lr": lr, "momentum": 0.9},
        "scheduler": "cosine",
        "regularization": {"l2": l2},
        "train": QUICK | {"epochs": epochs},
    }
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    # The last weights and not the best: the monitor is the loss alone, and the optimum is of loss and penalty.
    module = nnzoo.load(run.run_dir / "last.pt").module
    weight, bias = (module.get_parameter(f"output.linear.{name}").detach().numpy() for name in ("weight", "bias"))
    return weight[0], float(bias[0])


def test_linear_with_bce_is_logistic_regression(tmp_path: Path) -> None:
    x, y = tumours()
    # scikit-learn minimises C * sum of losses + |w|^2 / 2: the mean loss + l2 |w|^2 with l2 = 1 / (2 C N).
    l2 = 0.01
    expected = sklearn.linear_model.LogisticRegression(C=1 / (2 * l2 * len(y)), tol=1e-8, max_iter=1000).fit(x, y)
    weight, bias = linear(tmp_path, "bce", l2, lr=0.5, epochs=400)
    np.testing.assert_allclose(weight, expected.coef_[0], atol=2e-3)
    assert bias == pytest.approx(expected.intercept_[0], abs=2e-3)


def test_linear_with_hinge_is_a_linear_svm(tmp_path: Path) -> None:
    x, y = tumours()
    l2 = 0.01
    # SVC and not LinearSVC, which penalises the bias too.
    svm = sklearn.svm.SVC(kernel="linear", C=1 / (2 * l2 * len(y)), tol=1e-6).fit(x, y)
    weight, bias = linear(tmp_path, "hinge", l2, lr=0.1, epochs=1500)

    def objective(w: Any, b: float) -> float:
        return float(np.maximum(0, 1 - (2 * y - 1) * (x @ w + b)).mean() + l2 * (w**2).sum())

    assert objective(weight, bias) == pytest.approx(objective(svm.coef_[0], svm.intercept_[0]), rel=5e-3)
    cosine = weight @ svm.coef_[0] / np.linalg.norm(weight) / np.linalg.norm(svm.coef_[0])
    assert cosine > 0.99


@pytest.mark.slow
def test_an_lstm_remembers_for_a_hundred_steps_and_a_plain_network_does_not(tmp_path: Path) -> None:
    squared = {}
    for name in ("adding_lstm", "adding_rnn"):
        overrides = {"seed": 7, "train.epochs": 8, "train.metrics": ["mse"]}
        squared[name] = nnzoo.train(name, overrides=overrides, runs_dir=tmp_path, quiet=True).metrics["test/mse"]
    assert squared["adding_lstm"] < 0.01
    # What always answering 1 gets.
    assert squared["adding_rnn"] == pytest.approx(1 / 6, rel=0.1)
