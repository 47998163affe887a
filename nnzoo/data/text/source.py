"""Texts with a class each: columns of a file, or one file per class.

What is learned of them before training (the classes, the vocabulary, the longest text) is learned from the training
samples alone, so this source divides its samples itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.split import Division, dropped_note
from nnzoo.data.tables.dialect import Words
from nnzoo.data.text.text_reader import TextReader
from nnzoo.data.text.texts import (
    TextLocations,
    Texts,
    encode_labels,
    find_class_files,
    find_classes,
    find_columns,
    padded,
)
from nnzoo.data.vocabulary import UNKNOWN, Tokenizer, Vocabulary
from nnzoo.errors import DataError

LONGEST = 512
"""Symbols a text by default, where some training text has more: every one of them is a step."""


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
    """Reads texts, divides them, and turns them into tokens.

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
    found = find_class_files(paths, said) if target is None else find_columns(paths, said, text, target)
    parts = {name: part.first(limit, in_turn=target is None) for name, part in found.parts.items()}
    parts, classes, notes = _divide(parts, division, Vocabulary(tokenizer=tokenizer, lowercase=lowercase, symbols=()))
    targets = {name: encode_labels(part, classes) for name, part in parts.items()}
    vocabulary = Vocabulary.of(
        parts["train"].texts, tokenizer=tokenizer, lowercase=lowercase, min_count=min_count, max_symbols=vocab_size
    )
    if not vocabulary.symbols:
        raise DataError(f"no symbol is in the training texts {min_count} times. Lower min_count.", where=str(path))
    tokens = {name: [vocabulary.encode(each) for each in part.texts] for name, part in parts.items()}
    num_steps = max_length or min(max(map(len, tokens["train"])), LONGEST)
    places = TextLocations(list(parts.values()))
    splits, start = {}, 0
    for name, each in tokens.items():
        numbers = np.concatenate([np.zeros(start, dtype=np.int64), np.array(parts[name].numbers, dtype=np.int64)])
        rows = torch.arange(start, start + len(each))
        splits[name] = Split(
            *padded(each, num_steps, targets[name]), rows, origin=parts[name].origin.renumbered(numbers)
        )
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
        warnings=(*found.repairs.warnings(), *_told(tokens, num_steps)),
        notes=(*found.notes, *notes),
        divisible=False,
    )


def _divide(
    parts: dict[str, Texts], division: Division, untrained: Vocabulary
) -> tuple[dict[str, Texts], tuple[str, ...], tuple[str, ...]]:
    """Val and test samples out of train, where there are none given; also the classes, and what is to be told."""
    train = parts["train"]
    notes: tuple[str, ...] = ()
    if division.deduplicate:
        distinct = train.distinct(untrained)
        notes = (dropped_note(len(train.texts) - len(distinct.texts), len(train.texts)),)
        train = distinct
    classes = find_classes(train.labels)
    labels = encode_labels(train, classes)
    rows = division.rows(len(labels), classes=labels, class_names=classes, given=parts)
    return parts | {name: train.take(part.tolist()) for name, part in rows.items()}, classes, notes


def _told(tokens: dict[str, list[list[int]]], num_steps: int) -> tuple[str, ...]:
    told = []
    for name, texts in tokens.items():
        cut = sum(len(text) > num_steps for text in texts)
        empty = sum(not text for text in texts)
        unknown = sum(bool(text) and set(text) == {UNKNOWN} for text in texts)
        if cut:
            told.append(f"{cut} of {len(texts)} {name} texts are longer than {num_steps} symbols and are truncated")
        if empty:
            told.append(f"{empty} of {len(texts)} {name} texts have no symbol and are read as one unknown symbol")
        if unknown:
            told.append(f"{unknown} of {len(texts)} {name} texts have no symbol that the vocabulary knows")
    return tuple(told)
