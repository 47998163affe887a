"""Computes metrics from sums over samples: batches are added, and the result is computed once.

Nothing is averaged over batches, so the result does not depend on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnzoo.data.reader import NO_TARGET
from nnzoo.training.measures.decoding import Decoder, in_float64
from nnzoo.training.measures.ranking import RANKINGS

# Buffered outputs are summed when there are this many numbers: few large operations instead of many small ones.
MAX_KEPT = 100_000
PER_CLASS = {"precision", "recall", "f1", "balanced_accuracy"}


class MetricSums:
    """Accumulates the sums from which the metrics of a split are computed.

    Classification: the correct predictions, all predictions and the occurrences of each class. Ranking metrics such as
    auroc are not sums; for them every score is kept. Regression: sums over |e|, e^2, t and t^2 of each target, in
    float64 and in the unit of the network's outputs, so that neither squares nor differences of large numbers lose
    digits; t is relative to the first sample. All sums are on the device of the outputs, so adding a batch is never a
    sync.

    Args:
        names: The metrics to compute.
        decoder: Interprets the outputs.
    """

    axis = 0
    """The axis of the samples."""

    def __init__(self, names: Sequence[str], decoder: Decoder) -> None:
        self.names = tuple(names)
        self.decoder = decoder
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.scores: list[tuple[Tensor, Tensor]] = []
        # Outputs and targets are buffered in two tensors. Many small ones, one per step, would prevent malloc from
        # reusing the memory of large tensors next to them: a step of 25 MB allocated 25 MB more each time.
        self._buffer: list[Tensor] = []
        self._num_buffered = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Adds a batch.

        The loss uses scaled regression targets in float32, which are as precise as the float32 outputs; the error in
        original units is the difference between the two, multiplied by the unit. Precision is lost only if the targets
        are unscaled or near 0. The running training metrics accept this, to avoid gathering the targets twice per step.

        Args:
            outputs: (N, K), or (N, T, K) with one prediction per position.
            targets: The encoded targets of the loss, or `Split.truth`.
        """
        if not self.names:
            return
        outputs, targets = self.decoder.metric_inputs(outputs, targets)
        size, start = outputs.shape[self.axis], self._num_buffered
        if not self._buffer or start + size > self._buffer[0].shape[self.axis]:
            self._grow(outputs, targets)
        self._buffer[0].narrow(self.axis, start, size).copy_(outputs)
        self._buffer[1].narrow(self.axis, start, size).copy_(targets)
        self._num_buffered += size
        if self._num_buffered * outputs.numel() >= MAX_KEPT * size:
            self.flush()

    def _grow(self, outputs: Tensor, targets: Tensor) -> None:
        """Enlarges the buffer to twice the size that the batch requires."""
        size = 2 * (self._num_buffered + outputs.shape[self.axis])
        grown = []
        for index, part in enumerate((outputs, targets)):
            larger = part.new_empty(*part.shape[: self.axis], size, *part.shape[self.axis + 1 :])
            if self._num_buffered:
                larger.narrow(self.axis, 0, self._num_buffered).copy_(self._buffered()[index])
            grown.append(larger)
        self._buffer = grown

    def _buffered(self) -> list[Tensor]:
        return [part.narrow(self.axis, 0, self._num_buffered) for part in self._buffer] if self._num_buffered else []

    def each(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function that applies `compute` to every network."""
        return compute

    def flush(self) -> None:
        """Adds the buffered outputs to the sums."""
        if not self._num_buffered:
            return
        outputs, targets = self._buffered()
        self._num_buffered = 0
        self.count += outputs.shape[self.axis]
        if self.decoder.task == "regression":
            if "origin" not in self.sums:
                self.sums["origin"] = self._origin(targets)
            parts = self.each(self._regression_sums)(outputs, targets)
        else:
            parts = self.each(self._classification_sums)(outputs, targets)
        if RANKINGS.keys() & {*self.names}:
            scores, labels = self.each(self._ranking_scores)(outputs), self.each(self.decoder.target_labels)(targets)
            self.scores.append((scores.clone(), labels.clone()))  # they may be views of the buffer
        for key, part in parts.items():
            self.sums[key] = self.sums[key] + part if key in self.sums else part

    def _origin(self, targets: Tensor) -> Tensor:
        """Returns the targets of the first sample, (M,), in the unit of the outputs."""
        return self.decoder.scaled(targets[:1])[0].clone()

    def _classification_sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        predicted, actual = self.decoder.labels(outputs), self.decoder.target_labels(targets)
        if self.decoder.per == "step":
            # Positions without a target are masked with an invalid class, since selecting the others would be a sync.
            predicted = predicted.where(actual != NO_TARGET, NO_TARGET - 1)
        sums = {"right": (predicted == actual).sum()}
        if self.decoder.per == "step":
            sums["positions"] = (actual != NO_TARGET).sum()
        if PER_CLASS & {*self.names}:
            if self.decoder.task == "classification":
                # One-hot columns: bincount would be a sync, to find the largest index.
                classes = torch.arange(self.decoder.num_classes, device=outputs.device)
                predicted, actual = predicted.unsqueeze(1) == classes, actual.unsqueeze(1) == classes
            hits = predicted * actual
            sums |= {"hits": hits.sum(0), "predicted": predicted.sum(0), "actual": actual.sum(0)}
        if "top5_accuracy" in self.names:
            sums["top5"] = _in_top_k(outputs, self.decoder.target_labels(targets), 5).sum()
        if "perplexity" in self.names:
            log_p = self.decoder.log_probabilities(outputs)
            labels = self.decoder.target_labels(targets).unsqueeze(1)
            surprise = -log_p.gather(1, labels.clamp_min(0)).masked_fill(labels == NO_TARGET, 0)
            sums["surprise"] = surprise.to(sum_dtype(outputs)).sum()
        return sums

    def _ranking_scores(self, outputs: Tensor) -> Tensor:
        """Returns the ranking scores for each class or label, (N, K), or for the second of two classes, (N, 1)."""
        scores = outputs if self.decoder.reads == "margins" else self.decoder.probabilities(outputs)
        binary = self.decoder.task == "classification" and self.decoder.num_classes == 2
        if binary and scores.shape[1] == 2 and self.decoder.reads == "margins":
            scores = scores - scores[:, :1]
        return scores[:, -1:] if binary else scores

    def _regression_sums(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        truth = self.decoder.scaled(targets)
        error = in_float64(outputs) - truth
        # scikit-learn clamps the divisor to at least eps.
        sizes = self.decoder.truth(targets).abs().clamp_min(torch.finfo(torch.float64).eps)
        relative = error.abs() * self.decoder.unit / sizes
        # Far from 0 the rounding error of t^2 would exceed the variance.
        truth = truth - self.sums["origin"]
        return {
            "absolute": error.abs().sum(0),
            "relative": relative.sum(0),
            "squared": error.square().sum(0),
            "truth": truth.sum(0),
            "truth_squared": truth.square().sum(0),
        }

    def result(self) -> dict[str, float]:
        """Returns the metrics by name; an undefined metric is NaN. This synchronises with the device."""
        self.flush()
        if not self.count:
            return dict.fromkeys(self.names, float("nan"))
        computed = self._compute()
        return {name: float(computed[name]) for name in self.names}

    def _compute(self) -> dict[str, Tensor]:
        sums = {key: part.double().cpu() for key, part in self.sums.items() if key != "origin"}
        computed: dict[str, Tensor]
        computed = self.each(
            self._regression_results if self.decoder.task == "regression" else self._classification_results
        )(sums)
        if RANKINGS.keys() & {*self.names}:
            scores, truth = (torch.cat(parts, self.axis).cpu() for parts in zip(*self.scores, strict=True))
            computed |= {name: self._ranking(name, scores, truth) for name in RANKINGS if name in self.names}
        return computed

    def _ranking(self, name: str, scores: Tensor, truth: Tensor) -> Tensor:
        if self.decoder.task == "classification":
            if self.decoder.per == "step":
                scores, truth = scores[truth != NO_TARGET], truth[truth != NO_TARGET]
            binary = self.decoder.num_classes == 2
            classes = torch.ones(1) if binary else torch.arange(self.decoder.num_classes)
            truth = truth.unsqueeze(1) == classes
        return RANKINGS[name](scores, truth)

    def _classification_results(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        labels = self.decoder.num_classes if self.decoder.task == "multilabel" else 1
        count = sums.get("positions", torch.tensor(self.count))
        results = {"accuracy": sums["right"] / (count * labels)}
        if PER_CLASS & {*self.names}:
            results |= self._per_class(sums)
        if "top5_accuracy" in self.names:
            results["top5_accuracy"] = sums["top5"] / count
        if "perplexity" in self.names:
            # exp(710) is infinite, which JSON does not support.
            results["perplexity"] = (sums["surprise"] / count).clamp_max(709).exp()
        return results

    def _per_class(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        # A class that is never predicted has precision 0, a class that never occurs has recall 0, as in scikit-learn.
        precision = sums["hits"] / sums["predicted"].clamp_min(1)
        recall = sums["hits"] / sums["actual"].clamp_min(1)
        f1 = 2 * sums["hits"] / (sums["predicted"] + sums["actual"]).clamp_min(1)
        binary = self.decoder.task == "classification" and self.decoder.num_classes == 2
        # As in scikit-learn, the mean is over the classes that occur or are predicted, but over all labels.
        counted = (sums["predicted"] + sums["actual"] > 0) | (self.decoder.task == "multilabel")
        each = {"precision": precision, "recall": recall, "f1": f1}
        means = {name: x[1] if binary else (x * counted).sum() / counted.sum() for name, x in each.items()}
        occurs = sums["actual"] > 0
        return means | {"balanced_accuracy": (recall * occurs).sum() / occurs.sum()}

    def _regression_results(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        squared = sums["squared"] / self.count
        spread = sums["truth_squared"] / self.count - (sums["truth"] / self.count).square()
        # For constant targets r2 is 1 if the fit is perfect, else 0, as in scikit-learn.
        constant = spread <= 1e-15 * sums["truth_squared"] / self.count
        r2 = torch.where(constant, (squared == 0).double(), 1 - squared / spread).mean()
        unit = self.decoder.on_cpu().unit
        return {
            "mae": (sums["absolute"] / self.count * unit).mean(),
            "mape": (sums["relative"] / self.count).mean(),
            "mse": (squared * unit * unit).mean(),
            "rmse": (squared.sqrt() * unit).mean(),
            # NaN for a single sample, as in scikit-learn.
            "r2": r2 if self.count > 1 else torch.full_like(r2, torch.nan),
        }

    def state_dict(self) -> dict[str, object]:
        """Returns the values that a resumed run needs. Flushing the buffer would change the rounding of the sums."""
        kept = [part.clone() for part in self._buffered()]
        scores = [torch.cat(parts, self.axis) for parts in zip(*self.scores, strict=True)]
        return {"count": self.count, "sums": dict(self.sums), "kept": kept, "scores": scores}

    def load_state_dict(self, state: dict[str, object], device: torch.device) -> None:
        """Restores a saved state."""
        count, sums, kept, scores = state["count"], state["sums"], state["kept"], state["scores"]
        assert isinstance(count, int)
        assert isinstance(sums, dict)
        assert isinstance(kept, list)
        assert isinstance(scores, list)
        self.count = count
        self.sums = {key: part.to(device) for key, part in sums.items()}
        self.scores = [(scores[0].to(device), scores[1].to(device))] if scores else []
        if kept:
            # Not by `add`, since `metric_inputs` was already applied.
            self._buffer = [kept[0].to(device), kept[1].to(device)]
            self._num_buffered = kept[0].shape[self.axis]

    def join(self, state: Mapping[str, Any]) -> None:
        """Adds the sums of other samples, given as their `state_dict`, which must be flushed."""
        self.flush()
        self.count += state["count"]
        if state["scores"]:
            self.scores.append((state["scores"][0], state["scores"][1]))
        sums: dict[str, Tensor] = dict(state["sums"])
        if "origin" in sums and "origin" in self.sums:
            # Converts t relative to the other origin to t relative to this one.
            shift, count = sums.pop("origin") - self.sums["origin"], state["count"]
            sums["truth_squared"] = sums["truth_squared"] + 2 * shift * sums["truth"] + count * shift.square()
            sums["truth"] = sums["truth"] + count * shift
        for key, part in sums.items():
            self.sums[key] = self.sums[key] + part if key in self.sums else part


class ReplicaSums(MetricSums):
    """The metric sums of K networks, from outputs (K, N, C) and encoded targets (K, N) or (K, N, C)."""

    axis = 1

    def each(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function that applies `compute` over the leading axis."""
        return torch.vmap(compute)

    def results(self) -> dict[str, Tensor]:
        """Returns each metric of each network, (K,). This synchronises with the device."""
        self.flush()
        computed = self._compute() if self.names else {}
        return {name: computed[name] for name in self.names}

    def _origin(self, targets: Tensor) -> Tensor:
        return super()._origin(targets[0])

    def _ranking(self, name: str, scores: Tensor, truth: Tensor) -> Tensor:
        single = super()._ranking
        return torch.stack([single(name, *each) for each in zip(scores, truth, strict=True)])


def _in_top_k(outputs: Tensor, labels: Tensor, count: int) -> Tensor:
    """Returns a mask (N,): whether the true class is among the top `count`. In a tie, later classes rank higher."""
    own = outputs.gather(1, labels.clamp_min(0).unsqueeze(1))
    later = torch.arange(outputs.shape[1], device=outputs.device) > labels.unsqueeze(1)
    before = (outputs > own) | ((outputs == own) & later)
    # A comparison with NaN is false, so no class would precede it.
    return (before.sum(1) < count) & ~own[:, 0].isnan() & (labels != NO_TARGET)


def sum_dtype(outputs: Tensor) -> torch.dtype:
    """Returns the dtype of sums: float64, or float32 on MPS, which has no float64."""
    return torch.float32 if outputs.device.type == "mps" else torch.float64
