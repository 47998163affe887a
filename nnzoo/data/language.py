"""A text whose every next symbol is predicted: by windows that follow each other, or line by line."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.files.contents import name_of
from nnzoo.data.files.encodings import lines_of, read_text
from nnzoo.data.files.find import find_files, order_note
from nnzoo.data.files.origin import Origin, of_files
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.reader import NO_TARGET, Reader, Samples, Schema
from nnzoo.data.split import Division, dropped_note
from nnzoo.data.vocabulary import UNKNOWN, Vocabulary
from nnzoo.errors import DataError

START = 0
"""The token that a line begins with; past the end of a sample it stands for nothing."""
UNKNOWN_CLASS, END_CLASS = "<unknown>", "<end>"
DEFAULT_STEPS = 64
_TOO_SHORT = "there is nothing to predict: the text is too short."
UNKNOWN_LINES = Repair("line", "without a known symbol", "read as unknown symbols", "Check the file and its language.")


def load_language(
    *,
    path: str | Path,
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    tokenizer: Literal["char", "word"] = "char",
    sequence_length: int | None = None,
    by_line: bool = False,
    lowercase: bool = False,
    min_count: int = 1,
    vocab_size: int | None = None,
    limit: int | None = None,
    strict: bool = False,
    division: Division | None = None,
) -> Dataset:
    """Reads a text to predict symbol by symbol.

    Args:
        path: A file, or several that are read one after the other, in natural order. The text is divided where it
            stands: its beginning is train, what follows val, and its end test.
        val_path: A text that is the val split.
        test_path: A text that is the test split.
        tokenizer: What a symbol is.
        sequence_length: T, symbols that are predicted in a sample; None for 64, or as the longest line has.
        by_line: Lines are samples, and their end a symbol that is predicted too. What a line has beyond T is cut off.
        lowercase: Whether case is ignored.
        min_count: Rarer symbols are unknown ones.
        vocab_size: How many of the most frequent symbols are kept; None for all.
        limit: Take the first samples of each split, this many.
        strict: Whether anything that is left out or repaired is an error.
        division: How the text is divided; None for not at all.

    Returns:
        Tokens (N, T), with a line's start as its first; targets (N, T), the symbol after each. Class c is token c + 1:
        the unknown symbol, those of the vocabulary, which is of the train split alone, and with `by_line` the end.

    Raises:
        DataError: A file that can't be read, or a text too short to be divided or predicted.
    """
    paths = {"train": Path(path)} | {
        name: Path(each) for name, each in (("val", val_path), ("test", test_path)) if each is not None
    }
    untrained = Vocabulary(tokenizer=tokenizer, lowercase=lowercase, symbols=())
    repairs = Repairs(strict=strict)
    files = {name: find_files(each, repairs=repairs) for name, each in paths.items()}
    texts = {name: _read(each, repairs) for name, each in files.items()}
    whole = _units(texts.pop("train"), untrained, by_line=by_line)
    if not whole:
        raise DataError(_TOO_SHORT, where=str(path))
    units, numbers, notes = _divide(whole, division or Division(0, 0), by_line=by_line, given=texts)
    units |= {name: _units(text, untrained, by_line=by_line) for name, text in texts.items()}
    numbers |= {name: list(range(len(units[name]))) for name in texts}
    if sequence_length is None:
        longest = max([len(symbols) for parts in units.values() for symbols in parts], default=0) + 1
        sequence_length = longest if by_line else DEFAULT_STEPS
    if limit is not None:
        units = {name: _first(parts, limit, sequence_length, by_line=by_line) for name, parts in units.items()}
    cut = _told_of_cuts(units, sequence_length) if by_line else ()
    vocabulary = Vocabulary.of_symbols(units["train"], untrained, min_count=min_count, max_symbols=vocab_size)
    reader = LanguageReader(vocabulary=vocabulary, by_line=by_line, sequence_length=sequence_length)
    splits = {name: reader.split(parts, where=str(paths.get(name, path))) for name, parts in units.items()}
    return Dataset(
        {name: replace(split, origin=reader.origin(numbers[name])) for name, split in splits.items()},
        task="classification",
        layout="tokens",
        classes=reader.classes,
        num_tokens=len(vocabulary),
        choices={"sequence_length": sequence_length},
        warnings=(*repairs.warnings(), *cut),
        notes=(*notes, *order_note(files["train"])),
        reader=reader,
        per="step",
    )


class LanguageReader(Reader):
    """Reads texts to predict symbol by symbol.

    Attributes:
        vocabulary: Of the training text.
        by_line: As of `load_language`.
        sequence_length: As of `load_language`; lines of new data may be longer.
    """

    kind: Literal["language"] = "language"
    vocabulary: Vocabulary
    by_line: bool
    sequence_length: int

    @property
    def classes(self) -> tuple[str, ...]:
        """The symbols in the order of their classes."""
        return (UNKNOWN_CLASS, *self.vocabulary.symbols, *([END_CLASS] if self.by_line else []))

    def fits(self, schema: Schema) -> bool:
        """Whether what it reads is what the schema says."""
        found = (schema.classes, schema.num_tokens, schema.layout, schema.per)
        return found == (self.classes, len(self.vocabulary), "tokens", "step")

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:  # noqa: ARG002
        """Reads texts one after the other. The targets are in them.

        Raises:
            DataError: A file that can't be read, or nothing to predict.
        """
        repairs = Repairs()
        texts = [_read(find_files(path, repairs=repairs), repairs) for path in paths]
        units = [unit for text in texts for unit in _units(text, self.vocabulary, by_line=self.by_line)]
        steps = max(map(len, units), default=0) + 1 if self.by_line else self.sequence_length
        split = self.model_copy(update={"sequence_length": steps}).split(units, where=str(paths[0]))
        return Samples(split.inputs, range(len(split)), split.targets, split.lengths, warnings=repairs.warnings())

    def read_lines(self, paths: Sequence[Path]) -> Samples:
        """Reads texts line by line, however the training text was cut. Empty lines are skipped.

        The names are line numbers, counted from 1 through all files. Lines start as in training: by the start token, or
        where there is none, by their first symbol, which is then not predicted.

        Raises:
            DataError: A file that can't be read, or nothing to predict.
        """
        repairs = Repairs()
        files = [file for path in paths for file in find_files(path, repairs=repairs)]
        parts = [lines_of(_read([file], repairs)) for file in files]
        lines = [line for part in parts for line in part]
        cut = [(number, self.vocabulary.tokenize(line)) for number, line in enumerate(lines, start=1)]
        kept = [(number, symbols) for number, symbols in cut if len(symbols) > (not self.by_line)]
        streams = [self._stream(symbols) for _, symbols in kept]
        strange = [number for number, symbols in kept if set(self.vocabulary.encode_symbols(symbols)) == {UNKNOWN}]
        repairs.add(UNKNOWN_LINES, f"line {strange[0]}" if strange else "", len(strange))
        split = _split(streams, max(map(len, streams), default=1) - 1, where=str(paths[0]))
        numbers = [number for number, _ in kept]
        places = of_files(list(map(name_of, files)), list(map(len, parts)))
        return Samples(
            split.inputs,
            numbers,
            split.targets,
            split.lengths,
            origin=places.renumbered(np.array(numbers, dtype=np.int64) - 1),
            warnings=repairs.warnings(),
        )

    def split(self, units: Sequence[Sequence[str]], *, where: str) -> Split:
        """Samples of some symbol sequences.

        Raises:
            DataError: There is nothing to predict.
        """
        steps = self.sequence_length
        if self.by_line:
            return _split([self._stream(symbols)[: steps + 1] for symbols in units], steps, where=where)
        streams = (self._stream(symbols) for symbols in units)
        # Neighbours share a symbol: the last one to be predicted is the first one of the next.
        windows = [
            stream[start : start + steps + 1] for stream in streams for start in range(0, len(stream) - 1, steps)
        ]
        return _split(windows, steps, where=where)

    def origin(self, numbers: Sequence[int]) -> Origin:
        """Returns where samples come from: the `row` of a line, or the `position` of a window's first symbol.

        Args:
            numbers: Of the lines, among those that are not empty; or of the first symbol of the text.
        """
        if self.by_line:
            return Origin(("row",), lambda rows: [[numbers[row] for row in rows.tolist()]])
        return Origin(("position",), lambda rows: [(numbers[0] + rows * self.sequence_length).tolist()])

    def _stream(self, symbols: Sequence[str]) -> Tensor:
        """(L,) tokens of which each but the first is to be predicted."""
        tokens = self.vocabulary.encode_symbols(symbols)
        return torch.tensor([START, *tokens, len(self.vocabulary)] if self.by_line else tokens, dtype=torch.int64)


def _split(streams: Sequence[Tensor], num_steps: int, *, where: str) -> Split:
    """(N, T) tokens and targets of streams of 2 to T + 1 tokens."""
    if not streams:
        raise DataError(_TOO_SHORT, where=where)
    lengths = torch.tensor([len(stream) - 1 for stream in streams])
    there = torch.arange(num_steps) < lengths.unsqueeze(1)
    inputs, targets = torch.full(there.shape, START), torch.full(there.shape, NO_TARGET)
    inputs[there] = torch.cat([stream[:-1] for stream in streams])
    targets[there] = torch.cat([stream[1:] for stream in streams]) - UNKNOWN
    return Split(inputs, targets, None if bool(there.all()) else lengths)


def _read(files: Sequence[Path], repairs: Repairs) -> str:
    text = "".join(read_text(file, repairs=repairs) for file in files)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _units(text: str, untrained: Vocabulary, *, by_line: bool) -> list[Sequence[str]]:
    """The symbols of each line that has some, or of all the text."""
    return [symbols for part in (text.split("\n") if by_line else [text]) if len(symbols := untrained.tokenize(part))]


def _divide(
    units: list[Sequence[str]], division: Division, *, by_line: bool, given: Collection[str]
) -> tuple[dict[str, list[Sequence[str]]], dict[str, list[int]], tuple[str, ...]]:
    """The symbols of each part of a text, the number of each line or of the first symbol, and what is to be told."""
    notes: tuple[str, ...] = ()
    numbers = list(range(len(units)))
    if division.deduplicate:
        first: dict[tuple[str, ...], int] = {}
        for number, symbols in enumerate(units):
            first.setdefault(tuple(symbols), number)
        numbers = list(first.values())
        notes = (dropped_note(len(units) - len(numbers), len(units)),)
    if by_line:
        blocks = division.blocks(len(numbers), given=given)
        kept = {name: numbers[rows] for name, rows in blocks.items()}
        return {name: [units[number] for number in part] for name, part in kept.items()}, kept, notes
    blocks = division.blocks(len(units[0]), given=given)
    starts = {name: [rows.start] for name, rows in blocks.items()}
    return {name: [units[0][rows]] for name, rows in blocks.items()}, starts, notes


def _told_of_cuts(units: dict[str, list[Sequence[str]]], num_steps: int) -> tuple[str, ...]:
    """A warning for each split with lines that are cut off."""
    counts = {name: sum(len(symbols) > num_steps for symbols in lines) for name, lines in units.items()}
    return tuple(
        f"{count} of {len(units[name])} {name} lines are longer than {num_steps} symbols and are cut off there"
        for name, count in counts.items()
        if count
    )


def _first(units: list[Sequence[str]], limit: int, steps: int, *, by_line: bool) -> list[Sequence[str]]:
    return units[:limit] if by_line else [symbols[: limit * steps + 1] for symbols in units]
