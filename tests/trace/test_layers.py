"""Traces of convolutional and recurrent networks, against NumPy, the weights of training, and their own formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from trace_checks import check, values

import nnzoo
from nnzoo.errors import ConfigError, UsageError
from nnzoo.trace.run import trace_config

Array = NDArray[np.float64]
IMAGES = {"name": "random", "shape": [2, 6, 7], "classes": 3, "samples": 12, "split": {"val": 0, "test": 0}}
SEQUENCES = {"name": "random", "shape": [5, 2], "classes": 3, "samples": 12, "split": {"val": 0, "test": 0}}
CONV = {"out_channels": 3, "kernel_size": 3}
GROUPED = {
    "out_channels": 4,
    "kernel_size": 3,
    "padding": "same",
    "batch_norm": True,
    "groups": 2,
    "activation": "tanh",
}
STRIDED = {"out_channels": 2, "kernel_size": 2, "stride": 2, "padding": 1, "dropout": 0.3}
MAXOUT = {"out_channels": 3, "kernel_size": [2, 3], "dilation": 2, "activation": "maxout"}
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (IMAGES, {"name": "cnn", "blocks": [{"conv": CONV}, {"pool": {"kind": "max", "kernel_size": 2}}], "head": [4]}),
    (
        IMAGES,
        {
            "name": "cnn",
            "blocks": [
                {"conv": GROUPED},
                {"pool": {"kind": "avg", "kernel_size": 2, "padding": 1}},
                {"conv": STRIDED},
                {"global_pool": "avg"},
            ],
        },
    ),
    (IMAGES, {"name": "cnn", "activation": "prelu", "blocks": [{"conv": MAXOUT}, {"global_pool": "max"}], "head": [3]}),
    (SEQUENCES, {"name": "cnn", "blocks": [{"conv": CONV}, {"pool": {"kind": "max", "kernel_size": 2}}]}),
    (IMAGES, {"name": "lenet5"}),
    (SEQUENCES, {"name": "rnn", "hidden_size": 3, "nonlinearity": "relu", "num_layers": 2, "pooling": "mean"}),
    (SEQUENCES, {"name": "lstm", "hidden_size": 2, "num_layers": 2, "bidirectional": True}),
    (SEQUENCES, {"name": "gru", "hidden_size": 3, "pooling": "max", "dropout": 0.5}),
    (IMAGES, {"name": "gru", "hidden_size": 3}),
]


def config(data: dict[str, Any], model: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"data": data, "model": model, "train": {"batch_size": 3, "epochs": 5}, **sections}


@pytest.mark.parametrize(("data", "model"), CASES, ids=lambda value: value["name"])
def test_formulas(data: dict[str, Any], model: dict[str, Any]) -> None:
    check(trace_config(config(data, model), num_steps=2), at_least=400)


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Any]:
    """Twelve texts of different lengths."""
    texts = [
        "a b c d",
        "b c a",
        "c d",
        "d a b c a",
        "a a b",
        "b b",
        "c d a",
        "d d b c",
        "a b",
        "c c a",
        "b d a",
        "d c a b",
    ]
    rows = [f"{text},{'xy'[number % 2]}" for number, text in enumerate(texts)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]))
    path = str(tmp_path / "texts.csv")
    return {"name": "text", "path": path, "text": "text", "target": "label", "split": {"val": 0, "test": 0}}


def test_tokens_of_different_lengths(texts: dict[str, Any]) -> None:
    check(trace_config(config(texts, {"name": "lstm", "hidden_size": 3, "embedding": 4}), num_steps=2))
    both = {"name": "lstm", "hidden_size": 2, "embedding": 2, "bidirectional": True}
    check(trace_config(config(texts, both), row=1))
    with pytest.raises(ConfigError, match="sequences of different lengths can't be traced in both directions"):
        trace_config(config(texts, both))


def test_one_output_per_step(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("hello world this is a text " * 20)
    data = {"name": "language", "path": str(tmp_path / "text.txt"), "sequence_length": 6}
    check(trace_config(config(data, {"name": "gru", "hidden_size": 3, "embedding": 2})))
    check(trace_config(config(data, {"name": "rnn", "hidden_size": 3, "embedding": 2, "dropout": 0.3}), row=2))


def test_numpy_repeats_a_convolution() -> None:
    model = {"name": "cnn", "blocks": [{"conv": {**CONV, "activation": "tanh"}}, {"global_pool": "avg"}]}
    record = trace_config(config(IMAGES, model, optimizer={"name": "sgd", "lr": 0.1})).steps[0].record
    w = {name: each.numpy() for name, each in record.before.items()}
    x, t = record.inputs.numpy(), np.eye(3)[record.targets.numpy()]
    kernel, size = w["blocks.0.conv.weight"], (4, 5)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))  # (N, C, 4, 5, 3, 3)
    a = np.tanh(np.einsum("nchwij,fcij->nfhw", windows, kernel) + w["blocks.0.conv.bias"][:, None, None])
    pooled = a.mean((2, 3))
    o = pooled @ w["output.linear.weight"].T + w["output.linear.bias"]
    p = np.exp(o) / np.exp(o).sum(1, keepdims=True)
    assert record.loss == pytest.approx(-np.log((p * t).sum(1)).mean(), rel=1e-12)
    by_o = (p - t) / len(x)
    by_pooled = by_o @ w["output.linear.weight"] / np.prod(size)
    by_z = by_pooled[:, :, None, None] * (1 - a**2)
    by_kernel = np.einsum("nfhw,nchwij->fcij", by_z, windows)
    np.testing.assert_allclose(record.raw_gradients["blocks.0.conv.weight"].numpy(), by_kernel, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(
        record.after["blocks.0.conv.weight"].numpy(), kernel - 0.1 * by_kernel, rtol=1e-9, atol=1e-14
    )


def test_numpy_repeats_backpropagation_through_time() -> None:
    model = {"name": "rnn", "hidden_size": 3}
    trace = trace_config(config(SEQUENCES, model, optimizer={"name": "sgd", "lr": 0.1}))
    record = trace.steps[0].record
    u, w, b1, b2 = (
        record.before[f"recurrent.0.{key}_l0"].numpy() for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    v, c = record.before["output.linear.weight"].numpy(), record.before["output.linear.bias"].numpy()
    x, t = record.inputs.numpy(), np.eye(3)[record.targets.numpy()]
    states = [np.zeros((len(x), 3))]
    for step in range(5):
        states.append(np.tanh(x[:, step] @ u.T + b1 + states[-1] @ w.T + b2))
    o = states[-1] @ v.T + c
    p = np.exp(o) / np.exp(o).sum(1, keepdims=True)
    by_h = (p - t) / len(x) @ v
    by_u, by_w, by_b = np.zeros_like(u), np.zeros_like(w), np.zeros(3)
    for step in reversed(range(5)):
        by_z = by_h * (1 - states[step + 1] ** 2)
        by_u, by_w, by_b = by_u + by_z.T @ x[:, step], by_w + by_z.T @ states[step], by_b + by_z.sum(0)
        by_h = by_z @ w
    raw = record.raw_gradients
    np.testing.assert_allclose(raw["recurrent.0.weight_ih_l0"].numpy(), by_u, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(raw["recurrent.0.weight_hh_l0"].numpy(), by_w, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(raw["recurrent.0.bias_hh_l0"].numpy(), by_b, rtol=1e-9, atol=1e-14)
    shown = values(trace)
    assert shown["dE/dW[1,2]"] == pytest.approx(by_w[0, 1], rel=1e-9)
    assert shown["h1[1;5]"] == pytest.approx(states[5][0, 0], rel=1e-12)
    assert shown["h2[2;1]"] == pytest.approx(states[1][1, 1], rel=1e-12)


def test_numpy_repeats_the_gates_of_an_lstm() -> None:
    trace = trace_config(config(SEQUENCES, {"name": "lstm", "hidden_size": 2}), row=0)
    record = trace.steps[0].record
    u, w, b1, b2 = (
        record.before[f"recurrent.0.{key}_l0"].numpy() for key in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    h, c, shown = np.zeros(2), np.zeros(2), values(trace)
    for step, x in enumerate(record.inputs.numpy()[0]):
        i, f, g, o = np.split(u @ x + b1 + w @ h + b2, 4)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        if step in (0, 1, 3, 4):  # the first and the last steps are shown
            assert shown[f"c1[{step + 1}]"] == pytest.approx(c[0], rel=1e-12)
            assert shown[f"h2[{step + 1}]"] == pytest.approx(h[1], rel=1e-12)


@pytest.mark.parametrize("model", [CASES[1][1], {"name": "gru", "hidden_size": 4, "dropout": 0.5}], ids=["cnn", "gru"])
def test_the_weights_are_those_of_training(model: dict[str, Any], tmp_path: Path) -> None:
    data = IMAGES if model["name"] == "cnn" else SEQUENCES
    # The gradient of a bias before batch norm is only rounding errors, which adamw would scale up.
    settings = config(data, model, optimizer={"name": "sgd", "lr": 0.05}, train={"batch_size": 4, "epochs": 1})
    run = nnzoo.train(settings, runs_dir=tmp_path, quiet=True)
    trace = trace_config(settings, num_steps=3)
    assert len(trace.recording.losses) == run.history["step"][-1] == 3
    after = trace.steps[-1].record.after
    for name, parameter in run.model.module.named_parameters():
        np.testing.assert_allclose(parameter.detach().numpy(), after[name].float().numpy(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"model": "resnet20"}, "resnet20 has shortcuts, so its layers do not form a plain chain."),
        ({"model": {"name": "linear", "kernel": "rbf"}}, "the random features of the rbf kernel can't be traced."),
        ({"model": "mlp", "optimizer": "lbfgs"}, "lbfgs computes the loss several times per step"),
        ({"model": "mlp", "optimizer": "muon"}, "muon orthogonalizes whole matrices"),
        ({"model": {"name": "mlp", "hidden": [20_000, 60]}}, "the network has 2,500,670 parameters; a trace stores"),
    ],
)
def test_refused_configs(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trace_config({"data": "digits", **sections})


def test_refused_dropout_between_layers() -> None:
    with pytest.raises(ConfigError, match="dropout between recurrent layers happens inside torch"):
        trace_config(config(SEQUENCES, {"name": "lstm", "hidden_size": 3, "num_layers": 2, "dropout": 0.3}))


def test_refused_rows_layers_and_units() -> None:
    settings = {"data": "xor", "model": {"name": "mlp", "hidden": [2]}}
    with pytest.raises(UsageError, match="the train split has 4 samples, so rows are 0 to 3"):
        trace_config(settings, row=4)
    with pytest.raises(UsageError, match="batch norm needs at least two samples per batch"):
        trace_config({"data": "xor", "model": {"name": "mlp", "hidden": [2], "batch_norm": True}}, row=0)
