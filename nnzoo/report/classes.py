"""Predicted classes: the confusion matrix with its samples, scores by class, calibration, and the worst mistakes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nnzoo.data.reader import NO_TARGET
from nnzoo.errors import UsageError
from nnzoo.experiment.evaluate.measure import confusion_matrix, per_class
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Bars, Cell, Heatmap, Images, Lines, Part, Picture, Section, TableOf, Text
from nnzoo.report.layer_names import counted
from nnzoo.report.samples import Samples
from nnzoo.report.steps import loss_by_position

MAX_IMAGES, MAX_TEXTS = 500, 240
"""The number of samples in all cells of the confusion matrix."""
PER_CELL = 8
WORST = 12
BINS = 10
MAX_BARS = 40
MAX_CURVE = 400


@dataclass(frozen=True, eq=False)
class Predicted:
    """The predictions of a split with one class per sample.

    Attributes:
        samples: The samples.
        classes: The class names.
        actual: (N,) class indices.
        predicted: (N,) class indices.
        shares: (N, K) probabilities; None if the network predicts none.
    """

    samples: Samples
    classes: tuple[str, ...]
    actual: Tensor
    predicted: Tensor
    shares: Tensor | None

    @property
    def confidence(self) -> Tensor:
        """The probability of the predicted class, (N,); 1 if there are no probabilities."""
        if self.shares is None:
            return torch.ones(len(self.actual), dtype=torch.float64)
        return self.shares.gather(1, self.predicted.unsqueeze(1))[:, 0].double()

    def picture(self, index: int) -> Picture:
        """Returns a sample with its class and the three likeliest classes."""
        if self.shares is None:
            answer = self.classes[self.predicted[index]]
        else:
            top = self.shares[index].topk(min(3, len(self.classes)))
            pairs = zip(top.values.tolist(), top.indices.tolist(), strict=True)
            answer = "\n".join(f"{self.classes[i][:40]} {share:.3f}" for share, i in pairs)
        return self.samples.picture(index, f"is {self.classes[self.actual[index]][:40]}\n{answer}")

    def pictures(self, rows: Tensor, count: int) -> Images:
        """Returns the first samples of `rows`."""
        return Images("", "", [self.picture(int(row)) for row in rows[:count]])


def classes_section(run: RunWithData) -> Section | None:
    """Returns the predictions of classes; None for another task or without predictions."""
    if run.experiment is None or run.outputs is None or run.dataset.task != "classification":
        return None
    decoder, split = run.experiment.decoder.on_cpu(), run.experiment.splits[run.split]
    targets, outputs, dataset = split.truth.cpu(), run.outputs, run.dataset
    matrix = confusion_matrix(decoder, outputs, targets)
    if dataset.per == "step":
        return Section("classes", "Predictions", _of_steps(run, matrix, outputs, targets))
    actual = decoder.target_labels(targets[:, 0] if dataset.per == "node" else targets)
    try:
        shares: Tensor | None = decoder.probabilities(outputs)
    except UsageError:
        shares = None
    found = Predicted(Samples(run, run.split), dataset.classes, actual, decoder.labels(outputs), shares)
    parts: list[Part] = [
        Text(f"The {len(actual)} samples of the {run.split} split, with the best weights.{_absent(matrix, found)}")
    ]
    if matrix:
        parts += [_confusion(matrix, found), *_by_class(matrix, dataset.classes)]
    if shares is not None:
        parts.append(_calibration(found))
    if shares is not None and len(dataset.classes) == 2:
        parts += _two_classes(found)
    return Section("classes", "Predictions", [*parts, _worst(found)])


def _absent(matrix: list[list[int]], found: Predicted) -> str:
    absent = [name for name, row in zip(found.classes, matrix, strict=False) if not sum(row)]
    shown = ", ".join(name[:40] for name in absent[:5])
    return f" No sample of: {shown}{' …' if len(absent) > 5 else '.'}" if absent else ""


def _confusion(matrix: list[list[int]], found: Predicted) -> Heatmap:
    """Returns the confusion matrix. Each cell opens its samples, mistakes first if there is no room for all."""
    num_classes, budget = len(found.classes), MAX_IMAGES if found.samples.are_images else MAX_TEXTS
    cells = [(i, j) for i in range(num_classes) for j in range(num_classes) if matrix[i][j]]
    cells.sort(key=lambda cell: (cell[0] == cell[1], -matrix[cell[0]][cell[1]]))
    per_cell = max(1, min(PER_CELL, budget // max(1, len(cells))))
    confidence, opens = found.confidence, {}
    flat = found.actual * num_classes + found.predicted
    for i, j in cells[:budget]:
        rows = (flat == i * num_classes + j).nonzero()[:, 0]
        # Of mistakes the surest, of correct predictions the least sure.
        rows = rows[confidence[rows].argsort(descending=i != j, stable=True)]
        shown = f" ({per_cell} of {len(rows)})" if len(rows) > per_cell else ""
        title = f"{found.classes[i][:60]}, predicted as {found.classes[j][:60]}{shown}"
        opens[i, j] = [Images(title, "", found.pictures(rows, per_cell).items)]
    caption = "Choose a cell to see its samples, with the likeliest classes and their probabilities."
    names = list(found.classes)
    return Heatmap("Confusion matrix", caption, matrix, names, names, "actual class", "predicted class", opens=opens)


def _by_class(matrix: list[list[int]], classes: tuple[str, ...]) -> list[Part]:
    scores = per_class(matrix, classes)
    names = ["precision", "recall", "f1"] if len(classes) <= 12 else ["f1"]
    rows: list[list[Cell]] = [
        [str(each["class"]), each["precision"], each["recall"], each["f1"], int(each["support"])] for each in scores
    ]
    table = TableOf("", "", ["class", "precision", "recall", "f1", "samples"], rows, precise=True)
    if len(classes) > MAX_BARS:
        return [TableOf("Scores by class", "", table.header, table.rows, precise=True)]
    bars = {name: [float(each[name]) for each in scores] for name in names}
    caption = "Precision: how many predictions of the class are right. Recall: how many of its samples are found."
    return [Bars("Scores by class", caption, list(classes), bars), table]


def _calibration(found: Predicted) -> Lines:
    """Returns the accuracy of predictions by their probability, and the expected calibration error."""
    confidence, correct = found.confidence, (found.actual == found.predicted).double()
    bins = (confidence * BINS).long().clamp(0, BINS - 1)
    sizes = bins.bincount(minlength=BINS).double()
    means = [sums / sizes for sums in (bins.bincount(confidence, BINS), bins.bincount(correct, BINS))]
    kept = sizes > 0
    error = float((sizes[kept] / sizes.sum() * (means[0] - means[1])[kept].abs()).sum())
    caption = (
        f"The share of right answers among predictions of a probability, in {BINS} bins. On the diagonal, "
        f"probabilities are calibrated. Expected calibration error: {error:.4f}."
    )
    curve = (means[0][kept].tolist(), means[1][kept].tolist())
    series = {"network": curve, "perfect": ([0.0, 1.0], [0.0, 1.0])}
    return Lines("Calibration", caption, "probability of the predicted class", "share of right answers", series)


def _two_classes(found: Predicted) -> list[Part]:
    """Returns the ROC curve and the precision-recall curve of the second class."""
    assert found.shares is not None
    score, is_second = found.shares[:, 1], (found.actual == 1).double()
    positives, negatives = float(is_second.sum()), float((1 - is_second).sum())
    if not positives or not negatives:
        return [Text("ROC and precision-recall curves need samples of both classes.")]
    order = score.argsort(descending=True, stable=True)
    ends = torch.cat([score[order].diff() != 0, torch.ones(1, dtype=torch.bool)]).nonzero()[:, 0]  # of tied scores
    hits = is_second[order].cumsum(0)[ends]
    recall, false_rate = hits / positives, (ends + 1 - hits) / negatives
    precision = hits / (ends + 1)
    start = torch.zeros(1, dtype=torch.float64)
    area = float(torch.trapezoid(torch.cat([start, recall]), torch.cat([start, false_rate])))
    average = float((precision * torch.cat([start, recall]).diff()).sum())
    kept = torch.linspace(0, len(ends) - 1, min(MAX_CURVE, len(ends))).round().long()
    name = found.classes[1][:40]
    roc = ([0.0, *false_rate[kept].tolist()], [0.0, *recall[kept].tolist()])
    return [
        Lines(
            "ROC curve",
            f"For every threshold on the probability of {name}. Area: {area:.4f}; chance: 0.5.",
            "false positive rate",
            "recall",
            {"network": roc, "chance": ([0.0, 1.0], [0.0, 1.0])},
        ),
        Lines(
            "Precision and recall",
            f"For every threshold on the probability of {name}. Average precision: {average:.4f}; "
            f"chance: {positives / (positives + negatives):.4f}.",
            "recall",
            "precision",
            {"network": (recall[kept].tolist(), precision[kept].tolist())},
        ),
    ]


def _worst(found: Predicted) -> Part:
    wrong = (found.actual != found.predicted).nonzero()[:, 0]
    if not len(wrong):
        return Text("There are no mistakes on this split.")
    order = found.confidence[wrong].argsort(descending=True, stable=True)
    mistakes = counted(len(wrong), "mistake")
    caption = f"{mistakes}, the most certain first: wrong labels are often among them."
    return Images("Worst mistakes", caption, found.pictures(wrong[order], WORST).items)


def _of_steps(run: RunWithData, matrix: list[list[int]], outputs: Tensor, targets: Tensor) -> list[Part]:
    """Returns the accuracy and the loss by position, and for few classes the confusion matrix of the steps."""
    classes = run.dataset.classes
    valid = targets != NO_TARGET
    right = ((outputs[..., 0] == targets) & valid).sum(0).double()
    count = valid.sum(0).double()
    share = torch.where(count > 0, right / count.clamp_min(1), math.nan).tolist()
    positions = list(range(1, len(share) + 1))
    parts: list[Part] = [
        Lines(
            "Accuracy by position",
            "Over the samples that have the step.",
            "step",
            "accuracy",
            {"accuracy": (positions, share)},
        ),
        *loss_by_position(run),
    ]
    if matrix and len(classes) <= MAX_BARS:
        names = list(classes)
        parts.append(Heatmap("Confusion matrix", "Steps.", matrix, names, names, "actual class", "predicted class"))
    return parts + (_by_class(matrix, classes) if matrix else [])
