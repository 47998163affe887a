"""What a summary should say that only the config knows."""

from __future__ import annotations

from nnzoo.config import Config
from nnzoo.config.model import output_of


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
