"""Delimited text files: what is said of them, whatever their columns mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from nnzoo.config.base import Items, Natural
from nnzoo.config.data.base import Files

Column = Natural | Annotated[str, Field(min_length=1)]
"""By its name, or by its position from 0."""

_COLUMN_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}


def _to_columns(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


Columns = Annotated[
    tuple[Column, ...],
    BeforeValidator(_to_columns),
    WithJsonSchema({"anyOf": [_COLUMN_SCHEMA, {"type": "array", "items": _COLUMN_SCHEMA}]}),
]
"""One or several."""


def to_cell(value: object) -> object:
    """A cell that YAML reads as a number: cells are texts."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _to_cells(value: object) -> object:
    return {to_cell(key): to_cell(item) for key, item in value.items()} if isinstance(value, dict) else value


Replacements = Annotated[
    dict[str, str],
    BeforeValidator(_to_cells),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]


class Delimited(Files):
    """What every source of files with delimited columns has."""

    names: Items[str] | None = Field(None, description="of the columns, where the file does not have them")
    header: bool | Literal["auto"] = Field("auto", description="whether the first row names the columns")
    delimiter: Annotated[str, Field(min_length=1)] = Field("auto", description="between columns: `,` `;` `\\t` ..")
    encoding: Annotated[str, Field(min_length=1)] = Field("auto", description="as Python names it: utf-8, cp1252, ..")
    strip: bool = Field(True, description="whether blanks around a cell are left out")
    replace: Replacements = Field({}, description="cells to read as others, whole ones: {from: to}")
