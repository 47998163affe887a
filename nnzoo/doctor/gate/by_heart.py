"""Checks whether an untrained network can learn a few samples by heart, without dropout, penalties and augmentation.

A network that can't do this can't learn the data either. The usual causes are frozen weights, no gradient, targets that
contradict each other, or a model that is too small.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.builders import build_unfreezing
from nnzoo.config.model import Linear, Perceptron
from nnzoo.config.scheduler import ConstantLr
from nnzoo.doctor.gate.attainable import attainable, score
from nnzoo.doctor.gate.first_batch import batch_of
from nnzoo.errors import DivergedError
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.train.start import state_of
from nnzoo.models import set_train_mode
from nnzoo.numbers import number
from nnzoo.training.batches.order import Batch, arguments_of, epoch_order, smallest_batch
from nnzoo.training.evaluate import LossSum
from nnzoo.training.measures.members import loss_of, mean_output
from nnzoo.training.measures.metrics import MetricSums
from nnzoo.training.state import TrainState
from nnzoo.training.step import train_step

MAX_SAMPLES, MAX_TARGETS = 32, 256
"""The maximum number of samples, and of their targets: a sequence may have one target per step."""
FEWEST_SAMPLES = 4
MAX_STEPS, CHECKED_EVERY = 400, 5
SECONDS = 2.0
"""The time limit of all attempts together."""
SHARE_OF_OWN = 0.4
"""The share of the time for the optimizer of the config; the rest is for Adam."""
ADAM_LR = 3e-3
SLOW = 0.1
"""Steps that take longer than this, in seconds, are timed only once. The first one is slower."""
FEW_STEPS, STUCK_STEPS = 60, 30
"""With fewer steps, a failure says nothing about the network, or nothing about a loss that is stuck."""
STUCK = 0.01
"""A loss that falls by a smaller fraction is stuck at its start."""


@dataclass(frozen=True)
class Attempt:
    """The result of training on one batch.

    Attributes:
        optimizer: The optimizer, with its learning rate.
        steps: The number of steps.
        first: The loss before the first step.
        last: The loss before the last step.
        score: The accuracy, or r2 for regression, on the same batch.
        learned: Whether all that can be learned was learned.
        diverged: Whether the loss became infinite or NaN.
    """

    optimizer: str
    steps: int
    first: float
    last: float
    score: float
    learned: bool
    diverged: bool = False

    @property
    def is_stuck(self) -> bool:
        """Whether the loss stayed at its start."""
        return self.first - self.last < STUCK * abs(self.first)

    @property
    def is_clear(self) -> bool:
        """Whether there were enough steps to tell."""
        return self.learned or self.diverged or self.steps >= (STUCK_STEPS if self.is_stuck else FEW_STEPS)


def learn_by_heart(experiment: Experiment, module: nn.Module, *, seconds: float = SECONDS) -> dict[str, Any]:
    """Trains copies of a network on one batch: with the optimizer of the config, and if that fails, with Adam.

    Returns:
        `learned` is None if there was too little time to tell. `reason` explains it, and is empty if it was learned by
        the optimizer of the config.
    """
    metric = "r2" if experiment.dataset.task == "regression" else "accuracy"
    if not any(each.requires_grad for each in module.parameters()):
        return {"learned": False, "metric": metric, "samples": 0, "steps": 0, "reason": "no weight is trained"}
    plain = _plain(experiment)
    module = copy.deepcopy(module)
    build_unfreezing(plain.config, module).release(math.inf)
    batch = _batch(plain, module, seconds)
    needed = attainable(plain.decoder, batch)
    state = state_of(plain, without_dropout(copy.deepcopy(module)))
    name, lr = plain.config.optimizer.name, getattr(plain.config.optimizer, "lr", None)
    own = _attempt(plain, state, batch, needed, name if lr is None else f"{name}, lr {lr:g}", seconds * SHARE_OF_OWN)
    last = own
    if not own.learned:
        state = state_of(plain, without_dropout(copy.deepcopy(module)))
        state.optimizer = torch.optim.Adam([each for each in state.model.parameters() if each.requires_grad], ADAM_LR)
        last = _attempt(plain, state, batch, needed, f"adam, lr {ADAM_LR:g}", seconds * (1 - SHARE_OF_OWN))
    return {
        "learned": last.learned if last.is_clear else None,
        "metric": metric,
        "samples": len(batch[-1]),
        "steps": last.steps,
        "optimizer": last.optimizer,
        "first_loss": last.first,
        "last_loss": last.last,
        metric: last.score,
        "attainable": needed,
        "reason": _reason(plain, module, batch, own, last),
    }


def _plain(experiment: Experiment) -> Experiment:
    """Returns the experiment without penalties, augmentation, label smoothing, schedule and lower precision."""
    train = experiment.config.train.model_copy(update={"compile": False, "precision": "fp32"})
    loss = copy.deepcopy(experiment.loss)
    if hasattr(loss, "label_smoothing"):
        setattr(loss, "label_smoothing", 0.0)  # noqa: B010
    return replace(
        experiment,
        config=experiment.config.model_copy(update={"train": train, "scheduler": ConstantLr()}),
        loss=loss,
        settings=replace(experiment.settings, l1=0.0, l2=0.0, accumulate=1, augment=None, metrics=()),
    )


def without_dropout(module: nn.Module) -> nn.Module:
    """Switches a module to training mode, without dropout, and returns it."""
    set_train_mode(module)
    for each in module.modules():
        if "Dropout" in type(each).__name__ or type(each).__name__ == "StochasticDepth":
            each.eval()
        elif isinstance(getattr(each, "dropout", None), float):
            setattr(each, "dropout", 0.0)  # noqa: B010  # recurrent and attention layers
    return module


def _batch(experiment: Experiment, module: nn.Module, seconds: float) -> Batch:
    """Returns a batch with about as many samples of each class, as large as the time allows."""
    split, settings = experiment.splits["train"], experiment.settings
    order = epoch_order(len(split), seed=settings.seed, epoch=0, device=torch.device("cpu"))[:4096]
    labels = split.targets[order.to(split.targets.device)].cpu()
    if labels.ndim == 1:
        seen: dict[int, int] = {}
        turns = []
        for label in labels.tolist():
            turns.append(seen.get(label, 0))
            seen[label] = turns[-1] + 1
        order = order[torch.tensor(turns).argsort(stable=True)]
    per_sample = labels.shape[1] if experiment.dataset.per != "sample" else 1
    least = max(FEWEST_SAMPLES, smallest_batch(module))
    count = min(settings.batch_size or MAX_SAMPLES, MAX_SAMPLES, MAX_TARGETS // per_sample)
    count = min(max(count, least), len(split))
    rows = order.to(split.targets.device)
    return batch_of(
        split, rows[: _affordable(experiment, module, rows[:count], least, seconds * (1 - SHARE_OF_OWN) / STUCK_STEPS)]
    )


def _affordable(experiment: Experiment, module: nn.Module, rows: Tensor, least: int, most_seconds: float) -> int:
    """Returns how many of the samples at `rows` a step can have to take at most `most_seconds`, but at least `least`.

    The time is linear in the number of samples, with a constant part that is large in recurrent networks.
    """
    if len(rows) <= least:
        return len(rows)
    split = experiment.splits["train"]
    few = _seconds_per_step(experiment, module, batch_of(split, rows[:least]))
    if few >= most_seconds:
        return least
    if few * len(rows) / least <= most_seconds:
        return len(rows)
    many = _seconds_per_step(experiment, module, batch_of(split, rows))
    share = (most_seconds - few) / max(many - few, 1e-9)
    return least + int(min(1.0, share) * (len(rows) - least))


def _seconds_per_step(experiment: Experiment, module: nn.Module, batch: Batch) -> float:
    copied = without_dropout(copy.deepcopy(module))
    seconds = math.inf
    for _ in range(2):
        start = time.monotonic()
        loss_of(experiment.loss, _outputs(copied, batch), batch[-1]).backward()
        seconds = min(seconds, time.monotonic() - start)
        if seconds > SLOW:
            break
    return seconds


def _outputs(module: nn.Module, batch: Batch) -> Tensor:
    inputs, *lengths, _ = batch
    outputs: Tensor = module(*arguments_of(module, inputs, lengths[0] if lengths else None))
    return outputs


def _attempt(
    experiment: Experiment, state: TrainState, batch: Batch, needed: float, optimizer: str, seconds: float
) -> Attempt:
    for group in state.optimizer.param_groups:
        if "weight_decay" in group:
            group["weight_decay"] = 0.0
    inputs, *lengths, targets = batch
    arguments = (*arguments_of(state.model, inputs, lengths[0] if lengths else None), targets)
    state.train_metrics = MetricSums((), experiment.decoder)
    deadline = time.monotonic() + seconds
    first = last = achieved = math.nan
    for step in range(1, MAX_STEPS + 1):
        state.train_loss = LossSum(experiment.loss)
        try:
            train_step(state, [arguments], [], experiment.settings)
        except DivergedError:
            return Attempt(optimizer, step, first, math.nan, achieved, learned=False, diverged=True)
        is_over = time.monotonic() > deadline or step == MAX_STEPS
        if not is_over and step > 1 and step % CHECKED_EVERY:
            continue
        last = state.train_loss.result()
        first = last if step == 1 else first
        with torch.no_grad():
            outputs = mean_output(_outputs(state.model, batch), targets)
        if not bool(outputs.isfinite().all()):
            return Attempt(optimizer, step, first, last, achieved, learned=False, diverged=True)
        achieved = score(experiment.decoder, outputs, targets)
        if achieved >= needed or is_over:
            break
    return Attempt(optimizer, step, first, last, achieved, learned=achieved >= needed)


def _reason(experiment: Experiment, module: nn.Module, batch: Batch, own: Attempt, last: Attempt) -> str:
    """Explains why a batch was not learned, or not with the optimizer of the config."""
    fell = f"in {last.steps} steps, the loss went from {number(last.first)} to {number(last.last)}"
    if own.learned:
        return ""
    if last.learned:
        end = "diverged" if own.diverged else f"went from {number(own.first)} to {number(own.last)}"
        return f"not with {own.optimizer}: the loss {end} in {own.steps} steps"
    if last.diverged:
        return f"the loss became infinite or NaN after {last.steps} steps"
    if not last.is_clear:
        return f"too slow to tell: {fell}"
    trained = sum(each.numel() for each in module.parameters() if each.requires_grad)
    total = sum(each.numel() for each in module.parameters())
    frozen = f"; only {trained} of {total} weights are trained" if trained < total else ""
    if last.is_stuck:
        return f"{fell}: it is stuck{_blocked(experiment, module, batch)}{frozen}"
    model = experiment.config.model
    if frozen and (model.pretrained is not None or getattr(model, "weights", None) is not None):
        return f"the network has only {trained} trained weights, since its pretrained layers are frozen"
    if frozen:
        return f"{fell}{frozen}"
    if isinstance(model, Perceptron) or (isinstance(model, Linear) and model.kernel == "none"):
        return "a linear model only learns linear relations, and these samples have another one"
    if trained < batch[-1].numel():
        return f"the network has only {trained} weights for {batch[-1].numel()} targets"
    return fell


def _blocked(experiment: Experiment, module: nn.Module, batch: Batch) -> str:
    """Names the weights that get no gradient from a batch."""
    copied = without_dropout(copy.deepcopy(module))
    loss_of(experiment.loss, _outputs(copied, batch), batch[-1]).backward()
    weights = {name: each for name, each in copied.named_parameters() if each.requires_grad}
    without = [name for name, each in weights.items() if each.grad is None or not bool(each.grad.any())]
    if not without:
        return ""
    return "; no weight has a gradient" if len(without) == len(weights) else f"; no gradient reaches {without[0]}"
