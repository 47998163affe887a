"""Compares an exported network with nnzoo, on samples of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nnzoo.data import Dataset, Split
from nnzoo.errors import DataError
from nnzoo.experiment.evaluate.training_data import read_training_data
from nnzoo.experiment.load import TrainedModel
from nnzoo.experiment.train.record import PREDICTED_SPLITS
from nnzoo.export.built import Runner
from nnzoo.export.served import Interface

LIMIT = 1e-5
"""The largest difference of an exported network."""
MAX_SAMPLES = 128
_LARGE = 2**16
"""Numbers per sample. A large network reads fewer samples."""


@dataclass(frozen=True)
class Parity:
    """The result of a comparison.

    Attributes:
        measure: What the difference is.
        difference: The largest difference.
        samples: Where the samples come from.
        batches: The number of samples and, for sequences and tokens, of steps of each batch.
        limit: The largest difference allowed.
    """

    measure: str
    difference: float
    samples: str
    batches: list[tuple[int, ...]]
    limit: float = LIMIT

    @property
    def passed(self) -> bool:
        return self.difference <= self.limit  # False for NaN

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "batches": [list(each) for each in self.batches]}


def training_data(trained: TrainedModel) -> Dataset | str:
    """Reads the data of a run again, or returns the reason why that fails."""
    try:
        return read_training_data(trained, fix="Name the run directory.")
    except DataError as error:
        return str(error)


def samples_of(trained: TrainedModel, interface: Interface, data: Dataset | str) -> tuple[Split, str]:
    """Returns up to `MAX_SAMPLES` samples, spread evenly over a split, and where they come from.

    If the data can't be read, samples are random: numbers as in the training data, or any tokens and pixels.
    """
    count = _num_samples(trained)
    if isinstance(data, str):
        return _random(trained, interface, count), f"random inputs ({data.removesuffix('.')})"
    name = next(each for each in PREDICTED_SPLITS if each in data.splits)
    split = data.splits[name]
    rows = torch.linspace(0, len(split) - 1, min(count, len(split))).long()
    taken = split.take(rows)
    return replace(taken, inputs=taken.inputs[:]), name  # in memory, if they are on disk


def _num_samples(trained: TrainedModel) -> int:
    """Returns how many samples are compared: fewer if a sample has many inputs or outputs."""
    outputs = trained.metadata.num_outputs
    if trained.metadata.per == "step":
        outputs *= trained.input_shape[0]
    return 16 if max(math.prod(trained.input_shape), outputs) > _LARGE else MAX_SAMPLES


def _random(trained: TrainedModel, interface: Interface, count: int) -> Split:
    """Returns random samples that the network can read, always the same."""
    metadata, shape = trained.metadata, (count, *trained.input_shape)
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, shape[1] + 1, (count,), generator=generator) if interface.has_lengths else None
    if interface.columns is not None:
        inputs = interface.columns.random((*shape[:-1], len(interface.columns.described)), generator)
    elif metadata.layout == "tokens":
        inputs = torch.randint(0, metadata.num_tokens, shape, generator=generator)
    elif interface.dtype == torch.uint8:
        inputs = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    else:
        inputs = torch.randn(shape, generator=generator, dtype=torch.float64)
        shift, scale = trained.preprocess.shift, trained.preprocess.scale
        inputs = inputs if shift is None or scale is None else inputs * scale + shift
        inputs = inputs.to(interface.dtype)
    return Split(inputs, torch.zeros(count), lengths)


def compare(trained: TrainedModel, interface: Interface, run: Runner, samples: Split, source: str) -> Parity:
    """Compares the outputs of an exported network with those of nnzoo, at several batch sizes and lengths.

    Probabilities are compared as they are. The values of a regression are divided by the standard deviation of the
    target in train, or by the largest value if targets are not scaled; margins by the largest margin, if it is above 1.

    Args:
        trained: The network, on the CPU.
        interface: The inputs and outputs of the exported network.
        run: Computes the outputs of the exported network.
        samples: The samples.
        source: Where they come from.
    """
    worst = torch.zeros(trained.metadata.num_outputs, dtype=torch.float64)
    largest = torch.tensor(1.0, dtype=torch.float64)
    shapes: list[tuple[int, ...]] = []
    has_steps = trained.metadata.layout in ("sequence", "tokens")
    for inputs, lengths in _batches(samples, any_length=interface.any_length):
        outputs = run(interface.arguments(inputs, lengths))
        expected, labels = _expected(trained, interface, inputs, lengths)
        valid: slice | Tensor = slice(None)
        if trained.metadata.per == "step" and lengths is not None:
            valid = torch.arange(inputs.shape[1]) < lengths.unsqueeze(1)
        scores, truth = outputs[0][valid].double(), expected[valid].double()
        gaps = (scores - truth).abs().flatten(0, -2).amax(0)
        if labels is not None and _labels_differ(trained, truth, outputs[1][valid], labels[valid]):
            gaps = gaps + torch.inf
        worst = torch.maximum(worst, gaps)  # NaN stays NaN
        largest = torch.maximum(largest, truth.abs().max())
        shapes.append(tuple(inputs.shape[: 1 + has_steps]))
    scale = trained.preprocess.target_scale
    if interface.scores == "probabilities":
        return Parity("largest difference of the probabilities", float(worst.max()), source, shapes)
    if interface.scores == "values" and scale is not None:
        measure = "largest difference of the values, divided by the standard deviation of the target"
        return Parity(measure, float((worst / scale).max()), source, shapes)
    measure = f"largest difference of the {interface.scores}, divided by the largest of them or 1"
    return Parity(measure, float((worst / largest).max()), source, shapes)


def _batches(samples: Split, *, any_length: bool) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yields batches of 1, 2, 5, and all other samples; for recurrent networks also shorter and longer samples."""
    starts = [each for each in (0, 1, 3, 8) if each < len(samples)]
    for start, stop in zip(starts, [*starts[1:], len(samples)], strict=True):
        lengths = None if samples.lengths is None else samples.lengths[start:stop]
        yield samples.inputs[start:stop], lengths
    if not any_length:
        return
    inputs = samples.inputs[:6]
    lengths = None if samples.lengths is None else samples.lengths[:6]
    for steps in {1, max(1, inputs.shape[1] // 2)}:
        yield inputs[:, :steps], None if lengths is None else lengths.clamp(max=steps)
    yield torch.cat([inputs, inputs], dim=1), None if lengths is None else lengths + inputs.shape[1]


def _expected(
    trained: TrainedModel, interface: Interface, inputs: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Returns the scores and labels that nnzoo computes, in the way of `nnzoo predict`."""
    outputs = trained.outputs_of(inputs, lengths)
    if interface.scores == "values":
        return trained.decoder.values(outputs), None
    scores = outputs if interface.scores == "margins" else trained.decoder.probabilities(outputs)
    return scores, trained.decoder.labels(outputs)


def _labels_differ(trained: TrainedModel, expected: Tensor, labels: Tensor, expected_labels: Tensor) -> bool:
    """Returns whether labels differ from those expected, although the scores (n, K) are not almost tied."""
    differ = labels != expected_labels
    if trained.metadata.task == "multilabel" or expected.shape[-1] == 1:
        threshold = 0.0 if trained.decoder.reads == "margins" else 0.5
        clear = (expected - threshold).abs() > 2 * LIMIT
        return bool((differ.reshape(clear.shape) & clear).any())
    chosen = expected.gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    return bool((differ & (expected.amax(-1) - chosen > 2 * LIMIT * expected.abs().amax(-1))).any())
