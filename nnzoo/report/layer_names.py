"""The layers of torch and nnzoo in words, for the drawing of a network."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from nnzoo.models.kernel import RandomFourierFeatures


def described(module: nn.Module) -> tuple[str, str, tuple[str, ...], str]:
    """Returns the kind, title, details and loop of a layer."""
    match module:
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            details = []
            if max(module.stride) > 1:
                details.append(f"stride {sizes(module.stride)}")
            if module.padding == "same" or (not isinstance(module.padding, str) and max(module.padding) > 0):
                padding = module.padding if isinstance(module.padding, str) else sizes(module.padding)
                details.append(f"padding {padding}")
            if max(module.dilation) > 1:
                details.append(f"dilation {sizes(module.dilation)}")
            if module.groups > 1:
                details.append(f"{module.groups} groups")
            window = " × ".join(map(str, module.kernel_size))
            return "conv", f"Conv {window}, {module.out_channels} filters", tuple(details), ""
        case nn.Linear():
            return "linear", f"Linear, {counted(module.out_features, 'unit')}", (), ""
        case nn.RNNBase():
            details = [f"{module.num_layers} layers"] * (module.num_layers > 1)
            details += ["both directions"] * bool(module.bidirectional)
            if isinstance(module, nn.RNN):
                details.append(str(module.nonlinearity))
            cell = "RNN" if isinstance(module, nn.RNN) else type(module).__name__
            return "recurrent", f"{cell}, {module.hidden_size} units", tuple(details), "state to the next step"
        case nn.Embedding():
            title = f"Embedding, {module.num_embeddings:,} tokens"
            return "embedding", title, (f"a vector of {module.embedding_dim} numbers per token",), ""
        case RandomFourierFeatures():
            return "other", f"Random Fourier features, {len(module.phases)}", (f"gamma {module.gamma:g}",), ""
        case nn.Sequential() if not len(module):
            return "detail", "", (), ""
        case nn.Dropout():
            return "detail", f"dropout {module.p:g}" if module.p else "", (), ""
        case nn.MaxPool1d() | nn.MaxPool2d() | nn.AvgPool1d() | nn.AvgPool2d():
            kind = "Max" if "Max" in type(module).__name__ else "Average"
            strides = f"stride {sizes(module.stride)}"
            return "pool", f"{kind} pooling {sizes(module.kernel_size, ' × ', 2)}", (strides,), ""
    return (*_by_name(module), (), "")


def _by_name(module: nn.Module) -> tuple[str, str]:
    """Returns the kind and the title of a layer that is described by the name of its class."""
    name = type(module).__name__
    if name.startswith("BatchNorm"):
        return "detail", "batch norm"
    if name.startswith(("LayerNorm", "GroupNorm")):
        return "detail", "layer norm" if name.startswith("Layer") else "group norm"
    if name in ("Flatten", "Identity", "Permute", "StochasticDepth"):
        return "detail", {"Flatten": "flatten", "StochasticDepth": "stochastic depth"}.get(name, "")
    if name.startswith(("AdaptiveAvg", "AdaptiveMax", "GlobalPooling", "AveragedTo")):
        return (
            "pool",
            "Global max pooling" if "max" in f"{name} {module.extra_repr()}".lower() else "Global average pooling",
        )
    if name == "ScaledTanh":
        return "detail", "scaled tanh"
    if type(module).__module__.startswith(("torch.nn.modules.activation", "nnzoo.models.activations")):
        return (
            ("other", words(name)) if name == "MultiheadAttention" else ("detail", _ACTIVATIONS.get(name, name.lower()))
        )
    return "other", words(name)


_ACTIVATIONS = {"ReLU": "ReLU", "LeakyReLU": "leaky ReLU", "PReLU": "PReLU", "ELU": "ELU", "SELU": "SELU"} | {
    "GELU": "GELU",
    "SiLU": "SiLU",
    "LogSoftmax": "log-softmax",
    "Maxout": "maxout",
}


def words(name: str) -> str:
    """Returns the name of a class as words: "BasicBlock" becomes "Basic block"."""
    if name in ("MBConv", "FusedMBConv", "CNBlock"):
        return name
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name.lstrip("_")).replace("_", " ").strip()
    return " ".join(
        word if word.isupper() or number == 0 else word.lower() for number, word in enumerate(spaced.split())
    )


def sizes(size: int | Sequence[int], separator: str = " × ", at_least: int = 1) -> str:
    """Returns one number if all are equal, else all of them."""
    numbers = [size] if isinstance(size, int) else list(size)
    if len(set(numbers)) == 1:
        numbers = numbers[:1] * (at_least if isinstance(size, int) or len(size) > 1 else 1)
    return separator.join(map(str, numbers))


def counted(count: int, noun: str) -> str:
    """Returns a count with its noun: "1 unit", "1,024 units"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
