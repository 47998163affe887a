"""LeNet-5, declared as a `CNN`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnzoo.models.blocks import ConvLayer, PoolLayer
from nnzoo.models.cnn import CNN, image_shape
from nnzoo.models.mlp import HiddenLayer

_SIZE = 32
"""Height and width of the inputs of the paper's network."""


class ScaledTanh(nn.Tanh):
    """The squashing function of LeNet-5 (LeCun et al. 1998, appendix A): 1.7159 tanh(2/3 x), so that f(1) = 1."""

    bound = 1.7159
    """The bound of the outputs."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Any shape -> the same shape."""
        return self.bound * torch.tanh(2 / 3 * inputs)


def lenet5(*, input_shape: Sequence[int], out_features: int) -> CNN:
    """LeNet-5 (LeCun et al. 1998, figure 2): (N, C, H, W) -> (N, out_features).

    C1: 6 filters of 5 x 5. S2: 2 x 2 average pooling. C3: 16 filters of 5 x 5. S4: 2 x 2 average pooling. C5: 120
    filters of 5 x 5. F6: 84 units. 61,706 parameters for 28 x 28 grey images of ten classes.

    Images smaller than 32 x 32 are padded with zeros to that size, by the padding of C1 (odd sizes to 33). On larger
    ones C5 has more than one output position, as in the paper, and F6 reads all of them.

    Deviations: C3 reads all maps of S2, while the paper connects only some; S2 and S4 have no trainable coefficients or
    biases, and no squashing function; the output is linear, while the paper uses distances to bitmaps of the characters
    (RBF units).

    Args:
        input_shape: (C, H, W).
        out_features: Output units.

    Raises:
        UsageError: The input is not an image.
    """
    _, height, width = image_shape(input_shape, model="lenet5")
    padding = tuple(max(0, -(-(_SIZE - size) // 2)) for size in (height, width))
    return CNN(
        input_shape,
        out_features,
        blocks=[
            ConvLayer(6, 5, padding=padding, activation=ScaledTanh()),
            PoolLayer("avg", 2),
            ConvLayer(16, 5, activation=ScaledTanh()),
            PoolLayer("avg", 2),
            ConvLayer(120, 5, activation=ScaledTanh()),
        ],
        head=[HiddenLayer(84, activation=ScaledTanh())],
    )
