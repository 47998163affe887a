"""The whole path from raw inputs to predictions as one module: preprocessing, network, and decoding of the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from nnzoo.config.choices import changed_features
from nnzoo.data import Preprocess
from nnzoo.data.series.levels import FAR
from nnzoo.errors import UsageError
from nnzoo.experiment.load import TrainedModel
from nnzoo.export.columns import Columns, columns_of
from nnzoo.export.quantiles import Quantiles
from nnzoo.models import RecurrentNet
from nnzoo.models.members import no_single_network
from nnzoo.models.parameters import takes_lengths
from nnzoo.models.relative_forecast import RelativeForecast
from nnzoo.training.evaluate import mirrored

Scores = Literal["probabilities", "margins", "values"]
"""The meaning of the main output."""


@dataclass(frozen=True)
class Interface:
    """The inputs and outputs of an exported network.

    Attributes:
        shape: The shape of one sample, without the batch axis.
        dtype: The type of the inputs.
        has_lengths: Whether there is a second input, (N,) int64: the number of valid steps of each sample.
        any_length: Whether the number of steps may differ from that of the training data.
        columns: The columns of a table or series; None if inputs are the features themselves.
        scores: The meaning of the main output.
        labels: Whether there is a second output, int64: the predicted class indices, or 0 and 1 per label.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    has_lengths: bool
    any_length: bool
    columns: Columns | None
    scores: Scores
    labels: bool

    @property
    def input_names(self) -> tuple[str, ...]:
        return ("inputs", "lengths") if self.has_lengths else ("inputs",)

    @property
    def output_names(self) -> tuple[str, ...]:
        return (self.scores, "labels") if self.labels else (self.scores,)

    def arguments(self, features: Tensor, lengths: Tensor | None) -> tuple[Tensor, ...]:
        """Returns the inputs of the exported network for samples as they are in a `Split`."""
        inputs = features if self.columns is None else self.columns.of_features(features)
        if self.dtype == torch.uint8 and inputs.dtype != torch.uint8:
            inputs = (inputs * 255).round()
        if not self.has_lengths:
            return (inputs.to(self.dtype),)
        full = torch.full((len(inputs),), inputs.shape[1])
        return inputs.to(self.dtype), full if lengths is None else lengths


def interface_of(trained: TrainedModel) -> Interface:
    """Returns the inputs and outputs of a network.

    Raises:
        UsageError: The network reads trees, or is the average of the networks of a cross-validation.
    """
    metadata, reader = trained.metadata, trained.reader
    if trained.members:
        raise UsageError(no_single_network(len(trained.members)), where=str(trained.path))
    if metadata.layout == "tree":
        raise UsageError(
            f"model: {trained.config.model.name} can't be exported: it computes a batch of trees level by level, and "
            "the number of levels depends on the trees, which none of the formats can express.",
            where=str(trained.path),
        )
    columns = columns_of(reader)
    by_layout = {"tokens": torch.int64, "image": torch.uint8 if reader.pixels else torch.float32}
    has_steps = metadata.layout in ("sequence", "tokens")
    shape = metadata.input_shape
    if columns is not None:
        shape = (*shape[:-1], len(columns.described))
    network = trained.module.network if isinstance(trained.module, RelativeForecast) else trained.module
    margins = trained.decoder.reads == "margins"
    regression = metadata.task == "regression"
    # Sequences without lengths of their own are scaled as if all steps were valid, so they need the lengths, too.
    reads_lengths = takes_lengths(trained.module) or metadata.layout == "sequence"
    return Interface(
        shape=shape,
        dtype=by_layout.get(metadata.layout, torch.float64),
        has_lengths=has_steps and reader.kind != "series" and reads_lengths,
        any_length=has_steps and isinstance(network, RecurrentNet),
        columns=columns,
        scores="values" if regression else "margins" if margins else "probabilities",
        labels=not regression,
    )


def dynamic_shapes(interface: Interface) -> tuple[dict[int, Any], ...]:
    """Returns the axes of each input whose size may vary: the samples, and the steps if any number is possible."""
    samples = torch.export.Dim("N")
    steps = {1: torch.export.Dim("T")} if interface.any_length else {}
    return ({0: samples, **steps}, {0: samples})[: len(interface.input_names)]


class Served(nn.Module):
    """Computes predictions from raw inputs.

    Args:
        trained: The trained network, on the CPU.
        network: Its module, or one that computes the same.
        interface: Its inputs and outputs.
    """

    def __init__(self, trained: TrainedModel, network: nn.Module, interface: Interface) -> None:
        super().__init__()
        self.features = None if interface.columns is None else interface.columns.module()
        self.preprocess = trained.preprocess
        self.decoder = trained.decoder
        state = dict(trained.preprocess.state_dict())
        quantiles = state.pop("quantiles", None)
        self.quantiles = None if quantiles is None else Quantiles(quantiles)
        self.scaling = Preprocess(state)
        self.network = network
        self.takes_lengths = takes_lengths(trained.module)
        self.scores = interface.scores
        self.labels = interface.labels
        self.mirrored = trained.config.train.tta is not None
        self.changed: Sequence[int] | None = changed_features(trained.config)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
        """Raw inputs (N, *), and (N,) lengths of sequences -> scores (N, K) or (N, T, K), and labels (N,) or (N, T).

        Labels of multilabel data are (N, K).
        """
        values = inputs if self.features is None else self.features(inputs)
        moved = None
        if self.changed is not None:
            moved = self._moves(values, self.changed)
            values = values - moved.unsqueeze(1)
        values = self._preprocessed(values, lengths)
        network = mirrored(self.network) if self.mirrored else self.network
        outputs = network(values, lengths) if self.takes_lengths and lengths is not None else network(values)
        if moved is not None and self.changed is not None:
            scale = self.preprocess.units(moved.shape[1], len(self.changed))[3]
            outputs = outputs.double() + moved[:, list(self.changed)] / scale
        if not self.labels:
            return (self.decoder.values(outputs),)
        scores = outputs if self.scores == "margins" else self.decoder.probabilities(outputs)
        return scores, self.decoder.labels(outputs)

    def _preprocessed(self, inputs: Tensor, lengths: Tensor | None) -> Tensor:
        """Returns the inputs of the network, as `Preprocess.forward` does, without its checks."""
        if inputs.dtype == torch.int64:
            return inputs
        if inputs.ndim == 4 and self.preprocess.mean is None:
            scaled: Tensor = self.preprocess.image_scaling()(inputs)
            return scaled
        values = inputs if self.quantiles is None else self.quantiles(inputs)
        return self.scaling.in_float64(values, lengths).float()

    def _moves(self, inputs: Tensor, columns: Sequence[int]) -> Tensor:
        """Returns the shifts of windows that are far from the training rows, as `series.levels.moves` does."""
        last = inputs[:, -1]
        shift, scale, _, _ = self.preprocess.units(last.shape[1], len(columns))
        chosen = torch.zeros_like(scale)
        chosen[sorted(set(columns))] = 1
        away = (last - shift) * chosen
        far = (away.abs() > FAR * scale).any(dim=1, keepdim=True)
        return away * far
