"""Time series to forecast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.base import Count, Items
from nnzoo.config.data.base import ColumnName
from nnzoo.config.data.delimited import MISSING, Cell, Columns, FormattedFiles
from nnzoo.config.facts import Facts


class Series(FormattedFiles):
    """A time series: the input is a window of `window` rows, the output is `target` in the next `horizon` rows.

    The first rows are the train split, then come val and test. No row that is forecast in val or test is part of a
    training window. The windows of val and test may start in earlier rows, which are known when the forecast is made.
    """

    name: Literal["series"]
    target: Annotated[Columns, Field(min_length=1)] = Field(description="column or columns to forecast")
    features: Columns | None = Field(None, description="numeric input columns; null: the target")
    time: ColumnName | None = Field(
        None,
        description="column of dates or numbers to sort the rows by; null: the rows are already sorted, with equal "
        "time steps",
    )
    categorical: Columns = Field((), description="categorical input columns, which are one-hot encoded")
    missing: Items[Cell] = Field(
        (*MISSING, "-"),
        description="cells that are read as missing values; up to `window` consecutive ones are forward-filled",
    )
    window: Count = Field(24, description="number of input rows of a forecast")
    horizon: Count = Field(1, description="number of rows to forecast")
    season: Count | Literal["auto"] = Field(
        "auto",
        description="rows per season, for the seasonal naive forecast of the baseline; 1: no season; auto: the lag "
        "with the highest autocorrelation in the train rows, if it gives a better naive forecast than the last value",
    )
    difference: bool | Literal["auto"] = Field(
        "auto",
        description="predict the change from the last value (NLinear; Zeng et al. 2023); auto: if targets are features",
    )

    @property
    def target_features(self) -> tuple[int, ...] | None:
        """Returns the index of each target among the features; None if a target is not a feature."""
        features = self.target if self.features is None else self.features
        return tuple(map(features.index, self.target)) if set(self.target) <= set(features) else None

    def facts(self) -> Facts:
        numbers = self.target if self.features is None else self.features
        return Facts(
            task="regression",
            layout="sequence",
            num_classes=0,
            num_targets=len(self.target) * self.horizon,
            input_shape=None if self.categorical else (self.window, len(numbers)),
            has_val=bool(self.val_path or self.split.val > 0),
            has_test=bool(self.test_path or self.split.test > 0),
            scale_target=True,
        )
