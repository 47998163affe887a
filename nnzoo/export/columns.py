"""Table columns as one number per column: what an exported network reads in place of the features of nnzoo."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.data import CsvReader, Reader, SeriesReader
from nnzoo.data.tables.columns import BooleanColumn, CategoryColumn, Column, DateColumn, NumberColumn

UNKNOWN = -1.0
"""The number of a category that is not among those of the training rows."""
BOOLEANS = {
    word: index for index, words in enumerate(("false f no n off 0", "true t yes y on 1")) for word in words.split()
}


@dataclass(frozen=True)
class Feature:
    """A feature, computed from one column.

    Attributes:
        column: The index of the column.
        fill: The value in place of a missing number; None if the feature is a flag.
        equals: The flag is 1 where the column has this number; None for the flag of missing values.
    """

    column: int
    fill: float | None = None
    equals: float | None = None


class ColumnsToFeatures(nn.Module):
    """Computes features from columns, in float64: (N, C) -> (N, F), or (N, T, C) -> (N, T, F).

    A number stays a number, the number of a category becomes one-hot, and NaN is a missing value.

    Args:
        features: The F features.
    """

    columns: Tensor
    is_number: Tensor
    is_missing: Tensor
    fills: Tensor
    equals: Tensor

    def __init__(self, features: list[Feature]) -> None:
        super().__init__()
        flags = [each.fill is None for each in features]
        self.register_buffer("columns", torch.tensor([each.column for each in features]))
        self.register_buffer("is_number", ~torch.tensor(flags))
        self.register_buffer(
            "is_missing", torch.tensor([each.fill is None and each.equals is None for each in features])
        )
        self.register_buffer("fills", _float64([0.0 if each.fill is None else each.fill for each in features]))
        self.register_buffer(
            "equals", _float64([math.inf if each.equals is None else each.equals for each in features])
        )

    def forward(self, values: Tensor) -> Tensor:
        """(N, C) -> (N, F), or (N, T, C) -> (N, T, F)."""
        values = values.index_select(-1, self.columns)
        missing = values.isnan()
        flags = (values == self.equals) | (missing & self.is_missing)
        return torch.where(self.is_number, torch.where(missing, self.fills, values), flags.double())


class Columns:
    """The columns of a table or a series that a network reads.

    Args:
        described: A description of each column, for JSON.
        features: The features that are computed from them.
    """

    def __init__(self, described: list[dict[str, Any]], features: list[Feature]) -> None:
        self.described = described
        self.features = features

    def module(self) -> ColumnsToFeatures:
        """Returns the module that computes the features."""
        return ColumnsToFeatures(self.features)

    def random(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """Returns the features of random columns of a given shape, (*, C): any category, any number near the fill."""
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        for index, each in enumerate(self.described):
            if each["type"] in ("category", "boolean"):
                count = len(each.get("categories", "01"))
                values[..., index] = torch.randint(0, count, shape[:-1], generator=generator).double()
        for feature in self.features:
            if feature.fill is not None and self.described[feature.column]["type"] != "boolean":
                values[..., feature.column] += 0.0 if math.isnan(feature.fill) else feature.fill
        features: Tensor = self.module()(values)
        return features

    def of_features(self, features: Tensor) -> Tensor:
        """Returns columns that have the given features, in float64: the inverse of the module.

        A missing value without a flag of its own looks like the number in its place.
        """
        values = features.new_zeros((*features.shape[:-1], len(self.described)), dtype=torch.float64)
        unknown = [UNKNOWN if each["type"] == "category" else 0.0 for each in self.described]
        values += torch.tensor(unknown, dtype=torch.float64)
        for index, feature in enumerate(self.features):
            given = features[..., index].double()
            column = values[..., feature.column]
            if feature.fill is not None:
                column.copy_(given)
            else:
                flag = math.nan if feature.equals is None else feature.equals
                column.masked_fill_(given == 1, flag)
        return values


def columns_of(reader: Reader) -> Columns | None:
    """Returns the columns of the reader of a table or a series; None if every column is a number without a fill."""
    described: list[dict[str, Any]] = []
    features: list[Feature] = []
    if isinstance(reader, CsvReader):
        for column in reader.columns:
            start = len(described)
            described += _described(column)
            features += _features(column, start)
        return Columns(described, features)
    if not isinstance(reader, SeriesReader) or not reader.categorical:
        return None
    for name in reader.features:
        features.append(Feature(len(described), fill=math.nan))
        described.append({"name": name, "type": "number"})
    for name, categories in zip(reader.categorical, reader.categories, strict=True):
        features += [Feature(len(described), equals=float(number)) for number in range(len(categories))]
        described.append({"name": name, "type": "category", "categories": list(categories)})
    return Columns(described, features)


def _described(column: Column) -> list[dict[str, Any]]:
    """Returns the description of a column; of a date, one description per part."""
    match column:
        case NumberColumn():
            return [{"name": column.name, "type": "number", **_written(column)}]
        case BooleanColumn():
            return [{"name": column.name, "type": "boolean", "words": BOOLEANS}]
        case CategoryColumn():
            return [{"name": column.name, "type": "category", "categories": list(column.categories)}]
        case DateColumn():
            return [{"name": column.name, "type": "date", "part": part, **_written(column)} for part in column.parts]


def _written(column: Column) -> dict[str, str]:
    """Returns how the cells of a column are written in files, unless they are plain numbers."""
    written = column.describe()
    return {"written": written} if written else {}


def _features(column: Column, start: int) -> Iterator[Feature]:
    """Yields the features of a column whose first number has the index `start`."""
    match column:
        case NumberColumn() | BooleanColumn():
            yield Feature(start, fill=float(column.fill))
        case CategoryColumn():
            yield from (Feature(start, equals=float(number)) for number in range(len(column.categories)))
            if column.other:
                yield Feature(start, equals=UNKNOWN)
        case DateColumn():
            yield from (Feature(start + part, fill=fill) for part, fill in enumerate(column.fill))
    if column.indicator:
        yield Feature(start)


def _float64(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
