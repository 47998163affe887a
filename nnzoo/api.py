"""What Python sees: the verbs of the command line as functions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nnzoo.build import build_dataset
from nnzoo.build import build_model as _build_model
from nnzoo.config import ConfigLike, load_config
from nnzoo.experiment.load import load
from nnzoo.experiment.pretrained import take_over, with_embedding
from nnzoo.experiment.train import train
from nnzoo.summaries import Summary, summarize

__all__ = ["build_model", "load", "load_config", "summary", "train"]


def build_model(
    config: ConfigLike, input_shape: Sequence[int] | None = None, num_outputs: int | None = None
) -> nn.Module:
    """The network of a config as training starts with it: untrained, but for what `model.pretrained` gives.

    Args:
        config: A path, the name of a shipped config, a dict, or a config.
        input_shape: One sample without the batch axis; default: as the data has it.
        num_outputs: Output units; default: as data and loss ask for. If it is given, the data is not read, and the last
            layer is always a new one.

    Raises:
        ConfigError: The config can't be used.
        CheckpointError: The checkpoint of `model.pretrained` is damaged.
    """
    checked = with_embedding(load_config(config))
    module = _build_model(checked, input_shape, num_outputs)
    if checked.model.pretrained is not None:
        take_over(checked, module, build_dataset(checked) if num_outputs is None else None)
    return module


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
    return summarize(net, tuple(input_shape), batch_size=batch_size, dtype=dtype)
