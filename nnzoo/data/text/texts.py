"""Reads texts with labels and locations, from table columns or from one file per class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.files.contents import STDIN, name_of, plain_name, read_bytes
from nnzoo.data.files.encodings import common_encoding, lines_of, read_text
from nnzoo.data.files.find import find_files
from nnzoo.data.files.origin import Origin, name_below, of_files
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.tables.cells import one_spelling
from nnzoo.data.tables.columns import index_of
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.forms import canonical, names_form
from nnzoo.data.tables.inference import sorted_labels
from nnzoo.data.tables.missing import has_targets
from nnzoo.data.tables.opening import options_for_new_files
from nnzoo.data.tables.table import Table, choices_of, open_table
from nnzoo.data.vocabulary import UNKNOWN, Vocabulary, pad
from nnzoo.errors import DataError

CLASS_FILES = (".txt",)
"""Suffixes of class files."""
EMPTY_CLASSES = Repair("class file", "without a text", "left out", "Fill it, or remove it.")
EQUAL_LABELS = Repair(
    "pair", "of labels that are equal as numbers", "read as one class", "If they are versions, `replace` one of them."
)


@dataclass(frozen=True)
class Texts:
    """The texts of a split, with their labels.

    Attributes:
        texts: The texts.
        labels: The label of each text.
        numbers: The index of each text among all texts of its files.
        locate: Returns the file and the line of a text by its number.
        origin: Returns the file and the row of texts by their numbers.
    """

    texts: list[str]
    labels: list[str]
    numbers: Sequence[int]
    locate: Callable[[int], str]
    origin: Origin

    def take(self, rows: Sequence[int]) -> Texts:
        texts, labels, numbers = self.texts, self.labels, self.numbers
        own = [numbers[row] for row in rows]
        return Texts([texts[row] for row in rows], [labels[row] for row in rows], own, self.locate, self.origin)

    def first(self, limit: int | None, *, balanced: bool) -> Texts:
        """Returns the first `limit` samples; if `balanced`, the first of each class, then the second of each, ..."""
        rows = range(len(self.texts))
        if limit is None or not balanced:
            return self.take(rows[:limit])
        counts: Counter[str] = Counter()
        ranks = []  # of each sample within its class
        for label in self.labels:
            ranks.append(counts[label])
            counts[label] += 1
        return self.take(sorted(sorted(rows, key=ranks.__getitem__)[:limit]))

    def distinct(self, untrained: Vocabulary) -> Texts:
        """Drops texts with the same symbols and the same label as an earlier one."""
        first: dict[tuple[str, ...], int] = {}
        for row, (text, label) in enumerate(zip(self.texts, self.labels, strict=True)):
            first.setdefault((label, *untrained.tokenize(text)), row)
        return self.take(list(first.values()))


class TextLocations(Sequence[str]):
    """The file and line of each text, split by split. They are computed on access, which may read the file again."""

    def __init__(self, parts: Sequence[Texts]) -> None:
        self.locations = [(part.locate, number) for part in parts for number in part.numbers]

    def __len__(self) -> int:
        return len(self.locations)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [locate(number) for locate, number in self.locations[index]]
        locate, number = self.locations[index]
        return locate(number)


class LoadedTexts(NamedTuple):
    """The texts of all splits.

    Attributes:
        parts: The texts of each split.
        text: The column of the texts; None for class files.
        choices: The resolved format of the files.
        notes: Notes for the log.
        options: The format for new files.
        repairs: What was skipped or repaired.
    """

    parts: dict[str, Texts]
    text: str | None
    choices: dict[str, Any]
    notes: tuple[str, ...]
    options: TableOptions
    repairs: Repairs


def load_class_files(paths: dict[str, Path], options: TableOptions) -> LoadedTexts:
    """Loads the texts of class files. New files may have a different encoding, unless `options` sets one."""
    repairs = Repairs(strict=options.strict)
    files = {name: find_files(each, CLASS_FILES, repairs) for name, each in paths.items()}
    encoding = options.encoding
    if encoding == "auto":
        encoding = common_encoding([read_bytes(file) for part in files.values() for file in part])
    resolved = options.model_copy(update={"encoding": encoding})
    parts = {name: read_class_files(part, resolved, repairs, paths[name]) for name, part in files.items()}
    return LoadedTexts(parts, None, {"encoding": encoding}, (), options, repairs)


def load_columns(paths: dict[str, Path], options: TableOptions, text: str | None, target: str) -> LoadedTexts:
    """Loads the texts of the column `text` and the classes of the column `target`."""
    known = [column for column in (text, target) if column is not None]
    repairs = Repairs(strict=options.strict)
    tables = {
        name: open_table([each], options, known, label_column=target, repairs=repairs) for name, each in paths.items()
    }
    text = _text_column(tables["train"], text, target)
    parts = {name: read_table(table, text, target, repairs, paths[name]) for name, table in tables.items()}
    new_options = options_for_new_files(tables["train"].files[0], options, [text, target])
    return LoadedTexts(parts, text, choices_of(tables.values()), tables["train"].notes, new_options, repairs)


def read_class_files(
    files: Sequence[Path], options: TableOptions, repairs: Repairs, given_path: Path | None = None
) -> Texts:
    """Reads one text per line from class files; the name of a file is its class. Blank lines are skipped.

    Args:
        files: One file per class.
        options: The format of the files.
        repairs: Counts what is repaired or skipped.
        given_path: The path in the config that the files belong to; None for new files.
    """
    if STDIN in files:
        raise DataError(
            "can't be used, because the classes are taken from the file names. Pass files instead.",
            where=name_of(STDIN),
        )
    texts: list[str] = []
    labels: list[str] = []
    numbers: list[int] = []
    sizes: list[int] = []
    for path in files:
        lines = lines_of(read_text(path, options.encoding, repairs))
        kept = [(line.strip(), number) for number, line in enumerate(lines, start=sum(sizes)) if line.strip()]
        repairs.add(EMPTY_CLASSES, str(path), not kept)
        texts.extend(line for line, _ in kept)
        labels.extend([Path(plain_name(path)).stem] * len(kept))
        numbers.extend(number for _, number in kept)
        sizes.append(len(lines))
    if not texts:
        raise DataError("has no texts.", where=str(files[0]))
    origin = of_files([str(file) if given_path is None else name_below(file, given_path) for file in files], sizes)

    def locate(number: int) -> str:
        file = int(np.searchsorted(np.cumsum(sizes), number, side="right"))
        return f"{files[file]}: line {number - sum(sizes[:file]) + 1}"

    return Texts(texts, one_spelling(labels), numbers, locate, origin)


def read_table(table: Table, text: str, target: str, repairs: Repairs, given_path: Path | None = None) -> Texts:
    """Reads the texts of a table, except rows without a class.

    Args:
        table: The table.
        text: The column of the text.
        target: The column of the class.
        repairs: Counts rows without a class.
        given_path: The path in the config that the files belong to; None for new files.
    """
    table.require([text, target])
    texts, labels = table.cells(text).texts, table.cells(target)
    rows = np.arange(len(texts))
    kept = rows[has_targets([labels], rows, table.options.missing_target, repairs)]
    pair = labels.equal_fractions(names_form(labels.labels[0]), kept)
    if pair is not None:
        repairs.add(EQUAL_LABELS, f"'{pair[0]}' and '{pair[1]}' in {labels.where}")
    return Texts(texts, labels.one_spelling(), rows.tolist(), table.locate, table.origin(given_path)).take(
        kept.tolist()
    )


def _text_column(table: Table, text: str | None, target: str) -> str:
    """Returns the column of the text: `text`, or else the only column besides the target."""
    table.require([target] if text is None else [text, target])
    others = [name for name in table.names if name != target]
    if text == target:
        raise DataError(f"column '{target}' can't be both text and target. Set a different column.", where=table.where)
    if text is not None:
        return text
    if len(others) != 1:
        listed = ", ".join(others) or "none"
        raise DataError(
            f"it is not clear which column contains the text (got {listed} besides the target). Set it with `text`.",
            where=table.where,
        )
    return others[0]


def find_classes(labels: Sequence[str]) -> tuple[str, ...]:
    """Returns the distinct labels: numbers in ascending order, others in natural order."""
    return sorted_labels(list(set(labels)))


def encode_labels(part: Texts, classes: Sequence[str]) -> Tensor:
    """Returns (N,) class indices."""
    import pyarrow as pa

    labels = pa.array(part.labels, pa.string())
    form = names_form(pa.array(classes, pa.string()))
    index = index_of(tuple(classes), form)
    if len(index) < len(classes):
        raise DataError(
            f"two of the classes are equal as numbers (got {', '.join(map(repr, classes[:10]))}). Rename one of them.",
            where="data",
        )
    indices = [index.get(name, -1) for name in canonical(labels, form).to_pylist()]
    if -1 in indices:
        row = indices.index(-1)
        listed = ", ".join(map(repr, classes[:10])) + (f", ... ({len(classes)} in all)" if len(classes) > 10 else "")
        raise DataError(
            f"the label '{part.labels[row]}' is not a class of the training samples (allowed {listed}).",
            where=part.locate(part.numbers[row]),
        )
    return torch.tensor(indices)


def padded(tokens: Sequence[list[int]], num_steps: int, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns tokens (N, T), targets, lengths (N,). A text without symbols becomes one unknown symbol."""
    inputs, lengths = pad([each or [UNKNOWN] for each in tokens], num_steps)
    return inputs, targets, lengths
