"""The predictions of a run, by which two runs are compared sample by sample."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Error = Literal["correct", "absolute", "squared"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """The content of predictions.csv.

    Attributes:
        task: The task of the run.
        keys: The origin of each row: the cells that identify the sample, and its step if there are targets per step.
        samples: The origin of each row without its step. Rows of one sample are not independent.
        targets: (N, K) text for classes, else numbers.
        predictions: (N, K), as the targets.
    """

    task: str
    keys: list[tuple[str, ...]]
    samples: list[tuple[str, ...]]
    targets: NDArray[Any]
    predictions: NDArray[Any]

    def scores(self, error: Error, rows: Sequence[int]) -> Values:
        """Returns the score of each label or target of some rows, (n, K).

        Args:
            error: How a prediction is compared with its target: 1 if it is correct, or |e|, or e^2.
            rows: The indices of the rows.
        """
        targets, predictions = self.targets[rows], self.predictions[rows]
        if error == "correct":
            return np.asarray(targets == predictions, dtype=np.float64)
        scores: Values = np.abs(predictions - targets)
        return scores**2 if error == "squared" else scores

    def same_rows(self, other: Predictions) -> list[int] | None:
        """Returns the indices of the rows of `other` with the same origins as those of `self`, in the order of `self`.

        Returns:
            The indices; None unless both have the same rows with the same targets.
        """
        places = {key: index for index, key in enumerate(other.keys)}
        if len(places) != len(other.keys) or len(self.keys) != len(places) or self.task != other.task:
            return None
        there = [places.get(key, -1) for key in self.keys]
        if min(there, default=-1) < 0 or self.targets.shape != other.targets.shape:
            return None
        return there if np.array_equal(self.targets, other.targets[there]) else None


def read_predictions(path: Path, metadata: Mapping[str, Any]) -> Predictions | None:
    """Reads predictions.csv.

    Args:
        path: The file.
        metadata: The metadata in the weights file of the run.

    Returns:
        The predictions; None if the file is missing, damaged or empty.
    """
    task = metadata["task"]
    names = list(metadata["target_names"] if task == "regression" else metadata["classes"])
    if task == "classification" or (task == "regression" and len(names) == 1):
        columns = ["target", "prediction"]
    else:
        columns = [f"{kind}_{name}" for kind in ("target", "prediction") for name in names]
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        starts = [i for i in range(len(header)) if header[i : i + len(columns)] == columns]
        start, width = starts[-1], len(columns) // 2
        cells = np.array([row[start : start + 2 * width] for row in rows], dtype=object)
        values = cells if task == "classification" else cells.astype(np.float64)
        targets, predictions = values[:, :width], values[:, width:]
    except (OSError, ValueError, IndexError):
        return None
    keys = [tuple(row[:start]) for row in rows]
    num_sample_columns = start - 1 if metadata["per"] == "step" else start
    return Predictions(task, keys, [key[:num_sample_columns] for key in keys], targets, predictions)
