"""Weights of samples in the loss."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nnzoo
from nnzoo.errors import ConfigError, DataError, InterruptedRunError
from nnzoo.experiment.train.finished import Run
from nnzoo.training.measures.losses import (
    BCELoss,
    CrossEntropyLoss,
    FocalLoss,
    HingeLoss,
    KLDivLoss,
    MultiMarginLoss,
    PerceptronLoss,
    SampleWeightedLoss,
    denominator,
)

GENERATOR = torch.Generator().manual_seed(0)
OUTPUTS = torch.randn(6, 3, generator=GENERATOR)
INDICES = torch.tensor([0, 2, 1, 1, 0, 2])
SHARES = torch.rand(6, 3, generator=GENERATOR).softmax(1)
COUNTS = torch.tensor([1, 3, 2, 1, 4, 1])
CLASS_WEIGHTS = torch.tensor([0.5, 2.0, 1.5])
LOSSES: dict[str, tuple[Callable[..., nn.Module], Tensor]] = {
    "cross_entropy": (CrossEntropyLoss, INDICES),
    "cross_entropy of shares": (CrossEntropyLoss, SHARES),
    "label smoothing": (lambda **given: CrossEntropyLoss(label_smoothing=0.1, **given), INDICES),
    "class weights": (lambda **given: CrossEntropyLoss(class_weights=CLASS_WEIGHTS, **given), INDICES),
    "focal": (lambda **given: FocalLoss(class_weights=CLASS_WEIGHTS, **given), INDICES),
    "multi_margin": (lambda **given: MultiMarginLoss(class_weights=CLASS_WEIGHTS, **given), INDICES),
    "kl_div": (KLDivLoss, INDICES),
    "kl_div of shares": (KLDivLoss, SHARES),
    "bce": (BCELoss, SHARES.round()),
    "bce of probabilities": (lambda **given: BCELoss(reads="probabilities", **given), SHARES.round()),
    "hinge": (HingeLoss, SHARES.round()),
    "perceptron": (PerceptronLoss, SHARES.round()),
    "mse": (nn.MSELoss, SHARES),
    "huber": (nn.HuberLoss, SHARES),
}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_integer_weights_repeat_samples(name: str, reduction: str) -> None:
    build, targets = LOSSES[name]
    plain = build(reduction=reduction)
    outputs = (OUTPUTS.sigmoid() if "probabilities" in name else OUTPUTS).clone().requires_grad_()
    repeated = plain(outputs.repeat_interleave(COUNTS, 0), targets.repeat_interleave(COUNTS, 0))
    weighted = SampleWeightedLoss(plain)(outputs, targets, COUNTS.float())
    if reduction == "mean":  # the weights have a mean of 2; the mean of the repeated samples divides by all of them
        total = denominator(plain, targets.repeat_interleave(COUNTS, 0)) / denominator(plain, targets)
        repeated = repeated * total
    assert torch.allclose(weighted, repeated, rtol=1e-5)
    [one], [other] = torch.autograd.grad(weighted, outputs), torch.autograd.grad(repeated, outputs)
    assert torch.allclose(one, other, atol=1e-6)


RNG = np.random.default_rng(1)
X = RNG.normal(size=(90, 3))
Y = (X[:, 0] > 0).astype(int)
DATA = {"x": X, "y": Y, "sample_weight": RNG.uniform(0.1, 3, 90)}
CONFIG: dict[str, Any] = {"model": {"name": "mlp", "hidden": [5]}, "train": {"epochs": 3, "batch_size": 16}}


def weights(run: Run) -> bytes:
    return (run.run_dir / "best.safetensors").read_bytes()


def test_a_weighted_run_resumes_bit_by_bit(tmp_path: Path, at_step: Callable[..., None]) -> None:
    whole = nnzoo.train(CONFIG, data=DATA, runs_dir=tmp_path / "whole", quiet=True)
    at_step(6, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(InterruptedRunError):
        nnzoo.train(CONFIG, data=DATA, runs_dir=tmp_path / "parts", quiet=True)
    other = {**DATA, "sample_weight": np.ones(90)}
    with pytest.raises(DataError, match="changed"):
        nnzoo.train(CONFIG, data=other, runs_dir=tmp_path / "parts", quiet=True, resume=True)
    parts = nnzoo.train(CONFIG, data=DATA, runs_dir=tmp_path / "parts", quiet=True, resume=True)
    assert weights(parts) == weights(whole)
    assert nnzoo.evaluate(parts, split="val").metrics["loss"] == parts.metrics["val/loss"]
    plain = nnzoo.train(CONFIG, data=(X, Y), runs_dir=tmp_path / "plain", quiet=True)
    assert plain.metrics["val/loss"] != parts.metrics["val/loss"]


def test_restarts_are_trained_one_after_another(tmp_path: Path) -> None:
    run = nnzoo.train(CONFIG, overrides={"train.restarts": 2}, data=DATA, runs_dir=tmp_path, quiet=True)
    assert len(run.result["restarts"]["seeds"]) == 2
    log = (run.run_dir / "train.log").read_text(encoding="utf-8")
    assert "the weights of samples are applied to one network at a time" in log


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        ({"sample_weight": np.ones(3)}, {}, "expected one number per sample, shape \\(90,\\)"),
        ({"sample_weight": -np.ones(90)}, {}, "at least 0"),
        ({"sample_weight": np.full(90, np.nan)}, {}, "finite"),
        ({"sample_weight": np.zeros(90)}, {}, "not all 0"),
        (
            {"x": RNG.normal(size=(90, 1, 8, 8)).astype(np.float32)},
            {"augment": ["mixup"], "model": "mlp"},
            "mixup mixes samples, which have different weights",
        ),
        (
            {"x": RNG.normal(size=(90, 4, 2)), "y": RNG.integers(0, 2, (90, 4))},
            {"model": "gru"},
            "one target per row",
        ),
    ],
)
def test_weights_that_cannot_be_used(given: Any, changes: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises((DataError, ConfigError), match=message):
        nnzoo.train({**CONFIG, **changes}, data={**DATA, **given}, runs_dir=tmp_path, quiet=True)
