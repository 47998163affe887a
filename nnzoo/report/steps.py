"""Sequences with an answer at every step, and several labels per sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnzoo.data.reader import NO_TARGET
from nnzoo.errors import UsageError
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Bars, Cell, Curve, Details, Images, Lines, Part, Section, TableOf
from nnzoo.report.inside.network import MAX_SAMPLES, network_of
from nnzoo.report.samples import Samples, symbols_of
from nnzoo.training.batches.order import eval_batch_size

MAX_SEQUENCES = 4
MAX_SHOWN_STEPS = 60
MAX_VALUES = 6
WORST = 12


def steps_section(run: RunWithData) -> Section | None:
    """Returns some sequences with the answer at every step; None if samples have one answer."""
    if run.experiment is None or run.outputs is None or run.dataset.per != "step":
        return None
    targets = run.experiment.splits[run.split].truth.cpu()
    samples = Samples(run, run.split)
    count = len(targets)
    rows = sorted({round(i * (count - 1) / max(1, MAX_SEQUENCES - 1)) for i in range(MAX_SEQUENCES)})
    parts: list[Part] = []
    for row in rows:
        table = _answers(run, samples, row, run.outputs[row], targets[row])
        parts.append(table if not parts else Details(table.title, [table]))
    return Section("steps", "An answer at every step", parts)


def loss_by_position(run: RunWithData) -> list[Part]:
    """Returns the mean cross entropy of each step of a sequence; empty if the network is missing."""
    network = network_of(run)
    if network is None:
        return []
    split, decoder, num_classes = network.split, network.decoder, len(run.dataset.classes)
    count = min(MAX_SAMPLES, len(split))
    kept = torch.linspace(0, len(split) - 1, count, dtype=torch.float64).round().long()
    size = eval_batch_size(split.inputs, 1, classes_per_step=num_classes)
    total, weight = torch.zeros(2, split.targets.shape[1], dtype=torch.float64)
    for rows in torch.split(kept, size):
        outputs, targets = (
            network.outputs(network.inputs(split, rows), network.lengths(split, rows)),
            split.targets[rows].cpu(),
        )
        valid = targets != NO_TARGET
        logs = decoder.log_probabilities(outputs.flatten(0, 1)).reshape(*targets.shape, num_classes)
        losses = -logs.gather(2, targets.clamp_min(0).unsqueeze(2))[..., 0].double()
        total += losses.masked_fill(~valid, 0).sum(0)
        weight += valid.sum(0)
    means = torch.where(weight > 0, total / weight.clamp_min(1), math.nan).tolist()
    steps = list(range(1, len(means) + 1))
    series: dict[str, Curve] = {"network": (steps, means)}
    perplexity = run.result["baseline"].get(f"{run.split}/perplexity")
    if perplexity:
        series["baseline"] = (steps, [math.log(perplexity)] * len(steps))
    caption = f"Mean cross entropy of {count} of {len(split)} sequences of the {run.split} split, in nats."
    return [Lines("Loss by position", caption, "step", "loss", series)]


def _answers(run: RunWithData, samples: Samples, row: int, outputs: Tensor, targets: Tensor) -> TableOf:
    """Returns one row per step with a target: the input, the target, the answer and its probability."""
    valid = (targets != NO_TARGET).nonzero()[:, 0]
    answers, shares = outputs[:, 0].long(), outputs[:, 1]
    right = int((answers[valid] == targets[valid]).sum())
    inputs = _inputs(run, samples, row)
    classes, rows = run.dataset.classes, []
    for step in valid[:MAX_SHOWN_STEPS].tolist():
        true, answer = int(targets[step]), int(answers[step])
        cells: list[Cell] = [step + 1, inputs[step] if inputs else "", classes[true], classes[answer]]
        rows.append([*cells, float(shares[step]), "" if true == answer else "wrong"])
    more = f" The first {MAX_SHOWN_STEPS} steps." if len(valid) > MAX_SHOWN_STEPS else ""
    title = f"{samples.place(row) or f'sample {row}'}: {right} of {len(valid)} steps right"
    header = ["step", "input", "target", "answer", "probability", ""]
    return TableOf(title, f"Of the {run.split} split.{more}", header, rows)


def _inputs(run: RunWithData, samples: Samples, row: int) -> list[str]:
    if samples.inputs is None:
        return []
    values = samples.inputs[row : row + 1][0]
    if run.dataset.layout == "tokens":
        return symbols_of(values, run.dataset.reader)
    flat = values.reshape(len(values), -1)[:, :MAX_VALUES]
    return [", ".join(f"{value:.4g}" for value in step) for step in flat.tolist()]


def labels_section(run: RunWithData) -> Section | None:
    """Returns the scores of each label and the worst samples; None if the data is not multilabel."""
    if run.experiment is None or run.outputs is None or run.dataset.task != "multilabel":
        return None
    decoder = run.experiment.decoder.on_cpu()
    actual = decoder.target_labels(run.experiment.splits[run.split].truth.cpu())
    predicted, classes = decoder.labels(run.outputs), run.dataset.classes
    hits = (actual * predicted).sum(0).double()
    precision, recall = hits / predicted.sum(0).clamp_min(1), hits / actual.sum(0).clamp_min(1)
    f1 = 2 * hits / (actual.sum(0) + predicted.sum(0)).clamp_min(1)
    columns = [precision.tolist(), recall.tolist(), f1.tolist(), actual.sum(0).tolist()]
    rows: list[list[Cell]] = [[name, *cells] for name, *cells in zip(classes, *columns, strict=True)]
    parts: list[Part] = [
        Bars("Scores by label", "F1 of each label.", list(classes), {"f1": f1.tolist()}),
        TableOf("", "", ["label", "precision", "recall", "f1", "samples"], rows, precise=True),
    ]
    try:
        wrong = (decoder.probabilities(run.outputs) - actual).abs().mean(1)
    except UsageError:
        wrong = (predicted != actual).double().mean(1)
    samples = Samples(run, run.split)
    items = [
        samples.picture(row, f"is {_joined(actual[row], classes)}\npredicted {_joined(predicted[row], classes)}")
        for row in wrong.argsort(descending=True, stable=True)[:WORST].tolist()
    ]
    return Section("labels", "Predictions", [*parts, Images("Worst samples", "", items)])


def _joined(labels: Tensor, classes: tuple[str, ...]) -> str:
    return ", ".join(classes[i][:40] for i in torch.nonzero(labels)[:, 0].tolist()) or "none"
