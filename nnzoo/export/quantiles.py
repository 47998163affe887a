"""The quantile transform of inputs as operations that every format has."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST = 5.199337582605575
"""The bound of `data.quantiles.to_normal`."""

# Wichura 1988, algorithm AS 241: the coefficients of numerator and denominator, the highest power first.
_CENTER = (
    (
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ),
    (
        5226.495278852545925,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ),
)
_MIDDLE = (
    (
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ),
)
_TAIL = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        0.0012426609473880784386,
        0.026532189526576123093,
        0.29656057182850489123,
        1.7848265399172913358,
        5.4637849111641143699,
        6.6579046435011037772,
    ),
    (
        2.04426310338993978564e-15,
        1.4215117583164458887e-7,
        1.8463183175100546818e-5,
        7.868691311456132591e-4,
        0.0148753612908506148525,
        0.13692988092273580531,
        0.59983220655588793769,
        1.0,
    ),
)


class Quantiles(nn.Module):
    """Maps columns to a normal distribution, as `data.quantiles.to_normal` does: (*, F) -> (*, F), float64.

    It compares each value with every quantile, since not every format has a binary search.

    Args:
        quantiles: (Q, F).
    """

    quantiles: Tensor
    rises: Tensor

    def __init__(self, quantiles: Tensor) -> None:
        super().__init__()
        self.register_buffer("quantiles", quantiles.T.contiguous())
        self.register_buffer("rises", quantiles[-1] > quantiles[0])

    def forward(self, inputs: Tensor) -> Tensor:
        """(*, F) -> (*, F)."""
        known = self.quantiles
        last = known.shape[1] - 1
        columns = inputs.unsqueeze(-1)
        # The level at the last of equal quantiles, and at the first of them; their mean is the middle of a jump.
        below = (known <= columns).sum(-1).clamp(1, last)
        above = (known < columns).sum(-1).clamp(1, last)
        level = (
            self._level(inputs, below, inputs >= known[:, last]) + self._level(inputs, above, inputs > known[:, last])
        ) / 2
        scores = normal_scores(level).clamp(-LARGEST, LARGEST)
        return torch.where(self.rises, scores, inputs - known[:, 0])

    def _level(self, inputs: Tensor, index: Tensor, is_beyond: Tensor) -> Tensor:
        """Interpolates between the quantiles `index` - 1 and `index`; equal ones only occur at both ends."""
        offsets = torch.arange(len(self.quantiles)) * self.quantiles.shape[1]
        flat = self.quantiles.flatten()
        low, high = flat[index + offsets - 1], flat[index + offsets]
        width = torch.where(high > low, high - low, 1.0)
        share = torch.where(high > low, (inputs - low) / width, is_beyond.double()).clamp(0, 1)
        return (index - 1 + share) / (self.quantiles.shape[1] - 1)


def normal_scores(levels: Tensor) -> Tensor:
    """Returns the quantiles of the standard normal distribution at `levels` from 0 to 1, float64 (Wichura 1988)."""
    centered = levels - 0.5
    inner = 0.180625 - centered * centered
    tail = torch.where(centered < 0, levels, 1 - levels).clamp_min(1e-30)  # its score is clipped
    radius = (-tail.log()).sqrt()
    outer = torch.where(radius <= 5, _ratio(radius - 1.6, _MIDDLE), _ratio(radius - 5, _TAIL))
    sides = torch.where(centered < 0, -outer, outer)
    return torch.where(centered.abs() <= 0.425, centered * _ratio(inner, _CENTER), sides)


def _ratio(values: Tensor, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Tensor:
    """Returns the ratio of two polynomials, by Horner's rule."""
    results = []
    for powers in coefficients:
        result = torch.full_like(values, powers[0])
        for each in powers[1:]:
            result = result * values + each
        results.append(result)
    return results[0] / results[1]
