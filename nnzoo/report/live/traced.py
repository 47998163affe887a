"""Finds the order in which a custom module calls its layers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

Chain = list[tuple[str, nn.Module]]
"""The layers by name, each of which reads the output of the one before it."""

_FUNCTIONS: dict[Any, Callable[..., nn.Module]] = {
    F.relu: nn.ReLU,
    torch.relu: nn.ReLU,
    "relu": nn.ReLU,
    F.sigmoid: nn.Sigmoid,
    torch.sigmoid: nn.Sigmoid,
    "sigmoid": nn.Sigmoid,
    F.tanh: nn.Tanh,
    torch.tanh: nn.Tanh,
    "tanh": nn.Tanh,
    F.elu: nn.ELU,
    F.selu: nn.SELU,
    F.gelu: nn.GELU,
    F.silu: nn.SiLU,
    F.softplus: nn.Softplus,
    F.leaky_relu: nn.LeakyReLU,
    F.softmax: nn.Softmax,
    torch.softmax: nn.Softmax,
    F.log_softmax: nn.LogSoftmax,
    torch.log_softmax: nn.LogSoftmax,
    F.max_pool1d: nn.MaxPool1d,
    F.max_pool2d: nn.MaxPool2d,
    F.avg_pool1d: nn.AvgPool1d,
    F.avg_pool2d: nn.AvgPool2d,
    F.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    torch.flatten: nn.Flatten,
    "flatten": nn.Flatten,
}
"""The module of each function or method, which takes the same arguments after the first one."""
_IGNORED = ("inplace", "_stacklevel", "dtype", "training")


def chain_of(module: nn.Module) -> Chain | None:
    """Returns the layers of a module that calls them one after the other; None for other modules."""
    from torch import fx

    try:
        graph = fx.symbolic_trace(module).graph
    except Exception:  # a custom module may do anything that can't be traced
        return None
    found: Chain = []
    last: fx.Node | None = None
    for node in graph.nodes:
        if node.op == "placeholder" and last is None:
            last = node
        elif node.op == "output":
            return found if node.args[0] is last else None
        elif not _is_size(node):
            layer = _layer(module, node) if node.args and node.args[0] is last else None
            if layer is None:
                return None
            found.append((str(node.target) if node.op == "call_module" else node.name, layer))
            last = node
    return None


def _is_size(node: Any) -> bool:
    """Returns whether a node only reads the batch size."""
    if node.op == "call_method" and node.target == "size":
        return bool(node.args[1:] == (0,))
    is_shape = node.op == "call_function" and node.target is getattr and node.args[1] == "shape"
    return is_shape or (node.op == "call_function" and node.target is operator.getitem and node.args[1] == 0)


def _layer(module: nn.Module, node: Any) -> nn.Module | None:
    """Returns the module that computes a node; None if there is none."""
    if node.op == "call_module":
        layer: nn.Module = module.get_submodule(node.target)
        return layer if len(node.args) == 1 and not node.kwargs else None
    if node.op not in ("call_function", "call_method"):
        return None
    if node.target is F.dropout:
        return None if node.kwargs.get("training", True) else nn.Identity()
    if node.target in ("view", "reshape"):
        sizes = node.args[1] if isinstance(node.args[1], tuple | list) else node.args[1:]
        is_batch = not isinstance(sizes[0], int) or sizes[0] == -1
        return nn.Flatten() if len(sizes) == 2 and is_batch else None
    build = _FUNCTIONS.get(node.target)
    if build is None:
        return None
    arguments = {name: value for name, value in node.kwargs.items() if name not in _IGNORED}
    try:
        return build(*node.args[1:], **arguments)
    except TypeError:
        return None
