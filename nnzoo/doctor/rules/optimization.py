"""The learning rate, the number of epochs, and the size of the batches."""

from __future__ import annotations

import math

from nnzoo.doctor import remedies
from nnzoo.doctor.evidence import LOST, Evidence, Fit
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.rates import best_rate
from nnzoo.doctor.trials import Outcome
from nnzoo.models.parameters import has_batch_norm
from nnzoo.numbers import number
from nnzoo.run.history import History

FEW_EPOCHS = 5
REASONABLE_EPOCHS = 100
"""If a learning rate would need more epochs than this, it is too low; otherwise the run was too short."""
SLOW = 2e-4
"""The relative change of weights per step is usually about 1e-3; below this, the learning rate is low."""
TINY_BATCH, SMALL_BATCH, USUAL_BATCH = 3, 8, 32


def learning_rate_too_high(evidence: Evidence) -> Finding | None:
    """The same network learns more, from the same start, with a lower rate."""
    rate = best_rate(evidence)
    if rate is None or rate.factor >= 1 or rate.lost < LOST:
        return None
    factor, lost, outcome = rate.factor, rate.lost, rate.outcome
    before, lr = evidence.config.optimizer.lr, remedies.round_rate(evidence.config.optimizer.lr * factor)
    seen = list(_course(evidence))
    ratio = evidence.rate_of_change
    if ratio > 0.03:
        seen.append(f"each step changed the weights by {ratio:.0%} of their size (0.1 % is usual)")
    shown = f" {_sentence(seen)}" if seen else ""
    return Finding(
        "spoils" if evidence.diverged or lost > 0.8 else "warning",
        "learning rate too high",
        f"the steps are too large, so the loss jumps over its minimum.{shown} With optimizer.lr {lr:g} instead of "
        f"{before:g}, {evidence.reached(outcome)}.",
        fix=evidence.fix(remedies.with_rate(evidence.config, lr)),
        confidence="certain" if lost > 0.5 else "likely",
        gain=evidence.gain(outcome),
    )


def learning_rate_too_low(evidence: Evidence) -> Finding | None:
    """The same network learns far more, in the same number of steps, with a higher rate."""
    lr = evidence.config.optimizer.lr
    if not lr:
        return _nothing_trains(evidence)
    rate = best_rate(evidence)
    if rate is None or rate.factor < 9 or rate.lost < LOST or _is_short(evidence, rate.factor):
        return None
    factor, outcome = rate.factor, rate.outcome
    better = remedies.round_rate(lr * factor)
    ratio = evidence.rate_of_change
    change = f" (each step changed the weights by {100 * ratio:.1g} % of their size; 0.1 % is usual)"
    slow = change if ratio < SLOW else ""
    return Finding(
        "warning",
        "learning rate too low",
        f"the steps are so small that this training would need about {factor:,.0f} times the epochs{slow}. With "
        f"optimizer.lr {better:g} instead of {lr:g}, {evidence.reached(outcome)}.",
        fix=evidence.fix(remedies.with_rate(evidence.config, better)),
        confidence="certain" if rate.lost > 0.5 else "likely",
        gain=evidence.gain(outcome),
    )


def _nothing_trains(evidence: Evidence) -> Finding:
    lr = {"sgd": 0.1, "adagrad": 0.01, "adadelta": 1.0, "rprop": 0.01, "lbfgs": 1.0}.get(
        evidence.config.optimizer.name, 1e-3
    )
    return Finding(
        "spoils",
        "learning rate too low",
        f"optimizer.lr is 0, so no weight changes. Set optimizer.lr={lr:g}.",
        fix=evidence.fix((remedies.override("optimizer.lr", lr),)),
        confidence="certain",
        gain=1.0,
    )


def stopped_too_early(evidence: Evidence) -> Finding | None:
    """The learning rate is right, and more epochs reach more."""
    if not evidence.can_try or not evidence.num_epochs or evidence.diverged:
        return None
    config, epochs = evidence.config, evidence.num_epochs
    fix = _longer(evidence)
    if not fix:
        return None
    lost, outcome = max(_more_epochs(evidence, fix), key=lambda pair: pair[0], default=(0.0, None))
    if outcome is None or lost < LOST:
        return None
    losses = evidence.history.get("train/loss", [])
    fell = ""
    if len(losses) > 1 and losses[-1] < losses[-2]:
        fell = (
            f" The train loss was still falling, from {number(losses[-2])} to {number(losses[-1])} in the last epoch."
        )
    why = ""
    if evidence.status == "early_stopped" and config.train.early_stopping is not None:
        stopping = config.train.early_stopping
        why = f" (early stopping with patience {stopping.patience} and min_delta {stopping.min_delta:g})"
    return Finding(
        "warning",
        "stopped too early",
        f"training ended after {epochs} {'epoch' if epochs == 1 else 'epochs'}{why}, before the network had learned "
        f"what it can.{fell} With more epochs, {evidence.reached(outcome)}. Set {' '.join(fix)}.",
        fix=fix,
        gain=evidence.gain(outcome),
    )


