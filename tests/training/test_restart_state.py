"""A training that is stopped after any step and resumed has the same result as without a stop."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nnzoo.config import load_config
from nnzoo.config.base import members
from nnzoo.config.optimizer import OptimizerSection
from nnzoo.experiment.prepare import Experiment, prepare
from nnzoo.experiment.train.start import build_state
from nnzoo.run.checkpoint import load_checkpoint, save_checkpoint
from nnzoo.training.loop import fit
from nnzoo.training.progress import Progress
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState

SCHEDULERS: dict[str, Any] = {
    "step": {"name": "step", "step_size": 1, "gamma": 0.5},
    "cosine by steps": {"name": "cosine", "interval": "step", "warmup_epochs": 1},
    "plateau": {"name": "plateau", "patience": 0, "factor": 0.5, "threshold": 0.5, "warmup_epochs": 1},
    "exponential": {"name": "exponential", "gamma": 0.7, "warmup_epochs": 2},
    "linear": {"name": "linear", "warmup_epochs": 1},
    "polynomial": {"name": "polynomial", "power": 2, "interval": "step"},
    "cosine_restarts": {"name": "cosine_restarts", "T_0": 2, "T_mult": 2, "interval": "step"},
    "one_cycle": {"name": "one_cycle", "warmup_epochs": 1},
    "cyclic": {"name": "cyclic", "base_lr": 0.01, "step_size_up": 3, "mode": "triangular2"},
}


class StopAt(Progress):
    """Requests a stop after a number of steps, as a signal would."""

    def __init__(self, step: int, stop: StopRequest) -> None:
        super().__init__(4, quiet=True)
        self.left = step
        self.stop = stop

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.stop.signal_number = 2


def build(scheduler: str, optimizer: str) -> tuple[Experiment, TrainState]:
    config = load_config(
        {
            "data": {"name": "blobs", "samples": 70, "classes": 3, "noise": 4.0},
            "model": {"name": "mlp", "hidden": [6], "dropout": 0.3, "batch_norm": True},
            "loss": {"name": "cross_entropy", "class_weights": [1, 2, 3]},
            "optimizer": {"name": optimizer, "lr": 0.05},
            "scheduler": SCHEDULERS[scheduler],
            "regularization": {"l1": 0.0 if optimizer == "lbfgs" else 1e-3, "l2": 1e-3},
            # 48 samples: five batches, so an epoch has steps of two, two and one batch.
            "train": {
                "epochs": 4,
                "batch_size": 10,
                "accumulate_grad_batches": 2,
                "early_stopping": {"patience": 2},
                "metrics": ["accuracy", "auroc", "perplexity"],
            },
        }
    )
    experiment = prepare(config)
    return experiment, build_state(experiment, None, show=lambda _: None)[0]


def run(experiment: Experiment, state: TrainState, *, stop_at: int = 0) -> str:
    stop = StopRequest()
    return fit(
        SingleLearner(state),
        experiment.splits,
        experiment.settings,
        save=lambda _: None,
        progress=StopAt(stop_at, stop),
        stop=stop,
    )


def rows(state: TrainState) -> Iterator[dict[str, float]]:
    for row in state.history.rows:
        yield {key: value for key, value in row.items() if key != "seconds"}


@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        *((optimizer, scheduler) for scheduler in SCHEDULERS for optimizer in ("adamw", "sgd")),
        *((optimizer, "one_cycle") for optimizer in members(OptimizerSection) if optimizer not in ("adamw", "sgd")),
    ],
)
def test_a_training_can_be_stopped_after_any_step(scheduler: str, optimizer: str, tmp_path: Path) -> None:
    experiment, whole = build(scheduler, optimizer)
    status = run(experiment, whole)
    assert whole.step > 6
    for stop_at in range(1, whole.step):
        _, first = build(scheduler, optimizer)
        assert run(experiment, first, stop_at=stop_at) == "interrupted"
        save_checkpoint(tmp_path / "last.safetensors", first.state_dict())
        saved = load_checkpoint(tmp_path / "last.safetensors")
        _, second = build(scheduler, optimizer)
        torch.rand(stop_at)
        second.load_state_dict(saved)
        assert run(experiment, second) == status
        for name, tensor in whole.model.state_dict().items():
            assert second.model.state_dict()[name].equal(tensor), (stop_at, name)
        assert second.best is not None
        assert whole.best is not None
        assert all(second.best[name].equal(tensor) for name, tensor in whole.best.items())
        assert second.early_stopping == whole.early_stopping
        assert list(rows(second)) == list(rows(whole))
