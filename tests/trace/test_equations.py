"""Every formula of a trace gives the number that the training step computed, for networks of all kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trace_checks import check

import nnzoo
from nnzoo.trace.run import trace_config

ACTIVATIONS = (
    *("identity", "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "sigmoid", "tanh", "softplus"),
    *("hardtanh", "softmax", "log_softmax", "maxout"),
)
LOSSES: tuple[Any, ...] = (
    *("cross_entropy", "nll", "focal", "kl_div", "bce", "hinge", "multi_margin", "mse", "l1", "huber", "smooth_l1"),
    {"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1, 2, 3]},
    {"name": "cross_entropy", "reduction": "sum"},
    {"name": "focal", "class_weights": "balanced"},
    {"name": "multi_margin", "p": 2, "class_weights": [1, 2, 3]},
    {"name": "huber", "delta": 0.3},
    {"name": "smooth_l1", "beta": 0.3},
)
OPTIMIZERS: tuple[Any, ...] = (
    {"name": "sgd", "lr": 0.1},
    {"name": "sgd", "lr": 0.1, "momentum": 0.9},
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"name": "sgd", "lr": 0.1, "momentum": 0.9, "dampening": 0.5},
    {"name": "adam", "amsgrad": True, "weight_decay": 0.1},
    "adamw",
    {"name": "adagrad", "lr_decay": 0.1, "initial_accumulator_value": 0.1},
    "adadelta",
    "rmsprop",
    {"name": "rmsprop", "centered": True, "momentum": 0.9},
    "adamax",
    "nadam",
    {"name": "radam", "decoupled_weight_decay": True, "weight_decay": 0.1},
    "rprop",
)


def config(**sections: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "data": "iris",
        "model": {"name": "mlp", "hidden": [4, 3], "activation": "tanh"},
        "train": {"batch_size": 6, "epochs": 3},
    }
    return {**base, **sections}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation: str) -> None:
    check(trace_config(config(model={"name": "mlp", "hidden": [4, 3], "activation": activation})))


@pytest.mark.parametrize("loss", LOSSES)
def test_losses(loss: Any) -> None:
    check(trace_config(config(loss=loss)))


@pytest.mark.parametrize(("loss", "activation"), [("nll", "log_softmax"), ("focal", "softmax"), ("bce", "sigmoid")])
def test_losses_of_probabilities(loss: str, activation: str) -> None:
    model = {"name": "mlp", "hidden": [3], "output": {"activation": activation}}
    check(trace_config(config(loss=loss, model=model)))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers(optimizer: Any) -> None:
    check(trace_config(config(optimizer=optimizer), num_steps=3), at_least=300)


def test_radam_with_a_long_average() -> None:
    """The rectification starts in step 6."""
    trace = trace_config(config(optimizer="radam"), num_steps=7)
    check(trace)
    names = [equation.name for group in trace.steps[-1].update for equation in group.equations]
    assert "r" in names


def test_penalties_clipping_and_accumulated_batches() -> None:
    train = {"batch_size": 4, "epochs": 3, "clip_grad_norm": 0.1, "accumulate_grad_batches": 2}
    trace = trace_config(config(train=train, regularization={"l1": 0.01, "l2": 0.1}), num_steps=2)
    check(trace)
    assert trace.steps[0].record.num_batches == 2
    assert len(trace.steps[0].record.rows) == 8


def test_batch_norm_and_dropout() -> None:
    model = {"name": "mlp", "hidden": [4, 3], "batch_norm": True, "dropout": 0.3}
    check(trace_config(config(model=model), num_steps=2))


@pytest.mark.parametrize(("freeze", "is_noted"), [("hidden.0.*", True), ("hidden.1.*", False)])
def test_frozen_layers(freeze: str, is_noted: bool) -> None:
    """Derivatives are computed only down to the first trained layer; others are not shown as 0."""
    model = {"name": "mlp", "hidden": [4, 3], "activation": "tanh", "freeze": freeze}
    trace = trace_config(config(model=model))
    check(trace)
    shown = {equation.name for group in trace.steps[0].backward for equation in group.equations}
    assert ("dE/dh1.1[1]" in shown) is not is_noted
    assert ("dE/dh2.1[1]" in shown) is True
    assert bool(trace.notes) is is_noted


def test_numpy_repeats_two_steps_with_momentum() -> None:
    """A second implementation of a batch through tanh, softmax and cross entropy, without autograd."""
    optimizer = {"name": "sgd", "lr": 0.1, "momentum": 0.9}
    trace = trace_config(
        config(optimizer=optimizer, model={"name": "mlp", "hidden": [4], "activation": "tanh"}), num_steps=2
    )
    first = trace.steps[0].record
    weights = {name: each.numpy().copy() for name, each in first.before.items()}
    velocity = {name: np.zeros_like(each) for name, each in weights.items()}
    for step in trace.steps:
        record = step.record
        x, t = record.inputs.numpy(), np.eye(3)[record.targets.numpy()]
        h = np.tanh(x @ weights["hidden.0.linear.weight"].T + weights["hidden.0.linear.bias"])
        o = h @ weights["output.linear.weight"].T + weights["output.linear.bias"]
        p = np.exp(o) / np.exp(o).sum(1, keepdims=True)
        assert record.loss == pytest.approx(-np.log((p * t).sum(1)).mean(), rel=1e-12)
        by_o = (p - t) / len(x)
        by_z = by_o @ weights["output.linear.weight"] * (1 - h**2)
        gradients = {
            "hidden.0.linear.weight": by_z.T @ x,
            "hidden.0.linear.bias": by_z.sum(0),
            "output.linear.weight": by_o.T @ h,
            "output.linear.bias": by_o.sum(0),
        }
        for name, gradient in gradients.items():
            np.testing.assert_allclose(record.raw_gradients[name].numpy(), gradient, rtol=1e-9, atol=1e-14)
            velocity[name] = 0.9 * velocity[name] + gradient
            weights[name] = weights[name] - 0.1 * velocity[name]
            np.testing.assert_allclose(record.after[name].numpy(), weights[name], rtol=1e-9, atol=1e-14)
            np.testing.assert_allclose(record.state_after[name]["momentum_buffer"], velocity[name], atol=1e-14)


@pytest.mark.parametrize(
    "sections",
    [
        {"optimizer": "adamw"},
        {"optimizer": {"name": "adam", "lr": 0.01}, "scheduler": {"name": "cosine", "interval": "step"}},
        # The bias before batch norm has no gradient but rounding errors, which adamw would scale up.
        {"model": {"name": "mlp", "hidden": [6], "dropout": 0.5, "batch_norm": True}, "optimizer": "sgd"},
        {"regularization": {"l1": 1e-3, "l2": 1e-3}, "loss": "focal"},
    ],
)
def test_the_weights_are_those_of_training(sections: dict[str, Any], tmp_path: Any) -> None:
    """The first epoch of `nnzoo train`, with the same seed, order, masks and schedule, up to float32."""
    settings = config(**sections)
    settings["data"] = {"name": "iris", "split": {"val": 0, "test": 0}}
    settings["train"] = {"batch_size": 50, "epochs": 1}
    run = nnzoo.train(settings, runs_dir=tmp_path, quiet=True)
    trace = trace_config(settings, num_steps=3)
    assert len(trace.recording.losses) == run.history["step"][-1] == 3
    after = trace.steps[-1].record.after
    for name, parameter in run.model.module.named_parameters():
        np.testing.assert_allclose(parameter.detach().numpy(), after[name].float().numpy(), rtol=2e-5, atol=2e-6)
