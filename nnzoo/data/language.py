"""Next-token prediction on text, in consecutive windows or line by line. A symbol is a character or a word."""

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
"""The token at the start of a line. It also pads samples; padding is ignored."""
UNKNOWN_CLASS, END_CLASS = "<unknown>", "<end>"
DEFAULT_STEPS = 64
_TOO_SHORT = "the text is too short: it has no symbol to predict. Use a longer text."
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
    """Reads a text for next-token prediction.

    Args:
        path: One or more files, concatenated in natural order. The text is divided in order: train at the start, then
            val, then test.
        val_path: The text of the val split.
        test_path: The text of the test split.
        tokenizer: "char": each character is a symbol; "word": each word is a symbol.
        sequence_length: T, the number of predicted symbols per sample; None for 64, or with `by_line` for the longest
            line.
        by_line: Each line is a sample, and its end is predicted too. Lines longer than T are truncated.
        lowercase: Whether the text is converted to lower case.
        min_count: Symbols that occur fewer times are mapped to the unknown symbol.
        vocab_size: The number of most frequent symbols to keep; None for all.
        limit: Maximum number of samples per split; the first ones are used.
        strict: Whether skipped or repaired content is an error.
        division: How the text is split; None to use it only for train.

    Returns:
        Tokens (N, T), with a start token at the start of lines; targets (N, T), the symbol after each token. Class c is
        token c + 1: the unknown symbol, the symbols of the train split, and with `by_line` the end of a line.

    Raises:
        DataError: A file can't be read, or the text is too short to be split or predicted.
    """
    paths = {"train": Path(path)} | {
        name: Path(each) for name, each in (("val", val_path), ("test", test_path)) if each is not None
    }
    untrained = Vocabulary(tokenizer=tokenizer, lowercase=lowercase, symbols=())
    repairs = Repairs(strict=strict)
    files = {name: find_files(each, repairs=repairs) for name, each in paths.items()}
    texts = {name: _read(each, repairs) for name, each in files.items()}
    undivided = _units(texts.pop("train"), untrained, by_line=by_line)
    if not undivided:
        raise DataError(_TOO_SHORT, where=str(path))
    units, numbers, notes = _divide(undivided, division or Division(0, 0), by_line=by_line, given=texts)
    units |= {name: _units(text, untrained, by_line=by_line) for name, text in texts.items()}
    numbers |= {name: list(range(len(units[name]))) for name in texts}
    if sequence_length is None:
        longest = max([len(symbols) for parts in units.values() for symbols in parts], default=0) + 1
        sequence_length = longest if by_line else DEFAULT_STEPS
    if limit is not None:
        units = {name: _first(parts, limit, sequence_length, by_line=by_line) for name, parts in units.items()}
    truncated = _truncation_warnings(units, sequence_length) if by_line else ()
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
        warnings=(*repairs.warnings(), *truncated),
        notes=(*notes, *order_note(files["train"])),
        reader=reader,
        per="step",
    )


