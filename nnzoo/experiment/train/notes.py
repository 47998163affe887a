"""What a summary should say that only the config knows."""

from __future__ import annotations

import torch
from torch import nn

from nnzoo.config import Config
from nnzoo.config.load import problems_of
from nnzoo.config.model import Custom, output_of
from nnzoo.errors import UsageError
from nnzoo.summaries import Summary, summarize


def config_notes(config: Config) -> list[str]:
    """An output activation that the loss already applies."""
    output = output_of(config.model)
    if output is None:
        return []
    activation, loss = output.activation.name, config.loss.name
    softmax = dict.fromkeys(("cross_entropy", "nll", "focal", "kl_div"), ("softmax", "log_softmax"))
    applied = {**softmax, "bce": ("sigmoid", "softmax")}
    if activation in applied.get(loss, ()):
        return [
            f"output activation: {loss} applies {activation} itself when it gets logits, and more precisely; here it "
            "takes the log of the network's probabilities. `output: {activation: identity}` trains the same network."
        ]
    return []


def report_on(
    config: Config, module: nn.Module, input_shape: tuple[int, ...], *, batch_size: int = -1, dtype: torch.dtype
) -> Summary:
    """The summary of a config's network, with the config's notes.

    Raises:
        ConfigError: The config's network can't take such inputs.
        UsageError: A module of the user's own can't.
    """
    try:
        return summarize(module, input_shape, batch_size=batch_size, dtype=dtype, notes=config_notes(config))
    except UsageError as error:
        if isinstance(config.model, Custom):
            raise
        name = getattr(config.model, "arch", config.model.name)
        problem = f"{name} can't take inputs of the shape {input_shape}: {error.where}: {error.message}"
        raise problems_of(config, [(("model",), problem)]) from None
