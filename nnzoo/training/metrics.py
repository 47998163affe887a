"""Metrics as sums: batches are added, the result is read once.

Nothing is averaged over batches, so the size of a batch does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnzoo.training.decoding import Decoder

# Kept outputs become sums when they are this many numbers: a few large operations in place of many small ones.
MAX_KEPT = 1_000_000


class MetricSums:
    """Adds up what the metrics of a split need.

    Labels: hits, predictions and occurrences of each class. Values: sums over |e|, e^2, t and t^2 of each target, in
    float64, t counted from the first sample. Both on the device of the outputs, so that adding never waits for it.

    Args:
        names: The metrics to compute.
        decoder: Knows what outputs mean.
    """

    def __init__(self, names: Sequence[str], decoder: Decoder) -> None:
        self.names = tuple(names)
        self.decoder = decoder
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self._kept: list[tuple[Tensor, Tensor]] = []
        self._num_kept = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Adds a batch: outputs (N, K) and the encoded targets. Neither may be changed afterwards."""
        if not self.names:
            return
        self._kept.append((outputs, targets))
        self._num_kept += outputs.numel()
        if self._num_kept >= MAX_KEPT:
            self.flush()

    def flush(self) -> None:
        """Turns kept outputs into sums."""
        if not self._kept:
            return
        outputs = torch.cat([outputs for outputs, _ in self._kept])
        targets = torch.cat([targets for _, targets in self._kept])
        self._kept, self._num_kept = [], 0
        self.count += len(outputs)
        parts = self._values(outputs, targets) if self.decoder.task == "regression" else self._labels(outputs, targets)
        for key, part in parts.items():
            self.sums[key] = self.sums[key] + part if key in self.sums else part

    def _labels(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        predicted, actual = self.decoder.labels(outputs), self.decoder.target_labels(targets)
        right = (predicted == actual).sum()
        if self.decoder.task == "classification":
            # One column a class, compared: bincount would wait for the device to learn the largest index.
            classes = torch.arange(self.decoder.num_classes, device=outputs.device)
            predicted, actual = predicted.unsqueeze(1) == classes, actual.unsqueeze(1) == classes
        hits = predicted * actual
        return {"hits": hits.sum(0), "predicted": predicted.sum(0), "actual": actual.sum(0), "right": right}

    def _values(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        precise = torch.float32 if outputs.device.type == "mps" else torch.float64
        values, truth = self.decoder.values(outputs).to(precise), self.decoder.values(targets).to(precise)
        error = values - truth
        # Far from 0, t^2 alone would leave nothing of the spread but rounding.
        truth = truth - self.sums.setdefault("origin", truth[0].clone())
        return {
            "absolute": error.abs().sum(0),
            "squared": error.square().sum(0),
            "truth": truth.sum(0),
            "truth_squared": truth.square().sum(0),
        }

    def result(self) -> dict[str, float]:
        """The metrics by name. This is where the device is waited for."""
        self.flush()
        if not self.count:
            return dict.fromkeys(self.names, float("nan"))
        sums = {key: part.double().cpu() for key, part in self.sums.items()}
        computed = self._of_values(sums) if self.decoder.task == "regression" else self._of_labels(sums)
        return {name: float(computed[name]) for name in self.names}

    def _of_labels(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        labels = self.decoder.num_classes if self.decoder.task == "multilabel" else 1
        # A class that was never predicted has precision 0, one that never occurs recall 0, as in scikit-learn.
        precision = sums["hits"] / sums["predicted"].clamp_min(1)
        recall = sums["hits"] / sums["actual"].clamp_min(1)
        f1 = 2 * sums["hits"] / (sums["predicted"] + sums["actual"]).clamp_min(1)
        binary = self.decoder.task == "classification" and self.decoder.num_classes == 2
        # The mean goes over classes that occur or were predicted, but over every label, as in scikit-learn.
        there = (sums["predicted"] + sums["actual"] > 0) | (self.decoder.task == "multilabel")
        averaged = [x[1] if binary else x[there].mean() for x in (precision, recall, f1)]
        accuracy = sums["right"] / (self.count * labels)
        return dict(zip(("precision", "recall", "f1"), averaged, strict=True)) | {"accuracy": accuracy}

    def _of_values(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        squared = sums["squared"] / self.count
        spread = sums["truth_squared"] / self.count - (sums["truth"] / self.count).square()
        # Targets that are all alike explain nothing: 1 for a perfect fit, else 0, as in scikit-learn.
        constant = spread <= 1e-15 * sums["truth_squared"] / self.count
        r2 = torch.where(constant, (squared == 0).double(), 1 - squared / spread)
        return {
            "mae": (sums["absolute"] / self.count).mean(),
            "mse": squared.mean(),
            "rmse": squared.sqrt().mean(),
            "r2": r2.mean(),
        }

    def state_dict(self) -> dict[str, object]:
        """What is needed to go on adding after a restart; what is kept stays so, since other groups round otherwise."""
        kept = [torch.cat(parts) for parts in zip(*self._kept, strict=True)]
        return {"count": self.count, "sums": dict(self.sums), "kept": kept}

    def load_state_dict(self, state: dict[str, object], device: torch.device) -> None:
        """Goes on from a saved state."""
        count, sums, kept = state["count"], state["sums"], state["kept"]
        assert isinstance(count, int)
        assert isinstance(sums, dict)
        assert isinstance(kept, list)
        self.count = count
        self.sums = {key: part.to(device) for key, part in sums.items()}
        if kept:
            self.add(*(part.to(device) for part in kept))
