"""Answers for raw new data, as a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnzoo import log
from nnzoo.data import LanguageReader, Samples
from nnzoo.errors import DataError, UsageError
from nnzoo.experiment.language import likelihoods
from nnzoo.experiment.load import TrainedModel, load
from nnzoo.experiment.measure import answers, columns, step_answers
from nnzoo.experiment.prepare import warn_about
from nnzoo.experiment.threads import computing_with, threads_of_data
from nnzoo.run.files import write_csv


@dataclass(frozen=True)
class Predictions:
    """A table of answers.

    Attributes:
        checkpoint: The file.
        header: `input` (and `step`), the prediction, and the probability of each class where there are probabilities.
        rows: One row per sample; where every step has an answer, one row per step.
        warnings: What the data gave reason to warn about.
        broken: Inputs without an answer because they can't be read: one line each, with the name and the reason.
    """

    checkpoint: str
    header: list[str]
    rows: list[list[Any]]
    warnings: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The object of `predict --json`."""
        named = [dict(zip(self.header, row, strict=True)) for row in self.rows]
        return {
            "checkpoint": self.checkpoint,
            "num_samples": len(self.rows),
            "predictions": named,
            "warnings": list(self.warnings),
            "broken": list(self.broken),
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the table as CSV, in one piece."""
        write_csv(Path(path), self.header, self.rows)


def predict_checkpoint(
    checkpoint: str | os.PathLike[str],
    inputs: Sequence[str | os.PathLike[str]],
    *,
    texts: Sequence[str] = (),
    device: str | None = None,
    strict: bool = False,
    runs_dir: str | os.PathLike[str] = "runs",
) -> Predictions:
    """Answers for raw new data, read as the training data was; of text, how likely each line is.

    Args:
        checkpoint: A run directory (its best weights), best.safetensors, last.safetensors, a run's name, or `latest`.
        inputs: Files or folders of the kind of the training data; `-` is standard input.
        texts: In their place, texts themselves.
        device: auto, cpu, cuda, cuda:N or mps; default: the config's.
        strict: Whether an input that can't be read, or anything that has to be left out or repaired, is an error.
        runs_dir: Where names are looked up.

    Raises:
        UsageError: There is no such checkpoint, or nothing to read.
        CheckpointError: The checkpoint is damaged.
        DataError: The data can't be read, or is not like that of training.
    """
    if not inputs and not texts:
        raise UsageError("there is nothing to predict. Name a file, a folder, or - for standard input.", where="INPUT")
    if inputs and texts:
        raise UsageError("--text is a sample of its own. Give it or files.", where="--text")
    with log.recording(quiet=True) as journal:
        trained = load(checkpoint, runs_dir=runs_dir, device=device)
        with computing_with(threads_of_data(trained.config)):
            answered = _answer(trained, inputs, texts, strict=strict)
        return replace(answered, warnings=tuple(journal.warnings))


def _answer(
    trained: TrainedModel, inputs: Sequence[str | os.PathLike[str]], texts: Sequence[str], *, strict: bool
) -> Predictions:
    """The table for files, or for texts in their place."""
    metadata, reader = trained.metadata, trained.reader
    if isinstance(reader, LanguageReader):
        samples = reader.read_lines([Path(path) for path in inputs])
        _tell(samples, strict=strict)
        header, rows = likelihoods(trained, samples)
        return Predictions(str(trained.path), header, rows)
    if texts:
        samples = reader.from_texts(texts)
    else:
        samples = reader.read([Path(path) for path in inputs], metadata.data_schema, labelled=False)
    _tell(samples, strict=strict)
    outputs = trained.outputs_of(samples.inputs, samples.lengths, kept=True)
    if metadata.per == "step":
        header, rows = step_answers(outputs, samples.valid_steps(), metadata.classes, samples.names)
        return Predictions(str(trained.path), header, rows)
    header, rows = answers(trained.decoder.on_cpu(), outputs, metadata.classes, metadata.target_names)
    if samples.row_targets:
        header = columns("prediction", samples.row_targets)
        values = [value for row in rows for value in row]
        rows = [values[start : start + len(header)] for start in range(0, len(values), len(header))]
    table = [[name, *row] for name, row in zip(samples.names, rows, strict=True)]
    return Predictions(str(trained.path), ["input", *header], table, broken=samples.broken)


def _tell(samples: Samples, *, strict: bool) -> None:
    """Passes on what was left out or repaired.

    Raises:
        DataError: There is something, and `strict` is set.
    """
    if strict and (samples.broken or samples.warnings):
        raise DataError(" ".join((*samples.broken, *samples.warnings)))
    warn_about(samples)
