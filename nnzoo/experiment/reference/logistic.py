"""Linear models, fitted in closed form or by Newton's method."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MAX_NEWTON_STEPS, _MAX_INNER_STEPS = 30, 50
_TOLERANCE = 1e-6


def fit_logistic(
    inputs: Tensor, labels: Tensor, num_classes: int, *, penalty: float, tolerance: float = _TOLERANCE
) -> Tensor:
    """Fits a multinomial logistic regression by Newton's method with conjugate gradients (Lin et al. 2008).

    It minimises -sum_n log p(label_n) + penalty / 2 * sum w^2; biases are not penalized.

    Args:
        inputs: (N, D) float64, dense or sparse.
        labels: (N,) class indices.
        num_classes: The number of classes K.
        penalty: The L2 penalty: 1 / C in scikit-learn, whose solution is the same.
        tolerance: The fit ends if the norm of the gradient per sample is at most this.

    Returns:
        (D + 1, K) weights; the last row contains the biases.
    """
    actual = torch.nn.functional.one_hot(labels, num_classes).double()
    weights = torch.zeros(inputs.shape[1] + 1, num_classes, dtype=torch.float64)
    # Two classes have two columns of opposite sign; scikit-learn fits only their difference.
    decay = torch.full((len(weights), 1), penalty * (2 if num_classes == 2 else 1), dtype=torch.float64)
    decay[-1] = 0

    def back(residuals: Tensor) -> Tensor:
        return torch.cat([inputs.T @ residuals, residuals.sum(0, keepdim=True)])

    def loss(weights: Tensor) -> Tensor:
        log_p = scores_of(inputs, weights).log_softmax(1)
        return -(log_p * actual).sum() + (decay * weights.square()).sum() / 2

    lowest = loss(weights)
    for _ in range(_MAX_NEWTON_STEPS):
        shares = scores_of(inputs, weights).softmax(1)
        gradient = back(shares - actual) + decay * weights
        if float(gradient.norm()) <= tolerance * len(labels):
            break

        def curvature(step: Tensor, shares: Tensor = shares) -> Tensor:
            change = scores_of(inputs, step)
            return back(shares * (change - (shares * change).sum(1, keepdim=True))) + decay * step

        direction = _solve(curvature, -gradient)
        size, slope = 1.0, float((gradient * direction).sum())
        while (value := loss(weights + size * direction)) > lowest + 1e-4 * size * slope and size > 1e-6:
            size /= 2
        if value >= lowest:
            break
        weights, lowest = weights + size * direction, value
    return weights


def fit_ridge(inputs: Tensor, targets: Tensor, *, penalty: float) -> Tensor:
    """Fits a ridge regression: it minimises sum_n (output_n - target_n)^2 + penalty * sum w^2, w without biases.

    Args:
        inputs: (N, D) float64, dense.
        targets: (N, M) float64.
        penalty: The L2 penalty: alpha in scikit-learn.

    Returns:
        (D + 1, M) weights; the last row contains the biases.
    """
    centre, mean = inputs.mean(0), targets.mean(0)
    rows, values = inputs - centre, targets - mean
    size = min(rows.shape)
    ridge = penalty * torch.eye(size, dtype=torch.float64)
    if rows.shape[0] > rows.shape[1]:
        weights = torch.linalg.solve(rows.T @ rows + ridge, rows.T @ values)
    else:
        # (X'X + a I)^-1 X' = X' (X X' + a I)^-1: solve the smaller system.
        weights = rows.T @ torch.linalg.solve(rows @ rows.T + ridge, values)
    return torch.cat([weights, (mean - centre @ weights).unsqueeze(0)])


def scores_of(inputs: Tensor, weights: Tensor) -> Tensor:
    """Returns the outputs (N, K) of a model with fitted weights."""
    return inputs @ weights[:-1] + weights[-1]


def _solve(product: Callable[[Tensor], Tensor], target: Tensor) -> Tensor:
    """Solves product(x) = target by conjugate gradients, with the precision that a Newton step needs."""
    solution, residual = torch.zeros_like(target), target.clone()
    direction, size = residual.clone(), float(residual.square().sum())
    enough = min(0.25, size**0.25) ** 2 * size
    for _ in range(_MAX_INNER_STEPS):
        if size <= enough:
            break
        image = product(direction)
        bend = float((direction * image).sum())
        if bend <= 0:
            break
        solution += size / bend * direction
        residual -= size / bend * image
        size, before = float(residual.square().sum()), size
        direction = residual + size / before * direction
    return solution if bool(solution.any()) else target
