"""Decodes outputs into class indices, probabilities, or values in the unit of the target."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from nnzoo.data import Preprocess
from nnzoo.data.reader import Per
from nnzoo.errors import UsageError
from nnzoo.training.measures.losses import Reads

Task = Literal["classification", "multilabel", "regression"]


@dataclass(frozen=True)
class Decoder:
    """Interprets the outputs of a network.

    Attributes:
        task: The task.
        reads: The meaning of an output unit.
        num_classes: The number of classes or labels; 0 for regression.
        per: Whether there is one prediction per sample, per step or per node of a tree.
        preprocess: Converts regression outputs to the unit of the targets; `on` moves it to their device.
        cutoff: The smallest probability at which the second of two classes is predicted; None to predict the likelier
            class.
    """

    task: Task
    reads: Reads
    num_classes: int = 0
    preprocess: Preprocess = field(default_factory=Preprocess)
    per: Per = "sample"
    cutoff: float | None = None

    @property
    def threshold(self) -> float:
        """The output above which a single unit predicts 1."""
        return 0.5 if self.reads in ("probabilities", "values") else 0.0

    def encode(self, targets: Tensor, *, indices: bool) -> Tensor:
        """Returns the targets for the loss: class indices (N,), or 0 and 1 (N, 1) or (N, K); others are unchanged."""
        if self.task != "classification" or indices:
            return targets
        if targets.ndim > 1:
            return targets[:, 1:] if self.num_classes == 2 else targets
        if self.num_classes == 2:
            return targets.float().unsqueeze(1)
        return torch.nn.functional.one_hot(targets, self.num_classes).float()

    def metric_inputs(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Returns outputs (M, K) and targets for metrics: of all steps, or of the roots of trees; others are unchanged.

        Steps without a target are included, with `NO_TARGET`.
        """
        if self.per == "node":
            return self.of_roots(outputs), targets[:, 0]
        return (outputs.flatten(0, 1), targets.flatten()) if self.per == "step" else (outputs, targets)

    def of_roots(self, outputs: Tensor) -> Tensor:
        """Returns the outputs of the roots of trees, (N, K): row 0 of (N, M, K). Other outputs are unchanged."""
        return outputs[:, 0].contiguous() if self.per == "node" else outputs

    def compact(self, outputs: Tensor) -> Tensor:
        """Returns outputs in a form that fits in memory for a whole split: (N, K), or (N, T, 2) for outputs per step.

        The two values of a step are the predicted class and its probability. With a vocabulary of K tokens, T * K
        outputs per sample would be too many.
        """
        if self.per != "step":
            return self.of_roots(outputs)
        probabilities, classes = self.probabilities(outputs).max(-1)
        return torch.stack([classes.to(probabilities.dtype), probabilities], dim=-1)

    def labels(self, outputs: Tensor) -> Tensor:
        """(*, K) outputs -> (*,) class indices, or (N, K) 0 and 1 for multilabel."""
        if self.task == "multilabel":
            return (outputs > self.threshold).long()
        if self.cutoff is not None:
            return (self.probabilities(outputs)[..., 1] >= self.cutoff).long()
        if outputs.shape[-1] == 1:
            return (outputs[..., 0] > self.threshold).long()
        return outputs.argmax(-1)

    def target_labels(self, targets: Tensor) -> Tensor:
        """Encoded targets -> (N,) class indices, or (N, K) 0 and 1 for multilabel."""
        if self.task == "multilabel":
            return (targets > 0.5).long()
        if targets.ndim == 1:
            return targets
        return (targets[:, 0] > 0.5).long() if targets.shape[1] == 1 else targets.argmax(1)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(*, K) outputs -> (*, num_classes); rows sum to 1 except for multilabel.

        Raises:
            UsageError: There are no probabilities: the loss was a margin loss, or the task is regression.
        """
        if self.task == "regression" or self.reads == "margins":
            why = "regression predicts values" if self.task == "regression" else "a margin loss gives no probabilities"
            raise UsageError(f"{why}. Train with cross_entropy or bce to get them.", where="predict_proba")
        if self.reads == "log_probabilities":
            positive = outputs.exp()
        elif self.reads == "logits":
            positive = outputs.softmax(-1)
        elif self.reads == "log_odds":
            positive = outputs.sigmoid()
        else:
            positive = outputs.clamp(0, 1)
        if self.task == "multilabel":
            return positive
        if outputs.shape[-1] == 1:
            return torch.cat([1 - positive, positive], dim=-1)
        total = positive.sum(-1, keepdim=True)
        return torch.where(total > 0, positive / total, 1 / self.num_classes)

    def log_probabilities(self, outputs: Tensor) -> Tensor:
        """(N, K) outputs -> (N, num_classes), the logarithms of `probabilities`, as precise as the outputs allow."""
        if self.reads == "logits":
            return outputs.log_softmax(1)
        if self.reads == "log_odds" and outputs.shape[1] == 1:
            return torch.nn.functional.logsigmoid(torch.cat([-outputs, outputs], dim=1))
        if self.reads == "log_probabilities":
            return outputs
        info = torch.finfo(outputs.dtype)
        return self.probabilities(outputs).clamp_min(info.tiny / info.eps).log()

    def values(self, outputs: Tensor) -> Tensor:
        """Converts regression outputs or scaled targets (N, K) to the unit of the targets, float64."""
        return self.preprocess.unscale_targets(in_float64(outputs))

    def truth(self, targets: Tensor) -> Tensor:
        """Returns regression targets (N, K) in their own unit: those of `Split.exact` unchanged, others converted."""
        return targets if targets.dtype == torch.float64 else self.values(targets)

    def scaled(self, targets: Tensor) -> Tensor:
        """Returns regression targets (N, K) in the unit of the outputs, float64: those of `Split.exact` converted."""
        return self.preprocess.scale_targets(targets) if targets.dtype == torch.float64 else in_float64(targets)

    @property
    def unit(self) -> Tensor | float:
        """The scale of regression outputs in the unit of the targets, (K,) float64, or 1."""
        scale = self.preprocess.target_scale
        return 1.0 if scale is None else scale

    def on(self, device: torch.device) -> Decoder:
        """Returns the same decoder for outputs on a device. MPS has no float64: its outputs are read on the CPU."""
        device = torch.device("cpu") if device.type == "mps" else device
        state = {name: tensor.cpu() for name, tensor in self.preprocess.state_dict().items()}
        return replace(self, preprocess=Preprocess(state).to(device))

    def on_cpu(self) -> Decoder:
        """Returns the same decoder for outputs on the CPU."""
        return self.on(torch.device("cpu"))


def in_float64(numbers: Tensor) -> Tensor:
    """Converts numbers to float64, on the CPU if their device does not support it."""
    return (numbers.cpu() if numbers.device.type == "mps" else numbers).double()
