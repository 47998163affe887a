"""The public API: `summarize` returns a `Summary`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from nnzoo.errors import UsageError
from nnzoo.summaries.collect import record
from nnzoo.summaries.compute import LayerRow, count_neurons, layer_rows
from nnzoo.summaries.notes import border_notes, frozen_notes, repeat_notes
from nnzoo.summaries.render import render_table


@dataclass(frozen=True)
class Summary:
    """The layers of a model. `print(summary)` prints the full text.

    Args:
        model: The name of the model's class.
        input_shape: The shape of one sample, without the batch axis.
        batch_size: The batch size in the table; with -1 for any, the sizes in MB are per sample.
        layers: The rows of the table.
        num_parameters: Equals `sum(p.numel() for p in model.parameters())` and the sum over the rows.
        num_trainable_parameters: The number of parameters with `requires_grad`.
        num_neurons: The units of all layers except the input; a convolution has one per output value.
        flops: FLOPs of one sample in the mode of the model: matrix products, convolutions and attention, where a
            multiplication and an addition count as two. Elementwise operations (activations, normalisation) are not
            counted.
        num_operations: The number of operations of a forward pass; 0 for large networks, where it is not counted.
        num_steps: The most time steps that a recurrent layer processes one after another; 1 without recurrent layers.
        notes: The notes below the table.
    """

    model: str
    input_shape: tuple[int, ...]
    batch_size: int
    layers: tuple[LayerRow, ...]
    num_parameters: int
    num_trainable_parameters: int
    num_neurons: int
    flops: int
    num_operations: int
    num_steps: int
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Returns the JSON object of `summary --json`."""
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "layers": [
                {
                    "name": layer.name,
                    "type": layer.type,
                    "output_shape": list(layer.output_shape),
                    "num_parameters": layer.num_parameters,
                }
                for layer in self.layers
            ],
            "num_parameters": self.num_parameters,
            "num_trainable_parameters": self.num_trainable_parameters,
            "num_neurons": self.num_neurons,
            "flops": self.flops,
            "notes": list(self.notes),
        }

    def render(self) -> str:
        """Returns the table of torchsummary, then neurons, FLOPs and notes, without a newline at the end."""
        return "\n".join(
            [
                render_table(self.layers, self.input_shape, self.batch_size),
                f"Neurons: {self.num_neurons:,}",
                f"FLOPs (one sample): {self.flops:,}",
                *(f"Note: {note}" for note in self.notes),
            ]
        )

    def __str__(self) -> str:
        return self.render()


def summarize(
    model: nn.Module,
    input_shape: tuple[int, ...],
    *,
    batch_size: int = -1,
    dtype: torch.dtype = torch.float32,
    notes: Sequence[str] = (),
    frozen_epochs: Mapping[str, float] = MappingProxyType({}),
) -> Summary:
    """Describes a model by one forward pass of a copy. The model, its mode and the random generators do not change.

    Args:
        model: Any module that is called with one batch. It is described in its current mode: in eval mode, auxiliary
            heads are not called.
        input_shape: The shape of one sample, without the batch axis.
        batch_size: The first axis of every shape in the table; -1 for any.
        dtype: The type of the inputs; an integer type for tokens.
        notes: Additional notes, which are shown last.
        frozen_epochs: The number of epochs for which parameters are frozen, by name; others are frozen for good.

    Raises:
        UsageError: `input_shape` or `batch_size` is invalid, the model has lazy parameters or can't be copied, or its
            forward pass fails; the message then names the layer and its input shape.
    """
    if any(size < 1 for size in input_shape):
        raise UsageError(f"every size must be 1 or more (got {tuple(input_shape)}).", where="input_shape")
    if batch_size < 1 and batch_size != -1:
        raise UsageError(f"must be 1 or more, or -1 for any (got {batch_size}).", where="batch_size")
    if any(is_lazy(tensor) for tensor in chain(model.parameters(), model.buffers())):
        message = "some parameters are lazy and have no shape yet. Run one batch through the model first."
        raise UsageError(message, where=type(model).__name__)
    recording = record(model, input_shape, dtype)
    layers = layer_rows(recording, batch_size)
    num_parameters = sum(p.numel() for p in model.parameters())
    assert sum(layer.num_parameters for layer in layers) == num_parameters
    return Summary(
        model=type(model).__name__,
        input_shape=tuple(input_shape),
        batch_size=batch_size,
        layers=layers,
        num_parameters=num_parameters,
        num_trainable_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        num_neurons=count_neurons(recording),
        flops=recording.flops,
        num_operations=recording.num_operations,
        num_steps=recording.num_steps,
        notes=(*border_notes(recording), *frozen_notes(model, frozen_epochs), *repeat_notes(recording, layers), *notes),
    )
