"""Activations that PyTorch does not have."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError


class Maxout(nn.Module):
    """The maximum of each unit's pieces (Goodfellow et al. 2013): (N, units * num_pieces, *) -> (N, units, *).

    The previous layer computes the pieces, with those of one unit next to each other: a linear layer with units *
    num_pieces outputs, or a convolution with that many channels. Pieces with equal values share the gradient.

    Args:
        num_pieces: Number of pieces per unit, at least 1. With one piece, the module is the identity.

    Raises:
        UsageError: `num_pieces` is below 1, or the number of inputs is not a multiple of it.
    """

    def __init__(self, num_pieces: int) -> None:
        super().__init__()
        if num_pieces < 1:
            raise UsageError(f"a unit needs at least one piece (got {num_pieces}).", where="maxout.num_pieces")
        self.num_pieces = num_pieces

    def extra_repr(self) -> str:
        return f"num_pieces={self.num_pieces}"

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, units * num_pieces, *) -> (N, units, *)."""
        if inputs.shape[1] % self.num_pieces:
            raise UsageError(
                f"{inputs.shape[1]} inputs can't be divided into units of {self.num_pieces} pieces: "
                "the previous layer must have units * num_pieces outputs.",
                where="maxout",
            )
        return torch.unflatten(inputs, 1, (-1, self.num_pieces)).amax(2)


class Step(nn.Module):
    """Returns 1 where x > 0, else 0, for any shape: the unit of Rosenblatt's perceptron (1958).

    Its derivative is 0 everywhere, so no gradient passes through it: it is trained by the perceptron rule, not by
    backpropagation.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """(*) -> (*)."""
        return inputs.sign().relu()
