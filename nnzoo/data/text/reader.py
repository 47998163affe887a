"""Reads new texts as those of training were read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from nnzoo.data.contents import name_of, read_bytes
from nnzoo.data.encodings import decode, lines_of
from nnzoo.data.files import find_files
from nnzoo.data.reader import Reader, Samples, Schema
from nnzoo.data.repairs import Repairs
from nnzoo.data.tables.dialect import Words
from nnzoo.data.tables.file import open_file
from nnzoo.data.tables.table import SUFFIXES, Table, open_table
from nnzoo.data.text.texts import (
    CLASS_FILES,
    encode_labels,
    padded,
    read_class_files,
    read_table,
)
from nnzoo.data.vocabulary import Vocabulary
from nnzoo.errors import DataError


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
            repairs = Repairs(strict=self.words.strict)
            files = [file for path in paths for file in find_files(path, CLASS_FILES, repairs)]
            found = read_class_files(files, self.words, repairs)
        else:
            table = open_table(paths, self.words, [self.text, self.target], beside_text=self.target)
            found = read_table(table, self.text, self.target)
        samples = self.from_texts(found.texts)
        targets = encode_labels(found, schema.classes)
        return Samples(samples.inputs, samples.names, targets, samples.lengths)

    def from_texts(self, texts: Sequence[str]) -> Samples:
        """Tokens of texts."""
        inputs, _, lengths = padded([self.vocabulary.encode(text) for text in texts], self.max_length, torch.empty(0))
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
