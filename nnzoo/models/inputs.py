"""The weights of a network that have one entry per input."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn


class InputWeights(NamedTuple):
    """A tensor of the state_dict with an axis along the inputs: features, channels of a sequence, or tokens.

    Attributes:
        name: The name of the tensor.
        axis: The axis along the inputs. Its size is the number of inputs, or a multiple of it.
        fastest: For a multiple, True if neighbouring entries belong to different inputs (steps, then features), and
            False if they belong to the same input (channels, then steps).
        inputs: The index of the input of each entry, if there are not equally many entries per input; else None.
    """

    name: str
    axis: int
    fastest: bool = True
    inputs: tuple[int, ...] | None = None


def input_weights(model: nn.Module) -> tuple[InputWeights, ...]:
    """Returns the weights that have one axis indexed by the inputs; empty if the model defines none, as for images."""
    method = getattr(model, "input_weights", None)
    return tuple(method()) if callable(method) else ()
