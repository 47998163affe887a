"""The outputs of the network, compared with its targets and with simple references."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from nnzoo.config import model
from nnzoo.config.loss import Loss
from nnzoo.data import OnDisk
from nnzoo.data.baseline import shares
from nnzoo.doctor import remedies
from nnzoo.doctor.evidence import LOST, RARE, Evidence, Fit
from nnzoo.doctor.finding import Finding
from nnzoo.doctor.trials import measured_rows
from nnzoo.experiment.evaluate.confidence import wilson
from nnzoo.experiment.evaluate.measure import confusion_matrix
from nnzoo.experiment.reference.linear import CHEAP, linear_scores
from nnzoo.numbers import number
from nnzoo.training.evaluate import evaluate
from nnzoo.training.measures.metrics import MetricSums

RANGES = {
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "log_softmax": (-math.inf, 0.0),
    "tanh": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "step": (0.0, 1.0),
    "elu": (-1.0, math.inf),
    "selu": (-1.7581, math.inf),
    "gelu": (-0.17, math.inf),
    "silu": (-0.2785, math.inf),
}
"""The range of the outputs of an activation with its default fields."""
MISSED = 0.1
"""The least difference between the recall of the rarest class, at its upper confidence limit, and that of others."""
OUTSIDE = 0.02
"""The share of the targets that may lie outside of the range, such as outliers."""


def output_activation(evidence: Evidence) -> Finding | None:
    """The activation of the last layer can't give what the loss needs."""
    section = model.output_of(evidence.config.model)
    if section is None or section.activation.name not in RANGES:
        return None
    name, loss = section.activation.name, evidence.config.loss
    low, high = RANGES[name]
    problem = _of_values(evidence, name, low, high) if loss.reads == "values" else _of_logits(loss, name, low, high)
    if not problem:
        return None
    return Finding(
        "spoils",
        "output activation",
        f"{problem} Set model.output.activation=identity.",
        fix=evidence.fix(remedies.without_output_activation(evidence.config)),
        confidence="certain",
    )


def _of_values(evidence: Evidence, name: str, low: float, high: float) -> str:
    targets = evidence.experiment.splits["train"].targets.double()
    outside = float(((targets < low - 1e-3) | (targets > high + 1e-3)).double().mean())
    if name == "softmax" and evidence.dataset.task == "regression" and outside <= OUTSIDE:
        outside = float(((targets.sum(1) - 1).abs() > 1e-3).double().mean())
    if outside <= OUTSIDE:
        return ""
    reach = (
        f"from {low:g} to {high:g}" if math.isfinite(low + high) else f"{'from' if high > 0 else 'below'} {low:g} up"
    )
    return f"the outputs of {name} reach {reach}, but {outside:.0%} of the train targets lie outside."


def _of_logits(loss: Loss, name: str, low: float, high: float) -> str:
    if name in ("softmax", "log_softmax", "sigmoid") and loss.reads == "logits":
        return ""  # the loss takes the logarithm of the probabilities
    if loss.reads == "margins" and low <= -1 and high >= 1:
        return ""
    if loss.reads == "logits" and low < -1 and math.isinf(high):
        return ""
    if math.isfinite(low) and math.isfinite(high):
        reach = f"between {low:g} and {high:g}, so no probability comes near 0 or 1"
    else:
        reach = f"never below {low:g}, so the network can't lower the probability of a wrong class"
    return f"{loss.name} reads the outputs as scores without bounds, but those of {name} are {reach}."


def constant_prediction(evidence: Evidence) -> Finding | None:
    """The network gives the same answer for every sample."""
    outputs, dataset = evidence.outputs, evidence.dataset
    if outputs is None or len(outputs) < 10 or dataset.per != "sample" or evidence.own.held > evidence.floor + 0.02:
        return None
    if dataset.task == "classification":
        labels = evidence.experiment.decoder.on_cpu().labels(outputs)
        if int(labels.min()) != int(labels.max()):
            return None
        answer = f"'{dataset.classes[int(labels[0])]}'"
    elif dataset.task == "regression":
        spread, scale = outputs.double().std(0), evidence.experiment.splits["train"].targets.double().std(0).cpu()
        if bool((spread > 0.05 * scale).any()):
            return None
        answer = number(float(evidence.experiment.decoder.on_cpu().values(outputs[:1])[0, 0]))
    else:
        return None
    return Finding(
        "warning",
        "constant prediction",
        f"the network predicts {answer} for every sample, so it ignores its inputs. The inputs may not tell the "
        "targets apart, or the network did not train.",
        confidence="possible",
    )


