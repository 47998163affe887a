"""Builds the stages of a network from the modules that a step ran."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from nnzoo.models import CNN, MLP
from nnzoo.models.recurrent import RecurrentNet
from nnzoo.trace.convolution import ConvLayer, PoolStage, channels_first
from nnzoo.trace.layers import DenseLayer
from nnzoo.trace.record import Recorded, StepRecord
from nnzoo.trace.recurrent import RecurrentLayer
from nnzoo.trace.sequence import Embedding, Pooled, StepRows
from nnzoo.trace.setup import num_recurrent_layers
from nnzoo.trace.stage import Inputs, Stage

MAX_NUMBERED = 99
"""Networks with up to this many weights have numbered weights, w1, w2, ...; others name them by unit and index."""
PARTS = ("linear", "conv", "norm", "activation", "dropout")


def stages_of(model: nn.Module, record: StepRecord, feature_names: Sequence[str]) -> list[Stage]:
    """Returns the stages of a network in order, from the inputs to the outputs."""
    rows = labels(len(record.inputs))
    if isinstance(model, MLP):
        inputs = Inputs(rows, record.inputs.double(), feature_names, steps_first=record.inputs.ndim == 3)
        return [inputs, *dense_stages(record, inputs, is_numbered=is_small(model))]
    first: Stage
    if "embedding" in record.modules:
        first = Embedding(rows, record)
    elif isinstance(model, RecurrentNet) and record.inputs.ndim == 4:
        # An image is a sequence of its rows.
        first = Inputs(rows, record.inputs.double().transpose(2, 3).flatten(1, 2))
    else:
        num_axes = 1 if record.inputs.ndim == 3 else 2
        first = Inputs(rows, channels_first(record.inputs.double(), num_axes))
    stages: list[Stage] = [first]
    if isinstance(model, CNN):
        stages += block_stages(record, first)
    elif isinstance(model, RecurrentNet):
        stages += recurrent_stages(model, record, first)
    return [*stages, *dense_stages(record, stages[-1])]


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
    found = {".".join(name.split(".")[:2]) for name in record.modules if name.startswith(f"{start}.")}
    return sorted(found, key=lambda name: int(name.split(".")[1]))


def lettered(letter: str, count: int) -> Callable[[int], str]:
    """Returns a function that gives the start of the symbols of layer k: h if it is the only one, else h1., h2., ..."""
    return lambda number: letter if count == 1 else f"{letter}{number + 1}."


def dense_stages(record: StepRecord, source: Stage, *, is_numbered: bool = False) -> list[Stage]:
    """Returns the fully connected layers: the hidden ones, then the output layer."""
    hidden = layer_names(record, "hidden")
    # A recurrent network has states h, so its dense layers would need another letter; it has no hidden ones.
    letter = lettered("h", len(hidden))
    found: list[Stage] = []
    weight = bias = 1
    for number, name in enumerate([*hidden, "output"]):
        first = (weight, bias) if is_numbered else None
        start = "o" if name == "output" else letter(number)
        layer = DenseLayer(name, start, source.rows, record, links_of(record, name), source, first)
        weight += layer.weight.numel()
        bias += 0 if layer.bias is None else layer.bias.numel()
        found.append(layer)
        source = layer
    return found


def block_stages(record: StepRecord, source: Stage) -> list[Stage]:
    """Returns the convolutions and pooling layers."""
    names = layer_names(record, "blocks")
    convolutions = [name for name in names if f"{name}.conv" in record.modules]
    pools = [name for name in names if name not in convolutions]
    conv_letter, pool_letter = lettered("c", len(convolutions)), lettered("s", len(pools))
    found: list[Stage] = []
    for name in names:
        if name in convolutions:
            letter = conv_letter(convolutions.index(name))
            stage: Stage = ConvLayer(name, letter, source.rows, record, links_of(record, name), source, None)
        else:
            recorded = record.modules.get(f"{name}.pool") or record.modules[name]
            stage = PoolStage(name, pool_letter(pools.index(name)), recorded, source)
        found.append(stage)
        source = stage
    return found


def recurrent_stages(model: RecurrentNet, record: StepRecord, source: Stage) -> list[Stage]:
    """Returns the recurrent layers, and how their states become the inputs of the output layer."""
    found: list[Stage] = []
    count = num_recurrent_layers(model)
    letter = lettered("h", count)
    for name in layer_names(record, "recurrent"):
        for depth in range(record.modules[name].module.num_layers):  # type: ignore[arg-type]
            source = RecurrentLayer(name, letter(len(found)), record, source, depth, number=len(found), count=count)
            found.append(source)
    if model.pooling == "none":
        return [*found, StepRows(source, record)]
    return [*found, Pooled(model, source, record)]
