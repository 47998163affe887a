"""Initialises parameters: first a plan assigns a rule to each parameter, then the values are filled in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.models.activations import Maxout
from nnzoo.models.blocks import Conv
from nnzoo.models.layers import Dense


@dataclass(frozen=True)
class Rule:
    """An initializer.

    Attributes:
        name: A name in `RULES`, "auto" (depends on the layer's activation) or "default" (as PyTorch initialised it).
        fields: Its keyword arguments.
        bias: The rule for the biases; None leaves them as PyTorch initialised them.
    """

    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    bias: Rule | None = None

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={value}" for key, value in self.fields.items() if key != "values")
        return f"{self.name}({shown})" if shown else self.name


@dataclass(frozen=True)
class Assignment:
    """One parameter and the rule that initialises it.

    Attributes:
        name: Dotted name of the parameter.
        parameter: The parameter.
        rule: The rule that initialises it.
        parts: Number of parts along the first axis that are filled separately: the gates of a recurrent layer.
    """

    name: str
    parameter: nn.Parameter
    rule: Rule
    parts: int = 1


def _values(tensor: Tensor, *, values: list[Any]) -> None:
    tensor.copy_(torch.tensor(values, dtype=tensor.dtype))


def _trunc_normal(tensor: Tensor, *, mean: float, std: float, a: float, b: float) -> None:
    # torch draws from U(a, b) and rejects: distant bounds would make it loop almost forever and change nothing.
    nn.init.trunc_normal_(tensor, mean, std, max(a, mean - 10 * std), min(b, mean + 10 * std))


def _lecun_normal(tensor: Tensor) -> None:
    fan_in = tensor[0].numel()
    nn.init.normal_(tensor, std=1 / math.sqrt(fan_in))


def _before_whitening(tensor: Tensor, *, eps: float) -> None:  # noqa: ARG001
    """Fills filters that are computed from training images later. Without images they are orthogonal."""
    nn.init.orthogonal_(tensor)


def _forget_gate_ones(tensor: Tensor) -> None:
    """Fills the biases (4 H,) of an LSTM's input, forget, cell and output gates: 1 for the forget gate, else 0."""
    nn.init.zeros_(tensor)
    nn.init.ones_(tensor.chunk(4)[1])


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
    "whitening": _before_whitening,
    "values": _values,
    "forget_gate_ones": _forget_gate_ones,
}

_GATES = {nn.RNN: 1, nn.LSTM: 4, nn.GRU: 3}
_NORMAL_EMBEDDING = Rule("normal", {"mean": 0.0, "std": 1.0})

_XAVIER = (nn.Sigmoid, nn.Tanh, nn.Softmax, nn.LogSoftmax, nn.Hardtanh, nn.Identity)


def rule_for(activation: nn.Module | None) -> Rule:
    """Returns the rule that `auto` selects for a layer: it preserves the variance through the layer's activation.

    The rules are LeCun normal for SELU (Klambauer et al. 2017) and maxout, where the maximum of two pieces preserves
    the variance; Xavier normal for sigmoid, tanh, softmax and linear outputs (Glorot & Bengio 2010); Kaiming normal,
    fan_in, for ReLU and its smooth and leaky variants (He et al. 2015).
    """
    if isinstance(activation, nn.SELU | Maxout):
        return Rule("lecun_normal")
    if activation is None or isinstance(activation, _XAVIER):
        return Rule("xavier_normal")
    slope = activation.negative_slope if isinstance(activation, nn.LeakyReLU) else 0.0
    slope = activation.init if isinstance(activation, nn.PReLU) else slope
    return Rule("kaiming_normal", {"a": slope, "nonlinearity": "leaky_relu"})


