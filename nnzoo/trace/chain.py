"""Builds the stages of a network from the modules that a step ran."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from nnzoo.models import MLP
from nnzoo.trace.layers import DenseLayer
from nnzoo.trace.record import Recorded, StepRecord
from nnzoo.trace.stage import Inputs, Stage

MAX_NUMBERED = 99
"""Networks with up to this many weights have numbered weights, w1, w2, ...; others name them by unit and index."""
PARTS = ("linear", "conv", "norm", "activation", "dropout")


def stages_of(model: nn.Module, record: StepRecord, feature_names: Sequence[str]) -> list[Stage]:
    """Returns the stages of a network in order, from the inputs to the outputs."""
    rows = labels(len(record.inputs))
    assert isinstance(model, MLP)
    inputs = Inputs(rows, record.inputs.double(), feature_names, steps_first=record.inputs.ndim == 3)
    return [inputs, *dense_stages(record, inputs, is_numbered=is_small(model))]


def labels(count: int) -> list[str]:
    """Returns the label of each sample of a batch, from 1; a single sample needs none."""
    return [""] if count == 1 else [str(number + 1) for number in range(count)]


def is_small(model: nn.Module) -> bool:
    """Returns whether the weights of a dense network are numbered."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.ndim > 1) <= MAX_NUMBERED


def links_of(record: StepRecord, name: str) -> list[tuple[str, Recorded]]:
    """Returns the parts of a layer in the order in which they ran; dropout only if it drops anything."""
    found = []
    for part in PARTS:
        recorded = record.modules.get(f"{name}.{part}")
        if recorded is None or (isinstance(recorded.module, nn.Dropout) and not is_active(recorded.module)):
            continue
        found.append(("linear" if part == "conv" else part, recorded))
    return found


def is_active(dropout: nn.Dropout) -> bool:
    """Returns whether a dropout module changes anything."""
    return dropout.p > 0 and dropout.training


def layer_names(record: StepRecord, start: str) -> list[str]:
    """Returns the names of the layers that begin with `start` and a number, in order."""
    found = {name.rsplit(".", 1)[0] for name in record.modules if name.startswith(f"{start}.")}
    return sorted(found, key=lambda name: int(name.split(".")[1]))


def dense_stages(record: StepRecord, source: Stage, *, is_numbered: bool = False) -> list[Stage]:
    """Returns the fully connected layers: the hidden ones, then the output layer."""
    names = [*layer_names(record, "hidden"), "output"]
    found: list[Stage] = []
    weight = bias = 1
    for number, name in enumerate(names):
        is_output, is_only = name == "output", len(names) == 2
        letter = "o" if is_output else "h" if is_only else f"h{number + 1}."
        first = (weight, bias) if is_numbered else None
        links = links_of(record, name)
        layer = DenseLayer(name, letter, source.rows, record, links, source, first)
        weight += layer.weight.numel()
        bias += 0 if layer.bias is None else layer.bias.numel()
        found.append(layer)
        source = layer
    return found
