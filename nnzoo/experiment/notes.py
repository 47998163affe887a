"""What a summary should say that only the config knows."""

from __future__ import annotations

from nnzoo.config import Config
from nnzoo.config.model import Linear, Mlp


def config_notes(config: Config) -> list[str]:
    """An output activation that the loss already applies."""
    if not isinstance(config.model, Linear | Mlp):
        return []
    activation, loss = config.model.output.activation.name, config.loss.name
    applied = {"cross_entropy": ("softmax", "log_softmax"), "bce": ("sigmoid", "softmax")}
    if activation in applied.get(loss, ()):
        return [
            f"output activation: {loss} applies {activation} itself when it gets logits, and more precisely; here it "
            "takes the log of the network's probabilities. `output: {activation: identity}` trains the same network."
        ]
    return []