def plan(model: nn.Module, rule: Rule, by_layer: Mapping[str, Rule] | None = None) -> list[Assignment]:
    """Assigns a rule to each weight and bias.

    Parameters of norm layers, of activations, and of modules that have the attribute `keeps_init` are not changed.

    The weights of a recurrent layer are filled gate by gate. With `auto`, input-to-hidden weights are Xavier normal
    (Glorot & Bengio 2010) and hidden-to-hidden weights orthogonal (Saxe et al. 2013); biases are zero, except for the
    forget gate of an LSTM, which is 1 (Jozefowicz et al. 2015) in the first of PyTorch's two biases, since they add up.
    Embeddings are N(0, 1) with `auto`, as in PyTorch. A model's own `convolution_rule` and `embedding_rule` define
    `auto` for its convolutions and embeddings. `dirac` falls back to `auto` for parameters that are not kernels, and
    `eye` for those that are not matrices.

    Args:
        model: Any module.
        rule: The rule for every layer that `by_layer` does not name.
        by_layer: Rules by dotted module name; a name covers the modules below it.
    """
    activations = _activations(model)
    assignments = []
    for name, module in model.named_modules():
        if getattr(module, "keeps_init", False):
            continue
        chosen = _rule_of_layer(name, by_layer or {}) or rule
        parameters = dict(module.named_parameters(recurse=False))
        has_weight = any(parameter.ndim >= 2 for parameter in parameters.values())
        for key, parameter in parameters.items():
            is_bias = "bias" in key and has_weight
            given = chosen if parameter.ndim >= 2 else chosen.bias if is_bias else None
            if given is None or given.name == "default":
                continue
            if isinstance(module, nn.LSTM) and key.startswith("bias_ih") and _is_all_auto(chosen):
                given = Rule("forget_gate_ones")
            if given.name == "auto" or not _fits(given, parameter):
                given = _auto_rule(module, key, activations.get(name), model)
            parts = _GATES.get(type(module), 1) if parameter.ndim >= 2 else 1
            assignments.append(Assignment(f"{name}.{key}".lstrip("."), parameter, given, parts))
    return assignments


def _auto_rule(module: nn.Module, key: str, activation: nn.Module | None, model: nn.Module) -> Rule:
    """Returns the initialisation rule that `auto` selects for a weight."""
    own = getattr(model, "embedding_rule" if isinstance(module, nn.Embedding) else "convolution_rule", None)
    if isinstance(own, Rule) and isinstance(module, nn.Embedding | nn.Conv1d | nn.Conv2d):
        return own
    if isinstance(module, nn.Embedding):
        return _NORMAL_EMBEDDING
    if isinstance(module, nn.RNNBase):
        return Rule("orthogonal" if key.startswith("weight_hh") else "xavier_normal")
    return rule_for(activation)


def _is_all_auto(rule: Rule) -> bool:
    """Whether weights and biases are initialised as by default: `auto` with zero biases."""
    return rule.name == "auto" and rule.bias is not None and rule.bias.fields.get("val") == 0


def _fits(rule: Rule, parameter: nn.Parameter) -> bool:
    """Whether a rule can fill a parameter: `dirac` needs a kernel, `eye` a matrix."""
    return not (rule.name == "dirac" and parameter.ndim < 3) and not (rule.name == "eye" and parameter.ndim != 2)


def _activations(model: nn.Module) -> dict[str, nn.Module]:
    """Returns the activation that follows each layer, by the layer's name."""
    activations: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        if isinstance(module, Dense | Conv):
            parts = dict(module.named_children())
            layer = "linear" if isinstance(module, Dense) else "conv"
            if "activation" in parts:
                activations[f"{name}.{layer}".lstrip(".")] = parts["activation"]
        elif isinstance(module, nn.Sequential):
            last = None
            for key, part in module.named_children():
                if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d):
                    last = f"{name}.{key}".lstrip(".")
                elif last and type(part).__module__ == "torch.nn.modules.activation":
                    activations.setdefault(last, part)
    return activations


def _rule_of_layer(name: str, by_layer: Mapping[str, Rule]) -> Rule | None:
    return next((rule for layer, rule in by_layer.items() if f"{name}.".startswith(f"{layer}.")), None)


@torch.no_grad()
def initialize(assignments: list[Assignment]) -> None:
    """Fills each parameter according to its rule, in the order of the plan, using torch's global generator.

    Parameters on the meta device have no values; they are skipped, since drawing random values on it would import
    torch's compiler.
    """
    for assignment in assignments:
        if assignment.parameter.is_meta:
            continue
        for part in assignment.parameter.chunk(assignment.parts):
            RULES[assignment.rule.name](part, **assignment.rule.fields)
