"""Sequences with an answer at every step, and several labels per sample."""

from __future__ import annotations

import torch
from torch import Tensor

from nnzoo.data import LanguageReader
from nnzoo.data.reader import NO_TARGET
from nnzoo.errors import UsageError
from nnzoo.experiment.load import load
from nnzoo.experiment.predict.language import continue_text
from nnzoo.experiment.train.finished import FinishedRun
from nnzoo.report.charts import Bars, Cell, Details, Images, Part, Section, TableOf, Text
from nnzoo.report.samples import Samples, symbols_of

MAX_SEQUENCES = 4
MAX_SHOWN_STEPS = 60
MAX_VALUES = 6
WORST = 12
SAMPLED_TOKENS = 300
TEMPERATURE = 0.8


def steps_section(run: FinishedRun) -> Section | None:
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
    return Section("steps", "An answer at every step", [*_continued(run), *parts])


def _continued(run: FinishedRun) -> list[Part]:
    """Returns text that a language model has written; nothing for another network."""
    if not isinstance(run.dataset.reader, LanguageReader) or run.config.model.name not in ("rnn", "lstm", "gru"):
        return []
    text = continue_text(load(run.folder), "", length=SAMPLED_TOKENS, temperature=TEMPERATURE, seed=0).text
    explained = f"Text that the network writes by itself, token by token, at temperature {TEMPERATURE} with seed 0:"
    return [Text(explained), Text(text, code=True)]


def _answers(run: FinishedRun, samples: Samples, row: int, outputs: Tensor, targets: Tensor) -> TableOf:
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


def _inputs(run: FinishedRun, samples: Samples, row: int) -> list[str]:
    if samples.inputs is None:
        return []
    values = samples.inputs[row : row + 1][0]
    if run.dataset.layout == "tokens":
        return symbols_of(values, run.dataset.reader)
    flat = values.reshape(len(values), -1)[:, :MAX_VALUES]
    return [", ".join(f"{value:.4g}" for value in step) for step in flat.tolist()]


def labels_section(run: FinishedRun) -> Section | None:
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
