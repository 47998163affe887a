"""A feedforward network with any number of hidden layers; without hidden layers it is a linear model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from nnzoo.models.inputs import InputWeights
from nnzoo.models.layers import Dense


@dataclass(frozen=True)
class HiddenLayer:
    """One hidden layer.

    Attributes:
        units: Number of units.
        activation: Applied to (N, units); each layer needs its own module.
        bias: Whether units have a bias.
        batch_norm: Whether to normalise over the batch, before the activation.
        dropout: Probability, in training, that an output is zeroed.
    """

    units: int
    activation: nn.Module | None = field(default_factory=nn.ReLU)
    bias: bool = True
    batch_norm: bool = False
    dropout: float = 0.0


class MLP(nn.Module):
    """A feedforward network (Rumelhart et al. 1986): (N, *) -> (N, out_features); inputs are flattened.

    Args:
        in_features: Number of features per sample: the product of all axes.
        out_features: Output units.
        hidden: The hidden layers, given as numbers of units (with ReLU) or as layers; empty for a linear model.
        output_activation: Applied to (N, out_features); None for logits or plain values.
        output_bias: Whether output units have a bias.
    """

    head = "output"

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden: Sequence[int | HiddenLayer] = (),
        output_activation: nn.Module | None = None,
        output_bias: bool = True,
    ) -> None:
        super().__init__()
        layers = [HiddenLayer(layer) if isinstance(layer, int) else layer for layer in hidden]
        sizes = [in_features, *(layer.units for layer in layers)]
        self.flatten = nn.Flatten()
        self.hidden = nn.Sequential(
            *(
                Dense(
                    size,
                    layer.units,
                    activation=layer.activation,
                    bias=layer.bias,
                    batch_norm=layer.batch_norm,
                    dropout=layer.dropout,
                )
                for size, layer in zip(sizes, layers, strict=False)
            )
        )
        self.output = Dense(sizes[-1], out_features, activation=output_activation, bias=output_bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, *) -> (N, out_features)."""
        features = inputs if inputs.ndim == 2 else self.flatten(inputs)
        outputs: Tensor = self.output(self.hidden(features))
        return outputs

    def input_weights(self) -> tuple[InputWeights, ...]:
        """Returns the weight of the first layer."""
        first = "hidden.0" if len(self.hidden) else "output"
        return (InputWeights(f"{first}.linear.weight", 1),)
