"""The training state: everything that changes during training, and how it is saved and restored."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnzoo.models.freezing import Unfreezing
from nnzoo.models.parameters import load_weights
from nnzoo.run.history import History
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.evaluate import LossSum
from nnzoo.training.health.record import Health
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.optimization.average import WeightAverage
from nnzoo.training.optimization.schedules import Schedule


class Progressing(Protocol):
    """The fields shared by single-network and replica training: see `TrainState`."""

    schedule: Schedule
    epoch: int
    step: int
    batch: int
    lr: float
    seconds: float
    epoch_seconds: float
    unfreezing: Unfreezing


S = TypeVar("S", bound=Progressing)


@dataclass
class TrainState:
    """The state of the training of one network.

    Attributes:
        model: The network, on its device.
        loss: The loss of outputs and encoded targets.
        optimizer: The optimizer of the trained parameters.
        schedule: The learning-rate schedule of the optimizer.
        early_stopping: Decides when to stop, and which epoch is the best.
        history: One row per finished epoch.
        epoch: The number of finished epochs.
        step: The number of optimizer steps since the start.
        batch: The number of finished batches in the current epoch.
        train_loss: The loss, summed over those batches.
        train_metrics: The metrics, summed over those batches.
        best: The weights with the best monitored value; None before the first finished epoch.
        lr: The learning rate of the last step.
        seconds: The wall time of earlier sessions and of finished epochs.
        epoch_seconds: The wall time that earlier sessions spent in the current epoch.
        forward: The function that steps and validation call instead of the model, for `train.precision` or
            `train.compile`; None to call the model.
        scaler: Scales the loss so that gradients fit float16; None without float16.
        health: What the probes have recorded.
        average: The average of the weights over the steps, of `train.ema`; None without it.
        unfreezing: The parameters that are frozen in the first epochs and trained later.
    """

    model: nn.Module
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    early_stopping: EarlyStopping
    train_loss: LossSum
    train_metrics: MetricSums
    history: History = field(default_factory=History)
    epoch: int = 0
    step: int = 0
    batch: int = 0
    best: dict[str, Tensor] | None = None
    lr: float = 0.0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    forward: Callable[..., Tensor] | None = None
    scaler: torch.amp.GradScaler | None = None
    health: Health = field(default_factory=Health)
    average: WeightAverage | None = None
    unfreezing: Unfreezing = field(default_factory=Unfreezing)

    def keep_best(self) -> None:
        """Copies the weights as the best so far."""
        state = dict(self.model.state_dict())
        if self.best is None:
            # In a single deepcopy, so that tied weights stay one tensor with several names.
            self.best = copy.deepcopy(state)
        else:
            for name, tensor in state.items():
                self.best[name].copy_(tensor)

    def state_dict(self) -> dict[str, Any]:
        """Returns the values that a resumed run needs: tensors, numbers, strings and None, in dicts and lists."""
        return {
            "model": dict(self.model.state_dict()),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "early_stopping": self.early_stopping.state_dict(),
            "history": self.history.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "batch": self.batch,
            "train_loss": [float(self.train_loss.total), float(self.train_loss.weight)],
            "train_metrics": self.train_metrics.state_dict(),
            "lr": self.lr,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "health": self.health.state_dict(),
            "rng": rng_state(),
            "num_threads": torch.get_num_threads(),
            **({} if self.scaler is None else {"scaler": self.scaler.state_dict()}),
            **({} if self.average is None else {"average": self.average.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a saved state. Network and optimizer must have been built from the same config."""
        device = next(self.model.parameters()).device
        self.best = None
        if state["best"] is not None:
            load_weights(self.model, state["best"])
            self.keep_best()
        load_weights(self.model, state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        match_memory_layout(self.optimizer)
        self.schedule.load_state_dict(state["schedule"])
        self.early_stopping.load_state_dict(state["early_stopping"])
        self.history = History.from_state(state["history"])
        self.epoch, self.step, self.batch = state["epoch"], state["step"], state["batch"]
        self.train_loss.total, self.train_loss.weight = state["train_loss"]
        self.train_metrics.load_state_dict(state["train_metrics"], device)
        self.lr, self.seconds, self.epoch_seconds = state["lr"], state["seconds"], state["epoch_seconds"]
        self.health.load_state_dict(state.get("health"), device)
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        set_rng_state(state["rng"])

    def load_share(self, share: Mapping[str, Any]) -> None:
        """Restores the running sums and the random state of this rank."""
        self.train_loss.total, self.train_loss.weight = share["train_loss"]
        self.train_metrics.load_state_dict(share["train_metrics"], next(self.model.parameters()).device)
        set_rng_state(share["rng"])

    def join(self, shares: Sequence[Mapping[str, Any]]) -> None:
        """Adds the running sums of other processes."""
        device = next(self.model.parameters()).device
        for share in shares:
            total, weight = share["train_loss"]
            self.train_loss.total, self.train_loss.weight = (
                self.train_loss.total + total,
                self.train_loss.weight + weight,
            )
            sums = MetricSums(self.train_metrics.names, self.train_metrics.decoder)
            sums.load_state_dict(share["train_metrics"], device)
            sums.flush()
            self.train_metrics.join(sums.state_dict())

    def start_sums(self) -> None:
        """Resets the sums of loss and metrics."""
        self.train_loss = LossSum(self.loss)
        self.train_metrics = MetricSums(self.train_metrics.names, self.train_metrics.decoder)


def seed_of_rank(seed: int, rank: int) -> int:
    """Returns the seed of the random numbers of a rank other than 0, so that no two ranks draw the same numbers."""
    return random.Random(f"{seed} {rank}").getrandbits(63)


def match_memory_layout(optimizer: torch.optim.Optimizer) -> None:
    """Gives the state tensors of an optimizer the memory layout of their parameters.

    Fused kernels assume the same layout without checking it. On a different machine, a resumed run may have a different
    layout.
    """
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def seed_everything(seed: int) -> None:
    """Seeds the global generators of torch, NumPy and Python. A custom module may draw from any of them."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def rng_state() -> dict[str, Any]:
    """Returns the state of every global random number generator: uint8 tensors, numbers and strings."""
    name, words, position, has_gauss, gauss = np.random.get_state(legacy=True)
    version, internal, next_gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [str(name), _words_to_bytes(words), int(position), int(has_gauss), float(gauss)],
        "python": [version, _words_to_bytes(internal), next_gauss],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Restores a state from `rng_state`.

    Raises:
        ValueError: The state does not fit these generators.
    """
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    name, words, position, has_gauss, gauss = state["numpy"]
    keys = _bytes_to_words(words)
    if not 0 <= position <= len(keys):  # NumPy would read out of bounds
        raise ValueError("the position in NumPy's random numbers is out of range")
    np.random.set_state((name, keys, position, has_gauss, gauss))
    version, internal, next_gauss = state["python"]
    random.setstate((version, tuple(_bytes_to_words(internal).tolist()), next_gauss))


def _words_to_bytes(words: Any) -> Tensor:
    """(N,) 32-bit words -> (4 N,) uint8, little-endian."""
    return torch.from_numpy(np.asarray(words, dtype="<u4").view(np.uint8).copy())


def _bytes_to_words(data: Tensor) -> NDArray[np.uint32]:
    """(4 N,) uint8 -> (N,) 32-bit words."""
    return data.numpy().view("<u4").astype(np.uint32)
