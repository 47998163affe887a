"""The formulas of activations and of their derivatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nnzoo.models import Step
from nnzoo.trace.expression import Call, Expression, Frac, Neg, Num, Prod, Sum, Var, exp, minus, square

NAMES: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.PReLU: "prelu",
    nn.ELU: "elu",
    nn.SELU: "selu",
    nn.GELU: "gelu",
    nn.SiLU: "silu",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.Softplus: "softplus",
    nn.Hardtanh: "hardtanh",
    nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax",
    Step: "step",
}
"""The activations that work on each value by itself, and the two softmaxes."""

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""The constants of Klambauer et al. 2017."""


def name_of(module: nn.Module) -> str:
    """Returns the name of an activation."""
    return NAMES.get(type(module), type(module).__name__)


def is_softmax(module: nn.Module) -> bool:
    """Whether each output depends on all units."""
    return isinstance(module, nn.Softmax | nn.LogSoftmax)


def rule(module: nn.Module) -> str:
    """Returns the definition of an activation and of its derivative, for a heading."""
    match module:
        case nn.Sigmoid():
            return "sigmoid(z) = 1 / (1 + exp(-z)), sigmoid'(z) = sigmoid(z) * (1 - sigmoid(z))"
        case nn.Tanh():
            return "tanh(z), tanh'(z) = 1 - tanh(z)^2"
        case nn.ReLU():
            return "relu(z) = max(0, z), relu'(z) = 1 for z > 0, else 0"
        case nn.LeakyReLU():
            return f"leaky_relu(z) = z for z > 0, else {module.negative_slope:g} z"
        case nn.PReLU():
            return "prelu(z) = z for z > 0, else s z with a learned slope s"
        case nn.ELU():
            return f"elu(z) = z for z > 0, else {module.alpha:g} (exp(z) - 1)"
        case nn.SELU():
            return "selu(z) = 1.0507 z for z > 0, else 1.7581 (exp(z) - 1)"
        case nn.GELU():
            how = "" if module.approximate == "none" else " (tanh approximation)"
            return f"gelu(z) = z Phi(z){how}, Phi: the distribution function of N(0, 1)"
        case nn.SiLU():
            return "silu(z) = z sigmoid(z)"
        case nn.Softplus():
            return f"softplus(z) = log(1 + exp({module.beta:g} z)) / {module.beta:g}"
        case nn.Hardtanh():
            return f"hardtanh(z) = z clipped to [{module.min_val:g}, {module.max_val:g}]"
        case nn.Softmax():
            return "softmax(z)_k = exp(z_k) / sum_j exp(z_j)"
        case nn.LogSoftmax():
            return "log_softmax(z)_k = z_k - log(sum_j exp(z_j))"
        case Step():
            return "step(z) = 1 for z > 0, else 0; its derivative is 0"
    return f"{name_of(module)}(z)"


def logistic(operand: Expression) -> Frac:
    """Returns 1 / (1 + exp(-operand))."""
    return Frac(Num(1), Sum([Num(1), exp(Neg(operand))]))


def formula(module: nn.Module, z: Var, slope: Var | None = None) -> Expression:
    """Returns the formula of an activation of one value.

    Args:
        module: The activation.
        z: Its input.
        slope: The learned slope of PReLU.
    """
    match module:
        case nn.Sigmoid():
            return logistic(z)
        case nn.ReLU():
            return Call("max", [Num(0), z], max)
        case nn.PReLU() if slope is not None:
            return z if z.value > 0 else Prod([slope, z])
        case nn.ELU():
            return z if z.value > 0 else Prod([Num(module.alpha), minus(exp(z), Num(1))])
        case nn.SELU():
            scale = Num(SELU_SCALE)
            return Prod([scale, z] if z.value > 0 else [scale, Num(SELU_ALPHA), minus(exp(z), Num(1))])
        case nn.SiLU():
            return Prod([z, logistic(z)])
        case nn.Hardtanh():
            inner = Call("max", [Num(module.min_val), z], max)
            return Call("min", [Num(module.max_val), inner], min)
    return Call(name_of(module), [z], lambda value: _value(module, value))


def derivative(module: nn.Module, z: Var, output: Var, slope: Var | None = None) -> Expression:
    """Returns the formula of the derivative of an activation at one value.

    Args:
        module: The activation.
        z: Its input.
        output: Its output.
        slope: The learned slope of PReLU.
    """
    match module:
        case nn.Sigmoid():
            return Prod([output, minus(Num(1), output)])
        case nn.Tanh():
            return minus(Num(1), square(output))
        case nn.PReLU() if slope is not None:
            return Num(1) if z.value > 0 else slope
        case nn.ELU() if z.value <= 0:
            return Prod([Num(module.alpha), exp(z)])
        case nn.SELU():
            return Num(SELU_SCALE) if z.value > 0 else Prod([Num(SELU_SCALE), Num(SELU_ALPHA), exp(z)])
        case nn.SiLU():
            # With s = sigmoid(z): s + z s (1 - s) = s (1 - output) + output.
            return Sum([Prod([logistic(z), minus(Num(1), output)]), output])
        case nn.Softplus() if module.beta * z.value <= module.threshold:
            return logistic(z if module.beta == 1 else Prod([Num(module.beta), z]))
    return Call(f"{name_of(module)}'", [z], lambda value: _slope(module, value))


def derivatives(module: nn.Module, inputs: Tensor) -> Tensor:
    """Returns the derivative of an elementwise activation at each input, computed by autograd."""
    with torch.enable_grad():
        leaf = inputs.detach().clone().requires_grad_()
        outputs = module(leaf)
        if not outputs.requires_grad:
            return torch.zeros_like(inputs)
        return torch.autograd.grad(outputs.sum(), leaf)[0]


def _value(module: nn.Module, value: float) -> float:
    """Returns an activation without parameters of one number, from its textbook formula where there is one."""
    match module:
        case nn.Tanh():
            return math.tanh(value)
        case nn.LeakyReLU():
            return value if value > 0 else module.negative_slope * value
        case nn.GELU() if module.approximate == "none":
            return value * _phi(value)
        case nn.Softplus():
            scaled = module.beta * value
            return value if scaled > module.threshold else math.log1p(math.exp(scaled)) / module.beta
        case Step():
            return float(value > 0)
    return float(module(torch.tensor([[value]], dtype=torch.float64)))


def _slope(module: nn.Module, value: float) -> float:
    match module:
        case nn.ReLU() | nn.ELU():
            return float(value > 0)
        case nn.LeakyReLU():
            return 1.0 if value > 0 else module.negative_slope
        case nn.Hardtanh():
            return float(module.min_val < value < module.max_val)
        case nn.GELU() if module.approximate == "none":
            return _phi(value) + value * math.exp(-value * value / 2) / math.sqrt(2 * math.pi)
        case nn.Softplus():
            return 1.0
        case Step():
            return 0.0
    return float(derivatives(module, torch.tensor([[value]], dtype=torch.float64)))


def _phi(value: float) -> float:
    """Returns the distribution function of N(0, 1)."""
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))
