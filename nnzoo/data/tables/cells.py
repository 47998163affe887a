"""The cells of one column, and their conversion to numbers, categories and dates."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import ISO, DateForm
from nnzoo.data.tables.forms import TEXT, Form, boolean_values, canonical, names_form
from nnzoo.data.tables.matching import match_cells
from nnzoo.data.tables.number_forms import UsualDecimal
from nnzoo.data.tables.numbers import PLAIN, NumberForm, plain_numbers
from nnzoo.errors import DataError

MISSING_CODE = -1
_TYPED = NumberForm(padded=True)
_FRACTION = re.compile(r"[+-]?\d+[.,](\d*[1-9]\d*)", re.ASCII)
"""A number with decimals that are not all 0."""


class Keys(NamedTuple):
    """Groups of equal cells in a column.

    Attributes:
        names: A pyarrow.Array of (K,) canonical spellings, in order of first appearance.
        codes: (N,) the index into `names` per row; `MISSING_CODE` for a missing value.
        of_labels: (L,) the index into `names` per distinct cell.
    """

    names: Any
    codes: NDArray[np.int32]
    of_labels: NDArray[np.int32]


class Cells:
    """A column of a table.

    Args:
        name: The column's name.
        values: A pyarrow.ChunkedArray of (N,) strings, null if missing.
        where: The table, for messages.
        locate: Returns the location of a row, such as `data.csv: line 7`.
        delimiter: The delimiter of the file, a hint for the number format.
        usual_decimal: The decimal separator of unambiguous cells of the file.
        text_cells: In a column of numbers or dates, the cells that are strings in the source; all others have Python's
            format. None for a column of strings.
        is_categorical: Whether the column is categorical in the source.
    """

    def __init__(
        self,
        name: str,
        values: Any,
        where: str,
        locate: Callable[[int], str],
        *,
        delimiter: str = ",",
        usual_decimal: UsualDecimal = "",
        text_cells: Collection[str] | None = None,
        is_categorical: bool = False,
    ) -> None:
        self.name = name
        self.where = where
        self.delimiter = delimiter
        self.usual_decimal = usual_decimal
        self.text_cells = text_cells
        self.is_categorical = is_categorical
        self._values = values
        self.locate = locate
        self._numbers: dict[NumberForm, NDArray[np.float64]] = {}
        self._keys: dict[Form, Keys] = {}

    def __len__(self) -> int:
        return len(self._values)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """(N,) whether the value is missing."""
        is_null: NDArray[np.bool_] = self._values.is_null().to_numpy()
        return is_null

    @cached_property
    def labels(self) -> tuple[Any, NDArray[np.int32]]:
        """The distinct cells, a pyarrow.Array, and (N,) the index of each row's cell; -1 if missing."""
        encoded = self._values.dictionary_encode().combine_chunks()
        codes = encoded.indices.fill_null(MISSING_CODE).to_numpy(zero_copy_only=False)
        return encoded.dictionary, codes.astype(np.int32)

    @property
    def typed(self) -> bool:
        """Whether all cells of the column are numbers or dates in the source."""
        return self.text_cells is not None and not self.text_cells

    @cached_property
    def _is_typed(self) -> NDArray[np.bool_]:
        """(L,) whether each distinct cell is a number or a date in the source, and not a string."""
        texts = () if self.text_cells is None else self.text_cells
        return np.array([label not in texts for label in self.labels[0].to_pylist()], dtype=bool)

    @cached_property
    def plain(self) -> NDArray[np.float64] | None:
        """(N,) the numbers, NaN if missing; None if a cell does not have Python's number format."""
        return plain_numbers(self._values)

    def numbers(self, form: NumberForm = PLAIN) -> NDArray[np.float64]:
        """Returns (N,) numbers; NaN if the cell is missing or does not match the format."""
        if form not in self._numbers:
            self._numbers[form] = self._read_numbers(form)
        return self._numbers[form]

    def _read_numbers(self, form: NumberForm) -> NDArray[np.float64]:
        if form.is_plain and self.plain is not None:
            return self.plain
        labels, codes = self.labels
        values = form.read(labels)
        if self.text_cells is not None:
            values = np.where(self._is_typed, _TYPED.read(labels), values)
        if form.words:
            words = boolean_values(labels)
            values = np.where(np.isnan(values) & (words >= 0), words, values)
        return np.append(values, np.nan)[codes]  # a missing cell has code -1, the appended NaN

    def is_text(self, form: NumberForm = PLAIN) -> NDArray[np.bool_]:
        """Returns whether each cell has a value that does not match the number format, (N,)."""
        return np.isnan(self.numbers(form)) & ~self.missing

    def keys(self, form: Form = TEXT) -> Keys:
        """Returns the groups of cells that are equal in a format."""
        import pyarrow as pa
        from pyarrow import compute

        if form not in self._keys:
            labels, codes = self.labels
            found = canonical(labels, form)
            if self.text_cells is not None and isinstance(form, NumberForm):
                found = compute.if_else(pa.array(self._is_typed), canonical(labels, PLAIN), found)
            encoded = found.dictionary_encode()
            of_labels = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32)
            self._keys[form] = Keys(encoded.dictionary, np.append(of_labels, np.int32(MISSING_CODE))[codes], of_labels)
        return self._keys[form]

    def spellings(self, form: Form, rows: NDArray[np.int64]) -> list[str]:
        """Returns one spelling per key, (K,): the shortest number, or the most frequent text.

        Args:
            form: The format of the column.
            rows: The rows in which spellings are counted.
        """
        labels, codes = self.labels
        keys = self.keys(form)
        texts: list[str] = labels.to_pylist()
        if len(keys.names) == len(texts):
            return texts
        counts = np.bincount(codes[rows] + 1, minlength=len(texts) + 1)[1:].tolist()
        is_number = (~np.isnan(PLAIN.read(labels))).tolist()
        best: dict[int, tuple[bool, int, int, str]] = {}
        for label, count, number, key in zip(texts, counts, is_number, keys.of_labels.tolist(), strict=True):
            rank = (not count, len(label) if number else 0, -count, label)
            best[key] = min(rank, best.get(key, rank))
        return [best[key][-1] for key in range(len(keys.names))]

    def equal_fractions(self, form: Form, rows: NDArray[np.int64]) -> tuple[str, str] | None:
        """Returns two equal cells that differ in trailing zeros, the shorter first: 3.1 and 3.10, but not 3 and 3.0.

        Args:
            form: The format by which cells are compared.
            rows: The rows that are searched.

        Returns:
            None if there are no such cells.
        """
        labels, codes = self.labels
        keys = self.keys(form)
        if isinstance(form, DateForm) or len(keys.names) == len(labels):
            return None
        used = np.unique(codes[rows])
        by_key: dict[int, tuple[str, str]] = {}
        for index in used[used >= 0].tolist():
            label = labels[index].as_py()
            found = _FRACTION.fullmatch(label)
            if found is None:
                continue
            other, digits = by_key.setdefault(int(keys.of_labels[index]), (label, found[1]))
            if digits != found[1]:
                return min(label, other, key=len), max(label, other, key=len)
        return None

    def booleans(self) -> NDArray[np.float64]:
        """Returns (N,) values: 1 for true, 0 for false, NaN for missing cells, and -1 for all others."""
        labels, codes = self.labels
        return np.append(boolean_values(labels), np.nan)[codes]

    def dates(self, form: DateForm) -> NDArray[np.datetime64]:
        """Returns (N,) local dates and times; NaT if the cell is missing or does not match the format."""
        labels, codes = self.labels
        local = form.read(labels).local
        if self.text_cells is not None:
            as_python = ISO.read(labels).local
            local = np.where(np.isnat(as_python) | ~self._is_typed, local, as_python)
        return np.append(local, np.datetime64("NaT"))[codes]

    def one_spelling(self) -> list[str]:
        """Returns (N,) categories, writing cells with the same meaning (1 and 1.0) the same way; empty if missing."""
        form = names_form(self.labels[0])
        names = [*self.spellings(form, np.arange(len(self))), ""]
        return [names[code] for code in self.keys(form).codes.tolist()]

    def canonical_texts(self, form: Form) -> list[str]:
        """Returns (N,) canonical spellings of the cells as categories; empty if missing."""
        keys = self.keys(form)
        names = [*keys.names.to_pylist(), ""]
        return [names[code] for code in keys.codes.tolist()]

    @property
    def texts(self) -> list[str]:
        """(N,) the cells unchanged; empty if missing."""
        return [cell or "" for cell in self._values.to_pylist()]

    def without(self, texts: Sequence[str]) -> Cells:
        """Returns the column with the cells that equal one of the texts as missing values."""
        import pyarrow as pa
        from pyarrow import compute

        is_odd = match_cells(self._values, tuple(texts), NumberForm()).is_valid()
        values = compute.if_else(is_odd, pa.scalar(None, pa.string()), self._values)
        return Cells(
            self.name,
            values,
            self.where,
            self.locate,
            delimiter=self.delimiter,
            usual_decimal=self.usual_decimal,
            text_cells=self.text_cells,
            is_categorical=self.is_categorical,
        )

    def text(self, row: int) -> str:
        """Returns the text of a cell, which must not be missing."""
        return str(self._values[int(row)].as_py())

    def problem(self, row: int, message: str) -> DataError:
        """Returns an error that names the location of a cell."""
        return DataError(message, where=self.place(row))

    def place(self, row: int) -> str:
        """Returns the location of a cell, for messages."""
        return f"{self.locate(int(row))}: column '{self.name}'"


def one_spelling(names: Sequence[str]) -> list[str]:
    """Returns (N,) names, writing names with the same meaning the same way, as in a column of a table."""
    import pyarrow as pa

    values = pa.chunked_array([pa.array(names, pa.string())])
    return Cells("", values, "", str).one_spelling()
