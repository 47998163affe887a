"""Recursive networks over labelled binary trees, a level of a whole batch at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.layers import Dense

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tree:
    """A labelled binary tree, as lists over its nodes: children before their parent, the root last.

    Attributes:
        labels: Each node's label.
        words: A leaf's word; None inside.
        left: The node's left child, by its place in these lists; -1 for a leaf.
        right: The right one.
    """

    labels: Sequence[int]
    words: Sequence[str | None]
    left: Sequence[int]
    right: Sequence[int]


@dataclass
class _Open:
    """A node whose closing bracket has not come yet."""

    column: int
    label: int | None = None
    word: str | None = None
    children: list[int] = field(default_factory=list)


def parse_tree(text: str) -> Tree:
    """Reads one tree in brackets, as the Stanford Sentiment Treebank writes them: `(3 (2 It) (4 (2 's) (4 fun)))`.

    A node is a bracket with a label, a whole number, and then either a word or two nodes.

    Raises:
        ValueError: The text is no such tree; the message starts with the column, from 1.
    """
    tree = Tree([], [], [], [])
    open_nodes: list[_Open] = []
    for match in re.finditer(r"[()]|[^\s()]+", text):
        symbol, column = match.group(), match.start() + 1
        if not open_nodes and tree.labels:
            raise ValueError(f"column {column}: nothing may follow the tree (got '{symbol}').")
        if symbol == "(":
            _check_child(open_nodes, column)
            open_nodes.append(_Open(column))
        elif not open_nodes:
            raise ValueError(f"column {column}: a tree starts with '(' (got '{symbol}').")
        elif symbol == ")":
            closed = _close(tree, open_nodes.pop(), column)
            if open_nodes:
                open_nodes[-1].children.append(closed)
        else:
            _read(open_nodes[-1], symbol, column)
    if open_nodes:
        raise ValueError(f"column {open_nodes[-1].column}: this bracket is never closed.")
    if not tree.labels:
        raise ValueError("column 1: there is no tree.")
    return tree


def _check_child(open_nodes: list[_Open], column: int) -> None:
    parent = open_nodes[-1] if open_nodes else None
    if parent and parent.label is None:
        raise ValueError(f"column {column}: a node starts with its label (got '(').")
    if parent and (parent.word is not None or len(parent.children) == 2):
        raise ValueError(f"column {column}: a node holds a word or two nodes, and this is one more.")


def _read(node: _Open, symbol: str, column: int) -> None:
    """A label or a word."""
    if node.label is None:
        if not symbol.isdecimal():
            raise ValueError(f"column {column}: a node starts with its label, a whole number (got '{symbol}').")
        node.label = int(symbol)
    elif node.word is not None or node.children:
        raise ValueError(f"column {column}: a node holds a word or two nodes, and '{symbol}' is one more.")
    else:
        node.word = symbol


def _close(tree: Tree, node: _Open, column: int) -> int:
    """Adds a node to the tree: its place."""
    if node.label is None or (node.word is None and len(node.children) != 2):
        raise ValueError(f"column {column}: the node of column {node.column} lacks its label, word or second node.")
    ...
