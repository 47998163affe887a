"""Recursive networks over binary trees, computed level by level for a whole batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nnzoo.models.initializers import Rule
from nnzoo.models.inputs import InputWeights
from nnzoo.models.layers import Dense

LEFT, RIGHT = 1, 2
"""Columns of the children in the row of a node; column 0 is its token."""


@dataclass(frozen=True)
class Levels:
    """The nodes of a batch of trees, level by level from the roots down; in each level leaves come before inner nodes.

    Attributes:
        rows: (num_nodes,) the row of each node in the flattened batch.
        leaf_rows: (num_leaves,) the rows of the leaves, in the same order.
        children: (2, num_nodes) the positions of the left and the right child of each inner node in the next level.
        num_leaves: Number of leaves of each level.
        num_inner: Number of inner nodes of each level; the last level has none.
    """

    rows: Tensor
    leaf_rows: Tensor
    children: Tensor
    num_leaves: list[int]
    num_inner: list[int]

    @classmethod
    def of(cls, inputs: Tensor) -> Levels:
        """Finds the levels of trees (N, M, 3) without a loop over nodes or levels. Reading their sizes is a sync."""
        num_trees, num_nodes, _ = map(int, inputs.shape)  # tensors while the network is traced
        token, to_left, to_right = inputs.reshape(-1, 3).unbind(1)
        num_rows = num_trees * num_nodes
        rows = torch.arange(num_rows, device=inputs.device)
        is_inner = to_left > 0
        left, right = rows + to_left, rows + to_right
        # Pointer jumping (Wyllie 1979): after k rounds each node has counted 2^k of its ancestors. The last row is a
        # placeholder for the missing children of leaves.
        above = torch.arange(num_rows + 1, device=inputs.device)
        for child in (left, right):
            above.index_copy_(0, torch.where(is_inner, child, num_rows), rows)
        above = above[:-1]
        depth = (above != rows).long()
        for _ in range((num_nodes - 1).bit_length()):
            depth = depth + depth.index_select(0, above)
            above = above.index_select(0, above)
        kind = torch.where(is_inner | (token > 0), 2 * depth + is_inner, 2 * num_nodes)
        order = kind.argsort(stable=True)
        counts = kind.bincount(minlength=2 * num_nodes)[: 2 * num_nodes].reshape(-1, 2)
        num_leaves, num_inner = counts.T.tolist()  # the only sync
        height = sum(map(bool, map(sum, zip(num_leaves, num_inner, strict=True))))
        num_leaves, num_inner = num_leaves[:height], num_inner[:height]
        starts = torch.nn.functional.pad(counts.sum(1).cumsum(0), (1, 0))
        place = torch.empty_like(rows).index_copy_(0, order, rows) - starts.index_select(0, depth)  # within its level
        order = order[: sum(num_leaves) + sum(num_inner)]
        blocks = order.split_with_sizes([size for pair in zip(num_leaves, num_inner, strict=True) for size in pair])
        beside = torch.stack([left, right]).index_select(1, order).clamp_max(num_rows - 1)
        children = place.index_select(0, beside.flatten()).reshape(2, -1)
        return cls(order, torch.cat(blocks[::2]), children, num_leaves, num_inner)


class _TreeNet(nn.Module):
    """Base of both networks: one vector per word, one state per node from the leaves up, and one output per state.

    States are (n, S). Their first `hidden_size` numbers go to the output layer; S may be larger. Word vectors are
    initialised from N(0, 0.1^2), since larger ones would saturate the states of long sentences.
    """

    head = "output"
    embedding_rule = Rule("normal", {"mean": 0.0, "std": 0.1})

    def __init__(
        self, num_tokens: int, out_features: int, *, embedding_dim: int, hidden_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(num_tokens, embedding_dim)
        self.dropout = nn.Dropout(dropout)
        self.output = Dense(hidden_size, out_features)

    def leaves(self, vectors: Tensor) -> Tensor:
        """Returns the states of leaves: (n, embedding_dim) -> (n, S)."""
        raise NotImplementedError

    def parents(self, left: Tensor, right: Tensor) -> Tensor:
        """Returns the states of nodes, computed from those of their children: (n, S), (n, S) -> (n, S)."""
        raise NotImplementedError

    def states(self, levels: Levels, tokens: Tensor) -> Tensor:
        """Returns the state of every node, (num_nodes, S), in the order of the levels.

        Args:
            levels: The levels of the batch.
            tokens: (N * M,) the token of each row.
        """
        leaves = self.leaves(self.embedding(tokens.index_select(0, levels.leaf_rows)))
        leaves_by_level = leaves.split_with_sizes(levels.num_leaves)
        sizes = [size for pair in zip(levels.num_leaves, levels.num_inner, strict=True) for size in pair]
        children = levels.children.split_with_sizes(sizes, dim=1)[1::2]
        states: list[Tensor] = []
        below = leaves[:0]
        for here, pairs in zip(reversed(leaves_by_level), reversed(children), strict=True):
            inner = self.parents(*below.index_select(0, pairs.flatten()).chunk(2)) if pairs.numel() else here[:0]
            below = torch.cat([here, inner])
            states.append(below)
        return torch.cat(states[::-1])

    def forward(self, inputs: Tensor) -> Tensor:
        """Trees (N, M, 3) -> (N, M, out_features): the logits of each node. Rows past the last node are meaningless.

        Args:
            inputs: int64, one row per node, the root first and every node before its children: its token (0 for an
                inner node), and the distance in rows to its left and its right child (0 for a leaf). Rows past the last
                node are 0.
        """
        levels = Levels.of(inputs)
        states = self.states(levels, inputs[:, :, 0].flatten())[:, : self.hidden_size]
        placed = states.new_zeros(inputs.shape[0] * inputs.shape[1], self.hidden_size)
        placed = placed.index_copy(0, levels.rows, states).reshape(*inputs.shape[:2], -1)
        outputs: Tensor = self.output(self.dropout(placed))
        return outputs

    def input_weights(self) -> tuple[InputWeights, ...]:
        """Returns the embedding."""
        return (InputWeights("embedding.weight", 0),)

    @staticmethod
    def summary_inputs(num_samples: int, input_shape: tuple[int, ...]) -> Tensor:
        """Returns inputs for a summary: trees that fill all rows, in which every left child is a leaf."""
        num_nodes = input_shape[0] - 1 + input_shape[0] % 2
        is_inner = (torch.arange(num_nodes) % 2 == 0) & (torch.arange(num_nodes) < num_nodes - 1)
        rows = torch.stack([(~is_inner).long(), is_inner.long(), 2 * is_inner.long()], dim=1)
        padded = torch.nn.functional.pad(rows, (0, 0, 0, input_shape[0] - num_nodes))
        return padded.expand(num_samples, -1, -1)


class RecursiveNet(_TreeNet):
    """The recursive network (Socher et al. 2011, 2013): h = tanh(W [h_left; h_right] + b).

    Trees (N, M, 3) -> (N, M, out_features), with the same weights for all nodes; h of a leaf is its word vector.

    Args:
        num_tokens: Size of the vocabulary.
        out_features: Output units of each node.
        hidden_size: Size of a state and of a word vector.
        dropout: Dropout probability in training, before the output layer, not between levels.
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
    """The binary tree-LSTM (Tai et al. 2015, their N-ary form with N = 2, words only at the leaves).

    Trees (N, M, 3) -> (N, M, out_features). Each child has its own forget gate, which depends on both children:

        i, f_left, f_right, o = sigmoid(U [h_left; h_right] + b),   u = tanh(U_u [h_left; h_right] + b_u)
        c = i * u + f_left * c_left + f_right * c_right,   h = o * tanh(c)

    For a leaf, i, o and u are computed from its word vector x, and c = i * u. Leaves have their own biases; in the
    paper, they share those of the inner nodes.

    Args:
        num_tokens: Size of the vocabulary.
        out_features: Output units of each node.
        hidden_size: Size of h and of c.
        embedding_dim: Size of a word vector; None for `hidden_size`.
        dropout: Dropout probability in training, before the output layer, not between levels.
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
