"""Texts with a class each: columns of a file, or one file a class.

What is learned of them before training (the classes, the vocabulary, the longest text) is learned from the training
samples alone, so this source divides its samples itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.files import STDIN, common_encoding, decode, find_files, lines_of, name_of, read_bytes
from nnzoo.data.reader import Reader, Samples, Schema
from nnzoo.data.split import Division, dropped_note
from nnzoo.data.tables.dialect import Words
from nnzoo.data.tables.file import open_file, words_for_new_files
from nnzoo.data.tables.table import SUFFIXES, Table, choices_of, open_table
from nnzoo.data.tables.targets import check_present
from nnzoo.data.vocabulary import UNKNOWN, Tokenizer, Vocabulary, pad
from nnzoo.errors import DataError

LONGEST = 512
"""Symbols a text by default, where some training text has more: every one of them is a step."""

_CLASS_FILES = (".txt",)


def load_text(
    *,
    path: str | Path,
    division: Division,
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    text: str | None = None,
    target: str | None = None,
    tokenizer: Tokenizer = "word",
    lowercase: bool = False,
    max_length: int | None = None,
    min_count: int = 1,
    vocab_size: int | None = None,
    limit: int | None = None,
    **words: Any,
) -> Dataset:
    """Read texts, divide them, and make tokens of them.

    Args:
        path: A file, a folder or a pattern: of delimited columns, or, without `target`, of one text a line.
        division: How the samples of `path` are divided where there are no `val_path` and `test_path`.
        val_path: As `path`, for val.
        test_path: As `path`, for test.
        text: The column of the text; None for the only one beside the target.
        target: The column of the class; None where every file is a class, named after it.
        tokenizer: What a symbol is.
        lowercase: Whether case is ignored.
        max_length: T; None for the longest training text, up to 512.
        min_count: Symbols that are rarer in the training texts are unknown.
        vocab_size: How many of the most frequent symbols are kept; None for all.
        limit: Take the first samples of each split, this many; of one file a class, of each in turn.
        words: How the files are written: the fields of `Words`.

    Returns:
        A divided dataset of tokens (N, T) with lengths. Classes are the sorted distinct labels of the training samples.

    Raises:
        DataError: A file, a column or a row that can't be used; a label in val or test that is none of train.
    """
    given = {"train": path, "val": val_path, "test": test_path}
    paths = {name: Path(each) for name, each in given.items() if each is not None}
    said = Words(**words)
    found = _find_class_files(paths, said) if target is None else _find_columns(paths, said, text, target)
    parts = {name: part.first(limit, in_turn=target is None) for name, part in found.parts.items()}
    parts, classes, notes = _divide(parts, division, Vocabulary(tokenizer=tokenizer, lowercase=lowercase, symbols=()))
    targets = {name: _encode_labels(part, classes) for name, part in parts.items()}
    vocabulary = Vocabulary.of(
        parts["train"].texts, tokenizer=tokenizer, lowercase=lowercase, min_count=min_count, max_symbols=vocab_size
    )
    if not vocabulary.symbols:
        raise DataError(f"no symbol is in the training texts {min_count} times. Lower min_count.", where=str(path))
    tokens = {name: [vocabulary.encode(each) for each in part.texts] for name, part in parts.items()}
    num_steps = max_length or min(max(map(len, tokens["train"])), LONGEST)
    places = _Places(list(parts.values()))
    splits, start = {}, 0
    for name, each in tokens.items():
        splits[name] = Split(*_padded(each, num_steps, targets[name]), torch.arange(start, start + len(each)))
        start += len(each)
    return Dataset(
        splits,
        task="classification",
        layout="tokens",
        classes=classes,
        num_tokens=len(vocabulary),
        choices={"text": found.text, "max_length": num_steps, **found.choices},
        reader=TextReader(
            words=found.words, text=found.text, target=target, vocabulary=vocabulary, max_length=num_steps
        ),
        sample_names=places,
        warnings=_told(tokens, num_steps),
        notes=notes,
        divisible=False,
    )


class TextReader(Reader):
    """Reads a file with the columns of training, class files, or a file of one text a line.

    Attributes:
        words: How files are written.
        text: The column of the text; None where every file is a class.
        target: The column of the class.
        vocabulary: Of the training texts.
        max_length: T.
    """

    kind: Literal["text"] = "text"
    words: Words
    text: str | None
    target: str | None
    vocabulary: Vocabulary
    max_length: int

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads texts; each is called by itself.

        Raises:
            DataError: A file that can't be read, or a label that is no class.
        """
        if not labelled:
            files = [file for path in paths for file in find_files(path, SUFFIXES)]
            return self.from_texts([text for file in files for text in self._unlabelled(file, schema.classes)])
        if self.text is None or self.target is None:
            found = _read_class_files([file for path in paths for file in find_files(path, _CLASS_FILES)], self.words)
        else:
            table = open_table(paths, self.words, [self.text, self.target], beside_text=self.target)
            found = _read_table(table, self.text, self.target)
        samples = self.from_texts(found.texts)
        targets = _encode_labels(found, schema.classes)
        return Samples(samples.inputs, samples.names, targets, samples.lengths)

    def from_texts(self, texts: Sequence[str]) -> Samples:
        """Tokens of texts."""
        inputs, _, lengths = _padded([self.vocabulary.encode(text) for text in texts], self.max_length, torch.empty(0))
        return Samples(inputs, list(texts), lengths=lengths)

    def fits(self, schema: Schema) -> bool:
        """Whether its tokens are those of the schema."""
        found = (schema.input_shape, schema.num_tokens, schema.layout, schema.per)
        return found == ((self.max_length,), len(self.vocabulary), "tokens", "sample")

    def _unlabelled(self, path: Path, classes: Sequence[str]) -> list[str]:
        """The texts of a file: of its column, or, where it is no table, its lines."""
        where = name_of(path)
        raw = read_bytes(path)
        lines = [line.strip() for line in lines_of(decode(raw, self.words.encoding, where=where))]
        if not lines:
            raise DataError("is empty.", where=where)
        if self.text is None or self.target is None:
            return lines
        # Its suffix tells a table, and so does a header; without either, labels that are known do.
        certain = path.suffix.lower() in (".csv", ".tsv")
        try:
            file = open_file(path, self.words, [self.text], [self.target], beside_text=self.target, data=raw)
            table = Table(file.dialect.names, self.words, [file])
            table.require([self.text])
            texts = table.cells(self.text).texts
            if not certain and not file.dialect.names_in_header:
                table.require([self.target])
                certain = set(table.cells(self.target).texts) <= set(classes)
        except DataError:
            if certain:
                raise
            return lines
        return texts if certain or file.dialect.names_in_header else lines


