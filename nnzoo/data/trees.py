"""Labelled binary trees in brackets, one per line, in the format of the Stanford Sentiment Treebank."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.files.contents import name_of
from nnzoo.data.files.encodings import lines_of, read_text
from nnzoo.data.files.find import find_files, order_note
from nnzoo.data.files.origin import Origin, name_below, of_files
from nnzoo.data.files.repairs import Repair, Repairs
from nnzoo.data.reader import NO_TARGET, Reader, Samples, Schema
from nnzoo.data.vocabulary import Vocabulary
from nnzoo.errors import DataError

CLASSES = {
    5: ("very negative", "negative", "neutral", "positive", "very positive"),
    2: ("negative", "positive"),
}
NEUTRAL = 2
UNKNOWN_TREES = Repair("tree", "without a known word", "read as unknown words", "Check the file and its language.")


@dataclass(frozen=True)
class Tree:
    """A labelled binary tree: lists with one item per node, in preorder (each node before its children).

    Attributes:
        labels: The label of each node.
        words: The word of each leaf; None for inner nodes.
        left: The offset from each node to its left child; 0 for leaves.
        right: The offset from each node to its right child; 0 for leaves.
    """

    labels: Sequence[int]
    words: Sequence[str | None]
    left: Sequence[int]
    right: Sequence[int]


def parse_tree(text: str) -> Tree:
    """Parses one tree in brackets: `(3 (2 It) (4 (2 's) (4 fun)))`.

    A node is a pair of brackets with an integer label and either a word or two nodes. Spaces, tabs and line ends are
    separators; other whitespace is part of words (the treebank has a no-break space in `8 1/2`).

    Raises:
        ValueError: The text is not a tree. The message starts with the column of the error, from 1.
    """
    nodes: list[tuple[int, str | None, int, int]] = []
    brackets: list[tuple[int, int, list[str | int]]] = []  # open brackets: column, node, content so far
    for token in re.finditer(r"[()]|[^() \t\r\n]+", text):
        symbol, start = token.group(), token.start()
        if not brackets and (nodes or symbol != "("):
            wrong = "text after the end of the tree" if nodes else "a tree starts with '('"
            raise ValueError(f"column {start + 1}: {wrong} (got {symbol!r}).")
        if symbol == "(":
            if brackets:
                brackets[-1][2].append(len(nodes))
            brackets.append((start, len(nodes), []))
            nodes.append((0, None, 0, 0))
        elif symbol != ")":
            brackets[-1][2].append(symbol)
        else:
            start, node, parts = brackets.pop()
            match parts:
                case [str(label), str(word)] if label.isdecimal():
                    nodes[node] = (int(label), word, 0, 0)
                case [str(label), int(left), int(right)] if label.isdecimal():
                    nodes[node] = (int(label), None, left - node, right - node)
                case _:
                    allowed = "'(label word)' or '(label node node)' with an integer label"
                    raise ValueError(
                        f"column {start + 1}: a node must be {allowed} (got {text[start : token.end()]!r:.60})."
                    )
    if brackets or not nodes:
        wrong = "this bracket is never closed" if brackets else "there is no tree"
        raise ValueError(f"column {brackets[-1][0] + 1 if brackets else 1}: {wrong}.")
    return Tree(*zip(*nodes, strict=True))


def load_trees(
    *,
    path: str | Path,
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    labels: Literal[5, 2] = 5,
    limit: int | None = None,
    strict: bool = False,
) -> Dataset:
    """Reads trees whose nodes have labels from 0, very negative, to 4, very positive.

    Args:
        path: A file, folder or glob pattern, one tree per line; empty lines are skipped.
        val_path: The same for the val split.
        test_path: The same for the test split.
        labels: 5, or 2: negative (0 and 1) and positive (3 and 4). Neutral nodes then have no target, and trees with a
            neutral root are left out, as Socher et al. (2013) do.
        limit: Maximum number of trees per split; the first ones are used.
        strict: Whether skipped or repaired content is an error.

    Returns:
        Inputs (N, M, 3), one row per node in preorder: the token, 0 for inner nodes; the offsets of the rows of the
        left and the right child, 0 for leaves. Targets (N, M). The vocabulary consists only of the training words.

    Raises:
        DataError: A file can't be read (the message has the line and the column), or has no tree with a label.
    """
    paths = {"train": path, "val": val_path, "test": test_path}
    given = {name: Path(each) for name, each in paths.items() if each is not None}
    repairs = Repairs(strict=strict)
    files = {name: find_files(each, repairs=repairs) for name, each in given.items()}
    read: dict[str, list[Tree]] = {}
    origins: dict[str, Origin] = {}
    notes = []
    for name, each in files.items():
        parsed = _read_trees(each, labels, limit, repairs)
        read[name], origins[name] = parsed.trees, parsed.origin([name_below(file, given[name]) for file in each])
        if parsed.num_neutral:
            notes.append(f"{name}: left out {parsed.num_neutral} trees with a neutral root")
    words = ([word for word in tree.words if word is not None] for tree in read["train"])
    untrained = Vocabulary(tokenizer="word", lowercase=False, symbols=())
    reader = TreeReader(labels=labels, vocabulary=Vocabulary.of_symbols(words, untrained))
    return Dataset(
        {
            name: Split(reader.encode(trees), _targets(trees, labels), origin=origins[name])
            for name, trees in read.items()
        },
        task="classification",
        layout="tree",
        classes=CLASSES[labels],
        num_tokens=len(reader.vocabulary),
        reader=reader,
        warnings=repairs.warnings(),
        notes=(*notes, *order_note(files["train"])),
        per="node",
    )


class TreeReader(Reader):
    """Reads trees in brackets, one per line.

    Attributes:
        labels: As in `load_trees`.
        vocabulary: The vocabulary of the training words.
    """

    kind: Literal["trees"] = "trees"
    labels: Literal[5, 2]
    vocabulary: Vocabulary

    def fits(self, schema: Schema) -> bool:
        """Returns whether the samples of this reader match the schema."""
        expected = (schema.classes, schema.num_tokens, schema.layout, schema.per)
        return expected == (CLASSES[self.labels], len(self.vocabulary), "tree", "node")

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:  # noqa: ARG002
        """Reads trees. If `labelled` is False, their labels are ignored.

        Raises:
            DataError: As in `load_trees`.
        """
        repairs = Repairs()
        files = [file for path in paths for file in find_files(path, repairs=repairs)]
        parsed = _read_trees(files, self.labels if labelled else None, None, repairs)
        trees, origin = parsed.trees, parsed.origin(list(map(name_of, files)))
        targets = _targets(trees, self.labels) if labelled else None
        known = set(self.vocabulary.symbols)
        unknown = [number for number, tree in enumerate(trees, start=1) if known.isdisjoint(tree.words)]
        repairs.add(UNKNOWN_TREES, f"tree {unknown[0]}" if unknown else "", len(unknown))
        return Samples(self.encode(trees), range(len(trees)), targets, origin=origin, warnings=repairs.warnings())

    def encode(self, trees: Sequence[Tree]) -> Tensor:
        """Returns the (N, M, 3) rows of trees, as in `load_trees`; M is the number of nodes of the largest tree."""
        words = [word for tree in trees for word in tree.words]
        numbers = self.vocabulary.encode_symbols("" if word is None else word for word in words)
        tokens = (0 if word is None else number for word, number in zip(words, numbers, strict=True))
        left = (offset for tree in trees for offset in tree.left)
        right = (offset for tree in trees for offset in tree.right)
        columns = [np.fromiter(column, np.int64) for column in (tokens, left, right)]
        return _padded(trees, torch.from_numpy(np.stack(columns, axis=1)), fill=0)


def _targets(trees: Sequence[Tree], labels: int) -> Tensor:
    """Returns the (N, M) classes of nodes."""
    flat = torch.from_numpy(np.fromiter((label for tree in trees for label in tree.labels), np.int64))
    if labels == 2:
        flat = torch.where(flat == NEUTRAL, NO_TARGET, (flat > NEUTRAL).long())
    return _padded(trees, flat, fill=NO_TARGET)


def _padded(trees: Sequence[Tree], flat: Tensor, *, fill: int) -> Tensor:
    """Pads the concatenated (num_nodes, *) rows of N trees to (N, M, *)."""
    sizes = torch.tensor([len(tree.labels) for tree in trees])
    padded = torch.full((len(trees), int(sizes.max()), *flat.shape[1:]), fill)
    padded[torch.arange(padded.shape[1]) < sizes.unsqueeze(1)] = flat
    return padded


class _ParsedTrees(NamedTuple):
    """The trees of files.

    Attributes:
        trees: The trees that are used.
        num_neutral: The number of trees that were left out because of a neutral root.
        numbers: The index of each used tree among all trees in the files.
        sizes: How many trees of each file were read.
    """

    trees: list[Tree]
    num_neutral: int
    numbers: list[int]
    sizes: list[int]

    def origin(self, names: Sequence[str]) -> Origin:
        """Returns the file and line of each tree of the dataset, given the names of the files."""
        return of_files(names, self.sizes).renumbered(np.array(self.numbers, dtype=np.int64))


def _read_trees(files: Sequence[Path], labels: int | None, limit: int | None, repairs: Repairs) -> _ParsedTrees:
    """Reads the first trees of files. If `labels` is None, labels are not checked."""
    parsed = _ParsedTrees([], 0, [], [])
    num_read = num_neutral = 0
    for file in files:
        if limit is not None and len(parsed.trees) == limit:
            break
        before = num_read
        for tree in _trees_of(file, repairs, check=labels is not None):
            if limit is not None and len(parsed.trees) == limit:
                break
            if labels == 2 and tree.labels[0] == NEUTRAL:
                num_neutral += 1
            else:
                parsed.trees.append(tree)
                parsed.numbers.append(num_read)
            num_read += 1
        parsed.sizes.append(num_read - before)
    if not parsed.trees:
        problem = "every tree has a neutral root" if num_neutral else "has no trees"
        raise DataError(f"{problem}.", where=name_of(files[0]))
    return parsed._replace(num_neutral=num_neutral)


def _trees_of(file: Path, repairs: Repairs, *, check: bool) -> Iterator[Tree]:
    for number, line in enumerate(lines_of(read_text(file, repairs=repairs)), start=1):
        if not line.strip():
            continue
        try:
            tree = parse_tree(line)
        except ValueError as error:
            raise DataError(f"line {number}, {error}", where=name_of(file)) from None
        if check and max(tree.labels) >= len(CLASSES[5]):
            label = max(tree.labels)
            place = re.search(rf"\(\s*0*{label}\s", line)
            column = place.start() + 1 if place else 1
            raise DataError(
                f"line {number}, column {column}: a label is out of range (got {label}; allowed 0 to 4).",
                where=name_of(file),
            )
        yield tree
