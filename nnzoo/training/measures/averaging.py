"""Averages the predictions of several networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nnzoo.training.measures.decoding import Decoder


def average_outputs(decoders: Sequence[Decoder], outputs: Sequence[Tensor]) -> Tensor:
    """Returns outputs that the first decoder reads as the average of the predictions of all networks.

    Probabilities are averaged, for a regression the values in the unit of the targets, and for a margin loss the
    margins.

    Args:
        decoders: The decoder of each network, on the device of the outputs. Only their target scaling may differ.
        outputs: (N, K) of each network.
    """
    first, dtype = decoders[0], outputs[0].dtype
    if first.reads == "margins":
        return torch.stack(list(outputs)).mean(0)
    if first.task == "regression":
        values = [decoder.values(each) for decoder, each in zip(decoders, outputs, strict=True)]
        return first.preprocess.scale_targets(torch.stack(values).mean(0)).to(dtype)
    shares = torch.stack([first.probabilities(each.double()) for each in outputs]).mean(0)
    if outputs[0].shape[1] == 1:
        shares = shares[:, 1:]  # the single unit stands for the second class
    smallest = torch.finfo(torch.float32).tiny
    match first.reads:
        case "log_odds":
            shares = shares.clamp(smallest, 1 - torch.finfo(torch.float64).eps).logit()
        case "logits" | "log_probabilities":
            shares = shares.clamp_min(smallest).log()
        case _:
            pass
    return shares.to(dtype)
