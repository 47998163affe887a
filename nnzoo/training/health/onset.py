"""Reports when a layer first has many dead units or saturated values, or when gradients vanish or explode."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor, nn

from nnzoo.training.health.definitions import EXPLODED, MANY, VANISHED
from nnzoo.training.health.layers import layers_of
from nnzoo.training.health.record import NUMBERS, Health

Finding = tuple[str, str]
"""What begins, and in which layer."""


class Onset:
    """Finds problems that begin in an epoch. Each is reported once per run, even if the run is resumed.

    Args:
        network: The network, or stacked replicas.
        health: The recorded health of the network.
        stacked: Whether the network has several replicas.
    """

    def __init__(self, network: nn.Module, health: Health, *, stacked: bool) -> None:
        self.health = health
        layers = layers_of(network, stacked=stacked)
        self.heads = {layer.name for layer in layers if layer.is_head}
        self.sizes = {}
        for layer in layers:
            count = len(layer.weights[0]) if stacked else 1
            self.sizes[layer.name] = sum(weight.numel() for weight in layer.weights) // count
        self.reported = {finding for row in health.rows[:-1] for finding, _ in self._findings(row)}

    def lines(self) -> Iterator[str]:
        """Yields a line for each finding that begins in the last recorded epoch."""
        row = self.health.rows[-1]
        for finding, text in self._findings(row):
            if finding not in self.reported:
                self.reported.add(finding)
                yield f"epoch {int(row[0, 0, 0])}: {text}"

    def _findings(self, row: Tensor) -> Iterator[tuple[Finding, str]]:
        """Yields the findings in the row (L, numbers, K) of an epoch, with their texts."""
        for name, numbers in zip(self.health.layers, row, strict=True):
            for kind, what in (("dead", "units"), ("saturated", "values")):
                shares = numbers[NUMBERS.index(kind)]
                affected = shares >= MANY
                if affected.any() and not (kind == "saturated" and name in self.heads):
                    share = float(shares[affected].max())
                    yield (kind, name), f"{100 * share:.0f} % of the {what} of {name} are {kind}{_where(affected)}"
        norms = row[:, NUMBERS.index("gradient_norm")]
        known = [index for index in range(len(norms)) if not norms[index].isnan().all()]
        if len(known) > 1:
            first, last = (self.health.layers[index] for index in (known[0], known[-1]))
            scale = math.sqrt(self.sizes.get(last, 1) / self.sizes.get(first, 1))
            ratios = norms[known[0]] / norms[known[-1]] * scale
            # Exactly 0: weights of zeros after the layer pass no gradient.
            for kind, affected in (("vanish", (ratios > 0) & (ratios < VANISHED)), ("explode", ratios > EXPLODED)):
                if affected.any():
                    ratio = float(ratios[affected][0])
                    text = f"gradients {kind}: those of {first} are {ratio:.1e} times those of {last}{_where(affected)}"
                    yield (kind, first), text


def _where(affected: Tensor) -> str:
    """Describes how many replicas are affected."""
    return f" in {int(affected.sum())} of {len(affected)} restarts" if len(affected) > 1 else ""
