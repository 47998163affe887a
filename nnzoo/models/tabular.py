"""A network for tables: embeddings of numbers, and an ensemble of networks that share most of their weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.models.inputs import InputWeights
from nnzoo.models.layers import Dense

MAX_FITTED = 200_000
"""The number of rows that the edges of bins are fitted on."""


class PiecewiseLinear(nn.Module):
    """Piecewise-linear embeddings of numbers (Gorishniy et al. 2022): (N, M) -> (N, M * size).

    The range of a column is divided into bins. A value is encoded by how far it is in each bin, from 0 before it to 1
    after it, and a linear layer per column maps this and the value itself to `size` numbers. The linear layers of the
    bins start with 0, so that the network first sees the values.

    Args:
        num_columns: M.
        size: The number of values per column.
        num_bins: The number of bins per column. `fit` chooses their edges; before, they divide [-3, 3].
    """

    keeps_init = True
    edges: Tensor

    def __init__(self, num_columns: int, *, size: int, num_bins: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.linspace(-3, 3, num_bins + 1).repeat(num_columns, 1))
        self.weight = nn.Parameter(torch.zeros(num_columns, num_bins, size))
        self.slope = nn.Parameter(torch.randn(num_columns, size) / math.sqrt(size))
        self.bias = nn.Parameter(torch.zeros(num_columns, size))

    @torch.no_grad()
    def fit(self, columns: Tensor) -> None:
        """Chooses the edges of the bins by (N, M) values of the train rows."""
        num_bins = self.edges.shape[1] - 1
        for edges, values in zip(self.edges, columns.T, strict=True):
            found = bin_edges(values, num_bins).to(edges)
            edges[: len(found)], edges[len(found) :] = found, found[-1]

    def forward(self, columns: Tensor) -> Tensor:
        """(N, M) -> (N, M * size)."""
        width = self.edges.diff(dim=1)
        # Bins beyond the number of distinct values have no width; their encoding is always 0.
        inverse = torch.where(width > 0, 1 / width, 0.0)
        shares = ((columns.unsqueeze(2) - self.edges[:, :-1]) * inverse).clamp(0, 1)  # (N, M, bins)
        embedded = torch.einsum("nmb,mbd->nmd", shares, self.weight) + columns.unsqueeze(2) * self.slope + self.bias
        return embedded.flatten(1)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, size={self.weight.shape[2]}, num_bins={self.weight.shape[1]}"


def bin_edges(values: Tensor, num_bins: int) -> Tensor:
    """Returns at most num_bins + 1 increasing edges of bins for (N,) values.

    Each bin has about as many values. A value counts at most as often as a bin has values: otherwise a column that is
    mostly 0 would have a few wide bins for all of its other values.
    """
    distinct: Tensor
    distinct, counts = torch.unique(values.double(), return_counts=True)
    if len(distinct) <= num_bins + 1:
        return distinct
    weights = counts.double()
    for _ in range(5):
        weights = weights.clamp_max(float(weights.sum()) / num_bins)
    shares = weights.cumsum(0) / weights.sum()
    inner = torch.linspace(0, 1, num_bins + 1, dtype=torch.float64, device=values.device)[1:-1]
    places = torch.searchsorted(shares, inner).clamp_max(len(distinct) - 1)
    edges = torch.cat([distinct[:1], distinct[places], distinct[-1:]])
    return edges[torch.cat([edges[1:] > edges[:-1], edges.new_ones(1, dtype=torch.bool)])]


class Periodic(nn.Module):
    """Periodic embeddings of numbers (Gorishniy et al. 2022): (N, M) -> (N, M * size).

    A value x becomes cos(2 pi f x) and sin(2 pi f x) for learned frequencies f, then linear and ReLU, per column.

    Args:
        num_columns: M.
        size: The number of values per column.
        num_frequencies: The number of frequencies per column, initially N(0, sigma^2).
        sigma: The standard deviation of the initial frequencies.
    """

    keeps_init = True

    def __init__(self, num_columns: int, *, size: int, num_frequencies: int, sigma: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(num_columns, num_frequencies) * sigma)
        self.weight = nn.Parameter(torch.randn(num_columns, 2 * num_frequencies, size) / math.sqrt(num_frequencies))
        self.bias = nn.Parameter(torch.zeros(num_columns, size))

    def forward(self, columns: Tensor) -> Tensor:
        """(N, M) -> (N, M * size)."""
        angles = 2 * math.pi * columns.unsqueeze(2) * self.frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=2)
        return torch.relu(torch.einsum("nmf,mfd->nmd", waves, self.weight) + self.bias).flatten(1)

    def extra_repr(self) -> str:
        shape = self.weight.shape
        return f"{shape[0]}, size={shape[2]}, num_frequencies={shape[1] // 2}"


class Members(nn.Module):
    """Gives each member of an ensemble its own view of the features: (N, E) -> (N, K, E).

    A member multiplies every feature by its own weight, which starts as -1 or 1: the first adapter of BatchEnsemble
    (Wen et al. 2020), the only one that TabM-mini has.

    Args:
        num_features: E.
        count: K.
    """

    keeps_init = True

    def __init__(self, num_features: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randint(0, 2, (count, num_features)).float() * 2 - 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, E) -> (N, K, E)."""
        return features.unsqueeze(1) * self.weight

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, count={self.weight.shape[0]}"


