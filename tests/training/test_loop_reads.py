"""An epoch reads no number from the device, and copies only the order of the samples to it.

The device is `meta`, whose tensors have no data: reading a number from one is an error, as it would be a sync on a GPU.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nnzoo.config import load_config
from nnzoo.data import Split
from nnzoo.experiment.prepare import prepare
from nnzoo.experiment.train.start import build_network, state_of
from nnzoo.training.checkpoints import CheckpointTimer
from nnzoo.training.loop import train_epoch
from nnzoo.training.progress import Progress
from nnzoo.training.signals import StopRequest
from nnzoo.training.single import SingleLearner
from nnzoo.training.state import TrainState

META = torch.device("meta")
CONV = [{"conv": {"out_channels": 4, "kernel_size": 3, "batch_norm": True}}, {"global_pool": "avg"}]
CNN = {"name": "cnn", "blocks": CONV}
IMAGES = {"name": "arrays", "path": "images.npz", "split": {"val": 0, "test": 0}}
AUGMENTATIONS: list[Any] = [
    "horizontal_flip",
    {"name": "random_crop", "padding": 2},
    "random_resized_crop",
    {"name": "rotation", "degrees": 10},
    "erasing",
    "mixup",
    "cutmix",
    "noise",
]
CASES: dict[str, dict[str, Any]] = {
    "mlp": {
        "data": "iris",
        "model": {"name": "mlp", "batch_norm": True, "dropout": 0.1},
        "train": {"clip_grad_norm": 1.0, "accumulate_grad_batches": 2},
    },
    "sgd": {
        "data": "digits",
        "model": "mlp",
        "optimizer": {"name": "sgd", "momentum": 0.9},
        "scheduler": "one_cycle",
        "regularization": {"l1": 1e-3, "l2": 1e-3},
        "train": {"ema": 0.9},
    },
    "tabular": {"data": "iris", "model": "tabular"},
    "lstm": {"data": {"name": "adding", "length": 6, "samples": 40}, "model": {"name": "lstm", "hidden_size": 4}},
    "muon": {"data": IMAGES, "model": CNN, "optimizer": "muon"},
    **{f"augment {each}": {"data": IMAGES, "augment": [each], "model": CNN} for each in AUGMENTATIONS},
}


class Copies(TorchDispatchMode):  # type: ignore[no-untyped-call]  # its __init_subclass__
    """Records where tensors are copied between devices, as the names of the functions of nnzoo."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: set[str] = set()

    def __torch_dispatch__(
        self, operation: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        output = operation(*args, **given)
        moved = [each for each in (*args, *given.values()) if isinstance(each, Tensor)]
        if isinstance(output, Tensor) and any(each.device != output.device for each in moved):
            self.found.add(next(each.name for each in traceback.extract_stack()[::-1] if "/nnzoo/" in each.filename))
        return output


def empty(tensor: Tensor | None) -> Any:
    return None if tensor is None else torch.empty(tensor.shape, dtype=tensor.dtype, device=META)


def to_meta(*modules: nn.Module | None) -> None:
    """Replaces the parameters and buffers of modules by tensors without data."""
    for module in [inner for each in modules if each is not None for inner in each.modules()]:
        for name, parameter in module._parameters.items():
            module._parameters[name] = None if parameter is None else nn.Parameter(empty(parameter))
        for name, buffer in module._buffers.items():
            module._buffers[name] = empty(buffer)


@pytest.mark.parametrize("case", CASES)
def test_an_epoch_reads_no_number(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
    np.savez("images.npz", allow_pickle=False, x=pixels, y=np.arange(40) % 3)
    # The meta device can't draw from a Dirichlet distribution.
    monkeypatch.setattr(torch, "_sample_dirichlet", lambda concentration, *_: torch.rand_like(concentration))
    experiment = prepare(load_config(CASES[case]))
    module = build_network(experiment, None, 0)
    train = experiment.splits["train"]
    to_meta(module, experiment.loss, train.finish)
    split = Split(empty(train.inputs), empty(train.targets), empty(train.lengths), finish=train.finish)
    settings = replace(experiment.settings, metrics=(), probes=False)
    state = state_of(replace(experiment, device=META, splits={"train": split}, settings=settings), module)
    timer: CheckpointTimer[TrainState] = CheckpointTimer(settings, lambda _: None)
    timer.write(state)
    with Copies() as copies:
        train_epoch(
            SingleLearner(state),
            split,
            settings,
            checkpoints=timer,
            progress=Progress(1, quiet=True),
            stop=StopRequest(),
            start=time.monotonic(),
        )
    assert state.step > 0
    assert copies.found == {"epoch_order"}
