"""Computes the rows of the table and the number of neurons from the calls of a net."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from nnzoo.summaries.collect import Call, Recording

# A cell that is called at every time step would print the same row hundreds of times.
MAX_ROWS_PER_MODULE = 4


@dataclass(frozen=True)
class LayerRow:
    """One row of the table.

    Args:
        name: The module's dotted path in the model; empty for the model itself.
        type: The name of its class.
        output_shape: The shape of the first output, with the batch size first (-1 for any). Empty if there was no
            tensor, or if the forward pass did not call the module.
        num_parameters: The number of parameters that no other row counts.
        num_trainable_parameters: The number of those that are not frozen.
    """

    name: str
    type: str
    output_shape: tuple[int, ...]
    num_parameters: int
    num_trainable_parameters: int


def layer_rows(recording: Recording, batch_size: int) -> tuple[LayerRow, ...]:
    """Returns the rows in the order in which the calls ended, then the modules that were not called.

    A called module has a row if it did not call a submodule or if it owns parameters. A reused module has one row per
    call, up to `MAX_ROWS_PER_MODULE`, with its parameters in the first row. So each parameter is counted exactly once.
    """
    owned = _parameters_by_owner(recording)
    listed = recording.leaf_names | owned.keys()
    num_rows: Counter[str] = Counter()
    rows = []
    for call in recording.calls:
        num_rows[call.name] += 1
        if call.name in listed and num_rows[call.name] <= MAX_ROWS_PER_MODULE:
            shape = () if call.output_shape is None else (batch_size, *call.output_shape)
            rows.append(_row(call.name, call.module, shape, owned.pop(call.name, ())))
    for name, parameters in owned.items():
        rows.append(_row(name, recording.net.get_submodule(name), (), parameters))
    return tuple(rows)


def count_neurons(recording: Recording) -> int:
    """Returns the number of units of all layers except the input. A layer counts once, even if called repeatedly.

    Linear and bilinear layers have `out_features` units, even if they run over positions; convolutions have one per
    output value (C * H * W); recurrent layers `hidden_size` per layer and direction; multi-head attention the units of
    its four projections, `4 * embed_dim`. Activations, normalisation, pooling, dropout and embeddings have 0. Other
    layers that do not call a submodule can define an int attribute `num_neurons`; without it they have 0.
    """
    first_calls = {call.name: call for call in reversed(recording.calls)}
    return sum(_num_units(first_calls[name]) for name in recording.leaf_names)


def _num_units(call: Call) -> int:
    match call.module:
        case nn.Module(num_neurons=int(units)):
            return units
        case nn.Linear(out_features=units) | nn.Bilinear(out_features=units):
            return units
        case (
            nn.Conv1d() | nn.Conv2d() | nn.Conv3d() | nn.ConvTranspose1d() | nn.ConvTranspose2d() | nn.ConvTranspose3d()
        ):
            return math.prod(call.output_shape or (0,))
        case nn.RNNBase(hidden_size=units, num_layers=depth, bidirectional=both_ways):
            return int(units * depth * (2 if both_ways else 1))
        case nn.RNNCellBase(hidden_size=units):
            return int(units)
        case nn.MultiheadAttention(embed_dim=units):
            return int(4 * units)
        case _:
            return 0


def _parameters_by_owner(recording: Recording) -> dict[str, list[nn.Parameter]]:
    """Assigns each parameter to the nearest called module around it.

    Attention owns its projection, which it uses without calling it. A child of the net in which no module was called
    (an auxiliary head in eval mode) owns its parameters.
    """
    owned: dict[str, list[nn.Parameter]] = defaultdict(list)
    for parameter_name, parameter in recording.net.named_parameters():
        path = parameter_name.split(".")[:-1]
        around = (".".join(path[:depth]) for depth in range(len(path), 0, -1))
        uncalled = path[0] if path else ""
        owned[next((name for name in around if name in recording.called_names), uncalled)].append(parameter)
    return owned


def _row(name: str, module: nn.Module, output_shape: tuple[int, ...], parameters: Sequence[nn.Parameter]) -> LayerRow:
    return LayerRow(
        name=name,
        type=type(module).__name__,
        output_shape=output_shape,
        num_parameters=sum(p.numel() for p in parameters),
        num_trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
    )
