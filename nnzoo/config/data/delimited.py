"""Files of tables: what is said of them, whatever their columns mean."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from nnzoo.config.base import Count, Items, Natural
from nnzoo.config.data.base import COLUMN_SCHEMA, ColumnName, RepairedFiles


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


def _delimiter(value: str) -> str:
    delimiter = "\t" if value == r"\t" else value  # as it is read without quotes, or in single ones
    if delimiter != "auto" and any(sign in '"\r\n\0' or sign.isalnum() for sign in delimiter or "\0"):
        raise ValueError(f'expected auto, or signs such as "," ";" "|" "\\t" or " ", got {value!r}.')
    return delimiter


Cell = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number"]})]
Columns = Annotated[
    tuple[ColumnName, ...],
    BeforeValidator(_as_tuple),
    WithJsonSchema({"anyOf": [COLUMN_SCHEMA, {"type": "array", "items": COLUMN_SCHEMA}]}),
]
"""One or several."""
Replacements = Annotated[
    dict[str, str],
    BeforeValidator(_texts_of),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]

MISSING = (
    *("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None"),
    *("#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)


DecimalSign = Literal["auto", ".", ","]
ThousandsSign = Literal["auto", "", ",", ".", " ", "'"]
DateOrder = Literal["auto", "ymd", "dmy", "mdy"]
ColumnType = Literal["number", "category", "boolean", "date"]


class Delimited(RepairedFiles):
    """What every source of tables has: delimited text, compressed or not, Parquet, Arrow and Excel files."""

    names: Items[Annotated[str, Field(min_length=1)]] | None = Field(
        None, description="the columns' names, where the file has no header, or one to be replaced"
    )
    header: Literal["auto"] | bool = Field("auto", description="whether the first row holds names")
    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        "auto", description='between cells: "," ";" "\\t" "|", or others'
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] = Field(
        "auto", description="auto: by its byte order mark, else UTF-8, else Windows-1252"
    )
    strip: bool = Field(True, description="whether blanks around a cell are no part of it")
    missing: Items[Cell] = Field(MISSING, description="cells that mean: no value")
    replace: Replacements = Field({}, description="cells to read as others, whole ones: {from: to}")
    skip_rows: Natural | Items[Count] = Field(
        0,
        description="how many lines before the header to skip, such as a title; or a list of rows to skip, counted "
        "from 1, the header too: [2] skips a second header row below the first",
    )
    ragged: Literal["pad", "skip", "error"] = Field(
        "pad",
        description="rows of another length than the header's. pad: shorter ones get missing values, delimiters too "
        "many are cut, longer ones are errors; skip: leave them out; error: refuse them",
    )
    sheet: str | Natural | None = Field(
        None, description="of an Excel file: its name, or its position from 0; null: the first visible one"
    )


class FormattedCells(Delimited):
    """What every source has whose cells are numbers, dates and names in the forms that people write."""

    decimal: DecimalSign = Field("auto", description="the decimal sign of all columns; auto: found for each column")
    thousands: ThousandsSign = Field(
        "auto", description='the sign between groups of three digits; "": none; auto: found for each column'
    )
    date_order: DateOrder = Field(
        "auto",
        description="the order of day, month and year in dates such as 01/02/2024; auto: found for each column, by "
        "regular steps where several fit, and a warning otherwise",
    )
