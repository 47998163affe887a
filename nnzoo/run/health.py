"""The content of health.csv: the health of each layer over the epochs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from nnzoo.errors import CheckpointError
from nnzoo.run.files import write_csv


@dataclass(frozen=True)
class HealthRow:
    """The health of one layer in one sampled epoch. A number that does not apply to the layer is NaN.

    Attributes:
        epoch: The epoch, from 1.
        step: The last sampled step of the epoch, from 1 for the first step of the run.
        layer: The name of the layer.
        dead: The fraction of its ReLU units that were 0 for at least the last 32 sampled samples.
        saturated: The fraction of its sigmoid or tanh values, or of its recurrent states, that are saturated.
        gradient_norm: The 2-norm of the gradient of its weights.
        update_ratio: The 2-norm of the change of its weights in a step, divided by that of the weights.
        activation_mean: The mean of its outputs.
        activation_variance: The variance of its outputs.
    """

    epoch: int
    step: int
    layer: str
    dead: float
    saturated: float
    gradient_norm: float
    update_ratio: float
    activation_mean: float
    activation_variance: float


COLUMNS = tuple(each.name for each in fields(HealthRow))


def write_health(path: Path, rows: Iterable[HealthRow]) -> None:
    """Writes health.csv. Reading it gives exactly the same floats; NaN is written as an empty cell."""
    write_csv(path, COLUMNS, ([_cell(getattr(row, name)) for name in COLUMNS] for row in rows))


def read_health(path: Path) -> list[HealthRow]:
    """Reads a file that `write_health` wrote.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                HealthRow(
                    int(row["epoch"]),
                    int(row["step"]),
                    row["layer"],
                    *(math.nan if row[name] == "" else float(row[name]) for name in COLUMNS[3:]),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"can't be read ({error}).", where=str(path)) from None


def _cell(value: int | float | str) -> int | float | str:
    return "" if isinstance(value, float) and math.isnan(value) else value