@dataclass(frozen=True)
class _Texts:
    """Texts as in their files, with their labels and their numbers in all files, and what tells their places."""

    texts: list[str]
    labels: list[str]
    numbers: Sequence[int]
    locate: Callable[[int], str]

    def take(self, rows: Sequence[int]) -> _Texts:
        texts, labels, numbers = self.texts, self.labels, self.numbers
        own = [numbers[row] for row in rows]
        return _Texts([texts[row] for row in rows], [labels[row] for row in rows], own, self.locate)

    def first(self, limit: int | None, *, in_turn: bool) -> _Texts:
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

    def distinct(self, cutter: Vocabulary) -> _Texts:
        """Without texts of the same symbols and the same label as an earlier one."""
        first: dict[tuple[str, ...], int] = {}
        for row, (text, label) in enumerate(zip(self.texts, self.labels, strict=True)):
            first.setdefault((label, *cutter.cut(text)), row)
        return self.take(list(first.values()))


class _Places(Sequence[str]):
    """The file and line of each text, part after part; found when asked for, which may take reading the file again."""

    def __init__(self, parts: Sequence[_Texts]) -> None:
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


class _Found(NamedTuple):
    """The texts of each split, the column that they are in, and how these and new files are written."""

    parts: dict[str, _Texts]
    text: str | None
    choices: dict[str, Any]
    words: Words


def _find_class_files(paths: dict[str, Path], said: Words) -> _Found:
    files = {name: find_files(each, _CLASS_FILES) for name, each in paths.items()}
    encoding = said.encoding
    if encoding == "auto":
        encoding = common_encoding([read_bytes(file) for part in files.values() for file in part])
    known = said.model_copy(update={"encoding": encoding})
    parts = {name: _read_class_files(part, known) for name, part in files.items()}
    return _Found(parts, None, {"encoding": encoding}, said)


