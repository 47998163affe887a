"""Summaries of networks, with notes that depend on the config."""

from __future__ import annotations

import torch
from torch import nn

from nnzoo.builders import frozen_epochs
from nnzoo.config import Config
from nnzoo.config.load import problems_of
from nnzoo.config.model import Custom, output_of
from nnzoo.errors import UsageError
from nnzoo.summaries import Summary, summarize


def config_notes(config: Config) -> list[str]:
    """Returns a note if the loss already applies the output activation."""
    output = output_of(config.model)
    if output is None:
        return []
    activation, loss = output.activation.name, config.loss.name
    softmax = dict.fromkeys(("cross_entropy", "nll", "focal", "kl_div"), ("softmax", "log_softmax"))
    applied = {**softmax, "bce": ("sigmoid", "softmax")}
    if activation in applied.get(loss, ()):
        return [
            f"output activation: {loss} takes the log of the network's {activation} here. With logits it applies "
            f"{activation} itself, more precisely: set `output: {{activation: identity}}`."
        ]
    return []


def report_on(
    config: Config, module: nn.Module, input_shape: tuple[int, ...], *, batch_size: int = -1, dtype: torch.dtype
) -> Summary:
    """Summarizes the network of a config, with notes.

    Raises:
        ConfigError: The network of the config does not accept such inputs.
        UsageError: A custom module does not accept them.
    """
    try:
        return summarize(
            module,
            input_shape,
            batch_size=batch_size,
            dtype=dtype,
            notes=config_notes(config),
            frozen_epochs=frozen_epochs(config, module),
        )
    except UsageError as error:
        if isinstance(config.model, Custom):
            raise
        name = getattr(config.model, "arch", config.model.name)
        problem = f"{name} can't take inputs of the shape {input_shape}: {error.where}: {error.message}"
        raise problems_of(config, [(("model",), problem)]) from None
