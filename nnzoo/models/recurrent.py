"""Recurrent networks, which apply the same weights to all steps of a sequence."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.inputs import InputWeights
from nnzoo.models.layers import Dense

CELLS: dict[str, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def default_embedding_dim(num_tokens: int) -> int:
    """Returns the default size of token vectors: the rule of thumb 1.6 * num_tokens^0.56, at most 50."""
    return min(50, round(1.6 * math.pow(num_tokens, 0.56)))


class RecurrentNet(nn.Module):
    """A recurrent network over sequences, tokens or the rows of an image.

    It has an embedding if inputs are tokens, PyTorch's own recurrent layers, pooling over the steps, and a linear
    layer. The cells are Elman's h_t = f(U x_t + W h_{t-1}) (1990), the LSTM with forget gates (Hochreiter & Schmidhuber
    1997, Gers et al. 2000) and the GRU (Cho et al. 2014; the reset gate after the product, as in cuDNN).

    Padding does not change results: states past a sample's length are not pooled, and the backward direction starts at
    the sample's own last step. Results do not depend on the values of the padding, even if they are NaN, nor on its
    amount, except for rounding. With pooling `none`, the outputs past a sample's length are meaningless.

    Args:
        input_size: Number of features per step; None if `num_tokens` is given.
        out_features: Output units.
        cell: The kind of recurrent layer.
        hidden_size: Units per layer and direction.
        num_layers: Number of stacked layers.
        bidirectional: Whether every layer also runs backward, with its own weights (Schuster & Paliwal 1997).
        dropout: Dropout probability in training, between layers and before the output layer, never between steps
            (Zaremba et al. 2014).
        nonlinearity: f of the `rnn` cell.
        num_tokens: Size of the vocabulary; None for numeric inputs.
        embedding_dim: Size of a token's vector; None for `default_embedding_dim`.
        pooling: Input of the output layer: the last state of each direction, the mean or the maximum over the steps,
            or, with `none`, the state of every step.
        output_activation: Applied to the outputs; None for logits or plain values.
        output_bias: Whether output units have a bias.

    Raises:
        UsageError: Not exactly one of `input_size` and `num_tokens` is given, or `nonlinearity` is given for a cell
            other than `rnn`.
    """

    head = "output"

    def __init__(
        self,
        input_size: int | None,
        out_features: int,
        *,
        cell: Literal["rnn", "lstm", "gru"],
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        num_tokens: int | None = None,
        embedding_dim: int | None = None,
        pooling: Literal["last", "mean", "max", "none"] = "last",
        output_activation: nn.Module | None = None,
        output_bias: bool = True,
    ) -> None:
        super().__init__()
        if (input_size is None) == (num_tokens is None):
            raise UsageError(
                f"give either input_size (numbers) or num_tokens (tokens) (got {input_size} and {num_tokens}).",
                where=cell,
            )
        if cell != "rnn" and nonlinearity != "tanh":
            raise UsageError(f"only rnn has this option (got {nonlinearity}).", where=f"{cell}.nonlinearity")
        self.embedding = None
        if num_tokens is not None:
            input_size = default_embedding_dim(num_tokens) if embedding_dim is None else embedding_dim
            self.embedding = nn.Embedding(num_tokens, input_size)
        self.bidirectional = bidirectional
        self.pooling = pooling
        # One direction runs all layers in one call; with two, a layer needs both directions of the layer below.
        depths = [1] * num_layers if bidirectional else [num_layers]
        width = hidden_size * (1 + bidirectional)
        self.recurrent = nn.ModuleList(
            CELLS[cell](
                width if number else input_size,
                hidden_size,
                depth,
                batch_first=True,
                bidirectional=bidirectional,
                dropout=dropout if depth > 1 else 0.0,
                **({"nonlinearity": nonlinearity} if cell == "rnn" else {}),
            )
            for number, depth in enumerate(depths)
        )
        self.dropout = nn.Dropout(dropout)
        self.output = Dense(width, out_features, activation=output_activation, bias=output_bias)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(N, T, F), tokens (N, T) or images (N, C, T, W) -> (N, out_features); (N, T, out_features) without pooling.

        Args:
            inputs: An image is read as T steps of C * W values, row by row.
            lengths: The number of valid steps of each sample, (N,) integers from 1 to T; None if all steps are valid.
        """
        steps = inputs.transpose(1, 2).flatten(2) if inputs.ndim == 4 else inputs
        if lengths is not None:
            is_padding = _padding_mask(steps, lengths)
            # Zeros in place of padding: it may hold NaN or invalid tokens.
            steps = steps.masked_fill(is_padding if self.embedding is not None else is_padding.unsqueeze(2), 0)
        if self.embedding is not None:
            steps = self.embedding(steps)
        for number, layers in enumerate(self.recurrent):
            steps = self.dropout(steps) if number else steps
            # Forward, no step depends on the padding after it; backward, every step would.
            if lengths is not None and self.bidirectional:
                steps = _run_bidirectional(layers, steps, lengths)
            else:
                steps = layers(steps)[0]
        return self._output(self._pool(steps, lengths))

    def advance(self, inputs: Tensor, states: Any = None) -> tuple[Tensor, Any]:
        """Processes the next steps from given states, and returns an output for every step, whatever the pooling.

        Args:
            inputs: (N, T, F) or tokens (N, T), the next steps.
            states: The states returned by the previous call; None at the beginning.

        Returns:
            (N, T, out_features), and the states for the next call.

        Raises:
            UsageError: The network is bidirectional: the backward direction needs the whole sequence.
        """
        if self.bidirectional:
            raise UsageError(
                "a bidirectional network needs the whole sequence and can't process it step by step.",
                where="bidirectional",
            )
        steps = inputs if self.embedding is None else self.embedding(inputs)
        hidden, states = self.recurrent[0](steps, states)
        return self._output(hidden), states

    def input_weights(self) -> tuple[InputWeights, ...]:
        """Returns the embedding, or the input weights of the first layer in each direction."""
        if self.embedding is not None:
            return (InputWeights("embedding.weight", 0),)
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return tuple(InputWeights(f"recurrent.0.weight_ih_l0{each}", 1) for each in directions)

    def _output(self, states: Tensor) -> Tensor:
        """(N, S) -> (N, out_features), or (N, T, S) -> (N, T, out_features)."""
        states = self.dropout(states)
        # An activation such as softmax expects two axes.
        is_flat = states.ndim == 3 and len(self.output) > 1
        outputs: Tensor = self.output(states.flatten(0, 1) if is_flat else states)
        return outputs.reshape(*states.shape[:2], -1) if is_flat else outputs

    def _pool(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """(N, T, S) -> (N, S), or unchanged with `none`."""
        if self.pooling == "none":
            return states
        if self.pooling == "last":
            if not self.bidirectional:
                return states[:, -1] if lengths is None else _last(states, lengths)
            forward, backward = states.chunk(2, dim=2)
            last = forward[:, -1] if lengths is None else _last(forward, lengths)
            return torch.cat([last, backward[:, 0]], dim=1)
        if lengths is None:
            return states.mean(1) if self.pooling == "mean" else states.amax(1)
        is_padding = _padding_mask(states, lengths).unsqueeze(2)
        if self.pooling == "mean":
            return states.masked_fill(is_padding, 0.0).sum(1) / lengths.unsqueeze(1)
        return states.masked_fill(is_padding, -torch.inf).amax(1)


def _padding_mask(steps: Tensor, lengths: Tensor) -> Tensor:
    """Returns the mask of the steps past their sample's length: (N, T, *), (N,) -> (N, T)."""
    return torch.arange(steps.shape[1], device=steps.device) >= lengths.unsqueeze(1)


def _last(states: Tensor, lengths: Tensor) -> Tensor:
    """Returns each sample's state at its own last step: (N, T, S), (N,) -> (N, S)."""
    return states[torch.arange(states.shape[0], device=states.device), lengths - 1]


def _run_bidirectional(layer: nn.Module, steps: Tensor, lengths: Tensor) -> Tensor:
    """Runs one bidirectional layer over samples of different lengths: (N, T, F) -> (N, T, 2 * hidden_size).

    The layer runs once over two copies of the batch: one with the padding at the end, for the forward direction, and
    one with the padding in front, so that the backward direction starts at each sample's last step. This doubles the
    work of the layer but needs no packed sequence. So reading the lengths needs no sync, and the network can be
    exported.
    """
    num_samples, num_steps, _ = steps.shape
    padding = num_steps - lengths
    states = layer(torch.cat([steps, _shift(steps, padding)]))[0]
    forward, _ = states[:num_samples].chunk(2, dim=2)
    _, backward = states[num_samples:].chunk(2, dim=2)
    return torch.cat([forward, _shift(backward, -padding)], dim=2)


def _shift(steps: Tensor, shifts: Tensor) -> Tensor:
    """Shifts each sample in time, repeating its first or last step: (N, T, F), (N,) -> (N, T, F)."""
    num_steps = steps.shape[1]
    sources = (torch.arange(num_steps, device=steps.device) - shifts.unsqueeze(1)).clamp(0, num_steps - 1)
    return steps.gather(1, sources.unsqueeze(2).expand_as(steps))
