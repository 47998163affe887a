"""The exponential moving average of the weights, which is evaluated and kept instead of the weights themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from nnzoo.models.freezing import Unfreezing


class WeightAverage:
    """Averages the weights of a network over its steps: average <- d * average + (1 - d) * weights (Polyak 1990).

    In step t, counted from 1, d is min(decay, (t - 1) / (t + 9)). So the average starts as the weights after the first
    step, and short runs do not remember the initial weights. The running statistics of batch norm are averaged in the
    same way. Weights that are always frozen and integers, such as the number of batches, are those of the network.

    Args:
        network: The network; with restarts, the stacked networks.
        decay: The largest d, below 1. The average covers about the last 1 / (1 - decay) steps.
        unfreezing: The parameters that are still frozen and are trained later.
    """

    def __init__(self, network: nn.Module, decay: float, unfreezing: Unfreezing) -> None:
        self.decay = decay
        named = network.state_dict(keep_vars=True)
        later = {id(parameter) for parameter in unfreezing.frozen()}
        trained = {name: tensor for name, tensor in named.items() if _is_averaged(tensor) or id(tensor) in later}
        self.tensors = list({id(tensor): tensor for tensor in trained.values()}.values())  # tied weights only once
        self.values = [tensor.detach().clone() for tensor in self.tensors]
        places = {id(tensor): index for index, tensor in enumerate(self.tensors)}
        self._places = {name: places[id(tensor)] for name, tensor in trained.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Adds the weights after a step, counted from 1."""
        torch._foreach_lerp_(self.values, self.tensors, 1 - min(self.decay, (step - 1) / (step + 9)))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """A context manager in which the network has the averaged weights."""
        kept = [tensor.detach().clone() for tensor in self.tensors]
        _copy(self.tensors, self.values)
        try:
            yield
        finally:
            _copy(self.tensors, kept)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns the averaged weights by name."""
        return {name: self.values[index] for name, index in self._places.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restores averaged weights."""
        for name, index in self._places.items():
            self.values[index].copy_(state[name])


def averaged(average: WeightAverage | None) -> contextlib.AbstractContextManager[None]:
    """Returns a context manager in which the network has its averaged weights, if there are any."""
    return contextlib.nullcontext() if average is None else average.applied()


def _is_averaged(tensor: object) -> bool:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        return False
    return tensor.requires_grad or not isinstance(tensor, nn.Parameter)


@torch.no_grad()
def _copy(tensors: list[Tensor], values: list[Tensor]) -> None:
    torch._foreach_copy_(tensors, values)
