"""A convolutional network for images, sequences and tokens, declared block by block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import cast

from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.blocks import NAMES, Block, GlobalPooling, Layer, build_block, fill_padding, padding_mask
from nnzoo.models.inputs import InputWeights
from nnzoo.models.mlp import MLP, HiddenLayer


class CNN(nn.Module):
    """A convolutional network (LeCun et al. 1998): blocks, then a fully connected head -> (N, out_features).

    Convolutions run along both axes of images (C, H, W), and along the time axis of sequences (T, F) with F channels
    and of embedded tokens (T,). The output of the blocks is flattened for the head. Without global pooling, inputs must
    have exactly the shape `input_shape`; with it, other sizes are accepted too.

    With `lengths`, padding never changes a result: each block, including batch norm in training, ignores it, averages
    are taken over the valid steps, and padded steps are zeros in the flattened output.

    Args:
        input_shape: Shape of one sample.
        out_features: Output units.
        blocks: Convolution and pooling layers, in order; empty for a plain `MLP`.
        head: Hidden layers after the blocks, given as numbers of units (with ReLU) or as layers.
        num_tokens: Size of the vocabulary; only for tokens.
        embedding_dim: Size of the vector of each token; only for tokens.
        output_activation: Applied to (N, out_features); None for logits or plain values.
        output_bias: Whether output units have a bias.

    Raises:
        UsageError: The shape has no channels, or a block does not fit its input; the message names the block, such as
            `model.blocks[2].conv`.
    """

    head = "output"

    def __init__(
        self,
        input_shape: Sequence[int],
        out_features: int,
        *,
        blocks: Sequence[Layer],
        head: Sequence[int | HiddenLayer] = (),
        num_tokens: int | None = None,
        embedding_dim: int | None = None,
        output_activation: nn.Module | None = None,
        output_bias: bool = True,
    ) -> None:
        super().__init__()
        shape = _channels_first(input_shape, num_tokens, embedding_dim)
        self.num_axes = len(shape) - 1
        self.embedding = None if num_tokens is None else nn.Embedding(num_tokens, shape[0])
        self.blocks = nn.Sequential()
        for index, layer in enumerate(blocks):
            try:
                block, shape = build_block(layer, shape)
            except UsageError as error:
                place = f"model.blocks[{index}].{NAMES[type(layer)]}"
                raise UsageError(error.message, where=f"{place}.{error.where}".rstrip(".")) from None
            self.blocks.append(block)
        classifier = MLP(
            math.prod(shape), out_features, hidden=head, output_activation=output_activation, output_bias=output_bias
        )
        self.flatten, self.hidden, self.output = classifier.flatten, classifier.hidden, classifier.output

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Images (N, C, H, W), sequences (N, T, F) or tokens (N, T) -> (N, out_features).

        Args:
            inputs: The batch.
            lengths: (N,) integers, the number of valid steps of sequences and tokens, from 1 to T; None if all are
                valid.

        Raises:
            UsageError: Lengths are given for images.
        """
        if lengths is not None and self.num_axes == 2:
            raise UsageError("images have no padding; lengths are for sequences and tokens.", where="lengths")
        if self.embedding is not None:
            # Padding may hold any number, even an invalid token.
            inputs = self.embedding(inputs if lengths is None else inputs.masked_fill(padding_mask(inputs, lengths), 0))
        outputs = inputs.transpose(1, 2) if self.num_axes == 1 else inputs  # (N, C, *sizes)
        for block in cast("Iterable[Block | GlobalPooling]", self.blocks):
            outputs = block(outputs, lengths)
            lengths = None if lengths is None else block.output_lengths(lengths)
        features: Tensor = self.flatten(outputs if lengths is None else fill_padding(outputs, lengths))
        results: Tensor = self.output(self.hidden(features))
        return results

    def input_weights(self) -> tuple[InputWeights, ...]:
        """Returns the embedding, or the first convolution of a sequence; empty for images and grouped convolutions."""
        if self.embedding is not None:
            return (InputWeights("embedding.weight", 0),)
        if self.num_axes == 2:
            return ()
        for number, block in enumerate(self.blocks):
            convolution = getattr(block, "conv", None)
            if isinstance(convolution, nn.Conv1d):
                grouped = convolution.groups > 1
                return () if grouped else (InputWeights(f"blocks.{number}.conv.weight", 1),)
        first = "hidden.0" if len(self.hidden) else "output"
        return (InputWeights(f"{first}.linear.weight", 1, fastest=False),)


def image_shape(input_shape: Sequence[int], *, model: str, smallest: int = 1) -> tuple[int, int, int]:
    """Checks and returns the shape of an image.

    Args:
        input_shape: Shape of one sample.
        model: Name of the model, for the message.
        smallest: Minimum height and width.

    Raises:
        UsageError: It is not (C, H, W), or too small.
    """
    if len(input_shape) != 3:
        raise UsageError(
            f"{model} expects images of shape (C, H, W) (got {tuple(input_shape)}). Use another model.", where="model"
        )
    channels, height, width = input_shape
    if min(height, width) < smallest:
        raise UsageError(
            f"{model} needs images of at least {smallest} x {smallest} (got {height} x {width}). Resize them, or use a "
            "model for smaller images.",
            where="model",
        )
    return channels, height, width


def _channels_first(input_shape: Sequence[int], num_tokens: int | None, embedding_dim: int | None) -> tuple[int, ...]:
    """Returns (C, H, W) for images, (F, T) for sequences, (embedding_dim, T) for tokens."""
    match tuple(input_shape), num_tokens, embedding_dim:
        case (channels, height, width), None, None:
            return channels, height, width
        case (steps, features), None, None:
            return features, steps
        case (steps,), int(), int(dim):
            return dim, steps
    raise UsageError(
        "a cnn expects images (C, H, W), sequences (T, F), or tokens (T,) with num_tokens and embedding_dim "
        f"(got {tuple(input_shape)}, num_tokens {num_tokens}, embedding_dim {embedding_dim}). "
        "For plain features use an mlp.",
        where="model",
    )
