"""The health of a network on a few samples: dead units, saturation, gradients, symmetry."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.data import Split
from nnzoo.doctor.finding import Finding
from nnzoo.models.parameters import head_of
from nnzoo.training.batches.order import arguments_of
from nnzoo.training.health.definitions import EXPLODED, MANY, VANISHED, dead_units, saturated_values
from nnzoo.training.measures.losses import denominator

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
    value = loss(outputs, targets)
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


def findings(health: Health, *, trained: bool) -> Iterator[Finding]:
    """Finds dead units, saturation, symmetry, and vanishing or exploding gradients.

    Args:
        health: The result of `probe`.
        trained: Whether the network was trained, so that a learning rate that is too high may be the cause.
    """
    if not math.isfinite(health.loss):
        when = "after the last saved step. Lower optimizer.lr" if trained else "before the first step"
        yield Finding("spoils", "loss", f"the loss is {health.loss} {when}. Are inputs very large?")
        return
    worst = {name: share for name, share in health.dead.items() if share >= MANY}
    if worst:
        cause = "The learning rate is probably too high: lower optimizer.lr" if trained else "Set init: kaiming_normal"
        shown = ", ".join(f"{name} {share:.0%}" for name, share in worst.items())
        yield Finding(
            "spoils" if max(worst.values()) > 0.9 else "warning",
            "dead units",
            f"ReLU units are 0 for all samples, so they have no gradient: {shown}. {cause}, or use leaky_relu.",
        )
    saturated = {name: share for name, share in health.saturated.items() if share >= MANY}
    if trained:
        # A trained output layer may be saturated.
        saturated = {name: share for name, share in saturated.items() if not name.startswith(f"{health.head}.")}
    if saturated:
        shown = ", ".join(f"{name} {share:.0%}" for name, share in saturated.items())
        yield Finding(
            "warning",
            "saturation",
            f"saturated activations, which pass almost no gradient: {shown}. Scale the inputs (preprocess.normalize), "
            "or use batch_norm, init: xavier_uniform, or a smaller lr.",
        )
    if health.symmetric:
        yield Finding(
            "spoils",
            "symmetry",
            f"all units of a layer have the same weights and gradients, so they stay identical: "
            f"{', '.join(health.symmetric)}. Use a random init, such as auto.",
        )
    yield from _gradient_findings(health)


def _gradient_findings(health: Health) -> Iterator[Finding]:
    if len(health.gradients) < 2:
        return
    names = list(health.gradients)
    first, last = health.gradients[names[0]], health.gradients[names[-1]]
    if health.symmetric or not last:
        return
    ratio = first / last
    if ratio < VANISHED:
        yield Finding(
            "spoils",
            "vanishing gradients",
            f"the gradient of {names[0]} is {first:.1e}, but that of {names[-1]} is {last:.1e}: the first layers "
            "hardly learn. Use relu or tanh instead of sigmoid, init: auto, batch_norm, or fewer layers.",
        )
    elif ratio > EXPLODED:
        yield Finding(
            "spoils",
            "exploding gradients",
            f"the gradient of {names[0]} is {first:.1e}, and that of {names[-1]} is {last:.1e}. Use init: auto, "
            "train.clip_grad_norm: 1.0, batch_norm, or fewer layers.",
        )
