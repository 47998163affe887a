"""Texts as they stand in files: of columns or one file a class, with their labels and their places."""

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
"""What files of one class each end in."""
EMPTY_CLASSES = Repair("class file", "without a text", "left out", "Fill it, or remove it.")


@dataclass(frozen=True)
class Texts:
    """Texts as in their files, with their labels.

    Attributes:
        texts: The texts.
        labels: The label of each.
        numbers: The number of each in all files.
        locate: Gives the file and the line of a number.
        origin: Gives the file and the row of numbers.
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

    def first(self, limit: int | None, *, in_turn: bool) -> Texts:
        """This many samples; in turn: the first of each class, then the second of each, so that none is left out."""
        rows = range(len(self.texts))
        if limit is None or not in_turn:
            return self.take(rows[:limit])
        seen: Counter[str] = Counter()
        turns = []
        for label in self.labels:
            turns.append(seen[label])
            seen[label] += 1
        return self.take(sorted(sorted(rows, key=turns.__getitem__)[:limit]))

    def distinct(self, untrained: Vocabulary) -> Texts:
        """Without texts of the same symbols and the same label as an earlier one."""
        first: dict[tuple[str, ...], int] = {}
        for row, (text, label) in enumerate(zip(self.texts, self.labels, strict=True)):
            first.setdefault((label, *untrained.tokenize(text)), row)
        return self.take(list(first.values()))


class TextLocations(Sequence[str]):
    """The file and line of each text, part after part; found when asked for, which may take reading the file again."""

    def __init__(self, parts: Sequence[Texts]) -> None:
        self.places = [(part.locate, number) for part in parts for number in part.numbers]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [locate(number) for locate, number in self.places[index]]
        locate, number = self.places[index]
        return locate(number)


class LoadedTexts(NamedTuple):
    """Texts that were found.

    Attributes:
        parts: Of each split.
        text: The column that they are in.
        choices: How the files are written.
        notes: What is to be told of the files.
        words: What is said of new files.
        repairs: What was left out or repaired.
    """

    parts: dict[str, Texts]
    text: str | None
    choices: dict[str, Any]
    notes: tuple[str, ...]
    words: TableOptions
    repairs: Repairs


def find_class_files(paths: dict[str, Path], said: TableOptions) -> LoadedTexts:
    """The texts of files of one class each; new files may have another encoding, unless one was said."""
    repairs = Repairs(strict=said.strict)
    files = {name: find_files(each, CLASS_FILES, repairs) for name, each in paths.items()}
    encoding = said.encoding
    if encoding == "auto":
        encoding = common_encoding([read_bytes(file) for part in files.values() for file in part])
    known = said.model_copy(update={"encoding": encoding})
    parts = {name: read_class_files(part, known, repairs, paths[name]) for name, part in files.items()}
    return LoadedTexts(parts, None, {"encoding": encoding}, (), said, repairs)


def find_columns(paths: dict[str, Path], said: TableOptions, text: str | None, target: str) -> LoadedTexts:
    """The texts of a column, and the classes of the column `target`."""
    known = [column for column in (text, target) if column is not None]
    repairs = Repairs(strict=said.strict)
    tables = {
        name: open_table([each], said, known, label_column=target, repairs=repairs) for name, each in paths.items()
    }
    text = _text_column(tables["train"], text, target)
    parts = {name: read_table(table, text, target, repairs, paths[name]) for name, table in tables.items()}
    words = options_for_new_files(tables["train"].files[0], said, [text, target])
    return LoadedTexts(parts, text, choices_of(tables.values()), tables["train"].notes, words, repairs)


def read_class_files(files: Sequence[Path], words: TableOptions, repairs: Repairs, said: Path | None = None) -> Texts:
    """Reads one text per line, of the class that its file is named after; blank lines are skipped.

    Args:
        files: One per class.
        words: How they are written.
        repairs: Counts what is repaired or left out.
        said: The path that the files were found by; None for new files.
    """
    if STDIN in files:
        raise DataError("a class is the name of a file. Name the files.", where=name_of(STDIN))
    texts: list[str] = []
    labels: list[str] = []
    numbers: list[int] = []
    sizes: list[int] = []
    for path in files:
        lines = lines_of(read_text(path, words.encoding, repairs))
        kept = [(line.strip(), number) for number, line in enumerate(lines, start=sum(sizes)) if line.strip()]
        repairs.add(EMPTY_CLASSES, str(path), not kept)
        texts.extend(line for line, _ in kept)
        labels.extend([Path(plain_name(path)).stem] * len(kept))
        numbers.extend(number for _, number in kept)
        sizes.append(len(lines))
    if not texts:
        raise DataError("is empty: there is no text in it.", where=str(files[0]))
    origin = of_files([str(file) if said is None else name_below(file, said) for file in files], sizes)

    def locate(number: int) -> str:
        file = int(np.searchsorted(np.cumsum(sizes), number, side="right"))
        return f"{files[file]}: line {number - sum(sizes[:file]) + 1}"

    return Texts(texts, one_spelling(labels), numbers, locate, origin)


def read_table(table: Table, text: str, target: str, repairs: Repairs, said: Path | None = None) -> Texts:
    """Reads the texts of a table, but for rows without a class.

    Args:
        table: Of texts.
        text: The column of the text.
        target: The column of the class.
        repairs: Counts rows without a class.
        said: The path that the files were found by; None for new files.
    """
    table.require([text, target])
    texts, labels = table.cells(text).texts, table.cells(target)
    rows = np.arange(len(texts))
    kept = rows[has_targets([labels], rows, table.options.missing_target, repairs)]
    return Texts(texts, labels.one_spelling(), rows.tolist(), table.locate, table.origin(said)).take(kept.tolist())


def _text_column(table: Table, text: str | None, target: str) -> str:
    """The column of the text, as said, or the only one beside the target."""
    table.require([target] if text is None else [text, target])
    others = [name for name in table.names if name != target]
    if text == target:
        raise DataError(f"column '{target}' can't be both text and target.", where=table.where)
    if text is not None:
        return text
    if len(others) != 1:
        listed = ", ".join(others) or "none"
        raise DataError(
            f"one column beside the target would be the text (got {listed}). Name it with `text`.", where=table.where
        )
    return others[0]


def find_classes(labels: Sequence[str]) -> tuple[str, ...]:
    """The distinct labels, numbers by their size, others in natural order."""
    return sorted_labels(list(set(labels)))


def encode_labels(part: Texts, classes: Sequence[str]) -> Tensor:
    """(N,) class indices."""
    import pyarrow as pa

    labels = pa.array(part.labels, pa.string())
    form = names_form(pa.array(classes, pa.string()))
    index = index_of(tuple(classes), form)
    indices = [index.get(name, -1) for name in canonical(labels, form).to_pylist()]
    if -1 in indices:
        row = indices.index(-1)
        listed = ", ".join(map(repr, classes[:10])) + (f", ... ({len(classes)} in all)" if len(classes) > 10 else "")
        raise DataError(
            f"the label '{part.labels[row]}' is no class of the training samples (there is: {listed}).",
            where=part.locate(part.numbers[row]),
        )
    return torch.tensor(indices)


def padded(tokens: Sequence[list[int]], num_steps: int, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (N, T), targets, lengths (N,); a text without a symbol is one unknown symbol."""
    inputs, lengths = pad([each or [UNKNOWN] for each in tokens], num_steps)
    return inputs, targets, lengths
