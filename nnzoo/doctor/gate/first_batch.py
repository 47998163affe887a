"""What the network sees before training: the first batch, and its loss compared with that of a guess."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.config.loss import Bce
from nnzoo.data import Split
from nnzoo.data.vocabulary import UNKNOWN
from nnzoo.experiment.prepare import Experiment
from nnzoo.training.batches.order import Batch, arguments_of, epoch_order, finish, smallest_batch
from nnzoo.training.batches.reading import read_batches
from nnzoo.training.measures.members import loss_of

LARGEST = 512
"""The maximum number of samples of a batch that is examined."""


def first_batch(experiment: Experiment, module: nn.Module) -> Batch:
    """Returns up to 512 samples of the first batch, preprocessed and augmented: inputs, lengths if any, and targets."""
    split, settings = experiment.splits["train"], experiment.settings
    size = max(min(settings.batch_size or len(split), len(split), LARGEST), smallest_batch(module))
    order = epoch_order(len(split), seed=settings.seed, epoch=0, device=split.targets.device)
    return batch_of(split, order[:size], experiment.settings.augment)


def batch_of(split: Split, rows: Tensor, augment: Any = None) -> Batch:
    """Returns the samples at `rows` as a batch, preprocessed and augmented."""
    with read_batches(split, rows, [(0, len(rows))]) as batches:
        return finish(next(batches), split, augment)


def describe(experiment: Experiment, batch: Batch) -> dict[str, Any]:
    """Describes the inputs of a batch: shape, range, tokens, lengths, and the share of padding."""
    inputs, *lengths, _ = batch
    layout = experiment.dataset.layout
    described: dict[str, Any] = {"layout": layout, "shape": list(inputs.shape), "dtype": str(inputs.dtype)[6:]}
    if layout == "tree":
        is_node = inputs[..., 0].ne(0) | inputs[..., 1].ne(0)
        return described | _filled(is_node.sum(1), inputs.shape[1]) | _tokens(experiment, inputs[..., 0][is_node])
    if lengths:
        described |= _filled(lengths[0], inputs.shape[1])
        valid = torch.arange(inputs.shape[1], device=inputs.device) < lengths[0].unsqueeze(1)
        inputs = inputs[valid]
    if layout == "tokens":
        return described | _tokens(experiment, inputs.flatten())
    values = inputs.double() if inputs.device.type != "mps" else inputs.float()
    figures = {"min": values.amin(), "max": values.amax(), "mean": values.mean(), "std": values.std(correction=0)}
    return described | {name: float(value) for name, value in figures.items()}


def _filled(lengths: Tensor, num_steps: int) -> dict[str, Any]:
    counts = lengths.double()
    return {
        "lengths": {"min": int(counts.amin()), "mean": float(counts.mean()), "max": int(counts.amax())},
        "padding": float(1 - counts.mean() / num_steps),
    }


def _tokens(experiment: Experiment, tokens: Tensor) -> dict[str, Any]:
    """Counts the tokens of a batch. Data without a vocabulary has no token for unknown symbols."""
    described: dict[str, Any] = {
        "tokens": len(tokens),
        "distinct_tokens": int(tokens.bincount().ne(0).sum()),
        "vocabulary": experiment.dataset.num_tokens,
    }
    if getattr(experiment.dataset.reader, "vocabulary", None) is not None:
        described["unknown"] = float(tokens.eq(UNKNOWN).double().mean())
    return described


@torch.no_grad()
def first_loss(experiment: Experiment, module: nn.Module, batch: Batch) -> dict[str, Any]:
    """Compares the loss of a batch with that of a network that knows nothing yet.

    Such a network gives every class the same probability or margin; in regression, it predicts the mean of the train
    targets. For cross entropy with K classes, this loss is log(K).

    Args:
        experiment: The experiment.
        module: The untrained network, in the mode in which it is called.
        batch: The result of `first_batch`.
    """
    inputs, *lengths, targets = batch
    outputs = module(*arguments_of(module, inputs, lengths[0] if lengths else None))
    guess, meaning = _guess(experiment, outputs)
    loss = experiment.loss
    shares = len(targets) if getattr(loss, "reduction", "mean") == "sum" else 1
    return {
        "loss": experiment.config.loss.name,
        "measured": float(loss_of(loss, outputs, targets)) / shares,
        "expected": float(loss_of(loss, guess, targets)) / shares,
        "guess": meaning,
        "samples": len(targets),
        "pretrained": experiment.config.model.pretrained is not None,
    }


def _guess(experiment: Experiment, outputs: Tensor) -> tuple[Tensor, str]:
    """Returns the outputs of a network that knows nothing, and what they mean."""
    reads, count = experiment.decoder.reads, outputs.shape[-1]
    if experiment.dataset.task == "regression":
        mean = experiment.splits["train"].targets.double().mean(0) if outputs.device.type != "mps" else 0.0
        return torch.zeros_like(outputs) + torch.as_tensor(mean, device=outputs.device).to(outputs.dtype), "the mean"
    if reads == "margins":
        return torch.zeros_like(outputs), "outputs of 0"
    apart = reads == "log_odds" or count == 1 or isinstance(experiment.config.loss, Bce)
    meaning = "probabilities of 0.5" if apart else f"{count} equally probable classes"
    value = 0.0
    if reads == "probabilities":
        value = 0.5 if apart else 1 / count
    elif reads == "log_probabilities":
        value = -math.log(count)
    return torch.full_like(outputs, value), meaning
