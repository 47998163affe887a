"""What Python sees: the verbs of the command line as functions."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import nn

from nnzoo.config import ConfigLike, load_config
from nnzoo.errors import UsageError
from nnzoo.experiment.initial import initial_network, network_of_size
from nnzoo.experiment.load import load
from nnzoo.experiment.pretrained import with_embedding
from nnzoo.experiment.train import train
from nnzoo.summaries import Summary, summarize

__all__ = ["build_model", "load", "load_config", "summary", "train"]


def build_model(
    config: ConfigLike, input_shape: Sequence[int] | None = None, num_outputs: int | None = None
) -> nn.Module:
    """Builds the network of a config with the weights that training starts with.

    The weights are drawn with the seed of the config, so that they are the same each time; those of `model.pretrained`
    come from its checkpoint. The random generators are left as they are.

    Args:
        config: A path, the name of a shipped config, a dict, or a config.
        input_shape: One sample without the batch axis; default: as the data has it.
        num_outputs: Output units; default: as data and loss need them. If given, the data is not read, and the last
            layer is always a new one.

    Raises:
        UsageError: There is no such config, or the shape is not one of positive integers.
        ConfigError: The config can't be used.
        DataError: The data is needed, and is missing or can't be used.
        CheckpointError: The checkpoint of `model.pretrained` is damaged.
    """
    shape = None if input_shape is None else _sizes("input_shape", input_shape)
    outputs = None if num_outputs is None else _sizes("num_outputs", (num_outputs,))[0]
    checked = with_embedding(load_config(config))
    if shape is None and outputs is None:
        return initial_network(checked)[0]
    return network_of_size(checked, shape, outputs)


def _sizes(name: str, given: Sequence[int]) -> tuple[int, ...]:
    """Sizes that were given as `name`, checked; integers of NumPy and torch are taken too."""
    try:
        sizes = tuple(operator.index(size) for size in given)
    except TypeError:
        sizes = ()
    if len(sizes) == 0 or min(sizes) < 1 or any(isinstance(size, bool) for size in given):
        shown = given[0] if name == "num_outputs" else given
        raise UsageError(f"expected positive integers, got {shown!r}.", where=name)
    return sizes


def summary(
    net: nn.Module, input_shape: Sequence[int], *, batch_size: int = -1, dtype: torch.dtype = torch.float32
) -> Summary:
    """The torchsummary report on any module, with neurons, FLOPs and notes. `print` it, or read its fields.

    Args:
        net: Left exactly as it is.
        input_shape: One sample without the batch axis.
        batch_size: Shown in the table; -1 for any.
        dtype: Of the inputs; an integer type for tokens.

    Raises:
        UsageError: The module can't take such an input.
    """
    if not isinstance(net, nn.Module):
        raise UsageError(f"expected an nn.Module, got {net!r}. nnzoo.build_model(config) builds one.", where="net")
    return summarize(net, _sizes("input_shape", input_shape), batch_size=batch_size, dtype=dtype)
