"""The file formats of tables: delimiters, headers, encodings, and how cells are written."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from nnzoo.config.base import Count, Items, Natural
from nnzoo.config.data.base import COLUMN_SCHEMA, ColumnName, RepairedFiles, Source


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _as_text(value: object) -> object:
    """Converts a cell that YAML reads as a number back to text."""
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
    delimiter = "\t" if value == r"\t" else value  # YAML without quotes or in single quotes
    if delimiter != "auto" and any(sign in '"\r\n\0' or sign.isalnum() for sign in delimiter or "\0"):
        raise ValueError(f'expected auto, or characters such as "," ";" "|" "\\t" or " ", got {value!r}.')
    return delimiter


Cell = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number"]})]
Columns = Annotated[
    tuple[ColumnName, ...],
    BeforeValidator(_as_tuple),
    WithJsonSchema({"anyOf": [COLUMN_SCHEMA, {"type": "array", "items": COLUMN_SCHEMA}]}),
]
"""One column name or a list of them."""
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


class TableCells(Source):
    """Base class of all sources that read the cells of a table."""

    strip: bool = Field(True, description="strip spaces around cells")
    missing: Items[Cell] = Field(
        MISSING, description="cells that are read as missing values, instead of the default ones"
    )
    replace: Replacements = Field({}, description="cells to replace, if they match exactly: {from: to}")


class Delimited(TableCells, RepairedFiles):
    """Base class of all sources that read tables: delimited text, Parquet, Arrow, JSON Lines and Excel files."""

    names: Items[Annotated[str, Field(min_length=1)]] | None = Field(
        None, description="column names, if the file has no header, or to replace the names in the header"
    )
    header: Literal["auto"] | bool = Field("auto", description="whether the first row is a header; auto: detected")
    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        "auto", description='delimiter between cells, such as "," ";" "\\t" "|"; auto: detected'
    )
    encoding: Annotated[str, AfterValidator(_known_encoding)] = Field(
        "auto", description="encoding of the file; auto: from the byte order mark, else UTF-8, else Windows-1252"
    )
    skip_rows: Natural | Items[Count] = Field(
        0,
        description="number of lines to skip before the header, such as a title; or a list of rows to skip, where "
        "the header is row 1: [2] skips a second header row below the first",
    )
    ragged: Literal["pad", "skip", "error"] = Field(
        "pad",
        description="how to handle rows whose number of cells differs from the header. pad: fill short rows with "
        "missing values, remove extra delimiters, and raise an error for longer rows; skip: skip them; error: raise an "
        "error",
    )
    sheet: str | Natural | None = Field(
        None, description="sheet of an Excel file, by name or by position from 0; null: the first visible sheet"
    )


class CellFormats(TableCells):
    """Base class of all sources whose cells are numbers, dates and names in various formats."""

    decimal: DecimalSign = Field("auto", description="decimal separator; auto: detected for each column")
    thousands: ThousandsSign = Field(
        "auto", description='thousands separator; "": no separator; auto: detected for each column'
    )
    date_order: DateOrder = Field(
        "auto",
        description="order of day, month and year in dates such as 01/02/2024; auto: detected for each column; if "
        "several orders fit, the one with regular time steps is used, with a warning",
    )


class FormattedFiles(CellFormats, Delimited):
    """Base class of all sources that read numbers, dates and names from files of tables."""