class Heads(nn.Linear):
    """A separate linear layer per member: (N, K, in_features) -> (N, K, out_features).

    Args:
        in_features: The number of inputs.
        out_features: The number of output units.
        count: K.
        bias: Whether output units have a bias.
    """

    def __init__(self, in_features: int, out_features: int, *, count: int, bias: bool = True) -> None:
        super().__init__(in_features, out_features * count, bias=bias)
        self.count = count

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, K, in_features) -> (N, K, out_features)."""
        weight = self.weight.view(-1, self.count, self.in_features)  # (out_features, K, in_features)
        outputs = torch.einsum("nki,oki->nko", inputs, weight)
        return outputs if self.bias is None else outputs + self.bias.view(-1, self.count).T


def _divide(in_features: int, one_hot: Sequence[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the indices of features that are 0 or 1, and of numbers."""
    kept = tuple(each for start, stop in one_hot for each in range(start, stop))
    return kept, tuple(sorted(set(range(in_features)) - set(kept)))


class TabularNet(nn.Module):
    """A network for tables: (N, in_features) -> (N, out_features).

    Numbers are embedded one by one, features that are 0 or 1 are read as they are, and an MLP follows. With `ensemble`,
    K networks that share all weights except those of `Members` and `Heads` are trained together (TabM, Gorishniy et
    al. 2025). In training mode the result has one output per member, (N, K, out_features), for the mean of their
    losses; in evaluation mode it is the mean of their outputs.

    Args:
        in_features: The number of features.
        out_features: The number of output units.
        one_hot: The ranges (start, stop) of features that are 0 or 1. All others are numbers.
        numbers: The embedding of numbers; None to read them as they are.
        embedding_size: The number of values per embedded number.
        num_bins: The number of bins of a number, or twice the number of its frequencies.
        sigma: The standard deviation of initial frequencies.
        hidden: The number of units of each hidden layer.
        activation: Builds the activation of a hidden layer.
        dropout: The dropout probability of hidden units.
        ensemble: K; 1 for a single network.
        output_activation: Applied to the outputs of each member, (N * K, out_features).
        output_bias: Whether output units have a bias.
    """

    head = "output"
    kept: Tensor
    columns: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        one_hot: Sequence[tuple[int, int]] = (),
        numbers: Literal["piecewise_linear", "periodic"] | None = "piecewise_linear",
        embedding_size: int = 8,
        num_bins: int = 64,
        sigma: float = 0.5,
        hidden: Sequence[int] = (128, 128),
        activation: Callable[[], nn.Module | None] = nn.ReLU,
        dropout: float = 0.1,
        ensemble: int = 8,
        output_activation: nn.Module | None = None,
        output_bias: bool = True,
    ) -> None:
        super().__init__()
        kept, columns = _divide(in_features, one_hot)
        self.register_buffer("kept", torch.tensor(kept, dtype=torch.int64), persistent=False)
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64), persistent=False)
        self.ensemble = ensemble
        self.numbers: PiecewiseLinear | Periodic | None = None
        width = in_features
        if numbers is not None and columns:
            width = len(kept) + len(columns) * embedding_size
            self.numbers = (
                PiecewiseLinear(len(columns), size=embedding_size, num_bins=num_bins)
                if numbers == "piecewise_linear"
                else Periodic(len(columns), size=embedding_size, num_frequencies=max(1, num_bins // 2), sigma=sigma)
            )
        self.members = Members(width, ensemble) if ensemble > 1 else None
        sizes = [width, *hidden]
        self.hidden = nn.Sequential(
            *(
                Dense(size, units, activation=activation(), dropout=dropout)
                for size, units in zip(sizes, hidden, strict=False)
            )
        )
        self.output = Heads(sizes[-1], out_features, count=ensemble, bias=output_bias)
        self.output_activation = output_activation

    def input_weights(
        self, in_features: int | None = None, one_hot: Sequence[tuple[int, int]] | None = None
    ) -> tuple[InputWeights, ...]:
        """Returns the tensors that have an axis along the inputs.

        Args:
            in_features: The number of features; by default, that of this network.
            one_hot: The ranges of features that are 0 or 1; by default, those of this network. With other values, the
                result is that of the same network for other features.
        """
        kept, columns = tuple(self.kept.tolist()), tuple(self.columns.tolist())
        if in_features is not None and one_hot is not None:
            kept, columns = _divide(in_features, one_hot)
        if self.numbers is None:
            entries = tuple(range(len(kept) + len(columns)))
            return tuple(InputWeights(name, 1, inputs=entries) for name in self._readers())
        embedded = tuple(f"numbers.{name}" for name in self.numbers.state_dict())
        size = self.numbers.bias.shape[1]
        entries = (*(each for each in columns for _ in range(size)), *kept)
        return (
            *(InputWeights(name, 0, inputs=columns) for name in embedded),
            *(InputWeights(name, 1, inputs=entries) for name in self._readers()),
        )

    def _readers(self) -> tuple[str, ...]:
        """Returns the names of the weights that read the features."""
        return ("hidden.0.linear.weight", *(() if self.members is None else ("members.weight",)))

    def fit(self, inputs: Tensor) -> None:
        """Chooses the bins of the numbers by (N, in_features) train rows, at most 200,000 of them."""
        if isinstance(self.numbers, PiecewiseLinear) and not self.numbers.edges.is_meta:
            step = max(1, -(-len(inputs) // MAX_FITTED))
            rows = inputs[torch.arange(0, len(inputs), step, device=inputs.device)].cpu()
            self.numbers.fit(rows[:, self.columns.cpu()])

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, in_features) -> (N, out_features); (N, K, out_features) for an ensemble in training mode."""
        features = inputs
        if self.numbers is not None:
            features = torch.cat([self.numbers(inputs[:, self.columns]), inputs[:, self.kept]], dim=1)
        if self.members is not None:
            features = self.members(features).flatten(0, 1)
        outputs: Tensor = self.output(self.hidden(features).unflatten(0, (-1, self.ensemble)))
        if self.output_activation is not None:
            outputs = self.output_activation(outputs.flatten(0, 1)).view_as(outputs)
        if self.ensemble == 1:
            return outputs.squeeze(1)
        return outputs if self.training else outputs.mean(dim=1)
