"""Reads new texts in the same way as the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from nnzoo.data.files.contents import name_of, plain_name, read_bytes
from nnzoo.data.files.encodings import decode, lines_of
from nnzoo.data.files.find import find_files
from nnzoo.data.files.origin import of_files
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.reader import Reader, Samples, Schema
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.tables.frames import table_of
from nnzoo.data.tables.opening import is_delimited, open_file
from nnzoo.data.tables.table import SUFFIXES, Table, open_table
from nnzoo.data.text.texts import (
    CLASS_FILES,
    encode_labels,
    padded,
    read_class_files,
    read_table,
)
from nnzoo.data.vocabulary import UNKNOWN, Vocabulary
from nnzoo.errors import DataError

_ADVICE = "Such predictions are meaningless."
EMPTY_TEXTS = Repair("text", "without a symbol", "read as one unknown symbol", _ADVICE)
UNKNOWN_TEXTS = Repair("text", "of only unknown symbols", "predicted from unknown tokens", _ADVICE)


class TextReader(Reader):
    """Reads tables with the columns of the training data, class files, or files with one text per line.

    Attributes:
        words: The format of the files.
        text: The column of the text; None if each file is a class.
        target: The column of the class; None if each file is a class.
        vocabulary: The vocabulary of the training texts.
        max_length: T.
    """

    kind: Literal["text"] = "text"
    words: TableOptions
    text: str | None
    target: str | None
    vocabulary: Vocabulary
    max_length: int

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads texts. The name of each sample is its text.

        Raises:
            DataError: A file can't be read, or a label is not a class.
        """
        repairs = Repairs(strict=self.words.strict)
        if not labelled:
            files = [file for path in paths for file in find_files(path, SUFFIXES, repairs)]
            parts = [self._unlabelled(file, schema.classes, repairs) for file in files]
            samples = self.from_texts([text for lines, _ in parts for text in lines])
            tables = [table for _, table in parts if table is not None]
            return replace(
                samples,
                origin=of_files([name_of(file) for file in files], [len(lines) for lines, _ in parts]),
                source_columns=partial(_concatenated_columns, tables) if len(tables) == len(files) else None,
                warnings=(*repairs.warnings(), *samples.warnings),
            )
        if self.text is None or self.target is None:
            files = [file for path in paths for file in find_files(path, CLASS_FILES, repairs)]
            texts = read_class_files(files, self.words, repairs)
        else:
            known = [self.text, self.target]
            table = open_table(paths, self.words, known, label_column=self.target, repairs=repairs)
            texts = read_table(table, self.text, self.target, repairs)
        samples = self.from_texts(texts.texts)
        targets = encode_labels(texts, schema.classes)
        return replace(samples, targets=targets, warnings=(*repairs.warnings(), *samples.warnings))

    def from_rows(self, raw: object, schema: Schema) -> Samples | None:  # noqa: ARG002
        table = None if self.text is None else table_of(raw, self.words)
        if table is None or self.text is None:
            return None
        table.require([self.text], ", as the training data has")
        return self.from_texts(table.cells(self.text).texts)

    def from_texts(self, texts: Sequence[str]) -> Samples:
        """Returns the tokens of texts, with warnings about texts without a known symbol."""
        tokens = [self.vocabulary.encode(text) for text in texts]
        empty = [number for number, each in enumerate(tokens, start=1) if not each]
        unknown = [number for number, each in enumerate(tokens, start=1) if each and set(each) == {UNKNOWN}]
        repairs = Repairs()
        for repair, numbers in ((EMPTY_TEXTS, empty), (UNKNOWN_TEXTS, unknown)):
            repairs.add(repair, f"text {numbers[0]}" if numbers else "", len(numbers))
        inputs, _, lengths = padded(tokens, self.max_length, torch.empty(0))
        return Samples(inputs, list(texts), lengths=lengths, warnings=repairs.warnings())

    def fits(self, schema: Schema) -> bool:
        """Returns whether the samples of this reader match the schema."""
        expected = (schema.input_shape, schema.num_tokens, schema.layout, schema.per)
        return expected == ((self.max_length,), len(self.vocabulary), "tokens", "sample")

    def _unlabelled(self, path: Path, classes: Sequence[str], repairs: Repairs) -> tuple[list[str], Table | None]:
        """Returns (texts of a column, table); for a file that is not a table, (lines, None)."""
        raw = read_bytes(path)
        if self.text is None or self.target is None:
            return self._lines(path, raw, repairs), None
        # A table is recognized by its content, suffix or header, or else by its labels, which must be known classes.
        is_certain = not is_delimited(raw) or Path(plain_name(path)).suffix.lower() in (".csv", ".tsv")
        table_repairs = Repairs()
        try:
            file = open_file(
                path, self.words, [self.text], [self.target], label_column=self.target, data=raw, repairs=table_repairs
            )
            table = Table(file.names, self.words, [file])
            table.require([self.text])
            texts = table.cells(self.text).texts
            if not is_certain and not file.names_in_header:
                table.require([self.target])
                if not set(table.cells(self.target).texts) <= set(classes):
                    return self._lines(path, raw, repairs), None
        except DataError:
            if is_certain:
                raise
            return self._lines(path, raw, repairs), None
        repairs.add_all(table_repairs)
        return texts, table

    def _lines(self, path: Path, raw: bytes, repairs: Repairs) -> list[str]:
        text = decode(raw, self.words.encoding, where=name_of(path), repairs=repairs)
        lines = [line.strip() for line in lines_of(text)]
        if not lines:
            raise DataError("is empty. Check the path.", where=name_of(path))
        return lines


def _concatenated_columns(tables: Sequence[Table], names: Sequence[str] | None) -> dict[str, list[str]]:
    """Concatenates the columns of several tables. If `names` is None, takes all columns that the tables share."""
    if names is None:
        names = [name for name in tables[0].names if all(name in table.names for table in tables)]
    parts = [table.written(np.arange(table.num_rows), names) for table in tables]
    return {name: [cell for part in parts for cell in part[name]] for name in names}
