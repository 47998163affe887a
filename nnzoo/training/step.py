"""The training step: computes the gradients of one or several batches, then takes an optimizer step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnzoo.training.batches.order import Batch
from nnzoo.training.evaluate import as_number
from nnzoo.training.finite import check_finite
from nnzoo.training.measures.losses import SampleWeightedLoss, denominator
from nnzoo.training.measures.members import loss_of, mean_output
from nnzoo.training.precision.scaling import scaled_step
from nnzoo.training.settings import Settings
from nnzoo.training.state import TrainState


def train_step(state: TrainState, batches: Sequence[Batch], weights: list[nn.Parameter], settings: Settings) -> None:
    """Takes one optimizer step over one batch, or over several with accumulated gradients.

    Args:
        state: The training state.
        batches: The batches of this step, or this process's shares of them, which may be empty.
        weights: The parameters that L1 and L2 penalise.
        settings: The settings of the training loop.

    Raises:
        DivergedError: The loss is not finite. On a GPU this is detected at the end of the epoch, to avoid a sync.
    """
    if isinstance(state.optimizer, torch.optim.LBFGS):
        lbfgs_step(state, state.optimizer, batches, weights, settings)
        return
    backward(state, batches, weights, settings)
    if settings.clip_grad_norm is not None:
        nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip_grad_norm)
    if state.scaler is None:
        state.optimizer.step()
    elif not scaled_step(state.scaler, state.optimizer, report=settings.l1 > 0):
        return
    if settings.l1:
        shrink(weights, settings.l1, state.optimizer)


def backward(
    state: TrainState,
    batches: Sequence[Batch],
    weights: list[nn.Parameter],
    settings: Settings,
    *,
    record: bool = True,
) -> list[Tensor]:
    """Computes the gradients of the loss and the L2 penalty, over the batches of all processes.

    Args:
        state: The training state, whose model gets the gradients.
        batches: The batches of this step, or this process's shares of them, which may be empty.
        weights: The parameters that L2 penalises.
        settings: The settings of the training loop.
        record: Whether loss and metrics are added to the sums of the epoch.

    Returns:
        The loss of each batch, weighted so that their sum is the loss of the step.
    """
    parts = [_parts(batch, state.loss) for batch in batches]
    counts = [as_number(denominator(state.loss, targets)) for _, targets, _ in parts]
    group = settings.group
    shared = (len(batches) > 1 or group.size > 1) and not state.train_loss.summed
    own = sum(counts)
    total = group.samples or own
    losses: list[Tensor] = []
    forward = state.forward or state.model
    if not batches:
        step_without_samples(state, settings, record=record)
    for (inputs, targets, weighting), count in zip(parts, counts, strict=True):
        is_last = len(losses) == len(batches) - 1
        outputs = group.call(forward, inputs, is_last=is_last)
        loss = loss_of(state.loss, outputs, targets, *weighting)
        if record:
            value = as_number(loss)
            reduced = group.reduce_loss(value, is_last=is_last)
            if isinstance(reduced, float):
                # All ranks must examine the layers or none, since batch norm is a collective. After the first batch of
                # a step the local gradients differ, so the ranks could decide differently.
                check_finite(reduced, state, inputs if group.size == 1 or len(batches) == 1 else ())
            state.train_loss.add(value, count)
            state.train_metrics.add(mean_output(outputs.detach(), targets), targets)
        part = loss * (count / total) if shared else loss
        if not losses:
            # Only here, so that an error about the loss can report the gradient norm of the previous step.
            clear_gradients(state.optimizer)
        (part if state.scaler is None else state.scaler.scale(part)).backward()
        losses.append(part)
    group.add_gradients(state.optimizer, own, summed=state.train_loss.summed)
    if state.scaler is not None:
        # L2, clipping and error messages need the unscaled gradients.
        state.scaler.unscale_(state.optimizer)
    if settings.l2:
        for weight in weights:
            if weight.grad is not None:
                weight.grad.add_(weight.detach(), alpha=2 * settings.l2)
    return losses


def _parts(batch: Batch, loss: nn.Module) -> tuple[Batch, Tensor, Batch]:
    """Returns the arguments of the model, the targets, and the weights of the samples, if there are any."""
    last = -2 if isinstance(loss, SampleWeightedLoss) else -1
    return batch[:last], batch[last], batch[last:][1:]


def step_without_samples(state: TrainState, settings: Settings, *, record: bool) -> None:
    """Takes the step of a process with an empty share. It receives the global loss and contributes no gradients."""
    if record:
        check_finite(float(settings.group.reduce_loss(0.0, is_last=True)), state)
    clear_gradients(state.optimizer)
    if state.scaler is not None:
        # The scaler initialises its scale lazily, with the first loss.
        state.scaler.scale(torch.zeros(1, device=next(state.model.parameters()).device))


def clear_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Does what `optimizer.zero_grad()` does, without its profiling hook, which costs 5 % of a small step."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def lbfgs_step(
    state: TrainState,
    optimizer: torch.optim.LBFGS,
    batches: Sequence[Batch],
    weights: list[nn.Parameter],
    settings: Settings,
) -> None:
    """Takes one step of L-BFGS, which evaluates loss and gradients several times. Only the first is recorded.

    Every evaluation starts from the same random state, so that dropout does not change the minimised function.
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
        total = settings.group.loss_of_all(sum(float(loss.detach()) for loss in losses))
        if settings.l2:
            total += settings.l2 * sum(float(w.detach().square().sum()) for w in weights if w.grad is not None)
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]


@torch.no_grad()
def shrink(weights: list[nn.Parameter], l1: float, optimizer: torch.optim.Optimizer) -> None:
    """Takes the proximal step of L1: w <- sign(w) max(|w| - l1 * lr, 0). Small weights become 0 (Tibshirani 1996).

    Weights without a gradient stay unchanged, as they do with L2 and in the optimizers.
    """
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    for weight in weights:
        if weight.grad is not None:
            weight.copy_(nn.functional.softshrink(weight, l1 * rates[weight]))
