"""Forecasts of changes instead of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from nnzoo.models.parameters import head_of


class RelativeForecast(nn.Module):
    """Wraps a network so that it reads a window relative to its last step and forecasts changes from that step.

    As in NLinear (Zeng et al. 2023, "Are Transformers Effective for Time Series Forecasting?"): the network learns the
    change from the last known value, so that a series may leave the range of its training rows. Columns that are not
    forecast stay unchanged.

    Args:
        network: (N, T, F) -> (N, M).
        columns: For each of the M outputs, the index of the input whose later value it forecasts.
        num_features: F.
    """

    relative: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, network: nn.Module, columns: Sequence[int], *, num_features: int) -> None:
        super().__init__()
        self.network = network
        self.head = f"network.{head_of(network)}"
        later = nn.functional.one_hot(torch.tensor(columns), num_features).T.float()
        self.register_buffer("relative", later.amax(1))  # (F,) 1 where a column is forecast, else 0
        self.register_buffer("weight", later.clone())  # (F, M) from last values to outputs
        self.register_buffer("bias", torch.zeros(len(columns)))

    @staticmethod
    def weights_of_network(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the weights of the wrapped network under their original names; other weights are unchanged."""
        if "relative" not in weights:
            return dict(weights)
        return {name[len("network.") :]: each for name, each in weights.items() if name.startswith("network.")}

    @torch.no_grad()
    def set_units(self, shift: Tensor, scale: Tensor, target_shift: Tensor, target_scale: Tensor) -> None:
        """Sets the scaling (x - shift) / scale of inputs, (F,) each, and (y - shift) / scale of outputs, (M,) each.

        All are float64, since shifts may be large and only their difference matters.
        """
        later = (self.weight != 0).to(shift)
        self.weight.copy_(later * scale.unsqueeze(1) / target_scale)
        self.bias.copy_((shift @ later - target_shift) / target_scale)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, T, F) -> (N, M)."""
        last = inputs[:, -1]
        changes: Tensor = self.network(inputs - (last * self.relative).unsqueeze(1))
        # No matmul: autocast would round the last values to a few digits.
        return changes + (last.unsqueeze(2) * self.weight).sum(1) + self.bias
