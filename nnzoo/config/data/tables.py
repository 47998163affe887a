"""Your own tables."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.data.base import ColumnName
from nnzoo.config.data.delimited import CellForms, Columns, ColumnType, FormattedCells
from nnzoo.config.facts import Facts


class TableSource(CellForms):
    """The base of all sources whose columns are inputs and targets."""

    has_columns: ClassVar[bool] = True

    target: Annotated[Columns, Field(min_length=1)] = Field(
        description="column to predict, or several; by name, or by position from 0 without a header"
    )
    task: Literal["auto", "classification", "multilabel", "regression"] = Field(
        "auto",
        description="auto: text, booleans and a few distinct integers are classes; several 0/1 columns are multilabel",
    )
    features: Columns | None = Field(None, description="input columns; null: all columns that have no other use")
    categorical: Columns = Field((), description="columns of numbers that are categories")
    types: dict[ColumnName, ColumnType] = Field(
        {}, description="types of columns, instead of the detected ones: {COLUMN: number|category|boolean|date}"
    )
    ignore: Columns = Field((), description="columns to ignore")
    sequence_id: ColumnName | None = Field(
        None,
        description="column that groups rows into sequences: rows with the same value are its steps, in file order",
    )
    missing_target: Literal["auto", "drop", "error"] = Field(
        "auto", description="rows without a target. drop: skip them; auto: skip them if they are less than half; error"
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


class Csv(TableSource, FormattedCells):
    """Your own table, in one file or several. Column types and categories are found in the train rows."""

    name: Literal["csv"]

    def _divided(self) -> dict[str, Any]:
        return {
            "has_val": bool(self.val_path) or self.split.val > 0,
            "has_test": bool(self.test_path) or self.split.test > 0,
        }
