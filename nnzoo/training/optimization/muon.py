"""Muon: momentum with orthogonalized updates for weight matrices, and AdamW for all other parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""The quintic polynomial of Jordan 2024: five iterations bring all singular values to about 0.7 to 1.2."""
ITERATIONS = 5
RMS = 0.2
"""The root mean square of an update, divided by lr: that of a typical AdamW update (Liu et al. 2025)."""


class Muon(torch.optim.Optimizer):
    """Muon (Jordan 2024) with updates of the size of AdamW's (Liu et al. 2025), so that both use the same lr.

    A convolution (O, I, *) is a matrix (O, I * kernel size).

    Args:
        params: The trained parameters.
        hidden: Those with two or more axes that Muon updates. AdamW updates the others.
        lr: The learning rate.
        momentum: The decay rate of the running average of a matrix's gradient.
        nesterov: Whether the average is taken one step ahead.
        weight_decay: The decoupled weight decay of all parameters.
        betas: As in AdamW.
        eps: As in AdamW.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        hidden: Iterable[nn.Parameter] = (),
        lr: float = 1e-3,
        momentum: float = 0.95,
        nesterov: bool = True,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        matrices = {id(parameter) for parameter in hidden}
        parts: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for parameter in params:
            parts[id(parameter) in matrices].append(parameter)
        groups = [{"params": part, "orthogonal": is_matrix} for is_matrix, part in parts.items() if part]
        defaults = {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay}
        super().__init__(groups, {**defaults, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Updates all parameters that have a gradient, and returns the loss of the closure, if there is one."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            update = _orthogonal if group["orthogonal"] else _adamw
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    update(parameter, parameter.grad, self.state[parameter], group)
        return loss


def _orthogonal(weight: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state["momentum_buffer"] = torch.zeros_like(weight)
    average, momentum = state["momentum_buffer"], group["momentum"]
    average.lerp_(gradient, 1 - momentum)
    ahead = gradient.lerp(average, momentum) if group["nesterov"] else average
    matrix = ahead.flatten(1)
    change = orthogonalized(matrix).view_as(weight)
    weight.sub_(change, alpha=group["lr"] * RMS * math.sqrt(max(matrix.shape)))


def _adamw(weight: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state |= {"step": 0, "exp_avg": torch.zeros_like(weight), "exp_avg_sq": torch.zeros_like(weight)}
    state["step"] += 1
    first, second = group["betas"]
    state["exp_avg"].lerp_(gradient, 1 - first)
    state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
    scale = (state["exp_avg_sq"] / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
    weight.addcdiv_(state["exp_avg"], scale, value=-group["lr"] / (1 - first ** state["step"]))


def orthogonalized(matrix: Tensor) -> Tensor:
    """Returns about U V^T for a matrix U S V^T (M, N), by Newton-Schulz iterations, which need no decomposition."""
    a, b, c = COEFFICIENTS
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if is_tall else matrix
    x = x / (torch.linalg.matrix_norm(x) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if is_tall else x