def _find_columns(paths: dict[str, Path], said: Words, text: str | None, target: str) -> _Found:
    known = [column for column in (text, target) if column is not None]
    tables = {name: open_table([each], said, known, beside_text=target) for name, each in paths.items()}
    text = _text_column(tables["train"], text, target)
    parts = {name: _read_table(table, text, target) for name, table in tables.items()}
    words = words_for_new_files(tables["train"].files[0], said, [text, target])
    return _Found(parts, text, choices_of(tables.values()), words)


def _read_class_files(files: Sequence[Path], words: Words) -> _Texts:
    """One text a line, of the class that the file is named after; blank lines are none."""
    if STDIN in files:
        raise DataError("a class is the name of a file. Name the files.", where=name_of(STDIN))
    texts: list[str] = []
    labels: list[str] = []
    places: list[str] = []
    for path in files:
        lines = lines_of(decode(read_bytes(path), words.encoding, where=str(path)))
        kept = [(line.strip(), number) for number, line in enumerate(lines, start=1) if line.strip()]
        if not kept:
            raise DataError("is empty: there is no text of this class.", where=str(path))
        texts.extend(line for line, _ in kept)
        labels.extend([path.stem] * len(kept))
        places.extend(f"{path}: line {number}" for _, number in kept)
    return _Texts(texts, labels, range(len(texts)), places.__getitem__)


def _read_table(table: Table, text: str, target: str) -> _Texts:
    table.require([text, target])
    texts, labels = table.cells(text).texts, table.cells(target)
    check_present([labels], np.arange(len(texts)))
    return _Texts(texts, labels.texts, range(len(texts)), table.locate)


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


def _classes(labels: Sequence[str]) -> tuple[str, ...]:
    """The distinct labels, sorted, whole numbers as numbers."""
    distinct = set(labels)
    if all(label.lstrip("-").isdecimal() for label in distinct):
        return tuple(sorted(distinct, key=lambda label: (int(label), label)))
    return tuple(sorted(distinct))


def _encode_labels(part: _Texts, classes: Sequence[str]) -> Tensor:
    """(N,) class indices."""
    index_of = {name: index for index, name in enumerate(classes)}
    indices = [index_of.get(label, -1) for label in part.labels]
    if -1 in indices:
        row = indices.index(-1)
        listed = ", ".join(map(repr, classes[:10])) + (f", ... ({len(classes)} in all)" if len(classes) > 10 else "")
        raise DataError(
            f"the label '{part.labels[row]}' is no class of the training samples (there is: {listed}).",
            where=part.locate(part.numbers[row]),
        )
    return torch.tensor(indices)


def _divide(
    parts: dict[str, _Texts], division: Division, cutter: Vocabulary
) -> tuple[dict[str, _Texts], tuple[str, ...], tuple[str, ...]]:
    """Val and test samples out of train, where there are none given; also the classes, and what is to be told."""
    train = parts["train"]
    notes: tuple[str, ...] = ()
    if division.deduplicate:
        distinct = train.distinct(cutter)
        notes = (dropped_note(len(train.texts) - len(distinct.texts), len(train.texts)),)
        train = distinct
    classes = _classes(train.labels)
    labels = _encode_labels(train, classes)
    rows = division.rows(len(labels), classes=labels, class_names=classes, given=parts)
    return parts | {name: train.take(part.tolist()) for name, part in rows.items()}, classes, notes


def _padded(tokens: Sequence[list[int]], num_steps: int, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (N, T), targets, lengths (N,); a text without a symbol is one unknown symbol."""
    inputs, lengths = pad([each or [UNKNOWN] for each in tokens], num_steps)
    return inputs, targets, lengths


def _told(tokens: dict[str, list[list[int]]], num_steps: int) -> tuple[str, ...]:
    told = []
    for name, texts in tokens.items():
        cut = sum(len(text) > num_steps for text in texts)
        empty = sum(not text for text in texts)
        if cut:
            told.append(f"{cut} of {len(texts)} {name} texts are longer than {num_steps} symbols and cut off there")
        if empty:
            told.append(f"{empty} of {len(texts)} {name} texts have no symbol and are read as one unknown symbol")
    return tuple(told)
