"""Textbook facts about small networks, demonstrated by training them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import sklearn.linear_model
import sklearn.svm
import torch
from torch import Tensor, nn

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
def test_a_linear_unit_learns_linearly_separable_gates(tmp_path: Path, gate: str) -> None:
    assert accuracy(tmp_path, "linear", data=gate) == 1


def test_xor_needs_a_hidden_layer(tmp_path: Path) -> None:
    hidden = {"name": "mlp", "hidden": [8], "activation": "tanh"}
    assert [accuracy(tmp_path, hidden, seed=seed) for seed in range(10)].count(1.0) >= 9


@pytest.mark.parametrize("model", ["linear", {"name": "mlp", "hidden": [8, 8], "activation": "identity"}])
def test_a_linear_model_does_not_learn_xor(tmp_path: Path, model: object) -> None:
    assert max(accuracy(tmp_path, model, seed=seed) for seed in range(5)) <= 0.75


def test_xor_needs_a_bias(tmp_path: Path) -> None:
    # Without biases an odd activation gives an odd network: f(0, 0) = 0 gives both classes the same output.
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


def test_the_error_on_a_sine_falls_with_the_width(tmp_path: Path) -> None:
    """One hidden layer approximates a function better with more units (Cybenko 1989)."""
    errors = []
    for width in (1, 2, 20):
        config = {
            "data": {"name": "sine", "samples": 300, "noise": 0.0},
            "model": {"name": "mlp", "hidden": [width], "activation": "tanh"},
            "optimizer": {"name": "lbfgs"},
            "train": QUICK | {"epochs": 40, "metrics": ["mse"]},
        }
        errors.append(nnzoo.train(config, runs_dir=tmp_path, quiet=True).metrics["test/mse"])
    assert errors[0] > 100 * errors[1] > 400 * errors[2]


def tumours() -> tuple[Any, Any]:
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    return (x - x.mean(0)) / x.std(0), y


def linear(tmp_path: Path, loss: str, l2: float, *, lr: float, epochs: int) -> tuple[Any, Any]:
    """Returns weights and bias after full-batch training on breast_cancer; one row per unit if there are two."""
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
    # The last weights, not the best: the monitor is only the loss, but the optimum is that of loss and penalty.
    module = nnzoo.load(run.run_dir / "last.safetensors").module
    weight, bias = (module.get_parameter(f"output.linear.{name}").detach().numpy() for name in ("weight", "bias"))
    return (weight[0], float(bias[0])) if len(bias) == 1 else (weight, bias)


def test_linear_with_bce_is_logistic_regression(tmp_path: Path) -> None:
    x, y = tumours()
    # scikit-learn minimises C * sum of losses + |w|^2 / 2: the mean loss + l2 |w|^2 with l2 = 1 / (2 C N).
    l2 = 0.01
    expected = sklearn.linear_model.LogisticRegression(C=1 / (2 * l2 * len(y)), tol=1e-8, max_iter=1000).fit(x, y)
    weight, bias = linear(tmp_path, "bce", l2, lr=0.5, epochs=400)
    np.testing.assert_allclose(weight, expected.coef_[0], atol=2e-3)
    assert bias == pytest.approx(expected.intercept_[0], abs=2e-3)


def test_linear_with_multi_margin_is_a_linear_svm_on_the_difference_of_the_outputs(tmp_path: Path) -> None:
    """For two classes the loss is half the hinge loss of o_1 - o_0 (Weston & Watkins), that of an SVM if w_1 = -w_0."""
    x, y = tumours()
    l2 = 0.01
    # v = w_1 - w_0 = 2 w_1: half the hinge of v.x, and l2 (|w_0|^2 + |w_1|^2) = l2 |v|^2 / 2. Twice that is the SVM.
    svm = sklearn.svm.SVC(kernel="linear", C=1 / (2 * l2 * len(y)), tol=1e-6).fit(x, y)
    weights, biases = linear(tmp_path, "multi_margin", l2, lr=0.1, epochs=1500)
    weight, bias = weights[1] - weights[0], biases[1] - biases[0]

    def objective(w: Any, b: float) -> float:
        return float(np.maximum(0, 1 - (2 * y - 1) * (x @ w + b)).mean() + l2 * (w**2).sum())

    assert objective(weight, bias) == pytest.approx(objective(svm.coef_[0], svm.intercept_[0]), rel=5e-3)
    known = svm.coef_[0]
    assert weight @ known / np.linalg.norm(weight) / np.linalg.norm(known) > 0.99


def test_linear_with_hinge_is_a_linear_svm(tmp_path: Path) -> None:
    x, y = tumours()
    l2 = 0.01
    # LinearSVC penalises the bias too.
    svm = sklearn.svm.SVC(kernel="linear", C=1 / (2 * l2 * len(y)), tol=1e-6).fit(x, y)
    weight, bias = linear(tmp_path, "hinge", l2, lr=0.1, epochs=1500)
    # With this scaling the penalty on the bias of LinearSVC is negligible.
    scaled = sklearn.svm.LinearSVC(
        loss="hinge", C=svm.C, intercept_scaling=30, max_iter=10**6, tol=1e-3, random_state=0
    )
    known = scaled.fit(x, y).coef_[0]
    assert weight @ known / np.linalg.norm(weight) / np.linalg.norm(known) > 0.99

    def objective(w: Any, b: float) -> float:
        return float(np.maximum(0, 1 - (2 * y - 1) * (x @ w + b)).mean() + l2 * (w**2).sum())

    assert objective(weight, bias) == pytest.approx(objective(svm.coef_[0], svm.intercept_[0]), rel=5e-3)
    cosine = weight @ svm.coef_[0] / np.linalg.norm(weight) / np.linalg.norm(svm.coef_[0])
    assert cosine > 0.99


SOBEL = [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]


def edges(*blocks: dict[str, Any]) -> nn.Module:
    """Builds a network with a frozen Sobel filter for vertical edges, then other blocks."""
    filters = {"name": "values", "values": [[SOBEL]], "bias": 0}
    section = {"out_channels": 1, "kernel_size": 3, "padding": "same", "activation": "identity", "init": filters}
    model = {"name": "cnn", "blocks": [{"conv": section}, *blocks], "freeze": "blocks.0.*"}
    return nnzoo.build_model({"data": {"name": "random", "shape": [1, 12, 12]}, "model": model}).get_submodule("blocks")


def square(*, left: int) -> Tensor:
    """A bright square of 4 x 4 on a dark image (1, 1, 12, 12)."""
    image = torch.zeros(1, 1, 12, 12)
    image[:, :, 4:8, left : left + 4] = 1
    return image


def test_a_sobel_filter_detects_vertical_edges() -> None:
    found = edges()(square(left=4))
    padded = np.pad(square(left=4)[0, 0].numpy(), 1)
    right_minus_left = padded[:, 2:] - padded[:, :-2]
    expected = right_minus_left[:-2] + 2 * right_minus_left[1:-1] + right_minus_left[2:]
    np.testing.assert_array_equal(found[0, 0].detach().numpy(), expected)
    # At mid-height of the square, the brightness rises between columns 3 and 4, and falls between 7 and 8.
    assert found[0, 0, 6].tolist() == [0, 0, 0, 4, 4, 0, 0, -4, -4, 0, 0, 0]


def test_a_frozen_filter_is_constant_while_the_rest_is_trained(tmp_path: Path) -> None:
    filters = {"name": "values", "values": [[SOBEL], [np.transpose(SOBEL).tolist()]], "bias": 0}
    blocks = [{"conv": {"out_channels": 2, "kernel_size": 3, "padding": "same", "init": filters}}]
    config = {
        "data": "digits",
        "model": {"name": "cnn", "blocks": blocks, "freeze": "blocks.0.*"},
        "optimizer": {"name": "adam", "lr": 0.01},
        "train": {"epochs": 10},
    }
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    kept = run.model.module.get_parameter("blocks.0.conv.weight").detach()
    assert kept.tolist() == filters["values"]
    # The edges are enough to classify most digits.
    assert run.metrics["test/accuracy"] > 0.9


def test_convolution_is_equivariant_and_pooling_invariant_to_small_shifts() -> None:
    before, after = square(left=4), square(left=5)
    filtered = edges()
    assert filtered(after).equal(filtered(before).roll(1, dims=3))
    assert not filtered(after).equal(filtered(before))
    # The maximum of each window of four columns is the same as long as no edge leaves its window.
    pooled = edges({"pool": {"kernel_size": 4}})
    assert pooled(square(left=5)).equal(pooled(square(left=6)))
    assert not pooled(square(left=5)).equal(pooled(square(left=2)))
    # The maximum of the image does not depend on the position of the square.
    forgotten = edges({"global_pool": "max"})
    assert len({float(forgotten(square(left=left)).detach()) for left in range(1, 8)}) == 1