def no_better_than_the_baseline(evidence: Evidence) -> Finding | None:
    """A prediction that ignores the inputs is as good."""
    return _remark(evidence, "no better than the baseline", ())


def worse_than_a_linear_model(evidence: Evidence) -> Finding | None:
    """A linear model predicts better."""
    fix = remedies.as_linear(evidence.config)
    found = _remark(evidence, "worse than a linear model", evidence.fix(fix))
    if found is None or not evidence.can_try or "val" not in evidence.experiment.splits:
        return found
    scores = linear_scores(evidence.examined, "val", max_operations=CHEAP)
    if evidence.score_name not in scores:
        return replace(found, confidence="possible")
    return replace(found, confidence="possible", gain=max(0.0, evidence.gain_of(scores[evidence.score_name])))


def rare_classes_are_missed(evidence: Evidence) -> Finding | None:
    """Rare classes are predicted far less often than they occur."""
    fix = evidence.fix(remedies.balanced(evidence.config))
    remark = _remark(evidence, "class balance", fix)
    if remark is not None or evidence.imbalance < RARE:
        return remark
    lost = evidence.lost(*fix, fit=Fit.ANY)
    missed = _missed_class(evidence)
    if lost < LOST and not missed:
        return None
    outcome = evidence.trial(*fix) if fix else None
    helps = outcome is not None and evidence.gain(outcome) > 0
    reached = f" With class weights, {evidence.reached(outcome)}." if outcome is not None and helps else ""
    threshold = (
        ", or another decision threshold (`nnzoo predict --threshold`)," if len(evidence.dataset.classes) == 2 else ""
    )
    advice = "" if helps else f" More samples of it{threshold} help."
    return Finding(
        "warning",
        "class balance",
        f"the largest class has {evidence.imbalance:.0f} times the samples of the smallest, so errors in rare classes "
        f"hardly count.{missed}{reached}{advice}",
        fix=fix if helps else (),
        gain=evidence.gain(outcome) if helps else 0.0,
    )


def _missed_class(evidence: Evidence) -> str:
    """Describes the rarest class if it is recognized clearly less often than the other samples."""
    matrix, dataset = _confusion(evidence), evidence.dataset
    if matrix is None:
        return ""
    rare = int(shares(dataset.measured_split("train"), len(dataset.classes)).argmin())
    counts, right = matrix.sum(1), matrix.diagonal()
    others, right_others = int(counts.sum() - counts[rare]), int(right.sum() - right[rare])
    if not int(counts[rare]) or not others:
        return ""
    high = wilson(float(right[rare] / counts[rare]), int(counts[rare]))[1]
    if right_others / others - high < MISSED:
        return ""
    return (
        f" Of the samples of '{dataset.classes[rare]}', {float(right[rare] / counts[rare]):.0%} are recognized, and of "
        f"all others {right_others / others:.0%}."
    )


def _confusion(evidence: Evidence) -> torch.Tensor | None:
    """Returns the confusion matrix of the best weights on val, or on train without val; rows are the true classes."""
    module, experiment = evidence.best, evidence.experiment
    split = experiment.splits["val" if "val" in experiment.splits else "train"]
    if module is None or evidence.dataset.per != "sample" or isinstance(split.inputs, OnDisk):
        return None
    part = split.take(measured_rows(split, 5000).to(split.targets.device))
    sums = MetricSums((), experiment.decoder)
    outputs = evaluate(module, experiment.loss, part, sums, batch_size=len(part), keep_outputs=True).outputs
    assert outputs is not None
    matrix = torch.tensor(confusion_matrix(experiment.decoder.on_cpu(), outputs, part.truth.cpu()))
    return matrix if matrix.ndim == 2 else None


def _remark(evidence: Evidence, topic: str, fix: remedies.Overrides) -> Finding | None:
    for found, message in evidence.scores.remarks:
        if found == topic:
            return Finding("warning", topic, message, fix=fix)
    return None


def untrained_loss(evidence: Evidence) -> Finding | None:
    """The loss is not finite before the first step."""
    if math.isfinite(evidence.at_start.loss):
        return None
    inputs = evidence.experiment.splits["train"].inputs
    largest = float(inputs[:1000].abs().max()) if isinstance(inputs, torch.Tensor) else math.nan
    return Finding(
        "spoils",
        "loss",
        f"the loss is {evidence.at_start.loss} before the first step. Are inputs very large (the largest is "
        f"{number(largest)})?",
        confidence="certain",
    )


RULES = (
    output_activation,
    untrained_loss,
    constant_prediction,
    no_better_than_the_baseline,
    worse_than_a_linear_model,
    rare_classes_are_missed,
)
