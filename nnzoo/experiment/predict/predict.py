"""Answers for raw new data, as a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from nnzoo import log
from nnzoo.data import LanguageReader, Samples
from nnzoo.errors import DataError, UsageError
from nnzoo.experiment.evaluate.measure import answers, columns, step_answers
from nnzoo.experiment.evaluate.threshold import Criterion, Threshold, with_threshold
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.predict.language import likelihoods
from nnzoo.experiment.prepare import warn_about
from nnzoo.experiment.threads import computing_with, threads_of_data
from nnzoo.run.files import write_csv


@dataclass(frozen=True)
class Predictions:
    """A table of answers.

    Attributes:
        checkpoint: The file.
        header: `input` (and `step`); `file` and `row` if there are several files, and the columns that are kept; then
            the prediction, and the probability of each class if there are probabilities.
        rows: One row per sample; where every step has an answer, one row per step.
        threshold: The decision threshold of two classes, if one was asked for.
        warnings: What the data gave reason to warn about.
        broken: Inputs without an answer because they can't be read: one line each, with the name and the reason.
    """

    checkpoint: str
    header: list[str]
    rows: list[list[Any]]
    threshold: Threshold | None = None
    warnings: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The object of `predict --json`."""
        named = [dict(zip(self.header, row, strict=True)) for row in self.rows]
        return {
            "checkpoint": self.checkpoint,
            "num_samples": len(self.rows),
            "predictions": named,
            "threshold": None if self.threshold is None else self.threshold.as_dict(),
            "warnings": list(self.warnings),
            "broken": list(self.broken),
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the table as CSV, atomically."""
        write_csv(Path(path), self.header, self.rows)


def predict_files(
    trained: TrainedModel,
    inputs: Sequence[str | os.PathLike[str]],
    *,
    texts: Sequence[str] = (),
    keep: Sequence[str] | None = (),
    threshold: float | Criterion | None = None,
    strict: bool = False,
) -> Predictions:
    """Answers for raw new data, read as the training data was; for a language model, how likely each line is.

    Args:
        trained: The network.
        inputs: Files or folders of the kind of the training data; `-` is standard input.
        texts: In their place, texts themselves.
        keep: Columns of the new table to copy beside the answers, as they are written there; None for all.
        threshold: For two classes: the probability from which on the second one is predicted, or the metric on val by
            which it is chosen.
        strict: Whether an input that can't be read, or anything that has to be left out or repaired, is an error.

    Raises:
        UsageError: There is nothing to read, or an option that this network has no use for.
        DataError: The data can't be read, or is not like that of training.
    """
    if not inputs and not texts:
        raise UsageError("there is nothing to predict. Name a file, a folder, or - for standard input.", where="INPUT")
    if inputs and texts:
        raise UsageError("a text is an input of its own. Give --text, or files.", where="--text")
    with log.recording(quiet=True) as journal, computing_with(threads_of_data(trained.config)):
        decision = None
        if threshold is not None:
            trained, decision = with_threshold(trained, threshold)
        answered = _answer(trained, inputs, texts, keep, strict=strict)
        return replace(answered, threshold=decision, warnings=tuple(journal.warnings))


def _answer(
    trained: TrainedModel,
    inputs: Sequence[str | os.PathLike[str]],
    texts: Sequence[str],
    keep: Sequence[str] | None,
    *,
    strict: bool,
) -> Predictions:
    """The table for files, or for texts in their place."""
    metadata, reader = trained.metadata, trained.reader
    paths = [Path(path) for path in inputs]
    if isinstance(reader, LanguageReader):
        samples = reader.read_lines(paths)
    else:
        samples = reader.from_texts(texts) if texts else reader.read(paths, metadata.data_schema, labelled=False)
    _tell(samples, strict=strict)
    beside = _columns_beside(samples, keep)
    if isinstance(reader, LanguageReader):
        header, rows = likelihoods(trained, samples)
        numbers: Sequence[int] = range(len(rows))
    else:
        outputs = trained.outputs_of(samples.inputs, samples.lengths, kept=True)
        header, rows, numbers = _table(trained, samples, outputs)
    first = [name for name in ("input", "step") if name in header]
    names = _distinct([*header], list(beside))
    table = [
        [*row[: len(first)], *(values[number] for values in beside.values()), *row[len(first) :]]
        for number, row in zip(numbers, rows, strict=True)
    ]
    header = [*first, *names, *header[len(first) :]]
    return Predictions(str(trained.path), header, table, broken=samples.broken)


def _table(
    trained: TrainedModel, samples: Samples, outputs: Tensor
) -> tuple[list[str], list[list[Any]], Sequence[int]]:
    """The header and the rows, which begin with the name of the input, and the number of each row's sample."""
    metadata = trained.metadata
    if metadata.per == "step":
        there = samples.valid_steps()
        header, rows = step_answers(outputs, there, metadata.classes, samples.names)
        return header, rows, there.nonzero()[:, 0].tolist()
    header, rows = answers(trained.decoder.on_cpu(), outputs, metadata.classes, metadata.target_names)
    each = 1
    if samples.row_targets:
        header = columns("prediction", samples.row_targets)
        each = len(metadata.target_names) // len(header)
        values = [value for row in rows for value in row]
        rows = [values[start : start + len(header)] for start in range(0, len(values), len(header))]
    named = [[name, *row] for name, row in zip(samples.names, rows, strict=True)]
    return ["input", *header], named, [number // each for number in range(len(named))]


def _columns_beside(samples: Samples, keep: Sequence[str] | None) -> dict[str, Sequence[Any]]:
    """The file and row of each sample, where there are several files, and the columns to keep.

    Raises:
        UsageError: Columns are asked for, and the samples come from no table.
        DataError: There is no such column.
    """
    beside: dict[str, Sequence[Any]] = {}
    if samples.origin is not None:
        places = dict(zip(samples.origin.names, samples.origin.find(np.arange(len(samples.inputs))), strict=True))
        if len(set(places["file"])) > 1:
            beside = {name: values for name, values in places.items() if name == "file" or not samples.row_targets}
    if keep is None or keep:
        if samples.source_columns is None:
            raise UsageError("these inputs are not rows of a table, so there are no columns to keep.", where="--keep")
        kept = samples.source_columns(keep)
        beside |= dict(zip(_distinct(list(beside), list(kept)), kept.values(), strict=True))
    return beside


def _distinct(taken: Sequence[str], names: Sequence[str]) -> list[str]:
    """Names of columns that are copied: with `kept_` in front where the table has such a column already."""
    found: list[str] = []
    for name in names:
        while name in (*taken, *found):
            name = f"kept_{name}"
        found.append(name)
    return found


def _tell(samples: Samples, *, strict: bool) -> None:
    """Passes on what was left out or repaired.

    Raises:
        DataError: There is something, and `strict` is set.
    """
    if strict and (samples.broken or samples.warnings):
        raise DataError(" ".join((*samples.broken, *samples.warnings)))
    warn_about(samples)
