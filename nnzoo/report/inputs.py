"""The data of a run: class balance, examples, and columns with their types, ranges and missing values."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nnzoo.data import OnDisk, Split
from nnzoo.doctor.samples import describe
from nnzoo.experiment.train.finished import MAX_RAW_ENTRIES, RunWithData
from nnzoo.report.charts import Bars, Cell, Images, Part, Section, TableOf, Text
from nnzoo.report.samples import Samples

MAX_COLUMNS = 400
MAX_CLASSES = 250
EXAMPLES = 12


def data_section(run: RunWithData) -> Section | None:
    """Returns the training data; None if it can't be read."""
    if run.experiment is None:
        return None
    dataset = run.dataset
    raw = run.raw_inputs("train")
    if raw is None:  # columns are then described without their ranges
        found = describe(replace(run.experiment, dataset=replace(dataset, layout="tokens")), run.experiment)
    else:
        part = _in_memory(dataset.train, raw)
        examined = replace(run.experiment, dataset=replace(dataset, splits={**dataset.splits, "train": part}))
        found = describe(run.experiment, examined)
    sizes = ", ".join(f"{count} {name}" for name, count in found["splits"].items())
    shape = " x ".join(map(str, found["input_shape"]))
    parts: list[Part] = [Text(f"{found['source']}: {sizes} samples; {found['task']} of {dataset.layout} ({shape}).")]
    if "classes" in found:
        parts += _balance(found["classes"])
    parts += _columns(run, found)
    if raw is not None and len(part) < len(dataset.train) and "columns" in found:
        parts.append(Text(f"The ranges are those of {len(part)} of the {len(dataset.train)} train samples."))
    if raw is not None:
        parts.append(_examples(run))
    else:
        parts.append(
            Text(f"The data is too large to be kept for this page: nnzoo report {run.folder.name} adds samples.")
        )
    return Section("data", "Data", parts)


def _in_memory(train: Split, raw: Tensor) -> Split:
    """Returns a split with its raw inputs in memory: evenly spaced samples that fit, if they are on the disk."""
    if not isinstance(raw, OnDisk):
        return replace(train, inputs=raw)
    most = max(1, MAX_RAW_ENTRIES // math.prod(raw.shape[1:]))
    rows = torch.arange(0, len(raw), math.ceil(len(raw) / most))
    return replace(train.take(rows.to(train.targets.device)), inputs=raw[rows])


def _balance(classes: dict[str, dict[str, int]]) -> list[Part]:
    splits = list(next(iter(classes.values())))
    if len(classes) > MAX_CLASSES:
        return [Text(f"{len(classes)} classes.")]
    series = {split: [counts[split] for counts in classes.values()] for split in splits}
    return [Bars("Class balance", "The number of targets of each class in each split.", list(classes), series)]


def _columns(run: RunWithData, found: dict[str, Any]) -> list[Part]:
    """Returns the types and formats of the columns, and the ranges of features and targets."""
    types, forms, missing = found.get("types", {}), found.get("forms", {}), found.get("missing", {})
    parts: list[Part] = []
    names = list(dict.fromkeys([*types, *forms]))
    targets = getattr(run.dataset.reader, "target", ())
    if names:
        rows: list[list[Cell]] = [
            [
                name,
                types.get(name) or ("target" if name in targets else "time"),
                forms.get(name, ""),
                _missing(missing.get(name)),
            ]
            for name in names[:MAX_COLUMNS]
        ]
        caption = _first(len(names), "columns")
        parts.append(TableOf("Columns", caption, ["column", "type", "format", "missing in train"], rows))
    for title, kind in (("Targets", "targets"), ("Features in train", "columns")):
        figures = found.get(kind, {})
        keys = ["mean", "std", "min", "max"]
        rows = [[name, *(float(each[key]) for key in keys)] for name, each in list(figures.items())[:MAX_COLUMNS]]
        if rows:
            parts.append(TableOf(title, _first(len(figures), "features"), ["name", *keys], rows))
    return parts


def _missing(figures: dict[str, float] | None) -> str:
    return "" if figures is None else f"{figures['count']} ({figures['share']:.1%})"


def _first(count: int, what: str) -> str:
    return f"The first {MAX_COLUMNS} of {count} {what}." if count > MAX_COLUMNS else ""


def _examples(run: RunWithData) -> Images:
    """Returns evenly spaced training samples with their targets."""
    dataset, samples = run.dataset, Samples(run, "train")
    count = len(dataset.train)
    rows = sorted({round(i * (count - 1) / max(1, EXAMPLES - 1)) for i in range(EXAMPLES)})
    prefix = "" if samples.are_images else "target "
    labels = [f"{prefix}{target}" if (target := _target(run, row)) else "" for row in rows]
    items = [samples.picture(row, label) for row, label in zip(rows, labels, strict=True)]
    return Images("Examples", "Training samples.", items)


def _target(run: RunWithData, row: int) -> str:
    dataset = run.dataset
    targets = dataset.measured_split("train").targets[row]
    if dataset.task == "regression":
        return ", ".join(f"{value:.7g}" for value in targets[:6].tolist())
    if dataset.task == "multilabel":
        return ", ".join(dataset.classes[i][:40] for i in targets.nonzero()[:, 0].tolist())
    if dataset.per == "step" and targets.ndim:
        return ""
    return dataset.classes[int(targets.argmax() if targets.ndim else targets)][:60]
