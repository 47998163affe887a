"""The training loop: train an epoch, evaluate, record, keep the best, save, stop early. It reads top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.errors import DivergedError
from nnzoo.models import penalised, set_train_mode
from nnzoo.models.parameters import has_batch_norm
from nnzoo.training.augment import Augment
from nnzoo.training.batches import Batch, boundaries, epoch_order, finish, for_model
from nnzoo.training.decoding import Decoder
from nnzoo.training.evaluate import LossSum, evaluate, plain
from nnzoo.training.finite import check_finite, check_weights
from nnzoo.training.losses import denominator
from nnzoo.training.metrics import MetricSums
from nnzoo.training.progress import Progress
from nnzoo.training.signals import StopRequest
from nnzoo.training.state import S, Stepping, TrainState

Status = Literal["completed", "early_stopped", "interrupted"]
MIN_SECONDS_BETWEEN_CHECKPOINTS = 1.0


@dataclass(frozen=True)
class Settings:
    """How the loop runs.

    Attributes:
        epochs: The most epochs.
        batch_size: Samples a batch; 0 for all, in their own order.
        monitor: A column of the history.
        metrics: Measured on train and val every epoch.
        seed: Of the shuffling.
        accumulate: Batches an optimizer step.
        clip_grad_norm: The 2-norm that gradients are scaled down to.
        l1: Weight of sum|w|.
        l2: Weight of sum w^2.
        max_seconds: Wall time after which the run ends.
        every_epochs, every_steps, every_seconds: When a checkpoint is due.
        augment: Changes the batches of training.
    """

    epochs: int
    batch_size: int
    monitor: str
    metrics: tuple[str, ...]
    seed: int
    accumulate: int = 1
    clip_grad_norm: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    max_seconds: float | None = None
    every_epochs: int | None = 1
    every_steps: int | None = None
    every_seconds: float | None = None
    augment: Augment | None = None


class CheckpointTimer(Generic[S]):
    """Decides when a checkpoint is due, and has it written.

    At most one a second: what a kill loses is then less than a second of work, which resuming does again bit by bit.
    """

    def __init__(self, settings: Settings, save: Callable[[S], None]) -> None:
        self.settings = settings
        self.save = save
        self.written = -math.inf

    def write(self, state: S) -> None:
        """Writes one now."""
        self.save(state)
        self.written = time.monotonic()

    def after_step(self, state: S) -> None:
        """Writes one if it is due inside the epoch."""
        every = self.settings
        if every.every_steps is None and every.every_seconds is None:
            return
        waited = time.monotonic() - self.written
        due = bool(every.every_steps) and state.step % (every.every_steps or 1) == 0
        due = due or (every.every_seconds is not None and waited >= every.every_seconds)
        if due and waited >= MIN_SECONDS_BETWEEN_CHECKPOINTS:
            self.write(state)

    def after_epoch(self, state: S) -> None:
        """Writes one if it is due at the end of the epoch."""
        every = self.settings.every_epochs
        waited = time.monotonic() - self.written
        if every and state.epoch % every == 0 and waited >= MIN_SECONDS_BETWEEN_CHECKPOINTS:
            self.write(state)


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
        check_finite(float(state.train_loss.total), state)
        save(state)

    timer = CheckpointTimer(settings, save_finite)
    timer.write(state)
    status: Status = "early_stopped" if state.early_stopping.should_stop() else "completed"
    while state.epoch < settings.epochs and status == "completed" and not out_of_time(state, settings):
        start = time.monotonic() - state.epoch_seconds
        train_epoch(state, splits["train"], settings, timer=timer, progress=progress, stop=stop, start=start)
        if stop.signal_number is not None:
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
    batches = boundaries(len(split), settings.batch_size or len(split), at_least_two=has_batch_norm(state.model))
    weights = penalised(state.model)
    progress.start_epoch(state.epoch + 1, len(batches), state.batch)
    while state.batch < len(batches):
        group = batches[state.batch : state.batch + settings.accumulate]
        state.lr = state.schedule.lr
        taken = (take(split, order, start_, end) for start_, end in group)
        train_step(state, [finish(batch, split, settings.augment) for batch in taken], weights, settings)
        state.step += 1
        state.batch += len(group)
        state.schedule.after_step()
        progress.step()
        if stop.signal_number is not None:
            break
        state.epoch_seconds = time.monotonic() - start
        timer.after_step(state)
    progress.end_epoch()


def take(split: Split, order: Tensor | None, start: int, end: int) -> Batch:
    """A batch. `index_select` is twice as fast as indexing."""
    parts = (split.inputs, split.targets) if split.lengths is None else (split.inputs, split.lengths, split.targets)
    if order is None:
        return tuple(part[start:end] for part in parts)
    index = order[start:end]
    return tuple(part.index_select(0, index) for part in parts)


def train_step(state: TrainState, batches: Sequence[Batch], weights: list[nn.Parameter], settings: Settings) -> None:
    """One optimizer step over one batch, or over several whose gradients add up to that of one large batch.

    Raises:
        DivergedError: The loss is not finite. On a device that is noticed at the end of the epoch: reading waits.
    """
    if isinstance(state.optimizer, torch.optim.LBFGS):
        search_step(state, state.optimizer, batches, weights, settings)
        return
    backward(state, batches, weights, settings)
    if settings.clip_grad_norm is not None:
        nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_grad_norm)
    state.optimizer.step()
    if settings.l1:
        shrink(weights, settings.l1 * state.schedule.lr)


def backward(
    state: TrainState,
    batches: Sequence[Batch],
    weights: list[nn.Parameter],
    settings: Settings,
    *,
    record: bool = True,
) -> list[Tensor]:
    """Makes the gradients of loss and L2 anew.

    Args:
        state: Its model gets the gradients.
        batches: Those of one optimizer step.
        weights: Those that L2 acts on.
        settings: How.
        record: Add loss and metrics to the epoch's.

    Returns:
        The loss of each batch, scaled so that they add up to that of all.
    """
    counts = [plain(denominator(state.loss, targets)) for *_, targets in batches]
    shared = len(batches) > 1 and not state.train_loss.summed
    losses: list[Tensor] = []
    for (*inputs, targets), count in zip(batches, counts, strict=True):
        outputs = state.model(*inputs)
        loss = state.loss(outputs, targets)
        if record:
            value = plain(loss)
            if isinstance(value, float):
                check_finite(value, state, inputs)
            state.train_loss.add(value, count)
            state.train_metrics.add(outputs.detach(), targets)
        part = loss * (count / sum(counts)) if shared else loss
        if not losses:
            # Only now, so that a loss that is not finite can be told with the gradients of the step before.
            # optimizer.zero_grad() does the same behind a profiling hook that costs 5 % of a small step.
            for group in state.optimizer.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None
        part.backward()
        losses.append(part)
    if settings.l2:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.add_(weight.detach(), alpha=2 * settings.l2)
    return losses


def search_step(
    state: TrainState,
    optimizer: torch.optim.LBFGS,
    batches: Sequence[Batch],
    weights: list[nn.Parameter],
    settings: Settings,
) -> None:
    """One step of L-BFGS: it evaluates loss and gradients as often as it likes. The first evaluation is recorded.

    Every evaluation starts from the same random numbers, so that dropout leaves it one function to minimise.
    """
    device = next(state.model.parameters()).device
    cuda = [device] if device.type == "cuda" else []
    drawn = torch.get_rng_state(), [torch.cuda.get_rng_state(each) for each in cuda]
    first = True

    def closure() -> float:
        nonlocal first
        torch.set_rng_state(drawn[0])
        for each, numbers in zip(cuda, drawn[1], strict=True):
            torch.cuda.set_rng_state(numbers, each)
        losses = backward(state, batches, weights, settings, record=first)
        first = False
        total = sum(float(loss.detach()) for loss in losses)
        if settings.l2:
            total += settings.l2 * sum(float(w.detach().square().sum()) for w in weights if w.grad is not None)
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch left it so


@torch.no_grad()
def shrink(weights: list[nn.Parameter], threshold: float) -> None:
    """The proximal step of L1: w <- sign(w) max(|w| - threshold, 0). It reaches exactly zero (Tibshirani 1996).

    Weights that the step did not use stay, as L2 and the optimizers leave them.
    """
    for weight in weights:
        if weight.grad is not None:
            weight.copy_(nn.functional.softshrink(weight, threshold))


def end_epoch(
    state: TrainState, splits: dict[str, Split], decoder: Decoder, settings: Settings, *, start: float
) -> dict[str, float]:
    """Closes an epoch: measures val, records the row, starts the sums anew. The only wait for a device."""
    train = {"loss": state.train_loss.result(), **state.train_metrics.result()}
    check_finite(train["loss"], state)
    row = {"epoch": float(state.epoch + 1), "step": float(state.step), "lr": state.lr}
    row |= {f"train/{name}": value for name, value in train.items()}
    if "val" in splits:
        val = evaluate(
            state.model,
            state.loss,
            splits["val"],
            MetricSums(settings.metrics, decoder),
            batch_size=settings.batch_size or len(splits["train"]),
        )
        row |= {f"val/{name}": value for name, value in val.metrics.items()}
    row["seconds"] = time.monotonic() - start
    state.history.record(row)
    state.epoch += 1
    state.batch = 0
    state.seconds += row["seconds"]
    state.epoch_seconds = 0.0
    state.train_loss = LossSum(state.loss)
    state.train_metrics = MetricSums(settings.metrics, decoder)
    return row
