"""How parameters start. First a plan, which parameter gets which rule; then the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.models.layers import Dense


@dataclass(frozen=True)
class Rule:
    """An initializer.

    Attributes:
        name: A name of `RULES`, or "auto" (by the layer's own activation) or "default" (what PyTorch did).
        fields: Its keyword arguments.
        bias: The rule of the biases; None leaves what PyTorch did.
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    bias: Rule | None = None

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={value}" for key, value in self.fields.items() if key != "values")
        return f"{self.name}({shown})" if shown else self.name


@dataclass(frozen=True)
class Assignment:
    """One parameter and the rule that it starts by."""

    name: str
    parameter: nn.Parameter
    rule: Rule


def _values(tensor: Tensor, *, values: list[Any]) -> None:
    tensor.copy_(torch.tensor(values, dtype=tensor.dtype))


def _trunc_normal(tensor: Tensor, *, mean: float, std: float, a: float, b: float) -> None:
    # torch draws from U(a, b) and rejects: bounds far out would keep it busy for ever, and change nothing.
    nn.init.trunc_normal_(tensor, mean, std, max(a, mean - 10 * std), min(b, mean + 10 * std))


def _lecun_normal(tensor: Tensor) -> None:
    fan_in = tensor[0].numel()
    nn.init.normal_(tensor, std=1 / math.sqrt(fan_in))


RULES: dict[str, Callable[..., Any]] = {
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
    "constant": nn.init.constant_,
    "uniform": nn.init.uniform_,
    "normal": nn.init.normal_,
    "trunc_normal": _trunc_normal,
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "xavier": nn.init.xavier_normal_,
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
    "kaiming": nn.init.kaiming_normal_,
    "orthogonal": nn.init.orthogonal_,
    "lecun_normal": _lecun_normal,
    "eye": nn.init.eye_,
    "dirac": nn.init.dirac_,
    "values": _values,
}

_XAVIER = (nn.Sigmoid, nn.Tanh, nn.Softmax, nn.LogSoftmax, nn.Hardtanh, nn.Identity)


def rule_for(activation: nn.Module | None) -> Rule:
    """What `auto` means for a layer: the rule that keeps the variance through its own activation.

    LeCun normal before SELU (Klambauer et al. 2017); Xavier normal before sigmoid, tanh, softmax and for linear outputs
    (Glorot & Bengio 2010); Kaiming normal, fan_in, before ReLU and its smooth and leaky kin (He et al. 2015).
    """
    if isinstance(activation, nn.SELU):
        return Rule("lecun_normal")
    if activation is None or isinstance(activation, _XAVIER):
        return Rule("xavier_normal")
    slope = activation.negative_slope if isinstance(activation, nn.LeakyReLU) else 0.0
    slope = activation.init if isinstance(activation, nn.PReLU) else slope
    return Rule("kaiming_normal", {"a": slope, "nonlinearity": "leaky_relu"})


def plan(model: nn.Module, rule: Rule, by_layer: Mapping[str, Rule] | None = None) -> list[Assignment]:
    """Which rule each weight and bias gets. Parameters of norm layers and of activations are not named: they stay.

    Args:
        model: Any module.
        rule: For every layer that `by_layer` does not name.
        by_layer: Rules by dotted module name; a name covers what is below it.
    """
    activations = {
        f"{name}.linear".lstrip("."): dict(module.named_children()).get("activation")
        for name, module in model.named_modules()
        if isinstance(module, Dense)
    }
    assignments = []
    for name, module in model.named_modules():
        chosen = _covering(name, by_layer or {}) or rule
        parameters = dict(module.named_parameters(recurse=False))
        has_weight = any(parameter.ndim >= 2 for parameter in parameters.values())
        for key, parameter in parameters.items():
            is_bias = "bias" in key and has_weight
            given = chosen if parameter.ndim >= 2 else chosen.bias if is_bias else None
            if given is None or given.name == "default":
                continue
            if given.name == "auto":
                given = rule_for(activations.get(name))
            assignments.append(Assignment(f"{name}.{key}".lstrip("."), parameter, given))
    return assignments


def _covering(name: str, by_layer: Mapping[str, Rule]) -> Rule | None:
    return next((rule for layer, rule in by_layer.items() if f"{name}.".startswith(f"{layer}.")), None)


@torch.no_grad()
def initialize(assignments: list[Assignment]) -> None:
    """Fills each parameter by its rule, in the order of the plan, from torch's global generator."""
    for assignment in assignments:
        RULES[assignment.rule.name](assignment.parameter, **assignment.rule.fields)
