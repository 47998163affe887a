"""Computes the first convolution of a network from training images, for `init: whitening`."""

from __future__ import annotations

import torch
from torch import nn

from nnzoo.config import Config
from nnzoo.config.init import Whitening
from nnzoo.config.model import Cnn
from nnzoo.data import Split
from nnzoo.experiment.threads import use_threads
from nnzoo.models.whitening import MAX_IMAGES, whitening_filters

WHITENED = "blocks.0.conv.weight"
"""The name of the filters."""


def whitening_of(config: Config) -> Whitening | None:
    """Returns the section of a whitening initializer; None if the config has none."""
    first = config.model.blocks[0].conv if isinstance(config.model, Cnn) else None
    return first.init if first is not None and isinstance(first.init, Whitening) else None


def whitening_rows(num_images: int) -> torch.Tensor:
    """Returns the rows that the filters are computed from: all, or evenly spaced ones."""
    count = min(num_images, MAX_IMAGES)
    return torch.arange(count) * num_images // count


def whiten(config: Config, module: nn.Module, train: Split) -> None:
    """Sets the filters of a whitening initializer, if the config has one.

    Args:
        config: The config.
        module: The network of the config, on the CPU.
        train: The train split, preprocessed.
    """
    section = whitening_of(config)
    if section is None:
        return
    convolution = module.get_submodule(WHITENED.rpartition(".")[0])
    assert isinstance(convolution, nn.Conv2d)
    images = train.network_inputs(whitening_rows(len(train)))
    with use_threads(1), torch.no_grad():  # the number of threads would affect the last bits
        convolution.weight.copy_(
            whitening_filters(
                images,
                len(convolution.weight),
                convolution.kernel_size,
                dilation=convolution.dilation,
                eps=section.eps,
            )
        )
