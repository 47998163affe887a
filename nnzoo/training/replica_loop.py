"""The loop over replicas: as `loop.fit`, step by step, for K networks at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.errors import DivergedError
from nnzoo.models import set_train_mode
from nnzoo.training.batches import boundaries, epoch_order, eval_batch_size, finish, for_model, smallest_batch
from nnzoo.training.checkpoints import CheckpointTimer
from nnzoo.training.decoding import Decoder, in_float64
from nnzoo.training.evaluate import LossSum
from nnzoo.training.finite import REMEDY
from nnzoo.training.loop import out_of_time
from nnzoo.training.metrics import ReplicaSums, precise
from nnzoo.training.progress import Progress
from nnzoo.training.replicas import Replicas, ReplicaState, losses_of
from nnzoo.training.settings import Settings
from nnzoo.training.signals import StopRequest
from nnzoo.training.step import shrink


def fit_replicas(
    state: ReplicaState,
    splits: dict[str, Split],
    decoder: Decoder,
    settings: Settings,
    *,
    save: Callable[[ReplicaState], None],
    progress: Progress,
    stop: StopRequest,
) -> Literal["completed", "interrupted"]:
    """Trains K networks until the epochs are over, every one has stopped, the time is up, or a signal comes.

    A network whose loss is not finite, or whose monitor stands still, is out; the others go on.

    Args:
        state: Changed in place; `ends` then says how each one ended, `best` holds their best weights.
        splits: As of `fit`.
        decoder: As of `fit`.
        settings: As of `fit`, but for the seed: each has its own.
        save: Writes a checkpoint.
        progress: Shows it.
        stop: Notes signals.

    Raises:
        DivergedError: There is none left whose loss is finite and whose monitor ever was a number.
    """
    timer = CheckpointTimer(settings, save)
    timer.write(state)
    while "running" in state.ends and state.epoch < settings.epochs and not out_of_time(state, settings):
        start = time.monotonic() - state.epoch_seconds
        train_epoch(state, splits["train"], settings, timer=timer, progress=progress, stop=stop, start=start)
        if stop.signal_number is not None:
            state.epoch_seconds = time.monotonic() - start
            timer.write(state)
            return "interrupted"
        values = end_epoch(state, splits, decoder, settings, start=start)
        close_epoch(state, values, settings.monitor)
        state.schedule.after_epoch(math.nan)
        report(state, settings.monitor, progress)
        timer.after_epoch(state)
    state.ends = ["completed" if end == "running" else end for end in state.ends]
    timer.write(state)
    if all(end == "diverged" or not each.best_epoch for end, each in zip(state.ends, state.stopping, strict=True)):
        raise DivergedError(
            f"the loss of every restart is no longer finite, or its {settings.monitor} never was a number, after epoch "
            f"{state.epoch}, at lr {state.lr:g}. {REMEDY}"
        )
    return "completed"


def train_epoch(
    state: ReplicaState,
    split: Split,
    settings: Settings,
    *,
    timer: CheckpointTimer[ReplicaState],
    progress: Progress,
    stop: StopRequest,
    start: float,
) -> None:
    """The rest of an epoch, as of one network: each has the order of samples that its seed has alone."""
    network = state.replicas.network
    set_train_mode(network)
    split = for_model(network, split)
    device = split.targets.device
    order = None
    if settings.batch_size:
        orders = [epoch_order(len(split), seed=seed, epoch=state.epoch, device=device) for seed in state.seeds]
        order = torch.stack(orders)  # (K, N)
    batches = boundaries(len(split), settings.batch_size or len(split), at_least=smallest_batch(network))
    # Of two or more axes, the stacked one not counted.
    weights = [each for each in network.parameters() if each.requires_grad and each.ndim >= 3]
    progress.start_epoch(state.epoch + 1, len(batches), state.batch)
    while state.batch < len(batches):
        group = batches[state.batch : state.batch + settings.accumulate]
        state.lr = state.schedule.lr
        train_step(state, [take(split, order, *ends) for ends in group], weights, settings)
        state.step += 1
        state.batch += len(group)
        state.schedule.after_step()
        progress.step()
        if stop.signal_number is not None:
            break
        state.epoch_seconds = time.monotonic() - start
        timer.after_step(state)
    progress.end_epoch()


def take(split: Split, order: Tensor | None, start: int, end: int) -> tuple[Tensor, Tensor]:
    """The inputs (K, B, *) and targets (K, B, *) of a batch; without the K where all get the same, in its own order."""
    if order is None:
        return split.network_inputs(slice(start, end)), split.targets[start:end]
    index = order[:, start:end]
    flat = index.reshape(-1)
    inputs, targets = finish((split.inputs.index_select(0, flat), split.targets.index_select(0, flat)), split, None)
    return inputs.view(*index.shape, *inputs.shape[1:]), targets.view(*index.shape, *targets.shape[1:])


def train_step(
    state: ReplicaState, batches: Sequence[tuple[Tensor, Tensor]], weights: list[nn.Parameter], settings: Settings
) -> None:
    """One optimizer step for all, over one batch each, or over several whose gradients add up to one large batch's."""
    for group in state.optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    shared = settings.batch_size == 0
    found = []
    for inputs, targets in batches:
        outputs = state.replicas(inputs, shared=shared)
        each = targets.expand(len(outputs), *targets.shape) if shared else targets
        found.append(losses_of(state.loss, outputs, each))
        state.train_metrics.add(outputs.detach(), each)
    whole = len(found) == 1 or state.train_loss.summed
    total = sum(counts for _, counts in found)
    for losses, counts in found:
        state.train_loss.add(losses.detach().to(precise(losses)), counts)
        # The gradient of the sum: that of one network's loss has no part of another's.
        losses.backward(torch.ones_like(losses) if whole else counts / total)  # type: ignore[no-untyped-call]
    if settings.l2:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.add_(weight.detach(), alpha=2 * settings.l2)
    if settings.clip_grad_norm is not None:
        clip(state.replicas, settings.clip_grad_norm)
    state.optimizer.step()
    if settings.l1:
        shrink(weights, settings.l1 * state.schedule.lr)


