"""An epoch never synchronises with a CUDA device before its end."""

import time

import pytest
import torch

from nnzoo.config import load_config
from nnzoo.experiment.prepare import prepare
from nnzoo.experiment.train.start import build_state
from nnzoo.training.checkpoints import CheckpointTimer
from nnzoo.training.loop import evaluate_epoch, train_epoch
from nnzoo.training.measures import metrics as metrics_module
from nnzoo.training.progress import Progress
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState

METRICS = {
    "digits": ["accuracy", "top5_accuracy", "auroc"],
    "breast_cancer": ["f1", "auroc"],
    "diabetes": ["mape", "r2"],
}


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize(
    ("data", "loss", "precision"),
    [
        ("digits", {"name": "cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1}, "fp32"),
        ("digits", "bce", "fp32"),
        ("digits", {"name": "focal", "class_weights": "balanced"}, "fp32"),
        ("digits", "kl_div", "fp32"),
        ("digits", "multi_margin", "fp32"),
        ("digits", "perceptron", "fp32"),
        ("breast_cancer", "hinge", "fp32"),
        ("diabetes", "huber", "fp32"),
        ("digits", "cross_entropy", "bf16-mixed"),
        ("digits", "cross_entropy", "fp16-mixed"),
    ],
)
def test_an_epoch_has_no_device_sync(monkeypatch: pytest.MonkeyPatch, data: str, loss: object, precision: str) -> None:
    monkeypatch.setattr(metrics_module, "MAX_KEPT", 500)
    config = load_config(
        {
            "data": data,
            "model": {"name": "mlp", "hidden": [16], "batch_norm": True, "dropout": 0.1},
            "loss": loss,
            # L1 needs to know whether the scaler skipped a step.
            "regularization": {"l1": 0.0 if precision == "fp16-mixed" else 1e-4, "l2": 1e-4},
            "scheduler": {"name": "cosine", "interval": "step"},
            "train": {
                "device": "cuda",
                "precision": precision,
                "clip_grad_norm": 1.0,
                "accumulate_grad_batches": 2,
                "metrics": METRICS.get(data, "auto"),
            },
        }
    )
    experiment = prepare(config)
    state, _, _ = build_state(experiment, None, show=lambda _: None)
    learner = SingleLearner(state)
    checkpoints: CheckpointTimer[TrainState] = CheckpointTimer(experiment.settings, lambda _: None)
    checkpoints.write(state)
    start = time.monotonic()
    for _ in range(2):
        # The first epoch allocates the state of the optimizer and the workspace of cuBLAS.
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error" if state.epoch else "default")
        try:
            train_epoch(
                learner,
                experiment.splits["train"],
                experiment.settings,
                checkpoints=checkpoints,
                progress=Progress(2, quiet=True),
                stop=StopRequest(),
                start=start,
            )
        finally:
            torch.cuda.set_sync_debug_mode("default")
        learner.record(evaluate_epoch(learner, experiment.splits, experiment.settings, start=start))
    assert state.history["train/loss"][1] < state.history["train/loss"][0]
