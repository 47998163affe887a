"""Decoding of every kind of output to predictions and probabilities."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnzoo
from nnzoo.errors import UsageError
from nnzoo.training.measures.decoding import Decoder


# Missing combinations are errors: outputs that are not a distribution, and softmax over one unit.
@pytest.mark.parametrize(
    ("data", "loss", "activations"),
    [
        ("iris", "cross_entropy", ("identity", "softmax", "log_softmax")),
        ("iris", "bce", ("identity", "sigmoid", "softmax")),
        ("iris", "mse", ("identity", "sigmoid", "softmax")),
        ("breast_cancer", "cross_entropy", ("identity", "softmax", "log_softmax")),
        ("breast_cancer", "bce", ("identity", "sigmoid")),
        ("breast_cancer", "mse", ("identity", "sigmoid")),
    ],
)
def test_probabilities_sum_to_1_and_the_prediction_is_the_likeliest_class(
    tmp_path: Path, data: str, loss: str, activations: tuple[str, ...]
) -> None:
    for activation in activations:
        model = {"name": "linear", "output": {"activation": activation}}
        config = {"data": data, "model": model, "loss": loss, "train": {"epochs": 3}}
        run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
        raw = np.abs(np.random.default_rng(0).normal(size=(20, *run.model.input_shape))) * 5
        probabilities = run.model.predict_proba(raw)
        assert probabilities.shape == (20, len(run.model.classes))
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
        clear = probabilities.max(1) - np.sort(probabilities, 1)[:, -2] > 1e-6
        answers = np.array(run.model.classes)[probabilities.argmax(1)]
        assert (run.model.predict(raw) == answers)[clear].all()


def test_one_vs_rest_has_the_same_probabilities_with_and_without_sigmoid() -> None:
    outputs = torch.tensor([[1.0, -2.0, 0.5], [-3.0, -3.0, -3.0], [4.0, 4.0, -4.0]])
    without = Decoder("classification", "log_odds", 3).probabilities(outputs)
    with_sigmoid = Decoder("classification", "probabilities", 3).probabilities(outputs.sigmoid())
    torch.testing.assert_close(without, with_sigmoid)
    torch.testing.assert_close(without, outputs.sigmoid() / outputs.sigmoid().sum(1, keepdim=True))


def test_logits_and_log_probabilities_are_decoded_alike() -> None:
    outputs = torch.tensor([[1.0, -2.0, 0.5], [9.0, 9.0, -9.0]])
    expected = Decoder("classification", "logits", 3).probabilities(outputs)
    found = Decoder("classification", "log_probabilities", 3).probabilities(outputs.log_softmax(1))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(expected, outputs.softmax(1))


def test_outputs_of_zero_give_uniform_probabilities() -> None:
    found = Decoder("classification", "values", 4).probabilities(torch.tensor([[-1.0, -2.0, 0.0, -0.5]]))
    assert found.tolist() == [[0.25] * 4]


@pytest.mark.parametrize("decoder", [Decoder("regression", "values"), Decoder("classification", "margins", 2)])
def test_probabilities_of_values_and_margins_are_an_error(decoder: Any) -> None:
    with pytest.raises(UsageError, match="cross_entropy or bce"):
        decoder.probabilities(torch.zeros(3, 1))


@pytest.mark.parametrize(
    ("loss", "activation"), [("bce", "identity"), ("bce", "sigmoid"), ("mse", "identity"), ("mse", "sigmoid")]
)
def test_class_probabilities_of_two_classes_need_one_unit(tmp_path: Path, loss: str, activation: str) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 1)).astype(np.float32)
    share = 1 / (1 + np.exp(-2 * x))
    np.savez(tmp_path / "data.npz", x=x, y=np.concatenate([1 - share, share], axis=1))
    config = {
        "data": {"name": "arrays", "path": str(tmp_path / "data.npz"), "task": "classification"},
        "model": {"name": "linear", "output": {"activation": activation}},
        "loss": loss,
        "optimizer": {"name": "adam", "lr": 0.05},
        "train": {"epochs": 60, "early_stopping": None},
    }
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    assert run.metrics["val/accuracy"] >= 0.95
    assert run.model.module.get_parameter("output.linear.weight").shape == (1, 1)
    tolerance = 0.02 if activation == "sigmoid" or loss == "bce" else 0.2  # a clamped linear output is not a sigmoid
    np.testing.assert_allclose(run.model.predict_proba(x[:50])[:, 1], share[:50, 0], atol=tolerance)
