"""Text classification: texts from columns of a file, or from one file per class.

The classes, the vocabulary and the maximum length come only from the training samples, so this source splits its
samples itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.split import Division, dropped_note
from nnzoo.data.tables.dialect import TableOptions
from nnzoo.data.text.text_reader import TextReader
from nnzoo.data.text.texts import (
    TextLocations,
    Texts,
    encode_labels,
    find_classes,
    load_class_files,
    load_columns,
    padded,
)
from nnzoo.data.vocabulary import UNKNOWN, Tokenizer, Vocabulary
from nnzoo.errors import DataError

LONGEST = 512
"""The default maximum number of symbols per text: each symbol is a step."""


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
    **table_options: Any,
) -> Dataset:
    """Reads texts, splits them and converts them to tokens.

    Args:
        path: A file, a folder or a glob pattern: tables, or, without `target`, class files with one text per line.
        division: How the samples of `path` are split if there is no `val_path` or `test_path`.
        val_path: Like `path`, for the val split.
        test_path: Like `path`, for the test split.
        text: The column of the text; None for the only column besides the target.
        target: The column of the class; None if each file is a class, named after the file.
        tokenizer: "word" or "char".
        lowercase: Whether texts are converted to lower case.
        max_length: T; None for the longest training text, up to 512.
        min_count: Symbols that occur fewer times in the training texts are mapped to the unknown symbol.
        vocab_size: The number of most frequent symbols to keep; None for all.
        limit: Maximum number of samples per split; the first ones are used. For class files, balanced over the classes.
        table_options: The format of the files: the fields of `TableOptions`.

    Returns:
        A dataset with all splits, with tokens (N, T) and lengths. Classes are the sorted distinct labels of the
        training samples.

    Raises:
        DataError: A file, a column or a row can't be used, or a label in val or test is not in train.
    """
    given = {"train": path, "val": val_path, "test": test_path}
    paths = {name: Path(each) for name, each in given.items() if each is not None}
    options = TableOptions(**table_options)
    loaded = load_class_files(paths, options) if target is None else load_columns(paths, options, text, target)
    parts = {name: part.first(limit, balanced=target is None) for name, part in loaded.parts.items()}
    parts, classes, notes = _divide(parts, division, Vocabulary(tokenizer=tokenizer, lowercase=lowercase, symbols=()))
    targets = {name: encode_labels(part, classes) for name, part in parts.items()}
    vocabulary = Vocabulary.of(
        parts["train"].texts, tokenizer=tokenizer, lowercase=lowercase, min_count=min_count, max_symbols=vocab_size
    )
    if not vocabulary.symbols:
        raise DataError(
            f"no symbol occurs {min_count} or more times in the training texts. Lower min_count.", where=str(path)
        )
    tokens = {name: [vocabulary.encode(each) for each in part.texts] for name, part in parts.items()}
    num_steps = max_length or min(max(map(len, tokens["train"])), LONGEST)
    locations = TextLocations(list(parts.values()))
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
        choices={"text": loaded.text, "max_length": num_steps, **loaded.choices},
        reader=TextReader(
            words=loaded.options, text=loaded.text, target=target, vocabulary=vocabulary, max_length=num_steps
        ),
        sample_names=locations,
        warnings=(*loaded.repairs.warnings(), *_token_warnings(tokens, num_steps)),
        notes=(*loaded.notes, *notes),
        divisible=False,
    )


def _divide(
    parts: dict[str, Texts], division: Division, untrained: Vocabulary
) -> tuple[dict[str, Texts], tuple[str, ...], tuple[str, ...]]:
    """Splits the missing val and test splits off from train; returns the splits, the classes, and notes for the log."""
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


def _token_warnings(tokens: dict[str, list[list[int]]], num_steps: int) -> tuple[str, ...]:
    lines = []
    for name, texts in tokens.items():
        truncated = sum(len(text) > num_steps for text in texts)
        empty = sum(not text for text in texts)
        unknown = sum(bool(text) and set(text) == {UNKNOWN} for text in texts)
        if truncated:
            lines.append(
                f"{truncated} of {len(texts)} {name} texts are longer than {num_steps} symbols and are truncated"
            )
        if empty:
            lines.append(f"{empty} of {len(texts)} {name} texts have no symbol and are read as one unknown symbol")
        if unknown:
            lines.append(f"{unknown} of {len(texts)} {name} texts have only unknown symbols")
    return tuple(lines)
