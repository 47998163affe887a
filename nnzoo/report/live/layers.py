"""Describes a trained network as a list of layers with their weights, for the JavaScript of the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nnzoo.errors import UsageError
from nnzoo.models import CNN, MLP, KernelMachine, Maxout, RecurrentNet, Step
from nnzoo.models.blocks import Block, GlobalPooling
from nnzoo.models.kernel import RandomFourierFeatures
from nnzoo.models.layers import Dense
from nnzoo.models.lenet import ScaledTanh
from nnzoo.models.relative_forecast import RelativeForecast

Layer = dict[str, Any]
"""A layer in JSON: `kind`, its settings, its `weights` as places in the array of all weights, and `title` if shown."""

_SKIPPED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
_MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d)
_AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d)
_ADAPTIVE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)

_ACTIVATIONS: dict[type[nn.Module], Callable[[Any], Layer]] = {
    nn.ReLU: lambda _: {"kind": "relu"},
    nn.LeakyReLU: lambda each: {"kind": "leaky_relu", "slope": each.negative_slope},
    nn.ELU: lambda each: {"kind": "elu", "alpha": each.alpha},
    nn.SELU: lambda _: {"kind": "selu"},
    nn.GELU: lambda each: {"kind": "gelu", "approximate": each.approximate},
    nn.SiLU: lambda _: {"kind": "silu"},
    nn.Sigmoid: lambda _: {"kind": "sigmoid"},
    nn.Tanh: lambda _: {"kind": "tanh", "bound": 1.0, "slope": 1.0},
    ScaledTanh: lambda each: {"kind": "tanh", "bound": each.bound, "slope": 2 / 3},
    nn.Softplus: lambda each: {"kind": "softplus", "beta": each.beta, "threshold": each.threshold},
    nn.Hardtanh: lambda each: {"kind": "hardtanh", "low": each.min_val, "high": each.max_val},
    Step: lambda _: {"kind": "step"},
    Maxout: lambda each: {"kind": "maxout", "pieces": each.num_pieces},
}


class UnsupportedLayerError(UsageError):
    """The page can't compute a layer."""