def clip(replicas: Replicas, max_norm: float) -> None:
    """Scales the gradients of each network down to a 2-norm, as `clip_grad_norm_` does for one."""
    gradients = [each.grad for each in replicas.parameters() if each.grad is not None]
    norms = torch.stack([each.flatten(1).norm(dim=1) for each in gradients]).norm(dim=0)  # (K,)
    scale = (max_norm / (norms + 1e-6)).clamp_max(1)
    for gradient in gradients:
        gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))


@torch.inference_mode()
def evaluate(state: ReplicaState, split: Split, sums: ReplicaSums, *, batch_size: int) -> dict[str, Tensor]:
    """(K,) loss and each metric of every network on a split. The more networks, the fewer samples at once."""
    state.replicas.network.eval()
    total = LossSum(state.loss)
    split = for_model(state.replicas.network, split)
    size = max(batch_size, eval_batch_size(split.inputs, batch_size) // state.replicas.count)
    for start in range(0, len(split), size):
        outputs = state.replicas(split.network_inputs(slice(start, start + size)), shared=True)
        targets = split.targets[start : start + size]
        targets = targets.expand(len(outputs), *targets.shape)
        losses, counts = losses_of(state.loss, outputs, targets)
        total.add(losses.to(precise(losses)), counts)
        if split.level is not None:
            outputs = in_float64(outputs) + split.level[start : start + size]
        truth = split.truth[start : start + size]
        sums.add(outputs, truth.expand(len(outputs), *truth.shape))
    return {"loss": mean_loss(total), **sums.results()}


def mean_loss(sums: LossSum) -> Tensor:
    """(K,) float64 on the CPU."""
    result = sums.total if sums.summed else sums.total / sums.weight
    assert isinstance(result, Tensor)
    return result.cpu().double()


def end_epoch(
    state: ReplicaState, splits: dict[str, Split], decoder: Decoder, settings: Settings, *, start: float
) -> dict[str, Tensor]:
    """Closes an epoch: measures val, starts the sums anew. The only wait for a device.

    Returns:
        The row (K,) of each network, a column a name.
    """
    train = {"loss": mean_loss(state.train_loss), **state.train_metrics.results()}
    measured = {f"train/{name}": values for name, values in train.items()}
    if "val" in splits:
        batch_size = settings.batch_size or len(splits["train"])
        val = evaluate(state, splits["val"], ReplicaSums(settings.metrics, decoder), batch_size=batch_size)
        measured |= {f"val/{name}": values for name, values in val.items()}
    seconds = time.monotonic() - start
    shared = {"epoch": state.epoch + 1, "step": state.step, "lr": state.lr}
    row = {name: torch.full_like(train["loss"], value) for name, value in (*shared.items(), ("seconds", seconds))}
    row |= {name: values.to(torch.float64) for name, values in measured.items()}
    row["seconds"] = row.pop("seconds")
    state.epoch += 1
    state.batch = 0
    state.seconds += seconds
    state.epoch_seconds = 0.0
    state.train_loss = LossSum(state.loss)
    state.train_metrics = ReplicaSums(settings.metrics, decoder)
    return row


def close_epoch(state: ReplicaState, row: dict[str, Tensor], monitor: str) -> None:
    """Records the row of an epoch, keeps the best weights of those that gained, and takes out those that are done."""
    state.columns = list(row)
    state.rows.append(torch.stack(list(row.values())))
    sound = (row["train/loss"].isfinite() & state.replicas.finite().cpu()).tolist()
    values = row[monitor].tolist()
    gained = [False] * len(values)
    for index, stopping in enumerate(state.stopping):
        if state.ends[index] != "running":
            continue
        if not sound[index]:
            state.ends[index] = "diverged"
            continue
        state.epochs[index] = state.epoch
        gained[index] = stopping.update(values[index], state.epoch)
        if stopping.should_stop():
            state.ends[index] = "early_stopped"
    if any(gained):
        state.keep_best(gained)


def report(state: ReplicaState, monitor: str, progress: Progress) -> None:
    """One line for an epoch: how the restarts stand."""
    row = dict(zip(state.columns, state.rows[-1][:, 0].tolist(), strict=True))
    bests = [stopping.best for stopping in state.stopping if stopping.best_epoch]
    shown = {key: row[key] for key in ("epoch", "lr", "seconds")}
    if bests:
        best = min(bests) if state.stopping[0].mode == "min" else max(bests)
        shown |= {f"best {monitor}": best, f"mean {monitor}": math.fsum(bests) / len(bests)}
    progress.report(shown, note=f"{state.ends.count('running')} of {len(state.ends)} running")