class LanguageReader(Reader):
    """Reads texts for next-token prediction.

    Attributes:
        vocabulary: The vocabulary of the training text.
        by_line: As in `load_language`.
        sequence_length: As in `load_language`; lines of new data may be longer.
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
        """Returns whether the samples of this reader match the schema."""
        expected = (schema.classes, schema.num_tokens, schema.layout, schema.per)
        return expected == (self.classes, len(self.vocabulary), "tokens", "step")

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:  # noqa: ARG002
        """Reads texts and concatenates them. Their symbols are also the targets.

        Raises:
            DataError: A file can't be read, or has no symbol to predict.
        """
        repairs = Repairs()
        texts = [_read(find_files(path, repairs=repairs), repairs) for path in paths]
        units = [unit for text in texts for unit in _units(text, self.vocabulary, by_line=self.by_line)]
        steps = max(map(len, units), default=0) + 1 if self.by_line else self.sequence_length
        split = self.model_copy(update={"sequence_length": steps}).split(units, where=str(paths[0]))
        return Samples(split.inputs, range(len(split)), split.targets, split.lengths, warnings=repairs.warnings())

    def read_lines(self, paths: Sequence[Path]) -> Samples:
        """Reads texts line by line, even if the network was trained on windows. Empty lines are skipped.

        The names are line numbers, counted from 1 across all files. If the network was trained on lines, each line
        starts with the start token; otherwise its first symbol is not predicted.

        Raises:
            DataError: A file can't be read, or has no symbol to predict.
        """
        repairs = Repairs()
        files = [file for path in paths for file in find_files(path, repairs=repairs)]
        parts = [lines_of(_read([file], repairs)) for file in files]
        lines = [line for part in parts for line in part]
        symbols_of = [(number, self.vocabulary.tokenize(line)) for number, line in enumerate(lines, start=1)]
        kept = [(number, symbols) for number, symbols in symbols_of if len(symbols) > (not self.by_line)]
        streams = [self._stream(symbols) for _, symbols in kept]
        unknown = [number for number, symbols in kept if set(self.vocabulary.encode_symbols(symbols)) == {UNKNOWN}]
        repairs.add(UNKNOWN_LINES, f"line {unknown[0]}" if unknown else "", len(unknown))
        split = _split(streams, max(map(len, streams), default=1) - 1, where=str(paths[0]))
        numbers = [number for number, _ in kept]
        origin = of_files(list(map(name_of, files)), list(map(len, parts)))
        return Samples(
            split.inputs,
            numbers,
            split.targets,
            split.lengths,
            origin=origin.renumbered(np.array(numbers, dtype=np.int64) - 1),
            warnings=repairs.warnings(),
        )

    def split(self, units: Sequence[Sequence[str]], *, where: str) -> Split:
        """Returns the samples of symbol sequences.

        Raises:
            DataError: There is no symbol to predict.
        """
        steps = self.sequence_length
        if self.by_line:
            return _split([self._stream(symbols)[: steps + 1] for symbols in units], steps, where=where)
        streams = (self._stream(symbols) for symbols in units)
        # Consecutive windows overlap in one symbol: the last target is the first input of the next window.
        windows = [
            stream[start : start + steps + 1] for stream in streams for start in range(0, len(stream) - 1, steps)
        ]
        return _split(windows, steps, where=where)

    def origin(self, numbers: Sequence[int]) -> Origin:
        """Returns where samples come from: the `row` of a line, or the `position` of a window's first symbol.

        Args:
            numbers: The number of each line, without empty lines; or the number of the first symbol of the text.
        """
        if self.by_line:
            return Origin(("row",), lambda rows: [[numbers[row] for row in rows.tolist()]])
        return Origin(("position",), lambda rows: [(numbers[0] + rows * self.sequence_length).tolist()])

    def _stream(self, symbols: Sequence[str]) -> Tensor:
        """Returns (L,) tokens. All except the first are targets."""
        tokens = self.vocabulary.encode_symbols(symbols)
        return torch.tensor([START, *tokens, len(self.vocabulary)] if self.by_line else tokens, dtype=torch.int64)


def _split(streams: Sequence[Tensor], num_steps: int, *, where: str) -> Split:
    """Builds (N, T) inputs and targets from streams of 2 to T + 1 tokens."""
    if not streams:
        raise DataError(_TOO_SHORT, where=where)
    lengths = torch.tensor([len(stream) - 1 for stream in streams])
    valid = torch.arange(num_steps) < lengths.unsqueeze(1)
    inputs, targets = torch.full(valid.shape, START), torch.full(valid.shape, NO_TARGET)
    inputs[valid] = torch.cat([stream[:-1] for stream in streams])
    targets[valid] = torch.cat([stream[1:] for stream in streams]) - UNKNOWN
    return Split(inputs, targets, None if bool(valid.all()) else lengths)


def _read(files: Sequence[Path], repairs: Repairs) -> str:
    text = "".join(read_text(file, repairs=repairs) for file in files)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _units(text: str, untrained: Vocabulary, *, by_line: bool) -> list[Sequence[str]]:
    """Returns the symbols of each line that is not empty, or of the whole text."""
    return [symbols for part in (text.split("\n") if by_line else [text]) if len(symbols := untrained.tokenize(part))]


def _divide(
    units: list[Sequence[str]], division: Division, *, by_line: bool, given: Collection[str]
) -> tuple[dict[str, list[Sequence[str]]], dict[str, list[int]], tuple[str, ...]]:
    """Returns the symbols of each split, the numbers of its lines (or of its first symbol), and notes for the log."""
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


def _truncation_warnings(units: dict[str, list[Sequence[str]]], num_steps: int) -> tuple[str, ...]:
    """Returns a warning for each split with truncated lines."""
    counts = {name: sum(len(symbols) > num_steps for symbols in lines) for name, lines in units.items()}
    return tuple(
        f"{count} of {len(units[name])} {name} lines are longer than {num_steps} symbols and are truncated"
        for name, count in counts.items()
        if count
    )


def _first(units: list[Sequence[str]], limit: int, steps: int, *, by_line: bool) -> list[Sequence[str]]:
    return units[:limit] if by_line else [symbols[: limit * steps + 1] for symbols in units]
