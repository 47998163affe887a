"""Small trainings that must have the same result in one and in several processes, and the program for torchrun."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import nnzoo
import nnzoo.api
from nnzoo.errors import DivergedError
from nnzoo.training.processes import group


class Double(nn.Module):
    """A network that computes in float64 for any input type."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.double()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.network(inputs.double())
        return outputs


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 10)
    )


def batch_norms() -> nn.Module:
    """Batch norms of every kind: with a cumulative mean, without weights, with one axis and with three."""
    return nn.Sequential(
        nn.BatchNorm2d(1, momentum=None),
        nn.Unflatten(3, (2, 4)),
        nn.Conv3d(1, 3, (3, 1, 1)),
        nn.BatchNorm3d(3, affine=False),
        nn.Flatten(2),
        nn.BatchNorm1d(3, eps=1e-3, momentum=0.3),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(144, 12),
        nn.BatchNorm1d(12),
        nn.Tanh(),
        nn.Linear(12, 10),
    )


class FixedBackbone(nn.Module):
    """A network whose first layers have batch norm statistics but no gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten())
        self.head = nn.Linear(6 * 36, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            found = self.backbone(inputs)
        outputs: Tensor = self.head(found)
        return outputs


class SometimesUsed(nn.Module):
    """A network whose second layer has a gradient only if a batch has a dark sample, and whose third never has one."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("flag", torch.tensor([True, False]))
        self.register_buffer("nothing", torch.zeros(0, 3))
        self.first, self.second, self.third = nn.Linear(64, 10), nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        flat = inputs.flatten(1)
        outputs: Tensor = self.first(flat)
        dark = flat.mean(1, keepdim=True) < 0.28
        return outputs + dark * self.second(flat) if bool(dark.any()) else outputs


