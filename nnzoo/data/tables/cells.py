"""The cells of one column: texts, of which some are missing, and what they are as numbers, names and dates."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.dates.dates import ISO, DateForm
from nnzoo.data.tables.forms import TEXT, Form, boolean_values, canonical, names_form
from nnzoo.data.tables.numbers import PLAIN, DecimalSign, NumberForm, plain_numbers
from nnzoo.errors import DataError

MISSING_CODE = -1
_TYPED = NumberForm(padded=True)


class Keys(NamedTuple):
    """Which cells of a column are equal.

    Attributes:
        names: A pyarrow.Array of (K,) canonical spellings, in the order of their first rows.
        codes: (N,) the index of each row's, `MISSING_CODE` where it is missing.
        of_labels: (L,) the index of each distinct cell's.
    """

    names: Any
    codes: NDArray[np.int32]
    of_labels: NDArray[np.int32]


class Cells:
    """A column of a table.

    Args:
        name: The column's name.
        values: A pyarrow.ChunkedArray of (N,) strings, null where missing.
        where: The table, for messages.
        locate: Turns a row into its place, such as `data.csv: line 7`.
        delimiter: Between the cells of the file: evidence for how numbers are written.
        usual_decimal: The decimal sign of cells of the file that leave no doubt; empty if there are none.
        text_cells: If the source has numbers and dates, whose text is that of Python: the cells of text among them.
            None if all cells are texts.
    """

    def __init__(
        self,
        name: str,
        values: Any,
        where: str,
        locate: Callable[[int], str],
        *,
        delimiter: str = ",",
        usual_decimal: Literal[""] | DecimalSign = "",
        text_cells: Collection[str] | None = None,
    ) -> None:
        self.name = name
        self.where = where
        self.delimiter = delimiter
        self.usual_decimal: Literal[""] | DecimalSign = usual_decimal
        self.text_cells = text_cells
        self._values = values
        self._locate = locate
        self._numbers: dict[NumberForm, NDArray[np.float64]] = {}
        self._keys: dict[Form, Keys] = {}

    def __len__(self) -> int:
        return len(self._values)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """(N,) whether there is no value."""
        found: NDArray[np.bool_] = self._values.is_null().to_numpy()
        return found

    @cached_property
    def labels(self) -> tuple[Any, NDArray[np.int32]]:
        """The distinct cells, a pyarrow.Array, and (N,) the index of each row's, -1 where it is missing."""
        encoded = self._values.dictionary_encode().combine_chunks()
        codes = encoded.indices.fill_null(MISSING_CODE).to_numpy(zero_copy_only=False)
        return encoded.dictionary, codes.astype(np.int32)

    @property
    def typed(self) -> bool:
        """Whether the source has numbers and dates, and no texts among them."""
        return self.text_cells is not None and not self.text_cells

    @cached_property
    def _is_typed(self) -> NDArray[np.bool_]:
        """(L,) whether each distinct cell is a number or date of the source, and not a text."""
        texts = () if self.text_cells is None else self.text_cells
        return np.array([label not in texts for label in self.labels[0].to_pylist()], dtype=bool)

    @cached_property
    def plain(self) -> NDArray[np.float64] | None:
        """(N,) the numbers, NaN where missing; None if some cell is not written as in Python."""
        return plain_numbers(self._values)

    def numbers(self, form: NumberForm = PLAIN) -> NDArray[np.float64]:
        """(N,) NaN where the cell is missing or not such a number."""
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
        return np.append(values, np.nan)[codes]  # the code of what is missing is the last index

    def is_text(self, form: NumberForm = PLAIN) -> NDArray[np.bool_]:
        """(N,) whether there is a value and it is not such a number."""
        return np.isnan(self.numbers(form)) & ~self.missing

    def keys(self, form: Form = TEXT) -> Keys:
        """Which cells are equal, by the form of the column."""
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
        """(K,) how each key is written: of several spellings the shortest number, or the most frequent word.

        Args:
            form: Of the column.
            rows: Where spellings are counted.
        """
        labels, codes = self.labels
        keys = self.keys(form)
        written: list[str] = labels.to_pylist()
        if len(keys.names) == len(written):
            return written
        counts = np.bincount(codes[rows] + 1, minlength=len(written) + 1)[1:].tolist()
        is_number = (~np.isnan(PLAIN.read(labels))).tolist()
        best: dict[int, tuple[bool, int, int, str]] = {}
        for label, count, number, key in zip(written, counts, is_number, keys.of_labels.tolist(), strict=True):
            rank = (not count, len(label) if number else 0, -count, label)
            best[key] = min(rank, best.get(key, rank))
        return [best[key][-1] for key in range(len(keys.names))]

    def booleans(self) -> NDArray[np.float64]:
        """(N,) 1, 0, NaN where missing, -1 where it is neither true nor false."""
        labels, codes = self.labels
        return np.append(boolean_values(labels), np.nan)[codes]

    def dates(self, form: DateForm) -> NDArray[np.datetime64]:
        """(N,) the dates and times as they are written; NaT where the cell is missing or not such a date."""
        labels, codes = self.labels
        local = form.read(labels).local
        if self.text_cells is not None:
            as_python = ISO.read(labels).local
            local = np.where(np.isnat(as_python) | ~self._is_typed, local, as_python)
        return np.append(local, np.datetime64("NaT"))[codes]

    def one_spelling(self) -> list[str]:
        """(N,) names, in one spelling of those that are equal; empty where missing."""
        form = names_form(self.labels[0])
        names = [*self.spellings(form, np.arange(len(self))), ""]
        return [names[code] for code in self.keys(form).codes.tolist()]

    @property
    def canonical_texts(self) -> list[str]:
        """(N,) one spelling of cells that are equal as names; empty where missing."""
        keys = self.keys()
        names = [*keys.names.to_pylist(), ""]
        return [names[code] for code in keys.codes.tolist()]

    @property
    def texts(self) -> list[str]:
        """(N,) the cells as they are; empty where missing."""
        return [cell or "" for cell in self._values.to_pylist()]

    def text(self, row: int) -> str:
        """The cell of a row that has one."""
        return str(self._values[int(row)].as_py())

    def problem(self, row: int, message: str) -> DataError:
        """What is wrong with the cell of a row, located."""
        return DataError(message, where=self.place(row))

    def place(self, row: int) -> str:
        """Where the cell of a row is, for messages."""
        return f"{self._locate(int(row))}: column '{self.name}'"


def one_spelling(names: Sequence[str]) -> list[str]:
    """Returns (N,) names that come from no table, in one spelling of those that are equal in a column."""
    import pyarrow as pa

    values = pa.chunked_array([pa.array(names, pa.string())])
    return Cells("", values, "", str).one_spelling()
