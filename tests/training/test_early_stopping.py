"""Early stopping: its rules on sequences of values, and the weights that trainings keep."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import nnzoo
from nnzoo.errors import DivergedError
from nnzoo.training.early_stopping import EarlyStopping


def follow(stopping: EarlyStopping, values: list[float]) -> int:
    """Updates until it stops; returns the number of epochs, or 0 if it never stops."""
    for epoch, value in enumerate(values, 1):
        stopping.update(value, epoch)
        if stopping.should_stop():
            return epoch
    return 0


@pytest.mark.parametrize(
    ("mode", "values", "stopped", "best"),
    [
        ("min", [3, 2, 2.5, 2.5, 2.5, 1], 5, 2),
        ("max", [3, 2, 2.5, 4, 3, 3, 3, 9], 7, 4),
        ("min", [3, 2, 3, 3, 1, 3, 3], 0, 5),
        ("min", [2, 2, 2, 2], 4, 1),
    ],
)
def test_patience_counts_epochs_without_an_improvement(mode: Any, values: list[float], stopped: int, best: int) -> None:
    stopping = EarlyStopping(mode, patience=3)
    assert follow(stopping, values) == stopped
    assert stopping.best_epoch == best


def test_improvements_below_min_delta_change_the_best_epoch_but_use_up_patience() -> None:
    stopping = EarlyStopping("min", patience=3, min_delta=0.5)
    assert follow(stopping, [3.0, 2.9, 2.8, 2.7, 2.0]) == 4
    assert stopping.best_epoch == 4


def test_small_improvements_add_up() -> None:
    stopping = EarlyStopping("min", patience=3, min_delta=0.5)
    assert follow(stopping, [3.0, 2.8, 2.4, 2.3, 2.2, 1.8]) == 0


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_never_the_best(mode: Any) -> None:
    stopping = EarlyStopping(mode, patience=4)
    assert not stopping.update(math.nan, 1)
    assert stopping.update(1.0, 2)
    assert not stopping.update(math.nan, 3)
    assert not stopping.update(math.nan, 4)
    assert (stopping.best, stopping.best_epoch, stopping.waited) == (1.0, 2, 2)


def test_nan_uses_up_patience() -> None:
    stopping = EarlyStopping(patience=3)
    assert follow(stopping, [math.nan] * 9) == 3
    assert stopping.best_epoch == 0


def test_without_patience_training_never_stops() -> None:
    assert follow(EarlyStopping(patience=None), [1.0] * 1000) == 0


@pytest.mark.parametrize("cut", range(1, 8))
def test_the_state_is_restored_after_a_restart(cut: int) -> None:
    values = [3.0, 2.9, math.nan, 2.2, 2.1, 2.0, 2.3, 2.4]
    whole = EarlyStopping(patience=4, min_delta=0.5)
    first, second = EarlyStopping(patience=4, min_delta=0.5), EarlyStopping(patience=4, min_delta=0.5)
    expected = [whole.update(value, epoch) for epoch, value in enumerate(values, 1)]
    found = [first.update(value, epoch) for epoch, value in enumerate(values[:cut], 1)]
    second.load_state_dict(first.state_dict())
    found += [second.update(value, epoch) for epoch, value in enumerate(values[cut:], cut + 1)]
    assert found == expected
    assert str(second) == str(whole)


def overfitting(tmp_path: Path, **train: Any) -> dict[str, Any]:
    """Trains with random labels, which do not generalise to val."""
    generator = np.random.default_rng(0)
    path = tmp_path / "noise.npz"
    np.savez(
        path,
        x=generator.normal(size=(40, 10)),
        y=generator.integers(0, 2, 40),
        x_val=generator.normal(size=(40, 10)),
        y_val=generator.integers(0, 2, 40),
    )
    return {
        "data": {"name": "arrays", "path": str(path), "split": {"val": 0, "test": 0}},
        "model": {"name": "mlp", "hidden": [64]},
        "optimizer": {"name": "adam", "lr": 0.02},
        "train": {"epochs": 200, "batch_size": 8, **train},
    }


def test_an_overfitting_run_stops_and_keeps_the_epoch_with_the_best_monitor(tmp_path: Path) -> None:
    run = nnzoo.train(overfitting(tmp_path), runs_dir=tmp_path, quiet=True)
    losses, best = run.history["val/loss"], run.result["best_epoch"]
    assert run.result["status"] == "early_stopped"
    assert run.result["epochs"] == best + 5 < 200
    assert losses[best - 1] == min(losses)
    assert run.history["train/loss"][-1] < 0.5 * run.history["train/loss"][0]
    assert losses[-1] > 1.2 * min(losses)
    assert run.metrics["val/loss"] == pytest.approx(min(losses), rel=1e-6)


def test_the_saved_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    config = overfitting(tmp_path, early_stopping={"patience": 3})
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    best = run.result["best_epoch"]
    assert 1 <= best < run.result["epochs"]
    short = nnzoo.train(config, overrides={"train.epochs": best}, name="short", runs_dir=tmp_path, quiet=True)
    kept, expected = (load_file(folder / "best.safetensors") for folder in (run.run_dir, short.run_dir))
    assert kept.keys() == expected.keys()
    assert all(kept[name].equal(expected[name]) for name in kept)


@pytest.mark.parametrize(("monitor", "choose"), [("val/accuracy", max), ("val/loss", min), ("train/loss", min)])
def test_the_best_epoch_depends_on_the_direction_of_the_monitor(tmp_path: Path, monitor: str, choose: Any) -> None:
    config = overfitting(tmp_path, monitor=monitor, epochs=15, early_stopping=None)
    run = nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    values = run.history[monitor]
    assert run.result["best_epoch"] == values.index(choose(values)) + 1


class NanOnVal(torch.nn.Module):
    """Finite outputs in training; NaN in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(10, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.linear(inputs)
        return outputs if self.training else outputs * math.nan


def test_a_monitor_that_is_never_a_number_is_an_error(tmp_path: Path) -> None:
    config = overfitting(tmp_path, epochs=2)
    del config["model"]
    with pytest.raises(DivergedError, match="val/loss was NaN in every epoch") as caught:
        nnzoo.train(config, model=NanOnVal(), runs_dir=tmp_path, quiet=True)
    assert caught.value.result is not None
    assert caught.value.result["status"] == "diverged"
    assert caught.value.result["best_epoch"] is None


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    config = {
        "data": "diabetes",
        "model": "linear",
        "optimizer": {"name": "sgd", "lr": 1e30},
        "train": {"epochs": 5},
    }
    with pytest.raises(DivergedError, match=r"the training loss is (nan|inf) in epoch 1, step 2") as caught:
        nnzoo.train(config, runs_dir=tmp_path, quiet=True)
    assert caught.value.result is not None