def _longer(evidence: Evidence) -> remedies.Overrides:
    epochs = max(evidence.num_epochs, 1)
    wanted = remedies.epochs_for(10 if epochs <= 10 else 4, epochs)
    stops = evidence.status == "early_stopped"
    patience = max(10, epochs) if stops or epochs <= FEW_EPOCHS else None
    return evidence.fix(remedies.with_epochs(evidence.config, max(wanted, 30), patience=patience))


def _more_epochs(evidence: Evidence, fix: remedies.Overrides) -> list[tuple[float, Outcome | None]]:
    """Returns what more epochs reach: from the start, and from the last weights."""
    found: list[tuple[float, Outcome | None]] = []
    most = 2 * evidence.trials.num_steps
    if most >= 2 * evidence.num_steps:
        outcome = evidence.trial(*fix, steps=min(most, max(10, 10 * evidence.num_steps)))
        found.append((evidence.better(outcome, Fit.BETTER), outcome))
    if not found or found[0][0] < LOST:
        outcome = evidence.continued(*fix)
        found.append((evidence.better(outcome, Fit.BETTER), outcome))
    return found


def plateau(evidence: Evidence) -> Finding | None:
    """The schedule reduced the learning rate too soon."""
    if not evidence.can_try or not evidence.num_epochs:
        return None
    rates = evidence.history.get("lr", [])
    fix = evidence.fix(remedies.constant_rate(evidence.config))
    half = rates[len(rates) // 2] if rates else 0.0
    if not fix or not rates or half >= max(rates) / 10 or (lost := evidence.lost(*fix, fit=Fit.BETTER)) < LOST:
        return None
    early = next(index for index, rate in enumerate(rates) if rate < max(rates) / 10)
    outcome = evidence.trial(*fix)
    assert outcome is not None
    return Finding(
        "warning",
        "plateau",
        f"the loss stopped falling because {evidence.config.scheduler.name} reduced the learning rate from "
        f"{max(rates):.2g} to {rates[early]:.2g} by epoch {early + 1}. With a constant rate, "
        f"{evidence.reached(outcome)}.",
        fix=fix,
        confidence="certain" if lost > 0.5 else "likely",
        gain=evidence.gain(outcome),
    )


def unlucky_start(evidence: Evidence) -> Finding | None:
    """The run is stuck, although most other initial weights learn with the same settings."""
    if evidence.config.train.restarts > 1 or evidence.diverged or not evidence.can_try or not evidence.can_gain:
        return None
    if evidence.trial_steps < evidence.num_steps or evidence.num_epochs <= FEW_EPOCHS:
        return None
    seed = evidence.config.seed
    if evidence.better(evidence.trial()) >= LOST:
        return None  # the measurement differs from the run itself
    others = [evidence.trials.run(steps=evidence.trial_steps, seed=seed + each) for each in (1, 2, 3)]
    lost = [evidence.better(each, Fit.BETTER) for each in others]
    if sorted(lost)[1] < 2 * LOST:
        return None
    best = others[lost.index(max(lost))]
    assert best is not None
    return Finding(
        "warning",
        "plateau",
        f"the loss is stuck: training from these initial weights stops at a bad point. From the weights of another "
        f"seed, {evidence.reached(best)}. Set train.restarts=5, which keeps the best of five.",
        fix=evidence.fix(("train.restarts=5",)),
        confidence="possible",
        gain=evidence.gain(best),
    )


def batch_size_too_large(evidence: Evidence) -> Finding | None:
    """An epoch has a few steps only, and smaller batches learn more in the same epochs."""
    batch, num_train = _batch(evidence), len(evidence.experiment.splits["train"])
    if not evidence.can_try or batch <= USUAL_BATCH or batch < num_train / 5 or evidence.num_epochs < FEW_EPOCHS:
        return None
    smaller = 16 if num_train < 400 else USUAL_BATCH
    fix = evidence.fix((remedies.override("train.batch_size", smaller),))
    # Steps with smaller batches are faster.
    most = round(2 * evidence.trials.num_steps * math.sqrt(batch / smaller))
    steps = min(evidence.num_epochs * math.ceil(num_train / smaller), most)
    outcome = evidence.trial(*fix, steps=steps) if fix else None
    if outcome is None or evidence.better(outcome, Fit.BETTER) < LOST:
        return None
    return Finding(
        "warning",
        "batch size too large",
        f"a batch has {batch} of {num_train} train samples, so {evidence.num_epochs} epochs are only "
        f"{evidence.num_steps} steps, too few to learn. With train.batch_size {smaller}, "
        f"{evidence.reached(outcome)}.",
        fix=fix,
        gain=evidence.gain(outcome),
    )


def batch_size_too_small(evidence: Evidence) -> Finding | None:
    """The gradient is so noisy that larger batches learn more in fewer steps."""
    batch = _batch(evidence)
    if not evidence.can_try or batch > SMALL_BATCH or batch >= len(evidence.experiment.splits["train"]) / 4:
        return None
    fix = evidence.fix((remedies.override("train.batch_size", USUAL_BATCH),))
    # Larger batches also average out the noise of a rate that is too high; a lower rate may fix it as well.
    if not fix or evidence.lost(*fix, fit=Fit.BETTER) < LOST:
        return None
    outcome = evidence.trial(*fix)
    assert outcome is not None
    return Finding(
        "warning",
        "batch size too small",
        f"the gradient of {batch} {'sample' if batch == 1 else 'samples'} is mostly noise at this learning rate. With "
        f"train.batch_size {USUAL_BATCH}, {evidence.reached(outcome)}.",
        fix=fix,
        gain=evidence.gain(outcome),
    )


def batch_norm_with_tiny_batches(evidence: Evidence) -> Finding | None:
    """Batch norm needs the statistics of many samples."""
    batch, num_train = _batch(evidence), len(evidence.experiment.splits["train"])
    if not has_batch_norm(evidence.initial) or batch > SMALL_BATCH or num_train < 4 * SMALL_BATCH:
        return None
    fix = evidence.fix((remedies.override("train.batch_size", USUAL_BATCH),))
    if batch > TINY_BATCH and evidence.lost(*fix) < LOST:
        return None
    return Finding(
        "warning",
        "batch norm with tiny batches",
        f"batch norm computes the mean and variance of each unit from {batch} samples, so they are mostly noise, and "
        f"differ from those used for predictions. Set train.batch_size={USUAL_BATCH}, or remove batch norm.",
        fix=fix,
        confidence="certain" if batch <= TINY_BATCH else "likely",
        gain=evidence.gained(*fix),
    )


def divergence(evidence: Evidence) -> Finding | None:
    """The loss was not finite."""
    if not evidence.diverged:
        return None
    finished = f"after {evidence.num_epochs} epochs" if evidence.num_epochs else "in the first epoch"
    where = evidence.failure or f"the loss was no longer finite {finished}."
    lr = evidence.config.optimizer.lr
    fix = evidence.fix(remedies.with_rate(evidence.config, lr / 100)) if lr else ()
    return Finding(
        "spoils",
        "divergence",
        f"{where} Try a smaller optimizer.lr, or train.clip_grad_norm: 1.0.",
        fix=fix,
        confidence="possible",
    )


def _is_short(evidence: Evidence, factor: float) -> bool:
    """Returns whether the same rate would learn in a reasonable number of epochs."""
    needed = evidence.num_epochs * factor / 3
    is_usual = not evidence.rate_of_change < SLOW
    return (needed <= REASONABLE_EPOCHS or evidence.num_epochs <= FEW_EPOCHS) and is_usual


def _course(evidence: Evidence) -> list[str]:
    """Describes how the loss moved."""
    losses = [value for value in evidence.history.get("train/loss", []) if math.isfinite(value)]
    seen = []
    if evidence.diverged:
        seen.append(evidence.failure.rstrip(".") or "the loss was no longer finite")
    start = evidence.at_start.loss
    if losses and math.isfinite(start) and min(losses) > start:
        seen.append(f"the train loss never fell below its start ({number(start)}; lowest {number(min(losses))})")
    elif losses and max(losses) > 1.5 * min(losses) and losses.index(max(losses)) > losses.index(min(losses)):
        epoch = losses.index(max(losses)) + 1
        seen.append(f"the train loss rose from {number(min(losses))} to {number(max(losses))} in epoch {epoch}")
    return seen


def _sentence(parts: list[str]) -> str:
    text = ", and ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


def _batch(evidence: Evidence) -> int:
    """Returns the number of samples per step."""
    size, num_train = evidence.config.train.batch_size, len(evidence.experiment.splits["train"])
    return min(size, num_train) if isinstance(size, int) else num_train


def is_still_learning(history: History) -> bool:
    """Returns whether the train loss was still falling noticeably in the last quarter of the epochs."""
    losses = history.get("train/loss", [])
    return len(losses) < 4 or losses[-1] < 0.95 * losses[-1 - len(losses) // 4]


RULES = (
    batch_norm_with_tiny_batches,
    batch_size_too_large,
    batch_size_too_small,
    plateau,
    learning_rate_too_high,
    learning_rate_too_low,
    stopped_too_early,
    divergence,
)
