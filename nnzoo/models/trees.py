"""Recursive networks over labelled binary trees, a level of a whole batch at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.layers import Dense

Indices = npt.NDArray[np.int64]

NO_CHILD = -1


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


def parse_tree(text: str) -> Tree:
    """Reads one tree in brackets, as the Stanford Sentiment Treebank writes them: `(3 (2 It) (4 (2 's) (4 fun)))`.

    A node is a bracket with a label, which is a whole number, and then either a word or two nodes. Blanks, tabs and
    line ends separate; other spaces belong to words (the treebank has a no-break space in `8 1/2`).

    Raises:
        ValueError: The text is no such tree; the message starts with the column, from 1, of what is wrong.
    """
    nodes: list[tuple[int, str | None, int, int]] = []
    brackets: list[tuple[int, list[str | int]]] = []  # those still open: where, and what is in them so far
    for found in re.finditer(r"[()]|[^() \t\r\n]+", text):
        symbol, start = found.group(), found.start()
        if not brackets and (nodes or symbol != "("):
            wrong = "the tree has ended" if nodes else "a tree starts with '('"
            raise ValueError(f"column {start + 1}: {wrong} (got {symbol!r}).")
        if symbol == "(":
            brackets.append((start, []))
        elif symbol != ")":
            brackets[-1][1].append(symbol)
        else:
            start, parts = brackets.pop()
            match parts:
                case [str(label), str(word)] if label.isdecimal():
                    nodes.append((int(label), word, NO_CHILD, NO_CHILD))
                case [str(label), int(left), int(right)] if label.isdecimal():
                    nodes.append((int(label), None, left, right))
                case _:
                    allowed = "'(label word)' or '(label node node)', its label a whole number"
                    raise ValueError(
                        f"column {start + 1}: a node is {allowed} (got {text[start : found.end()]!r:.60})."
                    )
            if brackets:
                brackets[-1][1].append(len(nodes) - 1)
    if brackets or not nodes:
        wrong = "this bracket is never closed" if brackets else "there is no tree"
        raise ValueError(f"column {brackets[-1][0] + 1 if brackets else 1}: {wrong}.")
    return Tree(*zip(*nodes, strict=True))


@dataclass(frozen=True)
class TreeBatch:
    """Trees, level by level from their roots down, so that a level's children are just the next level.

    A row is a node; the first rows are the roots. In a level, the left children of the nodes above stand first, in the
    order of those nodes, then the right ones in the same order. So no node needs to say where its children are.

    Attributes:
        labels: Each node's label, (num_nodes,) int64.
        tokens: Each leaf's token, (num_leaves,) int64, in the order of the rows.
        places: Each node's place, (num_nodes,) int64, in a list of its level that has the leaves first.
        level_sizes: Nodes a level; the first is the number of trees.
        leaf_sizes: Leaves a level.
    """

    labels: Tensor
    tokens: Tensor
    places: Tensor
    level_sizes: tuple[int, ...]
    leaf_sizes: tuple[int, ...]

    def __len__(self) -> int:
        """Number of trees; their roots are the first rows."""
        return self.level_sizes[0]

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> TreeBatch:
        """The same batch on a device."""
        labels, tokens, places = (
            tensor.to(device, non_blocking=non_blocking) for tensor in (self.labels, self.tokens, self.places)
        )
        return replace(self, labels=labels, tokens=tokens, places=places)


@dataclass(frozen=True, eq=False)
class Forest:
    """Indexed trees, from which batches are cut: some 0.3 ms for 64 sentences.

    Attributes:
        labels: Each node's label, (num_nodes,); tree after tree, and nodes as in `Tree`.
        tokens: A leaf's token; -1 inside.
        left: Each node's left child, a row; -1 for a leaf.
        right: The right one.
        roots: Each tree's root, (num_trees,), a row.
    """

    labels: Indices
    tokens: Indices
    left: Indices
    right: Indices
    roots: Indices

    @classmethod
    def of(cls, trees: Sequence[Tree], vocabulary: Mapping[str, int], *, unknown: int) -> Forest:
        """Indexes trees.

        Args:
            trees: At least one.
            vocabulary: Tokens by word.
            unknown: The token of any other word.
        """
        sizes = np.array([len(tree.labels) for tree in trees])
        ends = sizes.cumsum()
        starts = np.repeat(ends - sizes, sizes)
        left, right = (
            np.fromiter((child for tree in trees for child in getattr(tree, side)), np.int64)
            for side in ("left", "right")
        )
        words = (word for tree in trees for word in tree.words)
        return cls(
            labels=np.fromiter((label for tree in trees for label in tree.labels), np.int64),
            tokens=np.fromiter((-1 if word is None else vocabulary.get(word, unknown) for word in words), np.int64),
            left=np.where(left == NO_CHILD, NO_CHILD, left + starts),
            right=np.where(right == NO_CHILD, NO_CHILD, right + starts),
            roots=ends - 1,
        )

    def __len__(self) -> int:
        """Number of trees."""
        return len(self.roots)

    def batch(self, trees: Sequence[int] | Indices | slice = slice(None)) -> TreeBatch:
        """The batch of some trees, by number and in that order; of all, if none are named.

        Raises:
            UsageError: There is no tree.
        """
        level = self.roots[trees]
        if not len(level):
            raise UsageError("a batch has at least one tree.", where="trees")
        levels, places, leaf_sizes = [], [], []
        while len(level):
            is_leaf = self.left[level] == NO_CHILD
            num_leaves = int(is_leaf.sum())
            levels.append(level)
            places.append(np.where(is_leaf, is_leaf.cumsum(), num_leaves + (~is_leaf).cumsum()) - 1)
            leaf_sizes.append(num_leaves)
            inner = level[~is_leaf]
            level = np.concatenate([self.left[inner], self.right[inner]])
        nodes = np.concatenate(levels)
        tokens = self.tokens[nodes]
        return TreeBatch(
            labels=torch.from_numpy(self.labels[nodes]),
            tokens=torch.from_numpy(tokens[self.left[nodes] == NO_CHILD]),
            places=torch.from_numpy(np.concatenate(places)),
            level_sizes=tuple(map(len, levels)),
            leaf_sizes=tuple(leaf_sizes),
        )


class _TreeNet(nn.Module):
    """What both networks share: a vector a word, a state a node, from the leaves up, and an output for every state.

    A state is (n, S) and starts with what is put out, `hidden_size` numbers; S may be more.
    """

    head = "output"

    def __init__(
        self, num_tokens: int, out_features: int, *, embedding_dim: int, hidden_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(num_tokens, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = Dense(hidden_size, out_features)

    def leaves(self, vectors: Tensor) -> Tensor:
        """States of leaves: (n, embedding_dim) -> (n, S)."""
        raise NotImplementedError

    def parents(self, left: Tensor, right: Tensor) -> Tensor:
        """States of nodes from those of their children: (n, S), (n, S) -> (n, S)."""
        raise NotImplementedError

    def states(self, trees: TreeBatch) -> Tensor:
        """The state of every node, (num_nodes, S), in the order of the batch's rows."""
        leaves = self.leaves(self.embedding(trees.tokens))
        levels, level = [], leaves[:0]  # below the lowest leaves is an empty level
        for leaves_here, places in zip(
            reversed(leaves.split_with_sizes(trees.leaf_sizes)),
            reversed(trees.places.split_with_sizes(trees.level_sizes)),
            strict=True,
        ):
            inner = self.parents(*level.tensor_split(2))
            level = torch.cat([leaves_here, inner]).index_select(0, places)
            levels.append(level)
        return torch.cat(levels[::-1])

    def forward(self, trees: TreeBatch) -> Tensor:
        """A batch -> (num_nodes, out_features), logits of every node's label; the roots are the first rows."""
        outputs: Tensor = self.output(self.dropout(self.states(trees)[:, : self.hidden_size]))
        return outputs


