"""The loss of trained networks as negative log-likelihood, for all forms of targets and for large weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.builders import build_dataset

QUICK: dict[str, Any] = {
    "batch_size": "full",
    "early_stopping": None,
    "metrics": ["accuracy"],
    "checkpoint": {"every_epochs": None, "every_minutes": None},
}


@pytest.mark.parametrize(("loss", "units"), [("cross_entropy", 2), ("nll", 2), ("kl_div", 2), ("bce", 1)])
def test_minimising_the_loss_is_maximum_likelihood(tmp_path: Path, loss: str, units: int) -> None:
    """The summed loss is -log of the product of the predicted probabilities of the targets."""
    config = {
        "data": {"name": "moons", "samples": 40, "split": {"val": 0, "test": 0}},
        "model": {"name": "mlp", "hidden": [4]},
        "loss": {"name": loss, "reduction": "sum"},
        "train": QUICK | {"epochs": 3},
    }
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    train = build_dataset(run.config).train
    x, y = train.inputs.numpy(), train.targets.numpy()
    assert run.model.outputs(x).shape == (40, units)
    probabilities = run.model.predict_proba(x)[np.arange(40), y].astype(np.float64)
    assert run.metrics["train/loss"] == pytest.approx(-np.log(np.prod(probabilities)), rel=1e-5)


def test_indices_one_hot_rows_and_probabilities_are_equivalent_targets(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)).astype(np.float32), np.arange(60) % 3
    one_hot = np.eye(3, dtype=np.float32)[y]
    # A probability just below 1 in float32, so that the targets remain probabilities.
    nearly = one_hot * (1 - 3e-7) + 1e-7
    found = []
    for name, targets in (("indices", y), ("one_hot", one_hot), ("probabilities", nearly.astype(np.float32))):
        np.savez(tmp_path / f"{name}.npz", x=x, y=targets)
        path = str(tmp_path / f"{name}.npz")
        config = {
            "data": {"name": "arrays", "path": path, "task": "classification", "split": {"val": 0, "test": 0}},
            "model": {"name": "mlp", "hidden": [5]},
            "train": QUICK | {"epochs": 5},
        }
        found.append(nnzoo.train(config, runs_dir=tmp_path / "runs", quiet=True).history["train/loss"])
    assert found[1] == pytest.approx(found[0], rel=1e-6)
    assert found[2] == pytest.approx(found[0], rel=1e-5)
    assert found[0][-1] < found[0][0]


def test_scaled_weights_give_the_same_predictions_with_more_confidence_and_more_loss(tmp_path: Path) -> None:
    config = {
        "data": {"name": "moons", "samples": 300, "noise": 0.3},
        "model": "linear",
        "loss": "bce",
        "optimizer": {"name": "adam", "lr": 0.05},
        "train": QUICK | {"epochs": 150, "metrics": ["accuracy"]},
    }
    modest = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    weight, bias = (
        (20 * modest.model.module.get_parameter(f"output.linear.{name}")).tolist() for name in ("weight", "bias")
    )
    start = {"name": "values", "values": weight, "bias": {"name": "values", "values": bias}}
    changes = {"model": {"name": "linear", "output": {"init": start}}, "optimizer.lr": 0.0, "train.epochs": 1}
    large = nnzoo.train(config, overrides=changes, runs_dir=tmp_path, quiet=True)
    x = build_dataset(modest.config).train.inputs.numpy()
    assert large.metrics["train/accuracy"] == modest.metrics["train/accuracy"] < 1
    confidence = [float(run.model.predict_proba(x).max(1).mean()) for run in (modest, large)]
    assert confidence[1] > confidence[0] + 0.05
    assert large.metrics["train/loss"] > 2 * modest.metrics["train/loss"]