class Overflowing(nn.Module):
    """One sample has outputs that overflow. No gradient reaches the batch norm, which would spread it to all ranks."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = FixedBackbone()

    def forward(self, inputs: Tensor) -> Tensor:
        # (N, 1): whether the last pixel is the mark, for any scale.
        scale = 1 + 3e38 * (inputs[:, 0, -1, -1:] > MARK / 10)
        outputs: Tensor = self.layers(inputs) * scale * scale
        return outputs


MARK = 100.0
DIGITS: dict[str, Any] = {"name": "arrays", "path": "digits.npz"}
"""241 training samples: 12 batches of 20, and one with a single sample."""
SGD: dict[str, Any] = {"name": "sgd", "lr": 0.05, "momentum": 0.9}
ADAMW: dict[str, Any] = {"name": "adamw", "lr": 0.003}
CONV: dict[str, Any] = {"out_channels": 6, "kernel_size": 3, "batch_norm": True}
BLOCKS: list[Any] = [{"conv": CONV}, {"pool": {"kind": "max", "kernel_size": 2}}]
MLP: dict[str, Any] = {"name": "mlp", "hidden": [16], "activation": "tanh"}
STEPS = {"name": "arrays", "path": "steps.npz"}
RNN = {"name": "lstm", "hidden_size": 5, "pooling": "none"}
CNN: dict[str, Any] = {"name": "cnn", "blocks": BLOCKS, "head": []}


def case(data: Any, model: Any, optimizer: Any = SGD, *, batch_size: int | str = 32, **train: Any) -> dict[str, Any]:
    """Returns a config for one epoch. Keys that are not of `train` are of the top level."""
    others: dict[str, Any]
    others = {key: train.pop(key) for key in ("loss", "regularization", "augment", "scheduler") if key in train}
    settings = {
        "epochs": 1,
        "early_stopping": None,
        "batch_size": batch_size,
        "device": "cpu",
        "baselines": False,
        **train,
    }
    return {"data": data, "model": model, "optimizer": optimizer, "train": settings, **others}


CASES: dict[str, dict[str, Any]] = {
    "mlp_sgd": case(DIGITS, MLP, metrics=["accuracy", "top5_accuracy", "f1", "auroc"]),
    "mlp_adamw_double": case(DIGITS, None, ADAMW),
    "cnn_sgd": case(DIGITS, CNN),
    "cnn_adamw_double": case(DIGITS, None, ADAMW),
    # One process has no share of the last batch.
    "empty_share": case(DIGITS, MLP, batch_size=20, clip_grad_norm=0.5, regularization={"l1": 1e-4, "l2": 1e-3}),
    "joined_batch": case(DIGITS, CNN, batch_size=20),
    "accumulated": case(DIGITS, MLP, batch_size=20, accumulate_grad_batches=3),
    "accumulated_batch_norm": case(DIGITS, CNN, batch_size=20, accumulate_grad_batches=5),
    "class_weights": case(
        {"name": "wine"}, MLP, loss={"name": "cross_entropy", "class_weights": [0.1, 1.0, 7.0], "label_smoothing": 0.1}
    ),
    "summed": case({"name": "wine"}, MLP, {"name": "sgd", "lr": 1e-3}, loss={"name": "bce", "reduction": "sum"}),
    "regression": case({"name": "diabetes"}, MLP, metrics=["mae", "mape", "mse", "rmse", "r2"]),
    "binary": case({"name": "breast_cancer"}, MLP, metrics=["precision", "recall", "f1", "auroc"]),
    "full_lbfgs": case({"name": "iris"}, MLP, {"name": "lbfgs", "max_iter": 5}, batch_size="full", epochs=2),
    "restarts": case({"name": "iris"}, MLP, restarts=2, epochs=2),
    "muon_double": case(DIGITS, None, {"name": "muon", "lr": 0.003}),
    "averaged": case(DIGITS, CNN, ema=0.9, epochs=2),
    "batch_norms_double": case(DIGITS, None, ADAMW, batch_size=20),
    "fixed_backbone_double": case(DIGITS, None, ADAMW, batch_size=20),
    "sometimes_used": case(DIGITS, None, ADAMW, batch_size=3),
    "unfreezing": case(DIGITS, {**CNN, "freeze_epochs": 1}, {**SGD, "backbone_lr": 0.01}, batch_size=20, epochs=2),
    "steps": case(STEPS, RNN, ADAMW),
    "trees": case({"name": "trees", "path": "trees.txt"}, {"name": "tree_lstm", "hidden_size": 4}, ADAMW, batch_size=4),
    "one_by_one": case(STEPS, RNN, ADAMW, batch_size=1),
}
MODULES: dict[str, Callable[[], nn.Module]] = {
    "mlp_adamw_double": lambda: Double(mlp()),
    "cnn_adamw_double": lambda: Double(cnn()),
    "muon_double": lambda: Double(mlp()),
    "batch_norms_double": lambda: Double(batch_norms()),
    "fixed_backbone_double": lambda: Double(FixedBackbone()),
    "sometimes_used": SometimesUsed,
}


DIVERGING = case({**DIGITS, "path": "marked.npz"}, None, batch_size=2, accumulate_grad_batches=200, epochs=2)
"""A step has all batches of an epoch. One sample is marked, so that only one process has invalid gradients."""


def write_data(folder: Path) -> None:
    """What the cases read."""
    digits = load_digits()
    images, classes = digits.images[:, None].astype(np.float32) / 16, digits.target
    parts = {"": slice(241), "_val": slice(241, 286), "_test": slice(286, 325)}
    arrays = {f"x{part}": images[rows] for part, rows in parts.items()}
    np.savez(folder / "digits.npz", **arrays, **{f"y{part}": classes[rows] for part, rows in parts.items()})
    arrays["x"] = arrays["x"].copy()
    arrays["x"][7, 0, -1, -1] = MARK
    np.savez(folder / "marked.npz", **arrays, **{f"y{part}": classes[rows] for part, rows in parts.items()})
    numbers = np.random.default_rng(0)
    answers = numbers.integers(0, 3, (30, 6))
    lengths = numbers.integers(2, 7, 30)
    answers[np.arange(6) >= lengths[:, None]] = -100
    answers[::3, 0] = -100
    inputs = numbers.normal(size=(30, 6, 2)).astype(np.float32)
    np.savez(folder / "steps.npz", x=inputs, y=answers, lengths=lengths)
    # The last ones have no inner node, so a process that has only these never uses `compose`.
    trees = ["(2 (1 bad) (3 (2 very) (3 good)))", "(1 (1 so) (0 bad))", "(3 good)", "(0 bad)", "(2 very)"] * 6
    (folder / "trees.txt").write_text("\n".join(trees))


def main(folder: Path, overlapping: tuple[str, ...] = ()) -> None:
    """Trains every case, and writes the results of each process.

    Args:
        folder: Where to write.
        overlapping: The types of devices on which gradients are reduced during the backward pass.
    """
    # As in tests within one process: no page and no diagnosis.
    vars(nnzoo.api).update(write_report=lambda _: None, verdicts=lambda _: [])
    group.OVERLAPPING = overlapping
    rank = os.environ.get("RANK", "0")
    for name, config in CASES.items():
        torch.manual_seed(5)
        module = MODULES[name]() if name in MODULES else None
        config = {key: value for key, value in config.items() if key != "model" or value is not None}
        run = nnzoo.train({**config, "name": name}, model=module, runs_dir=folder / "runs", quiet=True)
        weights = run.model.module.state_dict() if module is None else module.state_dict()
        torch.save({"weights": weights, "rows": run.history.rows, "result": run.result}, folder / f"{name}.{rank}.pt")
    config = {key: value for key, value in DIVERGING.items() if key != "model"}
    try:
        nnzoo.train({**config, "name": "diverging"}, model=Overflowing(), runs_dir=folder / "runs", quiet=True)
    except DivergedError as error:
        torch.save({"error": str(error), "result": error.result}, folder / f"diverging.{rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]))
