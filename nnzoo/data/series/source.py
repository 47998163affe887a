"""Time series for forecasting, cut into windows.

A sample is a window of rows and the targets of the rows after it. It belongs to the split that contains all its
targets. Windows of val and test may begin before their split. No row with a target of val or test is part of a training
window.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.dates.dates import DateOrder
from nnzoo.data.files.origin import of_files
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.reader import Reader, Samples, Schema
from nnzoo.data.series.season import find_season, rows_before
from nnzoo.data.series.stamps import StampForm, TimeStep
from nnzoo.data.series.timeline import Timeline, last_known
from nnzoo.data.split import Division
from nnzoo.data.tables.columns import read_numbers
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.finding import FormFinder, FormOptions, count_numbers
from nnzoo.data.tables.forms import TEXT, Form
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.numbers import PLAIN, DecimalSign, NumberForm, ThousandsSign
from nnzoo.data.tables.opening import options_for_new_files
from nnzoo.data.tables.table import Table, choices_of, open_table
from nnzoo.errors import DataError

_SHOWN = 12
_MOST_NUMBERS = 0.5
"""The minimum share of numbers in a column of numbers. Other cells in it are errors."""


def load_series(
    *,
    path: str | Path,
    division: Division,
    target: tuple[str, ...],
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    features: tuple[str, ...] | None = None,
    time: str | None = None,
    categorical: tuple[str, ...] = (),
    window: int = 24,
    horizon: int = 1,
    season: int | Literal["auto"] = "auto",
    limit: int | None = None,
    decimal: Literal["auto"] | DecimalSign = "auto",
    thousands: Literal["auto"] | ThousandsSign = "auto",
    date_order: Literal["auto"] | DateOrder = "auto",
    **options: Any,
) -> Dataset:
    """Reads a series and cuts it into windows.

    Args:
        path: A file, a folder or a glob pattern; several files are one series.
        division: The fractions of the rows. The last rows are the test split, and those before them the val split.
        target: The columns to forecast.
        val_path: A separate series for the val split.
        test_path: A separate series for the test split.
        features: The numeric input columns; None for the targets.
        time: A column of numbers or dates to sort the rows by; None for rows in order with equal steps.
        categorical: Categorical input columns, encoded one-hot by the categories of the training rows.
        window: T, the number of rows per window.
        horizon: H, the number of rows to forecast.
        season: The rows per season, for the naive forecast; 1 for none; "auto" finds it in the training rows.
        limit: The number of rows to take from the start of each series.
        decimal: The decimal separator of all columns; "auto" infers it per column.
        thousands: The thousands separator of all columns; "auto" infers it per column.
        date_order: The order of day, month and year; "auto" infers it.
        **options: How the files are read: the fields of `TableOptions`.

    Returns:
        A dataset of sequences (N, T, F) with targets (N, H * M), step by step, in the unit of the columns.

    Raises:
        DataError: A file, column, cell or timestamp can't be used, or there are too few rows for a window.
    """
    sources = {"train": path, "val": val_path, "test": test_path}
    table_options = TableOptions(**options)
    forms = FormOptions(decimal, thousands, date_order)
    inputs = target if features is None else features
    required = [*target, *inputs, *categorical, *([] if time is None else [time])]
    repairs = Repairs(strict=table_options.strict)
    paths = {name: Path(each) for name, each in sources.items() if each is not None}
    tables = {name: open_table([each], table_options, required, repairs=repairs) for name, each in paths.items()}
    reader = SeriesReader(
        words=options_for_new_files(tables["train"].files[0], table_options, required),
        target=target,
        features=inputs,
        time=time,
        categorical=categorical,
        categories=(),
        window=window,
        horizon=horizon,
    )
    reader, ambiguities = reader.with_forms(tables["train"], forms)
    series = {"train": reader.series(tables["train"], limit=limit, options=forms)}
    stamps = series["train"].stamps
    if stamps is not None:
        step = None if stamps.gaps() is None else stamps.usual_step()
        reader = reader.model_copy(update={"time_form": stamps.form, "step": step})
    series |= {name: reader.series(table, limit=limit) for name, table in tables.items() if name != "train"}
    blocks = division.blocks(len(series["train"]), given=series)
    if division.replaces_test():
        series = {name: each for name, each in series.items() if name != "test"}
        sources = {name: each for name, each in sources.items() if name != "test"}
    past = series["train"].first(blocks["train"].stop)
    reader = reader.model_copy(update={"categories": past.categories()})
    past.check_values(reader.features, reader.target)
    if season == "auto":
        season = find_season(past.columns_of(target), horizon)
    reader = reader.model_copy(update={"season": season})
    known = dict(zip(categorical, reader.categories, strict=True))
    remarks = [*ambiguities, *(line for each in series.values() for line in each.remarks(window, known))]
    splits = {}
    for name, (timeline, block) in _blocks(series, blocks).items():
        root = Path(sources.get(name) or path)
        splits[name], num_left_out = reader.windows(timeline, block, name, root)
        remarks += _left_out(splits[name], num_left_out, name)
    return Dataset(
        splits,
        task="regression",
        layout="sequence",
        feature_names=reader.feature_names(),
        target_names=tuple(f"{column}+{ahead}" for ahead in range(1, horizon + 1) for column in target),
        choices={"features": inputs, "season": season, **choices_of(tables.values())},
        missing_values=past.missing(categorical),
        reader=reader,
        warnings=(*repairs.warnings(), *remarks),
        notes=(*tables["train"].notes, *_unused(tables["train"].names, required)),
        divisible=False,
    )


def _unused(names: Sequence[str], used: Collection[str]) -> list[str]:
    """Returns a note on the columns that the network does not use."""
    unused = [name for name in names if name not in used]
    shown = ", ".join(unused[:_SHOWN]) + (", ..." if len(unused) > _SHOWN else "")
    return [f"columns that are not used: {shown}; `features` and `categorical` add inputs"] if unused else []


class SeriesReader(Reader):
    """Reads files with the columns of the training data, and cuts them into windows.

    Attributes:
        words: How files are read.
        target: The M columns to forecast.
        features: The numeric input columns.
        time: The column that rows are sorted by.
        categorical: The categorical input columns.
        categories: The categories of each categorical column in the training rows.
        forms: The number format per column; columns without one have plain numbers.
        category_forms: The format per categorical column, by which its cells are compared.
        time_form: The format of the timestamps.
        step: The step between the training rows; None if it is irregular or there is no time.
        window: T, the number of rows per window.
        horizon: H, the number of rows to forecast.
        season: The rows per season, for the naive forecast.
    """

    kind: Literal["series"] = "series"
    words: TableOptions
    target: tuple[str, ...]
    features: tuple[str, ...]
    time: str | None
    categorical: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    forms: dict[str, NumberForm] = Field(default_factory=dict)
    category_forms: dict[str, Form] = Field(default_factory=dict)
    time_form: StampForm | None = None
    step: TimeStep | None = None
    window: int
    horizon: int
    season: int = 1

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        ends = list(accumulate(map(len, self.categories), initial=len(self.features)))
        return tuple(pairwise(ends))

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:  # noqa: ARG002
        """Reads a series from each path: all windows with their targets, or the last window, to forecast from.

        Raises:
            DataError: A file can't be read, or has too few rows or too many missing values at the end.
        """
        known, optional = self._required(labelled=labelled), () if labelled else self.target
        repairs = Repairs(strict=self.words.strict)
        tables = [open_table([path], self.words, known, optional, repairs=repairs) for path in paths]
        if labelled:
            each = [self.series(table) for table in tables]
            parts = [self.windows(series, slice(0, len(series)), "") for series in each]
            splits = [split for split, _ in parts]
            left_out = [_left_out(split, count, "new data") for split, count in parts]
            naive = torch.cat([split.naive for split in splits if split.naive is not None])
            inputs = torch.cat([split.inputs for split in splits])
            targets = torch.cat([split.targets for split in splits])
            told = (*repairs.warnings(), *self._remarks(each), *(line for lines in left_out for line in lines))
            return Samples(inputs, range(len(inputs)), targets, naive=naive, warnings=told)
        samples = self._last_rows(tables)
        return replace(samples, warnings=(*repairs.warnings(), *samples.warnings))

    def from_rows(self, raw: object, schema: Schema) -> Samples | None:  # noqa: ARG002
        table = table_of(raw, self.words)
        return None if table is None else self._last_rows([table])

    def _last_rows(self, tables: Sequence[Table]) -> Samples:
        """Returns the window at the end of each series, to forecast from."""
        each = [self.series(table, labelled=False) for table in tables]
        return Samples(
            torch.stack([torch.from_numpy(self._last_window(series)) for series in each]),
            [name for series in each for name in series.following(self.horizon, self.step)],
            origin=of_files([table.where for table in tables], [1] * len(tables)),
            row_targets=self.target,
            warnings=self._remarks(each),
        )

    def _remarks(self, series: Sequence[Timeline]) -> tuple[str, ...]:
        """Returns remarks on new series, after the file name if there are several."""
        known = dict(zip(self.categorical, self.categories, strict=True))
        return tuple(
            line if len(series) == 1 or line.startswith(each.table.where) else f"{each.table.where}: {line}"
            for each in series
            for line in each.remarks(self.window, known)
        )

    def fits(self, schema: Schema) -> bool:
        """Returns whether windows and targets match the schema."""
        shape = (self.window, len(self.feature_names()))
        return shape == schema.input_shape and self.horizon * len(self.target) == len(schema.target_names)

    def feature_names(self) -> tuple[str, ...]:
        """Returns the names of the F inputs: numeric columns, then one per category."""
        pairs = zip(self.categorical, self.categories, strict=True)
        return (*self.features, *(f"{column}={name}" for column, found in pairs for name in found))

    @property
    def column_forms(self) -> dict[str, str]:
        shown = {name: form.describe() for name, form in self.forms.items()}
        if self.time is not None and self.time_form is not None:
            shown[self.time] = self.time_form.describe()
        return {name: form for name, form in shown.items() if form}

    def with_forms(self, table: Table, options: FormOptions) -> tuple[SeriesReader, list[str]]:
        """Returns a reader with the number formats of a table, and warnings about ambiguous ones."""
        table.require(self._required(labelled=True))
        forms: dict[str, NumberForm] = {}
        ambiguities: list[str] = []
        for cells in table.read(tuple(dict.fromkeys([*self.features, *self.target]))):
            finder = FormFinder(np.arange(len(cells)), options)
            found = finder.numbers(cells, _MOST_NUMBERS)
            if found is not None and not found.form.is_plain:
                forms[cells.name] = found.form
            if found is not None:
                written, exact = count_numbers(cells, found.form, finder.rows)
                if written > exact:
                    problem = f"has {written} distinct integers, of which {exact} are distinct in float64"
                    finder.warnings.setdefault(cells.name, f"{problem}. Subtract a constant from all of them")
            ambiguities += [f"column '{name}' {warning}" for name, warning in finder.warnings.items()]
        finder = FormFinder(np.arange(table.num_rows), options)
        names = {cells.name: finder.names(cells) for cells in table.read(self.categorical)}
        return self.model_copy(update={"forms": forms, "category_forms": names}), ambiguities

    def series(
        self,
        table: Table,
        *,
        limit: int | None = None,
        labelled: bool = True,
        options: FormOptions = FormOptions(),  # noqa: B008
    ) -> Timeline:
        """Returns the rows of a table in time order, with the targets if labelled."""
        table.require(self._required(labelled=labelled))
        columns = tuple(dict.fromkeys([*self.features, *(self.target if labelled else ())]))
        read = [
            read_numbers(cells, self.forms.get(cells.name, PLAIN), "is not a number") for cells in table.read(columns)
        ]
        numbers = np.stack(read, axis=1)
        names = np.empty((len(numbers), len(self.categorical)), dtype=object)
        for index, cells in enumerate(table.read(self.categorical)):
            names[:, index] = cells.canonical_texts(self.category_forms.get(cells.name, TEXT))
        series = Timeline(columns, numbers, names, np.arange(len(numbers)), table)
        if self.time is not None:
            # Dates from Python have one format, which may differ from that of the training file.
            stamps = table.cells(self.time)
            form = None if stamps.typed else self.time_form
            series = series.in_time(stamps.texts, self.time, form, self.step, options)
        if limit is not None:
            series = series.first(limit)
        return series.on_grid(self.window, self.step)

    def windows(self, series: Timeline, block: slice, name: str, root: Path | None = None) -> tuple[Split, int]:
        """Returns the windows whose targets are in a block, and the number of those left out because of missing values.

        Args:
            series: The rows.
            block: The rows of the targets.
            name: The name of the split, for messages.
            root: The configured path; None for new files.

        Raises:
            DataError: No window is left.
        """
        inputs, targets = self._inputs(series), series.columns_of(self.target)
        naive = last_known(targets)
        first = np.arange(
            max(block.start, self.window), block.stop - self.horizon + 1
        )  # (N,) first row of each forecast
        into = first[:, None] + np.arange(-self.window, 0)  # (N, T)
        ahead = first[:, None] + np.arange(self.horizon)  # (N, H)
        known = [np.asarray(np.isfinite(each).all(axis=1)) for each in (inputs, targets, naive)]
        complete = known[0][into].all(axis=1) & known[1][ahead].all(axis=1) & known[2][first - 1]
        if not complete.any():
            subject = f"{name} has" if name else "there are"
            raise DataError(
                f"{subject} {block.stop - block.start} rows, but no window of {self.window} rows followed by "
                f"{self.horizon} rows to forecast without missing values. Set a smaller `window` or `horizon`, or add "
                "rows.",
                where=series.where(block.start),
            )
        into, ahead, first = into[complete], ahead[complete], first[complete]
        before, last = naive[rows_before(first, self.horizon, self.season)], naive[first - 1, None]  # (N, H or 1, M)
        split = Split(
            torch.from_numpy(inputs[into]),
            torch.from_numpy(targets[ahead]).flatten(1),
            rows=torch.from_numpy(first),
            origin=series.origin(root),
            naive=torch.from_numpy(np.where(np.isfinite(before), before, last)).flatten(1),
        )
        return split, int((~complete).sum())

    def _last_window(self, series: Timeline) -> NDArray[np.float64]:
        """Returns the last window, (T, F)."""
        if len(series) < self.window:
            raise DataError(
                f"has too few rows to forecast from (got {len(series)}, expected {self.window} or more).",
                where=series.table.where,
            )
        inputs = self._inputs(series)[-self.window :]
        if not np.isfinite(inputs).all():
            column = self.feature_names()[int((~np.isfinite(inputs)).any(0).argmax())]
            raise DataError(
                f"more than {self.window} consecutive values of '{column}' are missing at the end. Add the "
                "latest values.",
                where=series.where(len(series) - 1),
            )
        return inputs

    def _inputs(self, series: Timeline) -> NDArray[np.float64]:
        """Returns the inputs of each row, (R, F) float64, NaN for values that can't be filled."""
        parts = [last_known(series.columns_of(self.features), limit=self.window)]
        for column, found in enumerate(self.categories):
            parts.append(series.names[:, column, None] == np.array(found, dtype=object))
        return np.concatenate([part.astype(np.float64) for part in parts], axis=1)

    def _required(self, *, labelled: bool) -> list[str]:
        stamps = [] if self.time is None else [self.time]
        return list(dict.fromkeys([*(self.target if labelled else ()), *self.features, *self.categorical, *stamps]))


def _left_out(split: Split, count: int, name: str) -> list[str]:
    """Returns a remark on the windows that are left out, if any."""
    total = count + len(split)
    return [f"{count} of {total} windows of {name} have missing values and are left out"] if count else []


def _blocks(series: dict[str, Timeline], blocks: dict[str, slice]) -> dict[str, tuple[Timeline, slice]]:
    """Returns the series and the rows of each split: a block of the train series, or all rows of its own series."""
    own = {name: (each, slice(0, len(each))) for name, each in series.items()}
    return {**own, **{name: (series["train"], block) for name, block in blocks.items()}}
