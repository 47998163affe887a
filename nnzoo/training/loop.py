"""The training loop: train an epoch, evaluate, record, keep the best weights, save, stop early or prune.

The loop trains one network or several replicas: see `learner`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from nnzoo.data import Split
from nnzoo.models import set_train_mode
from nnzoo.training.batches.order import boundaries, for_model, smallest_batch
from nnzoo.training.checkpoints import CheckpointTimer
from nnzoo.training.health.probe import is_sampled
from nnzoo.training.learner import Learner, Status
from nnzoo.training.progress import Progress
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.state import S

NOT_PROBED = contextlib.nullcontext()


def fit(
    learner: Learner[S],
    splits: dict[str, Split],
    settings: Settings,
    *,
    save: Callable[[S], None],
    log_epoch: Callable[[S], None] = lambda _: None,
    progress: Progress,
    stop: StopRequest,
) -> Status:
    """Trains until all epochs are done, early stopping, pruning or the time limit ends it, or a signal arrives.

    Args:
        learner: The network, or the replicas. The state is changed in place; at the end it holds the best weights.
        splits: "train", and "val" if there is one: preprocessed inputs and encoded targets, on the model's device.
        settings: The settings of the loop.
        save: Writes a checkpoint.
        log_epoch: Writes a finished epoch for other viewers, before its checkpoint.
        progress: Shows steps and epochs.
        stop: Records signals.

    Returns:
        How the training ended.

    Raises:
        DivergedError: The training loss is not finite, or the monitored value was NaN in every epoch. The last
            checkpoint holds earlier weights.
    """

    def save_finite(state: S) -> None:
        learner.check_finite(settings.group)
        save(state)

    state = learner.state
    checkpoints = CheckpointTimer(settings, save_finite)
    checkpoints.write(state)
    is_pruned = False
    while not is_pruned and not is_over(learner, settings):
        start = time.monotonic() - state.epoch_seconds
        train_epoch(
            learner, splits["train"], settings, checkpoints=checkpoints, progress=progress, stop=stop, start=start
        )
        if settings.group.should_stop(stop):
            state.epoch_seconds = time.monotonic() - start
            checkpoints.write(state)
            return "interrupted"
        row = evaluate_epoch(learner, splits, settings, start=start)
        learner.record(row)
        learner.update(row, settings.monitor)
        state.schedule.after_epoch(row[settings.monitor])
        learner.report(row, settings, progress)
        learner.probes.report()
        log_epoch(state)
        checkpoints.after_epoch(state)
        is_pruned = settings.prune is not None and settings.prune(state.epoch, row[settings.monitor])
    try:
        status = learner.end(settings.monitor)
        return "pruned" if is_pruned and not is_over(learner, settings) else status
    finally:
        checkpoints.write(state)


def is_over(learner: Learner[S], settings: Settings) -> bool:
    """Whether all epochs are done, early stopping ended training, or the time limit has been reached.

    The first epoch is always finished, so that there are weights to keep.
    """
    state, longest = learner.state, settings.max_seconds
    is_late = longest is not None and state.epoch > 0 and state.seconds >= longest
    return not learner.is_running() or state.epoch >= settings.epochs or is_late


def train_epoch(
    learner: Learner[S],
    split: Split,
    settings: Settings,
    *,
    checkpoints: CheckpointTimer[S],
    progress: Progress,
    stop: StopRequest,
    start: float,
) -> None:
    """Trains one epoch, or the rest of it if the run was interrupted in the middle of an epoch."""
    state, network = learner.state, learner.network
    if learner.unfreeze():
        settings.group.change_parameters()
    set_train_mode(network)
    split = for_model(network, split)
    min_size = smallest_batch(network, settings.group)
    batches = boundaries(len(split), settings.batch_size or len(split), min_size=min_size)
    num_steps = -(-len(batches) // settings.accumulate)
    probing = settings.probes and settings.group.rank == 0
    progress.start_epoch(state.epoch + 1, len(batches), state.batch)
    with learner.read_batches(split, settings.group.shares(batches[state.batch :]), settings) as reader:
        while state.batch < len(batches):
            group = batches[state.batch : state.batch + settings.accumulate]
            state.lr = state.schedule.lr
            num_own = settings.group.begin_step(group, stop, checkpoints.is_due, state.step + 1)
            is_probed = probing and is_sampled(state.step, num_steps)
            with learner.probes.recording(state.step + 1) if is_probed else NOT_PROBED:
                learner.train_step(list(islice(reader, num_own)), settings)
            state.step += 1
            state.batch += len(group)
            state.schedule.after_step()
            progress.step()
            if settings.group.should_stop(stop):
                break
            state.epoch_seconds = time.monotonic() - start
            checkpoints.after_step(state)
    progress.end_epoch()


def evaluate_epoch(
    learner: Learner[S], splits: dict[str, Split], settings: Settings, *, start: float
) -> dict[str, Any]:
    """Evaluates a finished epoch on val, and returns its row. The loop waits for the device only here.

    Returns:
        The row of the history: one number per column, or (K,) numbers for K replicas.
    """
    state = learner.state
    row: dict[str, Any] = {"epoch": float(state.epoch + 1), "step": float(state.step), "lr": state.lr}
    row |= {f"train/{name}": value for name, value in learner.train_metrics(settings.group).items()}
    if "val" in splits:
        batch_size = settings.batch_size or len(splits["train"])
        val = learner.evaluate(splits["val"], settings, batch_size=batch_size)
        row |= {f"val/{name}": value for name, value in val.items()}
    row["seconds"] = time.monotonic() - start
    row = settings.group.from_first(lambda: row)
    learner.probes.end_epoch(state.epoch + 1, num_samples=len(splits["train"]))
    state.epoch += 1
    state.batch = 0
    state.seconds += row["seconds"]
    state.epoch_seconds = 0.0
    return row
