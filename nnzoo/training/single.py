"""The learner for one network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnzoo.data import Split
from nnzoo.errors import DivergedError
from nnzoo.models import penalised
from nnzoo.training.batches.order import Batch, epoch_order, finish
from nnzoo.training.batches.reading import read_batches
from nnzoo.training.evaluate import evaluate, loss_and_metrics
from nnzoo.training.finite import check_finite, check_scale, check_weights
from nnzoo.training.health.probe import Probes
from nnzoo.training.learner import Learner, Metrics, Status
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.optimization.average import averaged
from nnzoo.training.precision.compile import is_compiled
from nnzoo.training.processes.group import Group
from nnzoo.training.progress import Progress
from nnzoo.training.settings import Settings
from nnzoo.training.state import TrainState
from nnzoo.training.step import train_step


class SingleLearner(Learner[TrainState]):
    """Trains one network. With several processes, each has a copy of it.

    Args:
        state: The training state, which is changed in place. At the end, `best` has the best weights.
    """

    def __init__(self, state: TrainState) -> None:
        probes = Probes(state.model, state.health, hooks=not is_compiled(state.forward))
        super().__init__(state, state.model, probes)
        self.penalised = [*penalised(state.model), *(each for each in state.unfreezing.frozen() if each.ndim >= 2)]

    def start_stage(self) -> None:
        self.state.early_stopping.waited = 0
        if isinstance(self.state.optimizer, torch.optim.LBFGS):
            # Its history is about fewer parameters.
            self.state.optimizer.state.clear()

    def is_running(self) -> bool:
        return self.state.unfreezing.is_pending(self.state.epoch) or not self.state.early_stopping.should_stop()

    @contextlib.contextmanager
    def read_batches(
        self, split: Split, ends: Sequence[tuple[int, int]], settings: Settings
    ) -> Iterator[Iterator[Batch]]:
        order = None
        if settings.batch_size:
            device = split.targets.device
            order = epoch_order(len(split), seed=settings.seed, epoch=self.state.epoch, device=device)
        with read_batches(split, order, ends) as batches:
            finished = (finish(batch, split, settings.augment) for batch in batches)
            yield finished if split.weights is None else _weighted(finished, split.weights, order, ends)

    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        train_step(self.state, batches, self.penalised, settings)
        if self.state.average is not None:
            self.state.average.update(self.state.step + 1)

    def check_finite(self, group: Group) -> None:
        check_finite(group.total(float(self.state.train_loss.total)), self.state)

    def train_metrics(self, group: Group) -> Metrics:
        metrics = loss_and_metrics(self.state.train_loss, self.state.train_metrics, group)
        check_finite(metrics["loss"], self.state)
        check_scale(self.state)
        return metrics

    def evaluate(self, split: Split, settings: Settings, *, batch_size: int) -> Metrics:
        state = self.state
        sums = MetricSums(settings.metrics, state.train_metrics.decoder)
        with averaged(state.average):
            evaluation = evaluate(
                state.model,
                state.loss,
                split,
                sums,
                batch_size=batch_size,
                mirror=settings.mirrored,
                group=settings.group,
                forward=state.forward,
            )
        return evaluation.metrics

    def record(self, row: Mapping[str, Any]) -> None:
        self.state.history.record(dict(row))
        self.state.start_sums()

    def update(self, row: Mapping[str, Any], monitor: str) -> None:
        state = self.state
        if state.early_stopping.update(row[monitor], state.epoch):
            check_weights(state)
            with averaged(state.average):
                state.keep_best()

    def report(self, row: Mapping[str, Any], settings: Settings, progress: Progress) -> None:
        progress.report(dict(row), self.state.early_stopping, seconds_left=self.seconds_left(settings))

    def end(self, monitor: str) -> Status:
        if self.state.best is None:
            raise DivergedError(f"{monitor} was NaN in every epoch, so there are no best weights. Try a smaller lr.")
        return "completed" if self.is_running() else "early_stopped"


def _weighted(
    batches: Iterator[Batch], weights: Tensor, order: Tensor | None, ends: Sequence[tuple[int, int]]
) -> Iterator[Batch]:
    """Adds the weights of the samples to each batch."""
    for batch, (start, end) in zip(batches, ends, strict=True):
        yield (*batch, weights[start:end] if order is None else weights[order[start:end]])
