"""The weights of a network that have one entry for each of its inputs."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn


class InputWeights(NamedTuple):
    """A tensor of the state_dict with an axis along the inputs: features, channels of a sequence, or tokens.

    Attributes:
        name: Of the tensor.
        axis: The axis along the inputs. Its size is the number of inputs, or a multiple of it.
        fastest: Where it is a multiple, whether neighbouring entries belong to different inputs (steps, then
            features) or to the same one (channels, then steps).
    """

    name: str
    axis: int
    fastest: bool = True


def input_weights(model: nn.Module) -> tuple[InputWeights, ...]:
    """Returns the weights that read the inputs one by one; empty if the model cannot say, as networks for images."""
    found = getattr(model, "input_weights", None)
    return tuple(found()) if callable(found) else ()
