"""Delimited text files: what is said of them, whatever their columns mean."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.base import Items, Natural
from nnzoo.config.data.base import Files

Column = Natural | Annotated[str, Field(min_length=1)]
"""By its name, or by its position from 0."""


class Delimited(Files):
    """What every source of files with delimited columns has."""

    names: Items[str] | None = Field(None, description="of the columns, where the file does not have them")
    header: bool | Literal["auto"] = Field("auto", description="whether the first row names the columns")
    delimiter: Annotated[str, Field(min_length=1)] = Field("auto", description="between columns: `,` `;` `\\t` ..")
    encoding: Annotated[str, Field(min_length=1)] = Field("auto", description="as Python names it: utf-8, cp1252, ..")
    strip: bool = Field(True, description="whether blanks around a cell are left out")
