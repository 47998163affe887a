"""Tables."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.data.base import ColumnName
from nnzoo.config.data.delimited import CellFormats, Columns, ColumnType, FormattedFiles
from nnzoo.config.facts import Facts


class TableSource(CellFormats):
    """Base class of all sources whose columns are inputs and targets."""

    has_columns: ClassVar[bool] = True

    target: Annotated[Columns, Field(min_length=1)] = Field(
        description="column or columns to predict, by name, or by position from 0 if there is no header"
    )
    task: Literal["auto", "classification", "multilabel", "regression"] = Field(
        "auto",
        description="auto: classification for text, booleans and a few distinct integers; multilabel for several 0/1 "
        "columns; else regression",
    )
    features: Columns | None = Field(None, description="input columns; null: all columns that have no other role")
    categorical: Columns = Field((), description="columns of numbers to treat as categories")
    types: dict[ColumnName, ColumnType] = Field(
        {}, description="column types that replace the detected ones: {COLUMN: number|category|boolean|date}"
    )
    ignore: Columns = Field((), description="columns to ignore")
    sequence_id: ColumnName | None = Field(
        None,
        description="column that groups rows into sequences: rows with the same value are the steps of one sequence, "
        "in file order",
    )
    missing_target: Literal["auto", "drop", "error"] = Field(
        "auto",
        description="how to handle rows without a target. drop: skip them; error: raise an error; auto: skip them "
        "if they are less than half of the rows",
    )

    def facts(self) -> Facts:
        task: Any = None if self.task == "auto" else self.task
        num_targets = {None: None, "regression": len(self.target)}.get(task, 0)
        num_classes = {"multilabel": len(self.target), "regression": 0}.get(task)
        return Facts(
            task,
            "sequence" if self.sequence_id is not None else "features",
            num_classes,
            num_targets,
            scale_target=task in (None, "regression"),
            **self._divided(),
        )


class Csv(TableSource, FormattedFiles):
    """A table in one or more files. Column types and categories are inferred from the train rows."""

    name: Literal["csv"]

    def _divided(self) -> dict[str, Any]:
        return {
            "has_val": bool(self.val_path) or self.split.val > 0,
            "has_test": bool(self.test_path) or self.split.test > 0,
        }
