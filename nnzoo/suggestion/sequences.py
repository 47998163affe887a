"""Configs for plain text, labelled trees and arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnzoo.data.files.encodings import lines_of, read_text
from nnzoo.data.tables.dialect import lines_with_ends
from nnzoo.errors import DataError
from nnzoo.suggestion.kinds import siblings_of
from nnzoo.suggestion.layout import start_of_text
from nnzoo.suggestion.suggestion import Suggestion, percent, plural
from nnzoo.suggestion.tables import set_for_rare_classes, set_split
from nnzoo.suggestion.training import budget_for, set_training

_TREE = re.compile(r"\(\s*\d+\s")
_SHORT_WORDS = 4.0
_LEAST_PIXELS = 8
_LAYOUTS = {2: "features", 3: "sequence", 4: "image"}


def has_trees(path: Path) -> bool:
    """Returns whether the lines of a text file are labelled trees in brackets."""
    lines = [line.strip() for line in lines_with_ends(start_of_text(path))[:20] if line.strip()]
    balanced = all(line.count("(") == line.count(")") > 0 for line in lines)
    return bool(lines) and balanced and all(_TREE.match(line) for line in lines)


def suggest_trees(path: Path, splits: dict[str, Path]) -> Suggestion:
    """Returns a config for labelled trees.

    Args:
        path: The file of the train split.
        splits: The files of other splits.
    """
    lines = [line for line in lines_of(read_text(path)) if line.strip()]
    roots = np.bincount([int(re.findall(r"\d+", line[:12])[0]) for line in lines], minlength=5)
    suggestion = Suggestion("trees", {}, task="classification of all nodes of trees, 5 labels")
    shares = ", ".join(f"{label}: {percent(count / len(lines))}" for label, count in enumerate(roots.tolist()))
    suggestion.found += [plural(len(lines), "tree"), f"labels of the roots: {shares}"]
    suggestion.set("data.name", "trees")
    suggestion.set("data.path", str(path))
    for name, each in splits.items():
        suggestion.set(f"data.{name}_path", str(each), f"{each.name} has trees, too")
    suggestion.set("data.labels", 5, "2: positive or negative, without neutral nodes")
    set_split(suggestion, len(lines), None, {*splits})
    suggestion.set("model", {"name": "recursive", "hidden_size": 32}, "`tree_lstm` is better and slower")
    suggestion.set("optimizer", {"name": "adagrad", "lr": 0.02}, "rare words get larger steps")
    suggestion.set("train.batch_size", 32)
    epochs = min(max(round(40_000 / max(len(lines), 1)), 6), 60)
    suggestion.set("train.epochs", epochs)
    suggestion.set("train.monitor", "val/accuracy", "of the roots; the loss covers all nodes")
    suggestion.set("train.early_stopping", {"patience": max(3, epochs // 4)})
    return suggestion


def suggest_language(path: Path, text: str) -> Suggestion:
    """Returns a config for a plain text: a model that predicts the next character."""
    lines = [line for line in text.split("\n") if line.strip()]
    if len(text) < 500:
        raise DataError("is a text of less than 500 characters, too short to learn from.", where=str(path))
    words = sum(len(line.split()) for line in lines) / max(len(lines), 1)
    by_line = words < _SHORT_WORDS and len(lines) >= 100
    suggestion = Suggestion("language", {}, task="prediction of the next character")
    suggestion.found += [
        f"a text of {len(text):,} characters, {len(set(text))} different, in {plural(len(lines), 'line')} of about "
        f"{words:.0f} words"
    ]
    suggestion.set("data.name", "language")
    suggestion.set("data.path", str(path))
    for name, each in siblings_of(path).items() if path.is_file() else ():
        suggestion.set(f"data.{name}_path", str(each), f"{each.name} is next to it")
    suggestion.set("data.tokenizer", "char", "`word` needs a longer text")
    if by_line:
        suggestion.set("data.by_line", True, "short lines: each is a sample of its own, such as a name")
        suggestion.set("data.split.deduplicate", True, "a line of test must not also be in train")
    elif len(text) < 20_000:
        suggestion.set("data.sequence_length", 32, "a short text")
    steps = len(lines) if by_line else len(text) // suggestion.config["data"].get("sequence_length", 64)
    hidden = 128 if len(text) > 200_000 else 64
    suggestion.set("model", {"name": "lstm", "hidden_size": hidden}, "512 is better and slower")
    suggestion.set("optimizer", {"name": "adamw", "lr": 5e-3})
    suggestion.set("train.clip_grad_norm", 1.0, "recurrent networks sometimes have very large gradients")
    num_train = round(0.7 * steps)
    set_training(
        suggestion, budget_for(num_train, batch_size=32 if num_train > 500 else 8, steps=1_500, least=4), num_train
    )
    return suggestion


def suggest_arrays(path: Path, arrays: dict[str, Any]) -> Suggestion:
    """Returns a config for arrays.

    Args:
        path: An .npz file, or a folder of .npy files.
        arrays: The arrays by name, memory-mapped if they are in a folder.
    """
    suffix = "_train" if "x_train" in arrays and "x" not in arrays else ""
    missing = [name for name in (f"x{suffix}", f"y{suffix}") if name not in arrays]
    if missing:
        shown = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise DataError(
            f"has no array {' and no '.join(missing)} (it has: {shown}). Save the inputs as `x` and the targets "
            "as `y`: numpy.savez(path, x=x, y=y).",
            where=str(path),
        )
    x, y = arrays[f"x{suffix}"], arrays[f"y{suffix}"]
    from nnzoo.data.encode.inputs import check_channels  # imports torch

    check_channels(x, where=f"{path}: x{suffix}")
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or not len(x):
        raise DataError(f"x and y have different numbers of samples (got {x.shape} and {y.shape}).", where=str(path))
    suggestion = Suggestion("arrays", {}, task="")
    suggestion.found += [
        f"{plural(len(x), 'sample')}",
        *(f"{name}: {array.dtype} {array.shape}" for name, array in arrays.items()),
    ]
    suggestion.set("data.name", "arrays")
    suggestion.set("data.path", str(path))
    given = {split for split in ("val", "test") if f"x_{split}" in arrays and f"y_{split}" in arrays}
    is_classes = (y.ndim == 1 or y.shape[1:] == (1,)) and y.dtype.kind in "biuSU"
    classes, counts = np.unique(y, return_counts=True) if is_classes else (np.zeros(0), np.zeros(0))
    is_multilabel = (
        y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biu" and x.ndim == 2 and set(np.unique(y)) <= {0, 1}
    )
    layout = _LAYOUTS.get(x.ndim, "features")
    if x.ndim == 3 and x.dtype == np.uint8 and min(x.shape[1:]) >= _LEAST_PIXELS:
        layout = "image"
        suggestion.set("data.layout", layout, "bytes in two dimensions are grayscale images")
    if x.ndim == 2 and x.dtype.kind in "iu" and x.min() >= 0 and y.ndim == 1 and len(np.unique(x)) > 2:
        is_padded = "lengths" in arrays
        if is_padded:
            layout = "tokens"
        else:
            suggestion.set("data.layout", "features", "integers are read as amounts; `tokens` if they are indices")
    if is_classes:
        suggestion.task = f"classification, {len(classes)} classes"
        names = [f"{name}: {percent(count / len(y))}" for name, count in zip(classes, counts, strict=True)]
        suggestion.found.append(f"classes: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}")
        if len(classes) > 50 and y.dtype.kind in "iu" and len(classes) > len(y) / 5:
            suggestion.set("data.task", "regression", "many different integers are amounts")
            suggestion.task = "regression"
    elif is_multilabel:
        suggestion.task = f"multilabel, {y.shape[1]} labels"
        suggestion.set("data.task", "multilabel", "each target is 0 or 1, and a sample can have several")
    else:
        suggestion.task = "classification per step" if y.dtype.kind in "iu" and y.ndim == 2 else "regression"
        if y.dtype.kind == "f" and suggestion.task == "regression":
            suggestion.set("preprocess.scale_target", True, "the network learns targets of unit variance")
    set_split(suggestion, len(x), None, given)
    num_train = round(len(x) * (1 - sum(suggestion.config["data"].get("split", {}).values())))
    _set_array_network(suggestion, layout, x.shape, num_train, per_step=suggestion.task.endswith("step"))
    if is_classes and suggestion.task != "regression":
        set_for_rare_classes(
            suggestion, {str(classes[index]): int(counts[index]) for index in np.argsort(-counts, kind="stable")}
        )
    return suggestion


def _set_array_network(
    suggestion: Suggestion, layout: str, shape: Sequence[int], num_train: int, *, per_step: bool
) -> None:
    """Sets a network by the layout of the inputs."""
    model: dict[str, Any]
    if layout in ("sequence", "tokens"):
        model = {"name": "gru", "hidden_size": 32 if num_train < 2_000 else 64, "bidirectional": True}
        model |= {} if per_step else {"pooling": "mean"}
        why = "reads the steps in both directions"
    elif layout == "image" and min(shape[-2:]) >= _LEAST_PIXELS:
        blocks: list[dict[str, Any]] = []
        for width in (16, 32):
            blocks += [
                {"conv": {"out_channels": width, "kernel_size": 3, "padding": 1, "batch_norm": True}},
                {"pool": {"kind": "max", "kernel_size": 2}},
            ]
        model, why = {"name": "cnn", "blocks": [*blocks, {"global_pool": "avg"}]}, "a small network for images"
    else:
        hidden = [16] if num_train < 100 else [32] if num_train < 1_000 else [64, 32]
        model, why = {"name": "mlp", "hidden": hidden, "dropout": 0.1}, f"{num_train:,} train samples"
    suggestion.set("model", model, why)
    suggestion.set("optimizer", {"name": "adamw", "lr": 5e-3 if layout == "sequence" else 3e-3})
    steps = 3_000 if layout == "features" else 1_500
    set_training(suggestion, budget_for(num_train, steps=steps), num_train)
