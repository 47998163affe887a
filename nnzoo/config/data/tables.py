"""Tables of one's own."""

from __future__ import annotations

import codecs
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from nnzoo.config.base import Items
from nnzoo.config.data.base import COLUMN_SCHEMA, ColumnName, Files
from nnzoo.config.facts import Facts


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _as_text(value: object) -> object:
    """A cell that YAML reads as a number: cells are texts."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _texts_of(value: object) -> object:
    return {_as_text(key): _as_text(item) for key, item in value.items()} if isinstance(value, dict) else value


def _known_encoding(value: str) -> str:
    if value != "auto":
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(f"there is no encoding '{value}'. Try auto, utf-8, cp1252 or utf-16.") from None
    return value


def _one_character(value: str) -> str:
    if value != "auto" and (len(value) != 1 or not value.isascii() or value in '"\r\n\0'):
        raise ValueError(f'expected auto, or one character such as "," ";" or "\\t", got {value!r}.')
    return value


Cell = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number"]})]
Columns = Annotated[
    tuple[ColumnName, ...],
    BeforeValidator(_as_tuple),
    WithJsonSchema({"anyOf": [COLUMN_SCHEMA, {"type": "array", "items": COLUMN_SCHEMA}]}),
]
Replacements = Annotated[
    dict[str, str],
    BeforeValidator(_texts_of),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]

MISSING = (
    *("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None"),
    *("#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)


class Csv(Files):
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
    categorical: Columns = Field((), description="columns of numbers that are names and no amounts")
    ignore: Columns = Field((), description="columns to leave out")
    names: Items[Annotated[str, Field(min_length=1)]] | None = Field(
        None, description="the columns' names, where the file has no header, or one to be replaced"
    )
    header: Literal["auto"] | bool = Field("auto", description="whether the first row holds names")
    delimiter: Annotated[str, AfterValidator(_one_character)] = Field(
        "auto", description='between cells: "," ";" "\\t" "|"'
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] = Field(
        "auto", description="auto: by its byte order mark, else UTF-8, else Windows-1252"
    )
    strip: bool = Field(True, description="whether blanks around a cell are no part of it")
    missing: Items[Cell] = Field(MISSING, description="cells that mean: no value")
    replace: Replacements = Field({}, description="cells to read as others, whole ones: {from: to}")
    sequence_id: ColumnName | None = Field(
        None, description="rows with the same value here are the steps of one sequence, in file order"
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
