"""Series to forecast."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nnzoo.config.base import Count, Items
from nnzoo.config.data.base import ColumnName
from nnzoo.config.data.delimited import MISSING, Cell, Columns, FormattedCells
from nnzoo.config.facts import Facts


class Series(FormattedCells):
    """Rows in time order to forecast: `window` rows go in, `target` in the `horizon` rows after them comes out.

    Train, val and test are the earlier, later and last rows. No row whose target is forecast in val or test is in any
    training window; the windows of val and test may begin in the rows before, which are known by then.
    """

    name: Literal["series"]
    target: Annotated[Columns, Field(min_length=1)] = Field(description="column to forecast, or several")
    features: Columns | None = Field(None, description="columns of numbers to forecast from; null: the target itself")
    time: ColumnName | None = Field(
        None, description="column of dates or numbers; null: rows are in order, at equal steps"
    )
    categorical: Columns = Field((), description="columns of names to forecast from too, one input a name")
    missing: Items[Cell] = Field(
        (*MISSING, "-"),
        description="cells without a value; up to `window` in a row are filled with the last one before them",
    )
    window: Count = Field(24, description="rows that a forecast is made from")
    horizon: Count = Field(1, description="rows that are forecast")
    difference: bool | Literal["auto"] = Field(
        "auto", description="learn the change from the last value (NLinear, 2023); auto: where targets are features"
    )

    @property
    def target_features(self) -> tuple[int, ...] | None:
        """Which feature each target is; None where some is none."""
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
