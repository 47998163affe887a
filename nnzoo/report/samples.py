"""Shows samples on a page: images as images, texts as text, table rows with the names of their columns."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data import CsvReader, LanguageReader, TextReader, TreeReader
from nnzoo.data.reader import Reader
from nnzoo.data.vocabulary import NUM_SPECIAL, UNKNOWN, Vocabulary
from nnzoo.errors import NnzooError
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.report.charts import Picture, png_of

MAX_PIXELS = 96
"""Larger images are reduced to this width or height."""
MAX_VALUES = 24
MAX_STEPS = 16
MAX_CELL = 100
PLACES = ("file", "row", "time", "sequence_id")
"""The columns of predictions.csv that locate a sample."""


class Samples:
    """The samples of a split, ready to be shown.

    Args:
        run: The run.
        split: The split.
    """

    def __init__(self, run: RunWithData, split: str) -> None:
        self.dataset = run.dataset
        self.part = self.dataset.splits[split]
        self.inputs = run.raw_inputs(split)
        self._names, self._find = self.dataset.origin_columns(split)

    @property
    def are_images(self) -> bool:
        """Whether samples are shown as images."""
        return self.dataset.layout == "image" and self.inputs is not None

    def place(self, index: int) -> str:
        """Returns where a sample comes from: its file and row."""
        found = self._find(slice(index, index + 1))
        pairs = [(name, values[0]) for name, values in zip(self._names, found, strict=True) if name in PLACES]
        if self.dataset.sample_names and not any(name == "file" for name, _ in pairs):
            row = index if self.part.rows is None else int(self.part.rows[index])
            return str(self.dataset.sample_names[row])
        return ", ".join(f"{name} {value}" if name != "file" else str(value) for name, value in pairs)

    def picture(self, index: int, label: str) -> Picture:
        """Returns a sample with a label below it."""
        if self.inputs is None:
            return Picture(b"", self.place(index), label)
        values = self.inputs[index : index + 1][0]
        if self.dataset.layout == "image":
            return Picture(image_png(values), f"sample {self.place(index)}", label)
        length = None if self.part.lengths is None else int(self.part.lengths[index])
        lines = filter(None, (label, self.place(index)))
        return Picture(b"", self._text(index, values, length), "\n".join(lines))

    @cached_property
    def _cells(self) -> dict[str, list[str]]:
        """The cells of the split as they are written, by column; empty if they can't be read again."""
        if self.part.written is None:
            return {}
        rows = np.arange(len(self.part)) if self.part.rows is None else self.part.rows.numpy()
        try:
            return self.part.written(rows)
        except (NnzooError, OSError, IndexError):  # the file was changed or removed during the training
            return {}

    def _text(self, index: int, values: Tensor, length: int | None) -> str:
        """Returns a sample as text: its words, its columns, or its first steps."""
        layout, reader = self.dataset.layout, self.dataset.reader
        if layout in ("tokens", "tree"):
            return tokens_text(values if layout == "tokens" else values[:, 0], reader, length)
        if layout == "sequence":
            steps = values[: length or len(values)][:MAX_STEPS]
            shown = "; ".join(", ".join(f"{number:.4g}" for number in step[:6].tolist()) for step in steps)
            return f"{length or len(values)} steps: {shown}{' …' if (length or len(values)) > MAX_STEPS else ''}"
        if isinstance(reader, CsvReader):
            return row_text(reader, values.tolist(), {name: cells[index] for name, cells in self._cells.items()})
        names = self.dataset.feature_names or tuple(str(i) for i in range(len(values)))
        pairs = zip(names[:MAX_VALUES], values[:MAX_VALUES].tolist(), strict=True)
        more = " …" if len(values) > MAX_VALUES else ""
        return ", ".join(f"{name} {value:.4g}" for name, value in pairs) + more


def row_text(reader: CsvReader, values: list[float], cells: dict[str, str]) -> str:
    """Returns a table row: its cells as they are written, or its features: numbers, and the category that is set."""
    shown, start = [], 0
    for column in reader.columns:
        features = values[start : start + len(column.feature_names)]
        start += len(features)
        if cell := (cells.get(column.name) or "").strip():
            shown.append(f"{column.name} {cell if len(cell) <= MAX_CELL else cell[: MAX_CELL - 1] + '…'}")
        elif column.name in cells or (column.indicator and features[-1]):
            shown.append(f"{column.name} missing")
        elif column.kind == "category":
            chosen = [name for name, value in zip(column.feature_names, features, strict=True) if value]
            shown.append(chosen[0].replace("=", " ", 1) if chosen else f"{column.name} unknown")
        else:
            shown += [f"{name} {value:.6g}" for name, value in zip(column.own_features, features, strict=False)]
    return ", ".join(shown[:MAX_VALUES]) + (" …" if len(shown) > MAX_VALUES else "")


def symbols_of(tokens: Tensor, reader: Reader | None) -> list[str]:
    """Returns the symbol of each token; the number where there is no vocabulary."""
    if not isinstance(reader, TextReader | LanguageReader | TreeReader):
        return [str(token) for token in tokens.tolist()]
    known = reader.vocabulary.symbols
    last = NUM_SPECIAL + len(known)
    return [
        known[token - NUM_SPECIAL] if NUM_SPECIAL <= token < last else "�" if token == UNKNOWN else ""
        for token in tokens.tolist()
    ]


def tokens_text(tokens: Tensor, reader: Reader | None, length: int | None) -> str:
    """Returns tokens as text. Symbols that are not in the vocabulary are U+FFFD."""
    symbols = [symbol for symbol in symbols_of(tokens[: length or len(tokens)], reader) if symbol]
    vocabulary: Vocabulary | None = getattr(reader, "vocabulary", None)
    return ("" if vocabulary is not None and vocabulary.tokenizer == "char" else " ").join(symbols)


def image_png(values: Tensor) -> bytes:
    """Returns the PNG file of an image (C, H, W): uint8, numbers in [0, 1], or others, whose range is stretched."""
    pixels = values if values.dtype == torch.uint8 else _stretched(values)
    step = max(1, -(-max(pixels.shape[1:]) // MAX_PIXELS))
    if step > 1:
        pixels = torch.nn.functional.avg_pool2d(pixels.float(), step).round().to(torch.uint8)
    array: NDArray[np.uint8] = pixels.numpy()
    return png_of(np.ascontiguousarray(array[:3].transpose(1, 2, 0)) if len(array) >= 3 else array[0])


def _stretched(values: Tensor) -> Tensor:
    low, high = float(values.amin()), float(values.amax())
    if low < 0 or high > 1:
        values = (values - low) / ((high - low) or 1.0)
    return (values * 255).round().to(torch.uint8)
