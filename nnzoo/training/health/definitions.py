"""Definitions of dead units, saturated values, and vanishing and exploding gradients, for training and for doctor."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

MANY = 0.5
"""A layer is reported if at least this share of its units or values is affected."""
VANISHED, EXPLODED = 1e-4, 1e4
"""Bounds of the root mean square gradient of the first layer's weights divided by that of the last layer's."""


def can_die(module: nn.Module) -> bool:
    """Whether the outputs of a module are those of ReLU units."""
    return isinstance(module, nn.ReLU) or (isinstance(module, nn.RNN) and module.nonlinearity == "relu")


def can_saturate(module: nn.Module) -> bool:
    """Whether the outputs of a module are bounded: sigmoid, tanh, and the hidden states of recurrent layers."""
    return isinstance(module, nn.Sigmoid | nn.Tanh | nn.RNNBase) and not can_die(module)


def dead_units(outputs: Tensor, *, keep: Sequence[int] = (1,)) -> Tensor:
    """Returns which ReLU units are 0 for all samples, and thus have no gradient.

    Args:
        outputs: (N, C, *) activations, with a unit per feature or channel.
        keep: The axes of the units, which are kept in the result.
    """
    return outputs.amax([axis for axis in range(outputs.ndim) if axis not in keep]) <= 0


def saturated_values(outputs: Tensor, module: nn.Module) -> Tensor:
    """Returns a mask (*) of the values within 1 % of the bounds of the range of a sigmoid or tanh."""
    if isinstance(module, nn.Sigmoid):
        return (outputs - 0.5).abs() > 0.49
    return outputs.abs() > 0.98 * float(getattr(module, "bound", 1.0))
