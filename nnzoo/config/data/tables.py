"""Tables of one's own."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nnzoo.config.data.base import ColumnName
from nnzoo.config.data.delimited import Columns, ColumnType, FormattedCells
from nnzoo.config.facts import Facts


class Csv(FormattedCells):
    """Rows of a CSV file: types of columns, missing values, categories and the task are found in the train rows."""

    has_columns: ClassVar[bool] = True

    name: Literal["csv"]
    target: Annotated[Columns, Field(min_length=1)] = Field(
        description="the column to predict, or several; by name, or by position from 0 where there is no header"
    )
    task: Literal["auto", "classification", "multilabel", "regression"] = Field(
        "auto", description="auto: text, booleans and few whole numbers are classes; several columns of 0 and 1 labels"
    )
    features: Columns | None = Field(None, description="the columns to predict from; null: all that have no other use")
    categorical: Columns = Field((), description="columns of numbers that are names, not amounts")
    types: dict[ColumnName, ColumnType] = Field(
        {}, description="what columns are, where it is found wrongly: {COLUMN: number|category|boolean|date}"
    )
    ignore: Columns = Field((), description="columns to leave out")
    sequence_id: ColumnName | None = Field(
        None, description="rows with the same value here are the steps of one sequence, in file order"
    )
    missing_target: Literal["auto", "drop", "error"] = Field(
        "auto", description="rows without a target. drop: leave them out; auto: if they are less than half; or an error"
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
            has_val=bool(self.val_path) or self.split.val > 0,
            has_test=bool(self.test_path) or self.split.test > 0,
        )
