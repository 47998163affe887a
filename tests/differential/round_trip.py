"""NumPy computation of a trained network, to compare with `predict` and `eval --data`."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from command_line import answer_of, predicted
from numpy.typing import NDArray
from random_tables import Written
from safetensors.numpy import load_file
from sklearn import metrics

NEVER_SEEN = "never seen ⚑"


@dataclass(frozen=True)
class Answers:
    """The output of `predict`, per row.

    Attributes:
        shown: The prediction: (N,) class names, or (N, K) labels or numbers.
        numbers: (N, K) probabilities, or numbers.
    """

    shown: NDArray[Any]
    numbers: NDArray[np.float64]


def answers_of(run_dir: Path, path: Path) -> Answers:
    """Returns the predictions for a file or a folder."""
    rows = predicted(run_dir, path)
    answers = [name for name in rows[0] if name.startswith("prediction")]
    shares = [name for name in rows[0] if name.startswith("probability")]
    shown = np.array([[row[name] for name in answers] for row in rows])
    numbers = np.array([[row[name] for name in shares or answers] for row in rows], dtype=np.float64)
    return Answers(shown[:, 0] if len(answers) == 1 else shown, numbers)


def linear_outputs(run_dir: Path, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns (N, K) outputs of the run's linear network for standardized inputs, in float64."""
    tensors = load_file(run_dir / "best.safetensors")
    (weight,) = (tensor for name, tensor in tensors.items() if name.startswith("model.") and tensor.ndim == 2)
    (bias,) = (tensor for name, tensor in tensors.items() if name.startswith("model.") and tensor.ndim == 1)
    found: NDArray[np.float64] = inputs @ weight.astype(np.float64).T + bias
    return found


def probabilities(task: str, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns softmax for classes, the logistic function for labels."""
    if task == "multilabel":
        return 1 / (1 + np.exp(-outputs))
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return found


def write_permuted(written: Written, columns: dict[str, list[str]], order: Sequence[int], path: Path) -> None:
    """Writes rows in the given order, with shuffled columns, one further column, and without targets."""
    random = Random(written.plan.seed)
    names = [name for name in columns if name[0] != "y"]
    random.shuffle(names)
    names.insert(random.randrange(len(names) + 1), "new")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(written.title(name) if name in columns else name for name in names)
        writer.writerows([columns[name][row] if name in columns else "?" for name in names] for row in order)


def check_measured(run_dir: Path, path: Path, task: str, answers: Answers, actual: NDArray[Any]) -> None:
    """Checks the metrics of `eval --data` against scikit-learn, given predictions and targets."""
    found = answer_of("eval", run_dir, "--data", path)["metrics"]
    expected: dict[str, float]
    if task == "regression":
        truth, guess = actual, answers.numbers
        each = [metrics.mean_squared_error(truth[:, k], guess[:, k]) for k in range(truth.shape[1])]
        expected = {
            "mae": metrics.mean_absolute_error(truth, guess),
            "rmse": float(np.mean(np.sqrt(each))),
            "r2": metrics.r2_score(truth, guess),
        }
    elif task == "multilabel":
        guess = answers.shown.astype(np.int64)
        f1 = metrics.f1_score(actual, guess, average="macro", zero_division=0)
        expected = {"accuracy": float((actual == guess).mean()), "f1": f1}
    else:
        expected = {"accuracy": metrics.accuracy_score(actual, answers.numbers.argmax(axis=1))}
    for name, value in expected.items():
        assert np.isclose(found[name], value, rtol=2e-5, atol=2e-5), (name, found[name], value)
