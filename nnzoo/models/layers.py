"""The fully connected layer of all models."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from nnzoo.models.activations import Maxout


class Dense(nn.Sequential):
    """Linear, then optional batch norm, activation and dropout: (N, in_features) -> (N, units).

    Batch norm comes before the activation, with learnable scale and shift (Ioffe & Szegedy 2015); dropout after it
    (Srivastava et al. 2014). The parts are named `linear`, `norm`, `activation` and `dropout`.

    Args:
        in_features: Inputs per unit.
        units: Number of units.
        activation: Applied to (N, units); None for a linear layer. `Maxout` receives units * num_pieces values.
        bias: Whether units have a bias.
        batch_norm: Whether to normalise over the batch.
        dropout: Probability, in training, that an output is zeroed.
    """

    def __init__(
        self,
        in_features: int,
        units: int,
        *,
        activation: nn.Module | None = None,
        bias: bool = True,
        batch_norm: bool = False,
        dropout: float = 0.0,
    ) -> None:
        out_features = units * (activation.num_pieces if isinstance(activation, Maxout) else 1)
        parts: OrderedDict[str, nn.Module] = OrderedDict(linear=nn.Linear(in_features, out_features, bias=bias))
        if batch_norm:
            parts["norm"] = nn.BatchNorm1d(out_features)
        if activation is not None:
            parts["activation"] = activation
        if dropout:
            parts["dropout"] = nn.Dropout(dropout)
        super().__init__(parts)
