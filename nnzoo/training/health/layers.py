"""Splits a network into layers: modules with weights, each with the norm and the activation after it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from nnzoo.models.activations import Maxout, Step
from nnzoo.models.parameters import BatchNorm, head_of

NORMS = (
    *(BatchNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
    *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
)
ACTIVATIONS = (
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid),
    *(nn.LogSigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Threshold),
    *(nn.Softmax, nn.LogSoftmax, Maxout, Step),
)


@dataclass(frozen=True)
class Layer:
    """A layer of a network.

    Attributes:
        name: The dotted name of the module with the weights, or of the block around it: `hidden.0` for the block whose
            linear layer is `hidden.0.linear`.
        module: The module with the weights.
        weights: Its parameters with two or more axes.
        is_head: Whether it is the last layer.
    """

    name: str
    module: nn.Module
    weights: tuple[nn.Parameter, ...]
    is_head: bool


def layers_of(network: nn.Module, *, stacked: bool = False) -> list[Layer]:
    """Returns the layers of a network in the order of their registration, and the last one at the end.

    Args:
        network: The network.
        stacked: Whether its parameters have an additional first axis for the replicas.
    """
    least = 3 if stacked else 2
    weights = {
        name: found
        for name, module in network.named_modules()
        if (found := tuple(each for each in module.parameters(recurse=False) if each.ndim >= least))
    }
    head, modules = head_of(network), dict(network.named_modules())
    layers = []
    for path, found in weights.items():
        parent, _, own = path.rpartition(".")
        is_block = parent and not own.isdigit() and sum(f"{name}.".startswith(f"{parent}.") for name in weights) == 1
        name = parent if is_block else path or type(network).__name__
        layers.append(Layer(name, modules[path], found, f"{path}.".startswith(f"{head}.")))
    # A module may register its last layer before others.
    return sorted(layers, key=lambda layer: layer.is_head)
