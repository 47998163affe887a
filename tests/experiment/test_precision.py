"""Runs in half precision, from the config to the result."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.errors import InterruptedRunError, UsageError
from nnzoo.experiment import prepare
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint
from nnzoo.experiment.train.finished import Run
from nnzoo.run.checkpoint import load_checkpoint
from nnzoo.training.precision import scaling

BASE: dict[str, Any] = {
    "name": "x",
    "data": {"name": "blobs", "samples": 120, "noise": 3.0},
    "model": {"name": "mlp", "hidden": [8, 6], "batch_norm": True, "dropout": 0.3},
    "train": {"epochs": 4, "batch_size": 8, "early_stopping": None},
}
TREES = "(3 (2 not) (1 bad))\n(0 (2 very) (1 bad))\n(4 (2 very) (3 good))\n(1 (2 not) (3 good))\n" * 6
LAYOUTS = {"features": [4], "sequence": [6, 3], "image": [1, 12, 12]}
MODELS: dict[str, dict[str, Any]] = {
    "kernel machine": {"name": "linear", "kernel": "rbf", "n_components": 16},
    "mlp": {"name": "mlp", "hidden": [8], "batch_norm": True, "dropout": 0.1, "output": {"activation": "softmax"}},
    "cnn": {
        "name": "cnn",
        "blocks": [{"conv": {"out_channels": 4, "kernel_size": 3, "batch_norm": True}}, {"global_pool": "avg"}],
    },
    "rnn": {"name": "rnn", "hidden_size": 6, "pooling": "mean"},
    "lstm": {"name": "lstm", "hidden_size": 6, "num_layers": 2, "bidirectional": True},
    "gru": {"name": "gru", "hidden_size": 6, "pooling": "max"},
    "tree lstm": {"name": "tree_lstm", "hidden_size": 6},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # Without hardware support the results are the same, but slower; no CPU supports float16.
    monkeypatch.setattr(scaling, "cpu_has_bf16", lambda: True)


@pytest.fixture
def fp16_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "unsupported_reason", lambda *_: None)


def train(runs_dir: str = "runs", overrides: dict[str, Any] | None = None, **options: Any) -> Run:
    return nnzoo.train(BASE, overrides=overrides or {}, runs_dir=runs_dir, quiet=True, **options)


@pytest.mark.parametrize("model", MODELS)
def test_every_family_of_networks(model: str) -> None:
    layout = "image" if model == "cnn" else "sequence" if model in ("rnn", "lstm", "gru") else "features"
    data: dict[str, Any] = {"name": "random", "shape": LAYOUTS[layout], "classes": 3, "samples": 60}
    if model == "tree lstm":
        Path("trees.txt").write_text(TREES)
        data = {"name": "trees", "path": "trees.txt"}
    config = {"data": data, "model": MODELS[model], "train": {"epochs": 1, "batch_size": 8}}
    half = nnzoo.train(config, overrides={"train.precision": "bf16-mixed"}, runs_dir="half", quiet=True)
    full = nnzoo.train(config, runs_dir="full", quiet=True)
    assert half.history["train/loss"] != full.history["train/loss"]
    assert half.history["train/loss"] == pytest.approx(full.history["train/loss"], rel=0.05)
    weights = load_file(half.run_dir / "best.safetensors")
    assert {tensor.dtype for tensor in weights.values()} <= {torch.float32, torch.int64, torch.float64}
    for split in ("val", "test"):
        measured = evaluate_checkpoint(half.run_dir, split=split).metrics
        for name, value in measured.items():
            assert half.metrics[f"{split}/{name}"] == pytest.approx(value, rel=1e-6), name
    assert half.metrics["val/loss"] == pytest.approx(half.history["val/loss"][-1], rel=0.02)


@pytest.mark.parametrize("name", ["bf16-mixed", "fp16-mixed"])
@pytest.mark.parametrize(
    "overrides",
    [
        {"optimizer": "adamw", "train.clip_grad_norm": 1.0, "train.accumulate_grad_batches": 2},
        {
            "optimizer": {"name": "rmsprop", "lr": 0.01},
            "scheduler": {"name": "cosine", "interval": "step"},
            "loss": {"name": "cross_entropy", "reduction": "sum"},  # overflows at first, so that steps are skipped
            "regularization": {"l1": 1e-4, "l2": 1e-3},
        },
    ],
)
@pytest.mark.usefixtures("fp16_anywhere")
def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    overrides: dict[str, Any], name: str, at_step: Callable[..., None]
) -> None:
    overrides = {**overrides, "train.precision": name}
    uninterrupted = train("uninterrupted", overrides)
    for step in (1, 3, 9):
        at_step(step, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(InterruptedRunError):
            train("parts", overrides, resume=True)
    parts = train("parts", overrides, resume=True)
    assert (uninterrupted.run_dir / "best.safetensors").read_bytes() == (
        parts.run_dir / "best.safetensors"
    ).read_bytes()
    states = [load_checkpoint(run.run_dir / "last.safetensors") for run in (uninterrupted, parts)]
    assert all(torch.equal(tensor, states[1]["model"][key]) for key, tensor in states[0]["model"].items())
    assert states[0].get("scaler") == states[1].get("scaler")
    assert ("scaler" in states[0]) == (name == "fp16-mixed")
    if "scheduler" in overrides and name == "fp16-mixed":
        assert states[0]["scaler"]["scale"] < 2**16
    assert uninterrupted.metrics == parts.metrics


@pytest.mark.usefixtures("fp16_anywhere")
def test_a_network_that_overflows_float16(capsys: pytest.CaptureFixture[str]) -> None:
    """A loss that is not finite cannot be fixed by lowering the loss scale."""

    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs: Tensor = self.layer(inputs * 1e6)
            return outputs

    config = {**BASE, "train": {**BASE["train"], "precision": "fp16-mixed"}}
    del config["model"]
    with pytest.raises(nnzoo.errors.DivergedError, match=r"float16 ends at 65504: try train.precision: bf16-mixed\. "):
        nnzoo.train(config, model=Large(), quiet=True)


@pytest.mark.parametrize(
    ("settings", "has", "reason"),
    [
        ("bf16-mixed", False, "this processor has no bfloat16 (AVX512-BF16, AMX or ARM BF16), and emulation is"),
        ("fp16-mixed", True, "fp16-mixed needs CUDA (got cpu). Use bf16-mixed or fp32."),
    ],
)
def test_an_unsupported_precision_is_refused_before_anything_is_written(
    settings: str, has: bool, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scaling, "cpu_has_bf16", lambda: has)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    Path("c.yaml").write_text(f"data: iris\nmodel: mlp\ntrain:\n  precision: {settings}\n")
    assert command(["train", "c.yaml"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"c.yaml:4:14: train.precision: {reason}"), shown.err
    assert not Path("runs").exists()


def test_a_module_that_fails_in_half_precision(capsys: pytest.CaptureFixture[str]) -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs = torch.zeros(len(inputs), 3)
            outputs[torch.arange(len(inputs))] = self.layer(inputs)  # index_put requires one dtype
            return outputs

    config = {key: value for key, value in BASE.items() if key != "model"}
    assert nnzoo.train(config, model=Own(), quiet=True).result["epochs"] == 4
    with pytest.raises(UsageError, match=r"^train\.precision: the network fails on inputs .*RuntimeError"):
        nnzoo.train(config, overrides={"train.precision": "bf16-mixed"}, model=Own(), quiet=True)


def test_restarts_run_one_after_another() -> None:
    run = train(overrides={"train.precision": "bf16-mixed", "train.restarts": 2, "train.epochs": 1})
    found = run.result["restarts"]
    assert (found["how"], found["count"]) == ("one after another", 2)
    assert found["reason"] == "train.precision and train.compile do not support batched networks"


def test_a_run_is_resumed_in_its_own_precision() -> None:
    train(overrides={"train.epochs": 1})
    with pytest.raises(UsageError, match=r"changed: train\.epochs, train\.precision|changed: train\.precision"):
        train(overrides={"train.epochs": 2, "train.precision": "bf16-mixed"}, resume=True)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("name", ["bf16-mixed", "fp16-mixed"])
def test_on_cuda(name: str) -> None:
    if scaling.unsupported_reason(name, torch.device("cuda")):
        pytest.skip("the device has not this precision")
    overrides = {"train.precision": name, "train.device": "cuda", "train.epochs": 3}
    first, second = train("first", overrides), train("second", overrides)
    full = train("full", {**overrides, "train.precision": "fp32"})
    assert (first.run_dir / "best.safetensors").read_bytes() == (second.run_dir / "best.safetensors").read_bytes()
    assert first.history["train/loss"] != full.history["train/loss"]
    assert first.history["train/loss"] == pytest.approx(full.history["train/loss"], rel=0.1)
    measured = evaluate_checkpoint(first.run_dir, split="test").metrics
    assert json.loads((first.run_dir / "result.json").read_text())["metrics"]["test/loss"] == measured["loss"]
