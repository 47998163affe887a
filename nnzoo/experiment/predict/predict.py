"""Predicts from new raw data."""

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
from nnzoo.experiment.evaluate.measure import columns, prediction_table, step_table
from nnzoo.experiment.evaluate.threshold import Criterion, Threshold, with_threshold
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.predict.language import likelihoods
from nnzoo.experiment.prepare import warn_about
from nnzoo.experiment.threads import threads_of_data, use_threads
from nnzoo.run.files import write_csv


@dataclass(frozen=True)
class Predictions:
    """A table of predictions.

    Attributes:
        checkpoint: The file that contains the weights.
        header: The column names: `input` (and `step`), `file` and `row` if there are several files, the copied columns,
            the prediction, and the probability of each class if there are probabilities.
        rows: One row per sample, or per step if every step has a prediction.
        threshold: The decision threshold for two classes, if one was set.
        warnings: The warnings about the data.
        broken: One line per input that can't be read, with its name and the reason.
    """

    checkpoint: str
    header: list[str]
    rows: list[list[Any]]
    threshold: Threshold | None = None
    warnings: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Returns the object of `predict --json`."""
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
    """Predicts from new raw data, read like the training data; for a language model, the likelihood of each line.

    Args:
        trained: The trained network.
        inputs: Files or folders of the same kind as the training data; `-` is standard input.
        texts: Texts, instead of files.
        keep: Columns of the new table that are copied into the result, unchanged; None for all.
        threshold: The decision threshold for two classes: the second class is predicted if its probability is at least
            this; or the name of a metric that the threshold should maximize on val.
        strict: Whether an input that can't be read, or any warning about the data, is an error.

    Raises:
        UsageError: There are no inputs, or an option does not fit this network.
        DataError: The data can't be read, or is of a different kind than the training data.
    """
    if not inputs and not texts:
        raise UsageError("there are no inputs. Pass a file, a folder, or - for standard input.", where="INPUT")
    if inputs and texts:
        raise UsageError("--text and files can't be used together. Use one of them.", where="--text")
    with log.recording(quiet=True) as journal, use_threads(threads_of_data(trained.config)):
        decision = None
        if threshold is not None:
            trained, decision = with_threshold(trained, threshold)
        predictions = _predict(trained, inputs, texts, keep, strict=strict)
        return replace(predictions, threshold=decision, warnings=tuple(journal.warnings))


def _predict(
    trained: TrainedModel,
    inputs: Sequence[str | os.PathLike[str]],
    texts: Sequence[str],
    keep: Sequence[str] | None,
    *,
    strict: bool,
) -> Predictions:
    """Returns the predictions for files or texts."""
    reader = trained.reader
    paths = [Path(path) for path in inputs]
    members = trained.members or (trained,)
    if trained.members and Path("-") in paths:
        raise UsageError(
            f"the {len(members)} averaged networks read the input one after another. Pass a file.", where="INPUT"
        )
    if isinstance(reader, LanguageReader):
        each = [reader.read_lines(paths)]
    else:
        each = [_read(member, paths, texts) for member in members]
    samples = each[0]
    _report_problems(samples, strict=strict)
    copied = _copied_columns(samples, keep)
    if isinstance(reader, LanguageReader):
        header, rows = likelihoods(trained, samples)
        numbers: Sequence[int] = range(len(rows))
    else:
        outputs = trained.average(
            [
                member.outputs_of(own.inputs, own.lengths, compact=True)
                for member, own in zip(members, each, strict=True)
            ]
        )
        header, rows, numbers = _table(trained, samples, outputs)
    first = [name for name in ("input", "step") if name in header]
    names = _unique_names([*header], list(copied))
    table = [
        [*row[: len(first)], *(values[number] for values in copied.values()), *row[len(first) :]]
        for number, row in zip(numbers, rows, strict=True)
    ]
    header = [*first, *names, *header[len(first) :]]
    return Predictions(str(trained.path), header, table, broken=samples.broken)


def _read(trained: TrainedModel, paths: Sequence[Path], texts: Sequence[str]) -> Samples:
    reader = trained.reader
    return reader.from_texts(texts) if texts else reader.read(paths, trained.metadata.data_schema, labelled=False)


def _table(
    trained: TrainedModel, samples: Samples, outputs: Tensor
) -> tuple[list[str], list[list[Any]], Sequence[int]]:
    """Returns the header, the rows (each starts with the name of its input), and the index of each row's sample."""
    metadata = trained.metadata
    if metadata.per == "step":
        valid = samples.valid_steps()
        header, rows = step_table(outputs, valid, metadata.classes, samples.names)
        return header, rows, valid.nonzero()[:, 0].tolist()
    header, rows = prediction_table(trained.decoder.on_cpu(), outputs, metadata.classes, metadata.target_names)
    rows_per_sample = 1
    if samples.row_targets:
        header = columns("prediction", samples.row_targets)
        rows_per_sample = len(metadata.target_names) // len(header)
        values = [value for row in rows for value in row]
        rows = [values[start : start + len(header)] for start in range(0, len(values), len(header))]
    named = [[name, *row] for name, row in zip(samples.names, rows, strict=True)]
    return ["input", *header], named, [number // rows_per_sample for number in range(len(named))]


def _copied_columns(samples: Samples, keep: Sequence[str] | None) -> dict[str, Sequence[Any]]:
    """Returns the columns to copy, and the file and row of each sample if there are several files.

    Raises:
        UsageError: There are columns to copy, but the samples are not rows of a table.
        DataError: A column does not exist.
    """
    copied: dict[str, Sequence[Any]] = {}
    if samples.origin is not None:
        places = dict(zip(samples.origin.names, samples.origin.find(np.arange(len(samples.inputs))), strict=True))
        if len(set(places["file"])) > 1:
            copied = {name: values for name, values in places.items() if name == "file" or not samples.row_targets}
    if keep is None or keep:
        if samples.source_columns is None:
            raise UsageError("these inputs are not rows of a table, so there are no columns to keep.", where="--keep")
        kept = samples.source_columns(keep)
        copied |= dict(zip(_unique_names(list(copied), list(kept)), kept.values(), strict=True))
    return copied


def _unique_names(taken: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns the names of copied columns, prefixed with `kept_` if the table already has such a column."""
    unique: list[str] = []
    for name in names:
        while name in (*taken, *unique):
            name = f"kept_{name}"
        unique.append(name)
    return unique


def _report_problems(samples: Samples, *, strict: bool) -> None:
    """Logs the warnings about the samples.

    Raises:
        DataError: There are problems, and `strict` is set.
    """
    if strict and (samples.broken or samples.warnings):
        raise DataError(" ".join((*samples.broken, *samples.warnings)))
    warn_about(samples)
