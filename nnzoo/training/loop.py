"""The training loop: train an epoch, evaluate, record, keep the best, save, stop early. It reads top to bottom."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Literal

from nnzoo.data import Split
from nnzoo.errors import DivergedError
from nnzoo.models import penalised, set_train_mode
from nnzoo.training.batches import boundaries, epoch_order, finish, for_model, smallest_batch
from nnzoo.training.checkpoints import CheckpointTimer
from nnzoo.training.decoding import Decoder
from nnzoo.training.evaluate import evaluate, measured
from nnzoo.training.finite import check_finite, check_scale, check_weights
from nnzoo.training.metrics import MetricSums
from nnzoo.training.progress import Progress
from nnzoo.training.reading import read_batches
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.state import Stepping, TrainState
from nnzoo.training.step import train_step

Status = Literal["completed", "early_stopped", "interrupted"]


def fit(
    state: TrainState,
    splits: dict[str, Split],
    decoder: Decoder,
    settings: Settings,
    *,
    save: Callable[[TrainState], None],
    progress: Progress,
    stop: StopRequest,
) -> Status:
    """Trains until the epochs are over, the monitor stands still, the time is up, or a signal comes.

    Args:
        state: Changed in place; `best` then holds the best weights.
        splits: "train", and "val" where there is one: preprocessed inputs and encoded targets, on the model's device.
        decoder: Knows what outputs mean.
        settings: How.
        save: Writes a checkpoint.
        progress: Shows it.
        stop: Notes signals.

    Raises:
        DivergedError: The training loss is not finite, or the monitor never was a number. The last checkpoint holds
            weights from before.
    """

    def save_finite(state: TrainState) -> None:
        # A device may not have been asked for the loss yet.
        check_finite(settings.group.total(float(state.train_loss.total)), state)
        save(state)

    timer = CheckpointTimer(settings, save_finite)
    timer.write(state)
    status: Status = "early_stopped" if state.early_stopping.should_stop() else "completed"
    while state.epoch < settings.epochs and status == "completed" and not out_of_time(state, settings):
        start = time.monotonic() - state.epoch_seconds
        train_epoch(state, splits["train"], settings, timer=timer, progress=progress, stop=stop, start=start)
        if settings.group.stops(stop):
            state.epoch_seconds = time.monotonic() - start
            timer.write(state)
            return "interrupted"
        row = end_epoch(state, splits, decoder, settings, start=start)
        is_best = state.early_stopping.update(row[settings.monitor], state.epoch)
        if is_best:
            check_weights(state)
            state.keep_best()
        state.schedule.after_epoch(row[settings.monitor])
        progress.report(row, is_best=is_best)
        if state.early_stopping.should_stop():
            status = "early_stopped"
        timer.after_epoch(state)
    timer.write(state)
    if state.best is None:
        raise DivergedError(f"{settings.monitor} was never a number: there are no best weights. Try a smaller lr.")
    return status


def out_of_time(state: Stepping, settings: Settings) -> bool:
    """Whether `max_seconds` are spent. A run that was never measured goes on: it has no weights to keep yet."""
    return settings.max_seconds is not None and state.epoch > 0 and state.seconds >= settings.max_seconds


def train_epoch(
    state: TrainState,
    split: Split,
    settings: Settings,
    *,
    timer: CheckpointTimer[TrainState],
    progress: Progress,
    stop: StopRequest,
    start: float,
) -> None:
    """The rest of an epoch: all of it, or what a checkpoint inside it left."""
    set_train_mode(state.model)
    split = for_model(state.model, split)
    device = split.targets.device
    full = settings.batch_size == 0
    order = None if full else epoch_order(len(split), seed=settings.seed, epoch=state.epoch, device=device)
    at_least = smallest_batch(state.model, settings.group)
    batches = boundaries(len(split), settings.batch_size or len(split), at_least=at_least)
    weights = penalised(state.model)
    progress.start_epoch(state.epoch + 1, len(batches), state.batch)
    with read_batches(split, order, settings.group.shares(batches[state.batch :])) as reader:
        while state.batch < len(batches):
            group = batches[state.batch : state.batch + settings.accumulate]
            state.lr = state.schedule.lr
            num_own = settings.group.begin_step(group, stop, timer.is_due, state.step + 1)
            own = [finish(batch, split, settings.augment) for batch in islice(reader, num_own)]
            train_step(state, own, weights, settings)
            state.step += 1
            state.batch += len(group)
            state.schedule.after_step()
            progress.step()
            if settings.group.stops(stop):
                break
            state.epoch_seconds = time.monotonic() - start
            timer.after_step(state)
    progress.end_epoch()


def end_epoch(
    state: TrainState, splits: dict[str, Split], decoder: Decoder, settings: Settings, *, start: float
) -> dict[str, float]:
    """Closes an epoch: measures val, records the row, starts the sums anew. The only wait for a device."""
    train = measured(state.train_loss, state.train_metrics, settings.group)
    check_finite(train["loss"], state)
    check_scale(state)
    row = {"epoch": float(state.epoch + 1), "step": float(state.step), "lr": state.lr}
    row |= {f"train/{name}": value for name, value in train.items()}
    if "val" in splits:
        val = evaluate(
            state.model,
            state.loss,
            splits["val"],
            MetricSums(settings.metrics, decoder),
            batch_size=settings.batch_size or len(splits["train"]),
            group=settings.group,
            forward=state.forward,
        )
        row |= {f"val/{name}": value for name, value in val.metrics.items()}
    row["seconds"] = time.monotonic() - start
    row = settings.group.from_first(lambda: row)
    state.history.record(row)
    state.epoch += 1
    state.batch = 0
    state.seconds += row["seconds"]
    state.epoch_seconds = 0.0
    state.start_sums()
    return row
