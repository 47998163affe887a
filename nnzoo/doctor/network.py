"""The health of a network on a few samples: dead units, saturation, gradients, symmetry."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.models.parameters import head_of
from nnzoo.training.batches.order import arguments_of
from nnzoo.training.health.definitions import dead_units, saturated_values
from nnzoo.training.measures.losses import denominator
from nnzoo.training.measures.members import loss_of

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
MAX_SAMPLES, MAX_NUMBERS = 512, 2_000_000
"""The maximum number of train samples, and of entries of their inputs, which limits the memory for large images."""


@dataclass
class Health:
    """The health of a network on a few samples.

    Attributes:
        loss: The loss per sample.
        head: The name of the last layer.
        dead: For each layer, the fraction of ReLU units that are 0 for all samples.
        saturated: For each layer, the fraction of sigmoid or tanh values within 1 % of the bounds of their range.
        gradients: For each weight, from input to output, the root mean square of its gradient; for embeddings, over the
            tokens that occur. Empty if the last layer is all zeros, since no gradient passes through it.
        symmetric: The hidden layers whose units are identical and stay identical.
    """

    loss: float
    head: str = ""
    dead: dict[str, float] = field(default_factory=dict)
    saturated: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)
    symmetric: list[str] = field(default_factory=list)

    @property
    def ends(self) -> tuple[tuple[str, float], tuple[str, float]]:
        """The first and the last layer, with the root mean squares of their gradients."""
        items = list(self.gradients.items())
        return items[0], items[-1]

    @property
    def ratio(self) -> float:
        """The gradient of the first layer divided by that of the last one; 1 if there are not two."""
        if len(self.gradients) < 2 or not self.ends[1][1]:
            return 1.0
        return self.ends[0][1] / self.ends[1][1]

    def as_dict(self) -> dict[str, Any]:
        """Returns the values as a JSON object."""
        return dict(vars(self))


def probe(module: nn.Module, loss: nn.Module, split: Split) -> Health:
    """Runs forward and backward passes over up to 512 samples from all parts of the split, on a copy of the module.

    Batch norm uses the statistics of the batch, and dropout is off.

    Args:
        module: The network, on the device of the split.
        loss: The loss of outputs and encoded targets.
        split: Preprocessed inputs and encoded targets.
    """
    copied = copy.deepcopy(module).train()
    for each in copied.modules():
        if isinstance(each, DROPOUTS):
            each.eval()
    activations: dict[str, list[Tensor]] = {}
    for name, each in copied.named_modules():
        if isinstance(each, nn.ReLU | nn.Sigmoid | nn.Tanh):
            each.register_forward_hook(_record(activations, name))
            if isinstance(each, nn.ReLU):
                each.inplace = False
    # Samples may be sorted by class. Batch norm needs at least two.
    count = max(2, min(MAX_SAMPLES, len(split), MAX_NUMBERS // max(1, split.inputs[0].numel())))
    rows = torch.arange(count, device=split.inputs.device) * len(split) // count
    targets = split.targets[rows]
    steps = None if split.lengths is None else split.lengths[rows]
    outputs = copied(*arguments_of(copied, split.network_inputs(rows), steps))
    value = loss_of(loss, outputs, targets)
    if getattr(loss, "reduction", "mean") == "sum":
        value = value / denominator(loss, targets)
    trained = [parameter for parameter in copied.parameters() if parameter.requires_grad]
    if trained:
        value.backward()
    return _health(copied, float(value.detach()), activations)


def _health(module: nn.Module, loss: float, activations: dict[str, list[Tensor]]) -> Health:
    """Computes the health of a network from its activations and gradients."""
    kinds = dict(module.named_modules())
    health = Health(loss, head_of(module))
    for name, results in activations.items():
        if isinstance(kinds[name], nn.ReLU):
            health.dead[name] = _dead_share(results)
        else:
            health.saturated[name] = _saturated_share(results, kinds[name])
    weights = [(name, weight) for name, weight in module.named_parameters() if weight.ndim > 1]
    own = [each for each in weights if each[0].startswith(f"{health.head}.")]
    has_gradients = not own or any(bool(weight.any()) for _, weight in own)
    # A module may register its last layer before others.
    weights = [each for each in weights if not each[0].startswith(f"{health.head}.")] + own
    for name, weight in weights:
        gradient = weight.grad
        if gradient is None:
            continue
        if has_gradients:
            is_embedding = isinstance(kinds[name.rpartition(".")[0]], nn.Embedding)
            used = gradient[gradient.any(1)] if is_embedding and gradient.any() else gradient
            health.gradients[name] = float(used.double().square().mean().sqrt())
        if not name.startswith(f"{health.head}.") and len(weight) > 1 and _rows_equal(weight) and _rows_equal(gradient):
            health.symmetric.append(name)
    return health


def _record(activations: dict[str, list[Tensor]], name: str) -> Any:
    def hook(module: nn.Module, inputs: Any, outputs: Tensor) -> None:  # noqa: ARG001
        activations.setdefault(name, []).append(outputs.detach())

    return hook


def _dead_share(results: list[Tensor]) -> float:
    """Returns the fraction of dead units (features or channels, axis 1) over all calls of the layer."""
    return float(torch.cat([dead_units(each) for each in results]).double().mean())


def _saturated_share(results: list[Tensor], kind: nn.Module) -> float:
    values = torch.cat([each.flatten() for each in results])
    return float(saturated_values(values, kind).double().mean())


def _rows_equal(rows: Tensor) -> bool:
    return bool((rows == rows[:1]).all())