class Weights:
    """Collects the weights of all layers in one float32 array."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float32]] = []
        self._size = 0

    @property
    def num_bytes(self) -> int:
        """The size of the array in bytes."""
        return 4 * self._size

    def add(self, tensor: Tensor) -> list[int]:
        """Adds a tensor, and returns its place: the index of its first value and their number."""
        values = tensor.detach().cpu().float().contiguous().flatten().numpy()
        place = [self._size, len(values)]
        self._parts.append(values)
        self._size += len(values)
        return place

    def places(self, **tensors: Tensor | None) -> dict[str, list[int]]:
        """Adds tensors by name, and returns their places."""
        return {name: self.add(tensor) for name, tensor in tensors.items() if tensor is not None}

    def encoded(self) -> str:
        """Returns the array in base64, little-endian."""
        joined = np.concatenate(self._parts) if self._parts else np.zeros(0, np.float32)
        return base64.b64encode(joined.astype("<f4").tobytes()).decode()


def layers_of(module: nn.Module, weights: Weights, layout: str) -> list[Layer]:
    """Returns the layers of a network in the order of their computation.

    Args:
        module: The network.
        weights: Receives the weights of the layers.
        layout: The layout of its inputs: features, image, sequence or tokens.

    Raises:
        UnsupportedLayerError: The network has a layer that the page can't compute.
    """
    match module:
        case RelativeForecast():
            return [
                {
                    "kind": "relative",
                    "layers": layers_of(module.network, weights, layout),
                    "weights": weights.places(relative=module.relative, weight=module.weight, bias=module.bias),
                }
            ]
        case RecurrentNet():
            return _recurrent(module, weights, layout)
        case CNN():
            return _cnn(module, weights)
        case MLP():
            return [
                {"kind": "flatten"},
                *_walk(module.hidden, "hidden", weights),
                *_walk(module.output, "output", weights),
            ]
        case KernelMachine():
            features = _walk(module.features, "features", weights)
            return [{"kind": "flatten"}, *features, *_walk(module.output, "output", weights)]
    return _walk(module, "", weights)


def _walk(module: nn.Module, name: str, weights: Weights) -> list[Layer]:
    """Returns the layers of a module that calls its parts in order."""
    own = _single(module, weights)
    if own is not None:
        return [{**layer, "title": name or layer["kind"]} for layer in own]
    if not isinstance(module, nn.Sequential) or _changes_forward(module):
        raise UnsupportedLayerError(f"the page can't compute {type(module).__name__} ({name or 'the network'})")
    found: list[Layer] = []
    for child_name, child in module.named_children():
        found += _walk(child, f"{name}.{child_name}".lstrip("."), weights)
    if isinstance(module, Block):
        found[0] |= {"filler": module.filler if np.isfinite(module.filler) else None}
    if isinstance(module, Dense | Block):  # shown once, with its norm and activation
        for layer in found:
            layer.pop("title", None)
        found[-1]["title"] = name
    return found


def _changes_forward(module: nn.Module) -> bool:
    """Returns whether a subclass of nn.Sequential computes something else than its parts in order."""
    forward = type(module).forward
    return forward is not nn.Sequential.forward and forward is not Block.forward


def _single(module: nn.Module, weights: Weights) -> list[Layer] | None:
    """Returns the layers of a module without parts that the page computes; None for other modules."""
    activation = _ACTIVATIONS.get(type(module))
    if activation is not None:
        return [activation(module)]
    if type(module) in _SKIPPED:
        return []
    if type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1):
        return [{"kind": "flatten"}]
    if isinstance(module, nn.Softmax | nn.LogSoftmax) and module.dim:
        kind = "softmax" if isinstance(module, nn.Softmax) else "log_softmax"
        return [{"kind": kind, "axis": module.dim - 1 if module.dim > 0 else module.dim}]
    if type(module) is nn.PReLU:
        return [{"kind": "prelu", "weights": weights.places(slopes=module.weight)}]
    if type(module) is nn.Linear:
        sizes = {"in": module.in_features, "out": module.out_features}
        return [{"kind": "linear", **sizes, "weights": weights.places(weight=module.weight, bias=module.bias)}]
    if type(module) is RandomFourierFeatures:
        places = weights.places(frequencies=module.frequencies, phases=module.phases)
        return [{"kind": "random_features", "weights": places}]
    if isinstance(module, _NORMS):
        return [_batch_norm(module, weights)]
    if isinstance(module, _CONVOLUTIONS):
        return [_convolution(module, weights)]
    if isinstance(module, _MAX_POOLS + _AVG_POOLS + _ADAPTIVE + (GlobalPooling,)):
        return [_pool(module)]
    return None


def _batch_norm(module: nn.BatchNorm1d | nn.BatchNorm2d, weights: Weights) -> Layer:
    """Returns batch norm with the statistics of the training as one factor and one offset per channel."""
    if module.running_mean is None or module.running_var is None:
        raise UnsupportedLayerError("the page can't compute batch norm without running statistics")
    factor = (module.running_var.double() + module.eps).rsqrt()
    factor = factor if module.weight is None else factor * module.weight.double()
    offset = -module.running_mean.double() * factor
    offset = offset if module.bias is None else offset + module.bias.double()
    return {"kind": "batch_norm", "weights": weights.places(factor=factor, offset=offset)}


def _convolution(module: nn.Conv1d | nn.Conv2d, weights: Weights) -> Layer:
    if module.padding_mode != "zeros":
        raise UnsupportedLayerError(f"the page can't compute the padding mode {module.padding_mode} of a convolution")
    kernel, dilation = list(module.kernel_size), list(module.dilation)
    if module.padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        padding = [[total // 2, total - total // 2] for total in totals]  # as in PyTorch, more at the end
    else:
        padding = [[0, 0] if module.padding == "valid" else [int(each), int(each)] for each in module.padding]
        padding = padding if module.padding != "valid" else [[0, 0]] * len(kernel)
    return {
        "kind": "conv",
        "in": module.in_channels,
        "out": module.out_channels,
        "kernel": kernel,
        "stride": list(module.stride),
        "padding": padding,
        "dilation": dilation,
        "groups": module.groups,
        "weights": weights.places(weight=module.weight, bias=module.bias),
    }


def _pool(module: nn.Module) -> Layer:
    if isinstance(module, GlobalPooling):
        return {"kind": "global_pool", "of": module.kind}
    settings: Any = module
    if isinstance(module, _ADAPTIVE):
        sizes = settings.output_size
        if any(size != 1 for size in (sizes if isinstance(sizes, tuple) else (sizes,))):
            raise UnsupportedLayerError("the page computes adaptive pooling only to size 1")
        return {"kind": "global_pool", "of": "avg"}
    is_max = isinstance(module, _MAX_POOLS)
    plain = not settings.ceil_mode and (
        (settings.dilation in (1, (1,), (1, 1)) and not settings.return_indices)
        if is_max
        else settings.count_include_pad and getattr(settings, "divisor_override", None) is None
    )
    if not plain:
        raise UnsupportedLayerError(f"the page can't compute the options of {type(module).__name__}")
    num_axes = 1 if isinstance(module, nn.MaxPool1d | nn.AvgPool1d) else 2

    def per_axis(value: int | tuple[int, ...]) -> list[int]:
        return [value] * num_axes if isinstance(value, int) else list(value)

    kernel, stride = per_axis(settings.kernel_size), per_axis(settings.stride)
    padding = [[each, each] for each in per_axis(settings.padding)]
    return {"kind": "pool", "of": "max" if is_max else "avg", "kernel": kernel, "stride": stride, "padding": padding}


def _cnn(module: CNN, weights: Weights) -> list[Layer]:
    found: list[Layer] = []
    if module.embedding is not None:
        found.append(_embedding(module.embedding, weights))
    if module.num_axes == 1:
        found.append({"kind": "channels_first"})
    found += _walk(module.blocks, "blocks", weights)
    found.append({"kind": "flatten"})
    return [*found, *_walk(module.hidden, "hidden", weights), *_walk(module.output, "output", weights)]


def _recurrent(module: RecurrentNet, weights: Weights, layout: str) -> list[Layer]:
    found: list[Layer] = [{"kind": "image_rows"}] if layout == "image" else []
    if module.embedding is not None:
        found.append(_embedding(module.embedding, weights))
    number = 0
    for part in module.recurrent:
        cell: Any = part
        for depth in range(cell.num_layers):
            found.append(_recurrent_layer(cell, depth, f"recurrent.{number}", weights))
            number += 1
    found.append(
        {"kind": "pool_steps", "of": module.pooling, "bidirectional": module.bidirectional, "title": "pooled states"}
        if module.pooling != "none"
        else {"kind": "each_step"}
    )
    output = _walk(module.output, "output", weights)
    if module.pooling == "none":
        for layer in output:
            layer.pop("title", None)
        found[-1] |= {"layers": output, "title": "output"}
        return found
    return found + output


def _recurrent_layer(cell: Any, depth: int, name: str, weights: Weights) -> Layer:
    """Returns one layer of a recurrent module of torch, with its directions."""
    kinds = {nn.RNN: "rnn", nn.LSTM: "lstm", nn.GRU: "gru"}
    directions = []
    for suffix in ("", "_reverse") if cell.bidirectional else ("",):
        tensors = {
            "input": getattr(cell, f"weight_ih_l{depth}{suffix}"),
            "state": getattr(cell, f"weight_hh_l{depth}{suffix}"),
            "inputBias": getattr(cell, f"bias_ih_l{depth}{suffix}"),
            "stateBias": getattr(cell, f"bias_hh_l{depth}{suffix}"),
        }
        directions.append({"weights": weights.places(**tensors)})
    return {
        "kind": "recurrent",
        "cell": kinds[type(cell)],
        "hidden": cell.hidden_size,
        "relu": getattr(cell, "nonlinearity", "tanh") == "relu",
        "directions": directions,
        "title": name,
    }


def _embedding(module: nn.Embedding, weights: Weights) -> Layer:
    places = weights.places(weight=module.weight)
    return {"kind": "embedding", "dim": module.embedding_dim, "weights": places, "title": "embedding"}


def fitted(tensor: Tensor | None) -> list[float] | None:
    """Returns a fitted tensor as a flat list of numbers, which JSON writes exactly; None if there is none."""
    return None if tensor is None else torch.as_tensor(tensor).double().flatten().tolist()
