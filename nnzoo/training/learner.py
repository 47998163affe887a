"""The interface between the loop and what it trains: one network (`single`) or K replicas (`replica_learner`)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, Literal

from torch import Tensor, nn

from nnzoo import log
from nnzoo.data import Split
from nnzoo.training.batches.order import Batch
from nnzoo.training.health.probe import Probes
from nnzoo.training.processes.group import Group
from nnzoo.training.progress import Progress
from nnzoo.training.settings import Settings
from nnzoo.training.state import S

Status = Literal["completed", "early_stopped", "interrupted", "pruned"]
Metrics = Mapping[str, float] | Mapping[str, Tensor]
"""Values by name: of one network, or (K,) of K replicas."""


class Learner(ABC, Generic[S]):
    """The object that `fit` trains. It takes the steps, evaluates epochs and keeps the best weights.

    Args:
        state: The training state, which is changed in place.
        network: The module that is trained; for replicas, the stacked module.
        probes: Measures the layers of the network on sampled steps.
    """

    def __init__(self, state: S, network: nn.Module, probes: Probes) -> None:
        self.state = state
        self.network = network
        self.probes = probes

    def unfreeze(self) -> bool:
        """Starts to train the parameters that were frozen until the current epoch. Returns whether there were any."""
        state = self.state
        released = state.unfreezing.release(state.epoch)
        if released and state.batch == 0 and state.epoch in state.unfreezing.starts:
            self.start_stage()
            log.info("epoch %d: %s more parameters are trained from now on", state.epoch + 1, f"{released:,}")
        return released > 0

    @abstractmethod
    def start_stage(self) -> None:
        """Prepares the training of more parameters: early stopping waits for its full patience again."""

    @abstractmethod
    def is_running(self) -> bool:
        """Whether a network is still training, so that not all have diverged or been stopped early."""

    @abstractmethod
    def read_batches(
        self, split: Split, ends: Sequence[tuple[int, int]], settings: Settings
    ) -> AbstractContextManager[Iterator[Batch]]:
        """Reads batches in the order of the current epoch, preprocessed and augmented.

        Args:
            split: The train split.
            ends: The start and end of each batch in that order.
            settings: The settings of the training loop: seed, batch size and augmentation are used.
        """

    @abstractmethod
    def train_step(self, batches: Sequence[Batch], settings: Settings) -> None:
        """Takes one optimizer step over one batch, or over several with accumulated gradients.

        Raises:
            DivergedError: The loss is not finite.
        """

    @abstractmethod
    def check_finite(self, group: Group) -> None:
        """Raises DivergedError if the loss of the current epoch is not finite, before a checkpoint is written."""

    @abstractmethod
    def train_metrics(self, group: Group) -> Metrics:
        """Returns the loss and metrics over the batches of the current epoch. This synchronises with the device.

        Raises:
            DivergedError: The loss is not finite.
        """

    @abstractmethod
    def evaluate(self, split: Split, settings: Settings, *, batch_size: int) -> Metrics:
        """Returns the loss and metrics on a split."""

    @abstractmethod
    def record(self, row: Mapping[str, Any]) -> None:
        """Adds the row of a finished epoch to the history, and clears the sums of loss and metrics."""

    @abstractmethod
    def update(self, row: Mapping[str, Any], monitor: str) -> None:
        """Updates early stopping with the monitored value of a finished epoch; copies the weights if they are the best.

        Raises:
            DivergedError: The best weights are not finite.
        """

    @abstractmethod
    def report(self, row: Mapping[str, Any], settings: Settings, progress: Progress) -> None:
        """Logs the line of a finished epoch."""

    def seconds_left(self, settings: Settings) -> float:
        """Returns the time until `max_seconds` ends the training; infinity if there is no limit."""
        return math.inf if settings.max_seconds is None else settings.max_seconds - self.state.seconds

    @abstractmethod
    def end(self, monitor: str) -> Status:
        """Ends the training and returns how it ended.

        Raises:
            DivergedError: There are no best weights.
        """
