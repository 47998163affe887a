"""Batched restarts: K networks of one architecture as one module, trained together with torch.func.

A replica gets the same result as a separate run with its seed, up to rounding: it has its own weights, order of
samples, clipping, early stopping and best epoch. Only its dropout draws different random numbers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.optim.lr_scheduler import ReduceLROnPlateau

from nnzoo.models.activations import Maxout, Step
from nnzoo.models.freezing import Unfreezing
from nnzoo.models.kernel import KernelMachine, RandomFourierFeatures
from nnzoo.models.layers import Dense
from nnzoo.models.mlp import MLP
from nnzoo.run.history import History
from nnzoo.training.early_stopping import EarlyStopping
from nnzoo.training.evaluate import LossSum
from nnzoo.training.health.record import Health
from nnzoo.training.measures.losses import KLDivLoss, MultiMarginLoss, SampleWeightedLoss
from nnzoo.training.measures.metrics import ReplicaSums
from nnzoo.training.optimization.average import WeightAverage
from nnzoo.training.optimization.muon import Muon
from nnzoo.training.optimization.schedules import Schedule
from nnzoo.training.restarts.outcome import End, Outcome
from nnzoo.training.state import TrainState, rng_state, set_rng_state

BATCHED = (
    *(MLP, KernelMachine, RandomFourierFeatures, Dense, Maxout, Step),
    *(nn.Sequential, nn.Flatten, nn.Linear, nn.BatchNorm1d, nn.Dropout, nn.Identity),
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh, nn.Softplus),
    *(nn.Hardtanh, nn.Softmax, nn.LogSoftmax),
)
"""The modules that are faster batched by torch.func than one after another."""


def why_not_batched(state: TrainState, targets: Tensor) -> str | None:
    """Returns why restarts of a network must run one after another; None if they can be batched.

    Args:
        state: The initial state of one restart.
        targets: The encoded targets of the train split.
    """
    if isinstance(state.optimizer, torch.optim.LBFGS):
        return "lbfgs does a line search for each network"
    if isinstance(state.optimizer, Muon):
        return "muon orthogonalizes the weights of each network"
    if isinstance(state.schedule.scheduler, ReduceLROnPlateau):
        return "plateau depends on the monitor of each network"
    if isinstance(state.loss, SampleWeightedLoss):
        return "the weights of samples are applied to one network at a time"
    if state.forward is not None:
        return "train.precision and train.compile do not support batched networks"
    if targets.ndim == 2 and not targets.is_floating_point():
        return "metrics of predictions per step are computed for one network at a time"
    for module in state.model.modules():
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            return "torch.func can't batch recurrent cells"
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            return "convolutions are slower in a batch than one after another"
    unknown = [type(module).__name__ for module in state.model.modules() if type(module) not in BATCHED]
    if unknown:
        return f"{unknown[0]} is not a module that nnzoo can batch"
    if len(list(state.model.named_parameters(remove_duplicate=False))) > len(list(state.model.parameters())):
        return "layers that share a weight can't be stacked"
    if isinstance(state.loss, MultiMarginLoss if targets.ndim == 1 else KLDivLoss):
        return "torch.func can't batch its loss"
    return None


class Replicas(nn.Module):
    """K networks as one module: every parameter and buffer of shape (*) becomes one of shape (K, *).

    Args:
        networks: Networks of one architecture, with modules of the types in `BATCHED`. They are left in training mode.
        structure: The network whose modules without parameters are used; by default the first one.
    """

    def __init__(self, networks: Sequence[nn.Module], structure: nn.Module | None = None) -> None:
        super().__init__()
        self.count = len(networks)
        self.network = copy.deepcopy(networks[0] if structure is None else structure)
        stacks: tuple[dict[str, Any], dict[str, Any]]
        stacks = stack_module_state([network.train() for network in networks])
        for path, tensor in {**stacks[0], **stacks[1]}.items():
            owner, _, name = path.rpartition(".")
            stacked = nn.Parameter(tensor.detach(), tensor.requires_grad) if path in stacks[0] else tensor
            setattr(self.network.get_submodule(owner), name, stacked)
        self.tensors = dict(self.network.named_parameters()), dict(self.network.named_buffers())

    def forward(self, inputs: Tensor, *, shared: bool) -> Tensor:
        """Maps inputs (K, B, *) to outputs (K, B, C); with `shared`, inputs are (B, *), the same for all replicas."""

        def one(parameters: Any, buffers: Any, inputs: Tensor) -> Tensor:
            outputs: Tensor = functional_call(self.network, (parameters, buffers), (inputs,), tie_weights=False)
            return outputs

        outputs: Tensor
        outputs = torch.vmap(one, (0, 0, None if shared else 0), randomness="different")(*self.tensors, inputs)
        return outputs

    def finite(self) -> Tensor:
        """Returns a mask (K,): whether all weights of a replica are finite."""
        return torch.stack([each.detach().isfinite().flatten(1).all(1) for each in self.tensors[0].values()]).all(0)


@dataclass
class ReplicaState:
    """The state of the training of K replicas.

    Attributes:
        replicas: The networks, on their device.
        loss: The loss of one replica's outputs and encoded targets.
        optimizer: The optimizer of the stacked parameters. It updates each value only from the gradients of that value.
        schedule: The learning-rate schedule, the same for all replicas.
        seeds: The seed of each replica's weights and shuffling.
        stopping: The early stopping of each replica.
        train_loss: The losses (K,), summed over the batches of the current epoch.
        train_metrics: The sums of the metrics over the same batches.
        ends: How each replica ended, or "running".
        epochs: The number of epochs that each replica finished before its end.
        columns: The names of the columns of `rows`.
        rows: One (columns, K) float64 tensor per epoch.
        best: The best weights of each replica, stacked.
        health: What the probes have recorded.
        epoch, step, batch, lr, seconds, epoch_seconds, average, unfreezing: As in `TrainState`.
    """

    replicas: Replicas
    loss: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    seeds: list[int]
    stopping: list[EarlyStopping]
    train_loss: LossSum
    train_metrics: ReplicaSums
    ends: list[End] = field(init=False)
    epochs: list[int] = field(init=False)
    columns: list[str] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    best: dict[str, Tensor] | None = None
    epoch: int = 0
    step: int = 0
    batch: int = 0
    lr: float = 0.0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    health: Health = field(default_factory=Health)
    average: WeightAverage | None = None
    unfreezing: Unfreezing = field(default_factory=Unfreezing)

    def __post_init__(self) -> None:
        self.ends = ["running"] * len(self.seeds)
        self.epochs = [0] * len(self.seeds)

    def keep_best(self, is_best: list[bool]) -> None:
        """Copies the weights of the replicas whose last epoch is their best so far."""
        state = self.replicas.network.state_dict()
        if self.best is None:
            self.best = {name: tensor.clone() for name, tensor in state.items()}
            return
        for name, tensor in state.items():
            which = torch.tensor(is_best, device=tensor.device).view(-1, *[1] * (tensor.ndim - 1))
            self.best[name] = torch.where(which, tensor, self.best[name])

    def best_of(self, index: int) -> dict[str, Tensor]:
        """Returns the best weights of one replica."""
        assert self.best is not None
        return {name: tensor[index].clone() for name, tensor in self.best.items()}

    def history(self, index: int) -> History:
        """Returns the history of one replica, up to its end."""
        rows = [row[:, index].tolist() for row in self.rows[: self.epochs[index]]]
        return History([dict(zip(self.columns, row, strict=True)) for row in rows])

    def outcome(self, index: int) -> Outcome:
        """Returns the result of one replica."""
        best = self.stopping[index].best_epoch
        row = self.rows[best - 1][:, index].tolist() if best else []
        metrics = {name: value for name, value in zip(self.columns, row, strict=False) if "/" in name}
        return Outcome(self.seeds[index], self.ends[index], self.epochs[index], best, metrics)

    def state_dict(self) -> dict[str, Any]:
        """Returns the values that a resumed run needs: tensors, numbers, strings and None, in dicts and lists."""
        return {
            "networks": dict(self.replicas.network.state_dict()),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "stopping": [stopping.state_dict() for stopping in self.stopping],
            "ends": list(self.ends),
            "epochs": list(self.epochs),
            "columns": self.columns,
            "rows": torch.stack(self.rows) if self.rows else None,
            "train_loss": [self.train_loss.total, self.train_loss.weight],
            "train_metrics": self.train_metrics.state_dict(),
            "health": self.health.state_dict(),
            "rng": rng_state(),
            **{name: getattr(self, name) for name in _COUNTS},
            **({} if self.average is None else {"average": self.average.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a saved state. Networks and optimizers must have been built from the same config."""
        device = next(self.replicas.parameters()).device
        self.replicas.network.load_state_dict(state["networks"])
        best = state["best"]
        self.best = None if best is None else {name: tensor.to(device) for name, tensor in best.items()}
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for stopping, saved in zip(self.stopping, state["stopping"], strict=True):
            stopping.load_state_dict(saved)
        # Replicas that ended with the last epoch continue if there are more epochs now.
        self.ends = ["running" if end == "completed" else end for end in state["ends"]]
        self.epochs = list(state["epochs"])
        self.columns = state["columns"]
        self.rows = [] if state["rows"] is None else list(state["rows"])
        self.train_loss.total, self.train_loss.weight = (
            each.to(device) if isinstance(each, Tensor) else each for each in state["train_loss"]
        )
        self.train_metrics.load_state_dict(state["train_metrics"], device)
        self.health.load_state_dict(state.get("health"), device, len(self.seeds))
        for name in _COUNTS:
            setattr(self, name, state[name])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        set_rng_state(state["rng"])


_COUNTS = ("epoch", "step", "batch", "lr", "seconds", "epoch_seconds")
