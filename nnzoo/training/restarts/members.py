"""Members: networks of one architecture that are trained together, each with its own hyperparameters.

A member has its own learning-rate schedule, weight decay, dropout and seed. It gets the same result as a separate run
with its config, up to rounding: on a CPU, its dropout even draws the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nnzoo.models.activations import Maxout
from nnzoo.models.layers import Dense
from nnzoo.training.batches.order import Batch
from nnzoo.training.evaluate import LossSum
from nnzoo.training.learner import Status
from nnzoo.training.measures.metrics import ReplicaSums
from nnzoo.training.optimization.schedules import Schedule
from nnzoo.training.progress import Progress
from nnzoo.training.restarts.outcome import End
from nnzoo.training.restarts.replica_learner import ReplicaLearner
from nnzoo.training.restarts.replicas import Replicas, ReplicaState
from nnzoo.training.settings import Settings
from nnzoo.training.state import TrainState


class MemberDropout(nn.Module):
    """Dropout whose noise (B, units) is drawn outside, with the generator and the probability of each member."""

    noise: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, units) -> (B, units)."""
        return inputs * self.noise if self.training and self.noise is not None else inputs


class Members(Replicas):
    """K networks as one module, as `Replicas`, but each with its own dropout probabilities and random numbers.

    Args:
        networks: Networks that differ only in their weights and their dropout, which some may lack.
        generators: The generator of each network's dropout, on its device.
    """

    def __init__(self, networks: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> None:
        whole = max(networks, key=lambda network: sum(1 for _ in network.modules()))
        super().__init__(networks, whole)
        self.generators = list(generators)
        self.masks: list[MemberDropout] = []
        self.probabilities: list[list[float]] = []
        self.widths: list[int] = []
        for path, layer in self.network.named_modules():
            if isinstance(layer, Dense) and isinstance(getattr(layer, "dropout", None), nn.Dropout):
                own = [getattr(network.get_submodule(path), "dropout", None) for network in networks]
                self.probabilities.append([each.p if isinstance(each, nn.Dropout) else 0.0 for each in own])
                linear, activation = layer.linear, getattr(layer, "activation", None)
                assert isinstance(linear, nn.Linear)
                self.widths.append(
                    linear.out_features // (activation.num_pieces if isinstance(activation, Maxout) else 1)
                )
                layer.dropout = MemberDropout()
                self.masks.append(layer.dropout)

    def forward(self, inputs: Tensor, *, shared: bool) -> Tensor:
        """Maps inputs (K, B, *) to outputs (K, B, C); with `shared`, inputs are (B, *), the same for all members."""
        noises = self._noises(inputs, inputs.shape[0 if shared else 1]) if self.network.training else []

        def one(parameters: Any, buffers: Any, inputs: Tensor, noises: list[Tensor]) -> Tensor:
            for mask, noise in zip(self.masks, noises, strict=False):
                mask.noise = noise
            outputs: Tensor = functional_call(self.network, (parameters, buffers), (inputs,), tie_weights=False)
            return outputs

        outputs: Tensor
        dims = (0, 0, None if shared else 0, 0)
        outputs = torch.vmap(one, dims, randomness="different")(*self.tensors, inputs, noises)
        for mask in self.masks:
            mask.noise = None
        return outputs

    def _noises(self, inputs: Tensor, batch: int) -> list[Tensor]:
        """Returns the noise (K, B, units) of each layer: 0, or 1 / (1 - p), drawn as by torch's dropout."""
        noises = []
        for probabilities, width in zip(self.probabilities, self.widths, strict=True):
            noise = torch.ones(self.count, batch, width, device=inputs.device)
            for each, probability, generator in zip(noise, probabilities, self.generators, strict=True):
                if probability:
                    each.bernoulli_(1 - probability, generator=generator).div_(1 - probability)
            noises.append(noise)
        return noises


class MemberSchedules(Schedule):
    """The learning-rate schedules of K members.

    Args:
        states: The state of each member, whose optimizer holds its learning rate.

    Attributes:
        rates: The learning rates (K,) of the next step.
        ends: How each member ended, or "running"; the schedule of a member that has ended no longer changes.
    """

    def __init__(self, states: Sequence[TrainState]) -> None:
        self.states = states
        self.ends: list[End] = ["running"] * len(states)
        self._active = list(states)
        for state in states:
            # Otherwise torch warns that its optimizer has not taken a step.
            state.optimizer._opt_called = True  # type: ignore[attr-defined]
        self._update()

    def _update(self) -> None:
        self.rates = torch.tensor([state.schedule.lr for state in self.states], dtype=torch.float64)

    @property
    def lr(self) -> float:
        """The mean learning rate of the next step."""
        return float(self.rates.mean())

    def after_step(self) -> None:
        """Updates the learning rates after an optimizer step."""
        self._active = [state for state, end in zip(self.states, self.ends, strict=True) if end == "running"]
        for state in self._active:
            state.schedule.after_step()
        self._update()

    def after_epoch(self, monitored: Any) -> None:
        """Updates the learning rates after an epoch, from the monitored values (K,)."""
        for index, state in enumerate(self.states):
            # Also for members that ended with this epoch, as when they are trained alone.
            if any(state is each for each in self._active):
                state.schedule.after_epoch(float(monitored[index]))
        self._update()


class MemberOptimizer:
    """Takes the step of an optimizer for K members, each with its own learning rate and weight decay.

    The optimizer itself has the learning rate 1, no weight decay, and parameters that are zero before each step. After
    it, they hold the change of the weights for the learning rate 1, which all supported optimizers multiply with it.

    Args:
        parameters: The trained parameters, each (K, *).
        build: Builds the optimizer of parameters, with the learning rate 1 and without weight decay.
        schedules: The learning rates.
        decays: The weight decay of each member.
        decoupled: Whether weight decay acts on the weights, as in AdamW, or on the gradient.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        build: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
        schedules: MemberSchedules,
        decays: Sequence[float],
        *,
        decoupled: bool,
    ) -> None:
        self.parameters = list(parameters)
        self.changes = [nn.Parameter(torch.zeros_like(each)) for each in self.parameters]
        self.inner = build(self.changes)
        self.schedules = schedules
        self.decays = torch.tensor(decays, dtype=torch.float64) if any(decays) else None
        self.decoupled = decoupled
        self.param_groups = [{"params": self.parameters}]

    @torch.no_grad()
    def step(self) -> None:
        """Updates the parameters that have a gradient."""
        for parameter, change in zip(self.parameters, self.changes, strict=True):
            change.zero_()
            change.grad = parameter.grad
            if parameter.grad is not None and self.decays is not None and not self.decoupled:
                change.grad = parameter.grad.addcmul(parameter, _like(self.decays, parameter))
        self.inner.step()
        shrinking = None if self.decays is None or not self.decoupled else 1 - self.schedules.rates * self.decays
        for parameter, change in zip(self.parameters, self.changes, strict=True):
            if parameter.grad is None:
                continue
            if shrinking is not None:
                parameter.mul_(_like(shrinking, parameter))
            parameter.addcmul_(change, _like(self.schedules.rates, parameter))

    def state_of(self, index: int) -> dict[int, dict[str, Any]]:
        """Returns the state of one member's optimizer, by the number of the parameter."""
        found: Mapping[int, Mapping[str, Any]] = self.inner.state_dict()["state"]
        shapes = [each.shape for each in self.changes]
        return {
            number: {
                name: value[index].clone()
                if isinstance(value, Tensor) and value.shape == shapes[number]
                else value.clone()
                if isinstance(value, Tensor)
                else value
                for name, value in state.items()
            }
            for number, state in found.items()
        }


def _like(values: Tensor, parameter: Tensor) -> Tensor:
    """Returns the values (K,) of members in the shape of a parameter (K, *), for broadcasting."""
    return values.to(parameter.device, parameter.dtype).view(-1, *[1] * (parameter.ndim - 1))


class MemberLearner(ReplicaLearner):
    """Trains K members. A member that has diverged or was stopped early keeps the state that it had then.

    Args:
        state: The training state of all members.
        states: The state of each member alone, which is filled when the member ends.
        optimizer: The optimizer of all members.
    """

    def __init__(self, state: ReplicaState, states: Sequence[TrainState], optimizer: MemberOptimizer) -> None:
        super().__init__(state)
        self.states = states
        self.optimizer = optimizer
        self._rates = optimizer.schedules.rates

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        self._rates = self.optimizer.schedules.rates
        super().train_step(batches, settings)

    def record(self, row: Mapping[str, Any]) -> None:
        super().record({**row, "lr": self._rates})

    def update(self, row: Mapping[str, Any], monitor: str) -> None:
        running = [end == "running" for end in self.state.ends]
        super().update(row, monitor)
        for index, was_running in enumerate(running):
            if was_running and self.state.ends[index] != "running":
                self._close(index)

    def report(self, row: Mapping[str, Any], settings: Settings, progress: Progress) -> None:
        super().report({**row, "lr": self.optimizer.schedules.lr}, settings, progress)

    def end(self, monitor: str) -> Status:  # noqa: ARG002
        state = self.state
        for index, end in enumerate(state.ends):
            if end == "running":
                state.ends[index] = "completed"
                self._close(index)
            if not state.stopping[index].best_epoch:
                state.ends[index] = "diverged"
        return "completed"

    def _close(self, index: int) -> None:
        """Fills the state of a member that has ended, as if it had been trained alone."""
        own, state = self.states[index], self.state
        weights = state.replicas.network.state_dict()
        own.model.load_state_dict({name: tensor[index] for name, tensor in weights.items()})
        own.best = state.best_of(index) if state.stopping[index].best_epoch else None
        own.history = state.history(index)
        own.early_stopping = state.stopping[index]
        own.health = state.health.of(index, last_epoch=state.epochs[index])
        own.epoch, own.step, own.seconds = state.epochs[index], state.step, state.seconds
        own.lr = float(self._rates[index])
        groups = own.optimizer.state_dict()["param_groups"]
        own.optimizer.load_state_dict({"state": self.optimizer.state_of(index), "param_groups": groups})
        if own.average is not None and state.average is not None:
            own.average.load_state_dict({name: each[index] for name, each in state.average.state_dict().items()})


def member_learner(
    states: Sequence[TrainState],
    seeds: Sequence[int],
    generators: Sequence[torch.Generator],
    *,
    build: Callable[[list[nn.Parameter]], torch.optim.Optimizer],
    decays: Sequence[float],
    decoupled: bool,
    average: Callable[[nn.Module], Any],
) -> MemberLearner:
    """Returns the learner of members.

    Args:
        states: The initial state of each member.
        seeds: The seed of each member's shuffling.
        generators: The generator of each member's dropout.
        build: As in `MemberOptimizer`.
        decays: As in `MemberOptimizer`.
        decoupled: As in `MemberOptimizer`.
        average: Builds the average of the weights of the stacked network, or returns None.
    """
    first = states[0]
    members = Members([state.model for state in states], generators)
    schedules = MemberSchedules(states)
    trained = [each for each in members.network.parameters() if each.requires_grad]
    optimizer = MemberOptimizer(trained, build, schedules, decays, decoupled=decoupled)
    state = ReplicaState(
        replicas=members,
        loss=first.loss,
        optimizer=cast("torch.optim.Optimizer", optimizer),
        schedule=schedules,
        seeds=list(seeds),
        stopping=[each.early_stopping for each in states],
        train_loss=LossSum(first.loss),
        train_metrics=ReplicaSums(first.train_metrics.names, first.train_metrics.decoder),
        average=average(members.network),
    )
    schedules.ends = state.ends
    return MemberLearner(state, states, optimizer)
