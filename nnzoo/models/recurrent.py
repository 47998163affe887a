"""Recurrent networks: one set of weights for all steps of a sequence."""

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
    """A size for the vectors of `num_tokens` tokens: 1.6 * num_tokens^0.56, a rule of thumb, up to 50."""
    return min(50, round(1.6 * math.pow(num_tokens, 0.56)))


class RecurrentNet(nn.Module):
    """A recurrent network over sequences, tokens or the rows of an image.

    An embedding where inputs are tokens, then PyTorch's own recurrent layers, a pooling over the steps and a linear
    layer. The cells are Elman's h_t = f(U x_t + W h_{t-1}) (1990), the LSTM with forget gates (Hochreiter &
    Schmidhuber 1997, Gers et al. 2000) and the GRU (Cho et al. 2014; the reset gate after the product, as in cuDNN).

    Padding never changes a result: states past a sample's length are not pooled, and the backward direction starts at
    the sample's own last step. Results are the same to the bit whatever stands there, NaN too, and to rounding however
    much does. With pooling `none` the outputs past a length mean nothing.

    Args:
        input_size: Numbers a step; None where `num_tokens` is given.
        out_features: Output units.
        cell: The recurrent layer's kind.
        hidden_size: Units a layer and direction.
        num_layers: Layers on top of each other.
        bidirectional: Whether every layer also reads from the end, with weights of its own (Schuster & Paliwal 1997).
        dropout: Share silenced in training of what a layer passes up, to the next one and to the output, never of
            what it passes on to the next step (Zaremba et al. 2014).
        nonlinearity: f of the cell `rnn`.
        num_tokens: Size of the vocabulary; None for inputs that are numbers.
        embedding_dim: Size of a token's vector; None for `default_embedding_dim`.
        pooling: What the output reads: the last state of each direction, the mean or the maximum over the steps, or,
            with `none`, every step's own state.
        output_activation: Applied to the outputs; None for logits or plain values.
        output_bias: Whether output units have a bias.

    Raises:
        UsageError: Not one of `input_size` and `num_tokens` is given, or a `nonlinearity` for a cell that has its own.
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
                f"one of input_size (numbers) and num_tokens (tokens) is given (got {input_size} and {num_tokens}).",
                where=cell,
            )
        if cell != "rnn" and nonlinearity != "tanh":
            raise UsageError(f"only rnn has one to choose (got {nonlinearity}).", where=f"{cell}.nonlinearity")
        self.embedding = None
        if num_tokens is not None:
            input_size = default_embedding_dim(num_tokens) if embedding_dim is None else embedding_dim
            self.embedding = nn.Embedding(num_tokens, input_size)
        self.bidirectional = bidirectional
        self.pooling = pooling
        # One direction reads all layers in one go; with two, a layer needs both directions of the one below.
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
            lengths: Steps a sample, (N,) integers from 1 to T; None where all have T.
        """
        steps = inputs.transpose(1, 2).flatten(2) if inputs.ndim == 4 else inputs
        if lengths is not None:
            past = _past(steps, lengths)
            # Zeros in place of padding: it may hold NaN, or numbers that are no token.
            steps = steps.masked_fill(past if self.embedding is not None else past.unsqueeze(2), 0)
        if self.embedding is not None:
            steps = self.embedding(steps)
        for number, layers in enumerate(self.recurrent):
            steps = self.dropout(steps) if number else steps
            # Forward, no step sees the padding behind it; backward, every step would.
            if lengths is not None and self.bidirectional:
                steps = _both_ways(layers, steps, lengths)
            else:
                steps = layers(steps)[0]
        return self._output(self._pool(steps, lengths))

    def advance(self, inputs: Tensor, states: Any = None) -> tuple[Tensor, Any]:
        """Reads on where it stopped, with an output at every step, whatever the pooling.

        Args:
            inputs: (N, T, F) or tokens (N, T), the next steps.
            states: Of the call before; None to begin.

        Returns:
            (N, T, out_features), and the states to go on with.

        Raises:
            UsageError: The network is bidirectional: it can't begin before it knows the end.
        """
        if self.bidirectional:
            raise UsageError("reads from the end too, and so it can't go on step by step.", where="bidirectional")
        steps = inputs if self.embedding is None else self.embedding(inputs)
        found, states = self.recurrent[0](steps, states)
        return self._output(found), states

    def input_weights(self) -> tuple[InputWeights, ...]:
        """Returns the embedding, or the input weights of the first layer in each direction."""
        if self.embedding is not None:
            return (InputWeights("embedding.weight", 0),)
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return tuple(InputWeights(f"recurrent.0.weight_ih_l0{each}", 1) for each in directions)

    def _output(self, states: Tensor) -> Tensor:
        """(N, S) -> (N, out_features), or (N, T, S) -> (N, T, out_features)."""
        states = self.dropout(states)
        # An activation such as softmax reads two axes.
        is_flat = states.ndim == 3 and len(self.output) > 1
        outputs: Tensor = self.output(states.flatten(0, 1) if is_flat else states)
        return outputs.reshape(*states.shape[:2], -1) if is_flat else outputs

    def _pool(self, states: Tensor, lengths: Tensor | None) -> Tensor:
        """(N, T, S) -> (N, S), or, with `none`, as they are."""
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
        past = _past(states, lengths).unsqueeze(2)
        if self.pooling == "mean":
            return states.masked_fill(past, 0.0).sum(1) / lengths.unsqueeze(1)
        return states.masked_fill(past, -torch.inf).amax(1)


def _past(steps: Tensor, lengths: Tensor) -> Tensor:
    """Which steps are past their sample's length: (N, T, *), (N,) -> (N, T)."""
    return torch.arange(steps.shape[1], device=steps.device) >= lengths.unsqueeze(1)


def _last(states: Tensor, lengths: Tensor) -> Tensor:
    """Each sample's state at its own last step: (N, T, S), (N,) -> (N, S)."""
    return states[torch.arange(states.shape[0], device=states.device), lengths - 1]


def _both_ways(layer: nn.Module, steps: Tensor, lengths: Tensor) -> Tensor:
    """One bidirectional layer over samples of different lengths: (N, T, F) -> (N, T, 2 * hidden_size).

    One run over two copies of the batch: with the padding behind, for the forward direction, and in front, so that the
    backward direction starts at each sample's last step. Twice the work of the layer alone, but no packed sequence:
    nothing waits for the lengths, and it exports.
    """
    num_samples, num_steps, _ = steps.shape
    padding = num_steps - lengths
    states = layer(torch.cat([steps, _shift(steps, padding)]))[0]
    forward, _ = states[:num_samples].chunk(2, dim=2)
    _, backward = states[num_samples:].chunk(2, dim=2)
    return torch.cat([forward, _shift(backward, -padding)], dim=2)


def _shift(steps: Tensor, shifts: Tensor) -> Tensor:
    """Moves each sample along time, repeating its first or last step behind it: (N, T, F), (N,) -> (N, T, F)."""
    num_steps = steps.shape[1]
    sources = (torch.arange(num_steps, device=steps.device) - shifts.unsqueeze(1)).clamp(0, num_steps - 1)
    return steps.gather(1, sources.unsqueeze(2).expand_as(steps))
