"""The learner for K replicas of a network, trained in one batched step."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.errors import DivergedError
from nnzoo.training.batches.order import Batch, epoch_order, eval_batch_size, finish, for_model
from nnzoo.training.evaluate import LossSum, mirrored
from nnzoo.training.finite import REMEDY
from nnzoo.training.health.probe import Probes
from nnzoo.training.learner import Learner, Metrics, Status
from nnzoo.training.measures.decoding import in_float64
from nnzoo.training.measures.losses import losses_of
from nnzoo.training.measures.metrics import ReplicaSums, sum_dtype
from nnzoo.training.optimization.average import averaged
from nnzoo.training.processes.group import Group
from nnzoo.training.progress import Progress, describe_patience
from nnzoo.training.restarts.replicas import Replicas, ReplicaState
from nnzoo.training.settings import Settings
from nnzoo.training.step import clear_gradients, shrink


class ReplicaLearner(Learner[ReplicaState]):
    """Trains K replicas. Once a replica diverges or is stopped early, its best weights no longer change.

    Args:
        state: The training state, which is changed in place. At the end, `ends` has the status of each replica, and
            `best` has their best weights.
    """

    def __init__(self, state: ReplicaState) -> None:
        network = state.replicas.network
        super().__init__(state, network, Probes(network, state.health, count=state.replicas.count))
        # Parameters with two or more axes, not counting that of the replicas.
        trained = [each for each in self.network.parameters() if each.requires_grad]
        self.penalised = [each for each in (*trained, *state.unfreezing.frozen()) if each.ndim >= 3]

    def start_stage(self) -> None:
        for stopping in self.state.stopping:
            stopping.waited = 0

    def is_running(self) -> bool:
        return "running" in self.state.ends

    @contextlib.contextmanager
    def read_batches(
        self, split: Split, ends: Sequence[tuple[int, int]], settings: Settings
    ) -> Iterator[Iterator[Batch]]:
        order = None
        if settings.batch_size:
            epoch, device = self.state.epoch, split.targets.device
            orders = [epoch_order(len(split), seed=seed, epoch=epoch, device=device) for seed in self.state.seeds]
            order = torch.stack(orders)  # (K, N): the order of each replica is that of its seed
        yield (take(split, order, *each) for each in ends)

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        train_step(self.state, batches, self.penalised, settings)
        if self.state.average is not None:
            self.state.average.update(self.state.step + 1)

    def check_finite(self, group: Group) -> None:
        """Does nothing: a loss that is not finite ends only its own replica, whose best weights are kept."""

    def train_metrics(self, group: Group) -> Metrics:  # noqa: ARG002
        return {"loss": mean_loss(self.state.train_loss), **self.state.train_metrics.results()}

    def evaluate(self, split: Split, settings: Settings, *, batch_size: int) -> Metrics:
        sums = ReplicaSums(settings.metrics, self.state.train_metrics.decoder)
        with averaged(self.state.average):
            return evaluate(self.state, split, sums, batch_size=batch_size, mirror=settings.mirrored)

    def record(self, row: Mapping[str, Any]) -> None:
        state = self.state
        state.columns = list(row)
        # Epoch, step, learning rate and seconds are the same for all.
        columns = [torch.as_tensor(value, dtype=torch.float64) for value in row.values()]
        state.rows.append(torch.stack([column.expand(len(state.seeds)) for column in columns]))
        state.train_loss = LossSum(state.loss)
        state.train_metrics = ReplicaSums(state.train_metrics.names, state.train_metrics.decoder)

    def update(self, row: Mapping[str, Any], monitor: str) -> None:
        state = self.state
        is_finite = (row["train/loss"].isfinite() & state.replicas.finite().cpu()).tolist()
        values = row[monitor].tolist()
        is_best = [False] * len(values)
        for index, stopping in enumerate(state.stopping):
            if state.ends[index] != "running":
                continue
            if not is_finite[index]:
                state.ends[index] = "diverged"
                continue
            state.epochs[index] = state.epoch
            is_best[index] = stopping.update(values[index], state.epoch)
            if stopping.should_stop() and not state.unfreezing.is_pending(state.epoch):
                state.ends[index] = "early_stopped"
        if any(is_best):
            with averaged(state.average):
                state.keep_best(is_best)

    def report(self, row: Mapping[str, Any], settings: Settings, progress: Progress) -> None:
        state, monitor = self.state, settings.monitor
        shown = {key: float(row[key]) for key in ("epoch", "lr", "seconds")}
        if bests := [stopping.best for stopping in state.stopping if stopping.best_epoch]:
            best = min(bests) if state.stopping[0].mode == "min" else max(bests)
            shown |= {f"best {monitor}": best, f"mean {monitor}": math.fsum(bests) / len(bests)}
        note = f"{state.ends.count('running')} of {len(state.ends)} running"
        running = [stopping for end, stopping in zip(state.ends, state.stopping, strict=True) if end == "running"]
        if running and running[0].patience is not None:
            note += f"  patience {describe_patience(min(running, key=lambda each: each.waited))}"
        progress.report(shown, note=note, seconds_left=self.seconds_left(settings) if running else 0.0)

    def end(self, monitor: str) -> Status:
        state = self.state
        state.ends = ["completed" if end == "running" else end for end in state.ends]
        if all(end == "diverged" or not each.best_epoch for end, each in zip(state.ends, state.stopping, strict=True)):
            raise DivergedError(
                f"the loss of every restart is no longer finite, or its {monitor} was always NaN, after epoch "
                f"{state.epoch}, at lr {state.lr:g}. {REMEDY}"
            )
        return "completed"


def take(split: Split, order: Tensor | None, start: int, end: int) -> Batch:
    """Returns inputs (K, B, *) and targets (K, B, *) of a batch; without an order (B, *), the same for all replicas."""
    if order is None:
        return split.network_inputs(slice(start, end)), split.targets[start:end]
    index = order[:, start:end]
    flat = index.reshape(-1)
    inputs, targets = finish((split.inputs.index_select(0, flat), split.targets.index_select(0, flat)), split, None)
    return inputs.view(*index.shape, *inputs.shape[1:]), targets.view(*index.shape, *targets.shape[1:])


def train_step(state: ReplicaState, batches: Sequence[Batch], weights: list[nn.Parameter], settings: Settings) -> None:
    """Takes one optimizer step for all replicas, as `step.train_step` does for one network."""
    clear_gradients(state.optimizer)
    shared = settings.batch_size == 0
    results = []
    for inputs, targets in batches:
        outputs = state.replicas(inputs, shared=shared)
        each = targets.expand(len(outputs), *targets.shape) if shared else targets
        results.append(losses_of(state.loss, outputs, each))
        state.train_metrics.add(outputs.detach(), each)
    whole = len(results) == 1 or state.train_loss.summed
    total = sum(counts for _, counts in results)
    for losses, counts in results:
        state.train_loss.add(losses.detach().to(sum_dtype(losses)), counts)
        # The gradient of the sum: the loss of a replica does not depend on the weights of another.
        losses.backward(torch.ones_like(losses) if whole else counts / total)  # type: ignore[no-untyped-call]
    if settings.l2:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.add_(weight.detach(), alpha=2 * settings.l2)
    if settings.clip_grad_norm is not None:
        clip(state.replicas, settings.clip_grad_norm)
    state.optimizer.step()
    if settings.l1:
        shrink(weights, settings.l1, state.optimizer)


def clip(replicas: Replicas, max_norm: float) -> None:
    """Scales the gradients of each replica down to a 2-norm, as `clip_grad_norm_` does for one network."""
    gradients = [each.grad for each in replicas.parameters() if each.grad is not None]
    norms = torch.stack([each.flatten(1).norm(dim=1) for each in gradients]).norm(dim=0)  # (K,)
    scale = (max_norm / (norms + 1e-6)).clamp_max(1)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))


@torch.inference_mode()
def evaluate(
    state: ReplicaState, split: Split, sums: ReplicaSums, *, batch_size: int, mirror: bool = False
) -> dict[str, Tensor]:
    """Returns the loss and metrics (K,) on a split. Batches are smaller if there are more replicas."""
    forward: Callable[..., Tensor] = partial(state.replicas, shared=True)
    forward = mirrored(forward) if mirror else forward
    state.replicas.network.eval()
    total = LossSum(state.loss)
    split = for_model(state.replicas.network, split)
    size = max(batch_size, eval_batch_size(split.inputs, batch_size) // state.replicas.count)
    for start in range(0, len(split), size):
        outputs = forward(split.network_inputs(slice(start, start + size)))
        targets = split.targets[start : start + size]
        targets = targets.expand(len(outputs), *targets.shape)
        losses, counts = losses_of(state.loss, outputs, targets)
        total.add(losses.to(sum_dtype(losses)), counts)
        if split.level is not None:
            outputs = in_float64(outputs) + split.level[start : start + size]
        truth = split.truth[start : start + size]
        sums.add(outputs, truth.expand(len(outputs), *truth.shape))
    return {"loss": mean_loss(total), **sums.results()}


def mean_loss(sums: LossSum) -> Tensor:
    """Returns the loss (K,) over all batches, in float64 on the CPU. This synchronises with the device."""
    result = sums.total if sums.summed else sums.total / sums.weight
    assert isinstance(result, Tensor)
    return result.cpu().double()
