"""The history of a run: one row per epoch."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from nnzoo.errors import CheckpointError
from nnzoo.run.files import write_csv

_INTEGER_COLUMNS = ("epoch", "step")


class History(Mapping[str, list[float]]):
    """The content of metrics.csv: columns by name, with one value per epoch.

    Attributes:
        rows: One dict per epoch, with the same keys in the same order: epoch, step, lr, train/..., val/..., seconds.
    """

    def __init__(self, rows: list[dict[str, float]] | None = None) -> None:
        self.rows = rows or []

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows[0] if self.rows else ())

    def __len__(self) -> int:
        return len(self.rows[0]) if self.rows else 0

    def __repr__(self) -> str:
        return f"History({len(self.rows)} epochs: {', '.join(self)})"

    def __getitem__(self, column: str) -> list[float]:
        """Returns the values of a column, one per epoch."""
        return [row[column] for row in self.rows]

    def record(self, row: dict[str, float]) -> None:
        """Adds the row of an epoch."""
        self.rows.append(row)

    def write(self, path: Path) -> None:
        """Writes metrics.csv. Reading it gives exactly the same floats; NaN is written as an empty cell."""
        header = list(self.rows[0]) if self.rows else ["epoch", "step", "lr", "train/loss", "seconds"]
        write_csv(path, header, ([_cell(key, row[key]) for key in header] for row in self.rows))

    @classmethod
    def read(cls, path: Path) -> History:
        """Reads a file that `write` wrote.

        Raises:
            CheckpointError: The file is missing or damaged.
        """
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return cls(
                    [
                        {key: float("nan" if value == "" else value) for key, value in row.items()}
                        for row in csv.DictReader(file)
                    ]
                )
        except (OSError, ValueError, TypeError) as error:
            raise CheckpointError(f"can't be read ({error}).", where=str(path)) from None

    def state_dict(self) -> dict[str, Any]:
        """Returns the column names, and the values as a float64 tensor (epochs, columns)."""
        columns = list(self.rows[0]) if self.rows else []
        table = torch.tensor([[row[key] for key in columns] for row in self.rows], dtype=torch.float64)
        return {"columns": columns, "table": table}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> History:
        """Returns the history that is saved in a checkpoint."""
        return cls([dict(zip(state["columns"], row, strict=True)) for row in state["table"].tolist()])


def _cell(column: str, value: float) -> int | float | str:
    if math.isnan(value):
        return ""
    return int(value) if column in _INTEGER_COLUMNS else value
