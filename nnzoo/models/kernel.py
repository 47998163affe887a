"""Random features whose inner product approximates a kernel: a linear model on them is a kernel machine."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models.inputs import InputWeights
from nnzoo.models.layers import Dense


class RandomFourierFeatures(nn.Module):
    """Random features of the RBF kernel (Rahimi & Recht 2007): (N, in_features) -> (N, n_components).

    z(x) = sqrt(2 / D) cos(W x + b) with D components, W ~ N(0, 2 gamma) and b ~ U(0, 2 pi). Up to an error that
    decreases as 1 / sqrt(D), the inner product z(x) . z(y) is exp(-gamma |x - y|^2). W and b are drawn once from
    torch's global generator and are buffers: saved with the weights, never trained.

    Args:
        in_features: Number of features per sample.
        n_components: D; more components approximate the kernel better.
        gamma: How fast the kernel decays with distance; None for 1 / in_features, which for inputs of unit variance is
            scikit-learn's "scale".

    Raises:
        UsageError: `n_components` is below 1, or `gamma` is not above 0.
    """

    frequencies: Tensor
    phases: Tensor

    def __init__(self, in_features: int, n_components: int, gamma: float | None = None) -> None:
        super().__init__()
        if n_components < 1:
            raise UsageError(f"must be at least 1 (got {n_components}).", where="n_components")
        self.gamma = 1 / in_features if gamma is None else gamma
        if not 0 < self.gamma < math.inf:
            raise UsageError(f"must be above 0 and finite (got {gamma}).", where="gamma")
        self.register_buffer("frequencies", torch.randn(n_components, in_features) * math.sqrt(2 * self.gamma))
        self.register_buffer("phases", torch.rand(n_components) * (2 * math.pi))

    def extra_repr(self) -> str:
        n_components, in_features = self.frequencies.shape
        return f"in_features={in_features}, n_components={n_components}, gamma={self.gamma:g}"

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, in_features) -> (N, n_components)."""
        angles = nn.functional.linear(inputs, self.frequencies, self.phases)
        return angles.cos() * math.sqrt(2 / len(self.phases))


class KernelMachine(nn.Module):
    """A linear model on random Fourier features: (N, *) -> (N, out_features); inputs are flattened.

    Args:
        in_features: Number of features per sample: the product of all axes.
        out_features: Output units.
        n_components: Number of random features.
        gamma: How fast the kernel decays with distance; None for 1 / in_features.
        output_activation: Applied to (N, out_features); None for logits or plain values.
        output_bias: Whether output units have a bias.
    """

    head = "output"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        n_components: int = 256,
        gamma: float | None = None,
        output_activation: nn.Module | None = None,
        output_bias: bool = True,
    ) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.features = RandomFourierFeatures(in_features, n_components, gamma)
        self.output = Dense(n_components, out_features, activation=output_activation, bias=output_bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *) -> (N, out_features)."""
        outputs: Tensor = self.output(self.features(self.flatten(inputs)))
        return outputs

    def input_weights(self) -> tuple[InputWeights, ...]:
        """Returns the frequencies of the random features."""
        return (InputWeights("features.frequencies", 1),)
