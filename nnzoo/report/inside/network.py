"""A trained network with its data, as the parts of the page read it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.data import Dataset, Split
from nnzoo.experiment.prepare import Experiment
from nnzoo.experiment.train.finished import RunWithData
from nnzoo.models.parameters import head_of
from nnzoo.report.charts import Part
from nnzoo.report.network_blocks import Block, blocks_of
from nnzoo.summaries.collect import record
from nnzoo.training.batches.order import arguments_of
from nnzoo.training.evaluate import mirrored
from nnzoo.training.measures.decoding import Decoder

Found = list[Part] | str
"""The parts about one aspect, or the reason why it does not apply."""

MAX_SAMPLES = 1000
"""The largest number of samples that a part of the page reads."""


@dataclass(frozen=True)
class Network:
    """A trained network with its data.

    Attributes:
        run: The finished run.
        experiment: Its data.
        module: The network in evaluation mode.
    """

    run: RunWithData
    experiment: Experiment
    module: nn.Module

    @property
    def dataset(self) -> Dataset:
        return self.experiment.dataset

    @property
    def decoder(self) -> Decoder:
        """The decoder for outputs on the CPU."""
        return self.experiment.decoder.on_cpu()

    @property
    def split(self) -> Split:
        """The preprocessed split whose samples are shown."""
        return self.experiment.splits[self.run.split]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one preprocessed sample."""
        return tuple(self.inputs(self.split, slice(0, 1)).shape[1:])

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the preprocessed features; empty if they have none."""
        mixed = self.experiment.preprocess.mean is not None
        names = self.dataset.feature_names
        return names if not mixed and names and len(names) == self.input_shape[-1] else ()

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of the network, as they are drawn."""
        return blocks_of(record(self.module, self.input_shape, self.dtype))

    @property
    def dtype(self) -> torch.dtype:
        """The type of preprocessed samples; an integer type for tokens and trees."""
        return self.inputs(self.split, slice(0, 1)).dtype

    def inputs(self, split: Split, rows: slice | Tensor) -> Tensor:
        """Returns preprocessed samples, (N, *input_shape), on the device of the network."""
        return split.network_inputs(rows)

    def outputs(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Returns the outputs for preprocessed samples on the CPU."""
        forward = mirrored(self.module) if self.experiment.settings.mirrored else self.module
        with torch.no_grad():
            outputs: Tensor = forward(*arguments_of(self.module, inputs.to(self.device), lengths))
        return outputs.cpu()

    def activations(
        self, inputs: Tensor, names: Sequence[str], lengths: Tensor | None = None, *, entering: bool = False
    ) -> dict[str, Tensor]:
        """Returns the outputs of modules for preprocessed samples, on the CPU; of the first call of each module.

        For an ensemble they are the mean over its members.

        Args:
            inputs: (N, *input_shape).
            names: The dotted paths of the modules.
            lengths: (N,) the valid steps of sequences.
            entering: Whether to return the inputs of the modules instead.
        """
        found: dict[str, Tensor] = {}
        members = getattr(self.module, "ensemble", 1)

        def keep(name: str, value: Any) -> None:
            tensor = value[0] if isinstance(value, tuple) else value
            if isinstance(tensor, Tensor):
                if members > 1 and len(tensor) == members * len(inputs):
                    tensor = tensor.reshape(len(inputs), members, *tensor.shape[1:]).mean(dim=1)
                found.setdefault(name, tensor.detach().cpu())

        with ExitStack() as hooks:
            for name in names:
                module = self.module.get_submodule(name)
                if entering:
                    handle = module.register_forward_pre_hook(lambda _, args, name=name: keep(name, args))
                else:
                    handle = module.register_forward_hook(lambda _, __, output, name=name: keep(name, output))
                hooks.callback(handle.remove)
            self.outputs(inputs, lengths)
        return found

    @property
    def head(self) -> str:
        """The dotted path of the last layer."""
        return head_of(self.module)

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    def lengths(self, split: Split, rows: slice | Tensor) -> Tensor | None:
        """Returns the valid steps of samples; None if all steps are valid."""
        return None if split.lengths is None else split.lengths[rows]

    def true_labels(self, split: Split, rows: slice | Tensor) -> Tensor:
        """Returns the true class indices, (N,), on the CPU."""
        return self.decoder.target_labels(split.targets[rows].cpu())

    def class_name(self, index: int) -> str:
        """Returns the name of a class."""
        return self.dataset.classes[index]


def network_of(run: RunWithData) -> Network | None:
    """Returns the network of a run; None if the network or its data is missing."""
    if run.experiment is None or run.module is None:
        return None
    if next(run.module.parameters(), None) is None:
        return None
    return Network(run, run.experiment, run.module)