class RecursiveNet(_TreeNet):
    """The recursive network (Socher et al. 2011, 2013): h = tanh(W [h_left; h_right] + b), a leaf's h its word vector.

    A batch of trees -> (num_nodes, out_features), one set of weights for all nodes.

    Args:
        num_tokens: Size of the vocabulary.
        out_features: Output units of each node.
        hidden_size: Size of a state and of a word vector.
        dropout: Share of a state silenced in training before the output layer, not on the way up.
    """

    def __init__(self, num_tokens: int, out_features: int, *, hidden_size: int = 25, dropout: float = 0.0) -> None:
        super().__init__(num_tokens, out_features, embedding_dim=hidden_size, hidden_size=hidden_size, dropout=dropout)
        self.compose = nn.Linear(2 * hidden_size, hidden_size)

    def leaves(self, vectors: Tensor) -> Tensor:
        """(n, hidden_size) -> (n, hidden_size): the word vectors themselves."""
        return vectors

    def parents(self, left: Tensor, right: Tensor) -> Tensor:
        """(n, hidden_size) twice -> (n, hidden_size)."""
        state: Tensor = self.compose(torch.cat([left, right], dim=1)).tanh()
        return state


class TreeLSTM(_TreeNet):
    """The binary tree-LSTM (Tai et al. 2015, their N-ary form with N = 2, words at the leaves alone).

    A batch of trees -> (num_nodes, out_features). Each child has a forget gate of its own that reads both children:

        i, f_left, f_right, o = sigmoid(U [h_left; h_right] + b),   u = tanh(U_u [h_left; h_right] + b_u)
        c = i * u + f_left * c_left + f_right * c_right,   h = o * tanh(c)

    and a leaf has i, o, u from its word's vector x and c = i * u. Leaves have biases of their own, where the paper
    shares them.

    Args:
        num_tokens: Size of the vocabulary.
        out_features: Output units of each node.
        hidden_size: Size of h and of c.
        embedding_dim: Size of a word vector; None for `hidden_size`.
        dropout: Share of a state silenced in training before the output layer, not on the way up.
    """

    def __init__(
        self,
        num_tokens: int,
        out_features: int,
        *,
        hidden_size: int = 100,
        embedding_dim: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        embedding_dim = hidden_size if embedding_dim is None else embedding_dim
        super().__init__(
            num_tokens, out_features, embedding_dim=embedding_dim, hidden_size=hidden_size, dropout=dropout
        )
        self.read = nn.Linear(embedding_dim, 3 * hidden_size)
        self.compose = nn.Linear(2 * hidden_size, 5 * hidden_size)

    def leaves(self, vectors: Tensor) -> Tensor:
        """(n, embedding_dim) -> (n, 2 * hidden_size), h and c."""
        i, o, u = self.read(vectors).chunk(3, dim=1)
        return self._state(o, i.sigmoid() * u.tanh())

    def parents(self, left: Tensor, right: Tensor) -> Tensor:
        """(n, 2 * hidden_size) twice -> (n, 2 * hidden_size), h and c."""
        (h_left, c_left), (h_right, c_right) = left.chunk(2, dim=1), right.chunk(2, dim=1)
        i, f_left, f_right, o, u = self.compose(torch.cat([h_left, h_right], dim=1)).chunk(5, dim=1)
        return self._state(o, i.sigmoid() * u.tanh() + f_left.sigmoid() * c_left + f_right.sigmoid() * c_right)

    @staticmethod
    def _state(o: Tensor, c: Tensor) -> Tensor:
        return torch.cat([o.sigmoid() * c.tanh(), c], dim=1)
