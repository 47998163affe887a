"""Trained networks as files of torch.export, which run without nnzoo."""

from __future__ import annotations

import copy
import io
import warnings

import torch
from torch import Tensor

from nnzoo.experiment.load import TrainedModel
from nnzoo.export.built import Built
from nnzoo.export.recurrent import ScannedRecurrent, with_layers
from nnzoo.export.served import Interface, Served, dynamic_shapes

DESCRIPTION = "nnzoo.json"
"""The name of the description among the extra files."""


def build_torch(trained: TrainedModel, interface: Interface, example: tuple[Tensor, ...], text: str) -> Built:
    """Returns a network as a .pt2 file with its description.

    Args:
        trained: The network, on the CPU.
        interface: Its inputs and outputs.
        example: Inputs of several samples.
        text: The description, for the extra file `nnzoo.json`.
    """
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = copy.deepcopy(trained.module).requires_grad_(False)  # so that outputs need no `detach`
        served = Served(trained, with_layers(network, ScannedRecurrent), interface).eval()
        program = torch.export.export(served, example, dynamic_shapes=dynamic_shapes(interface), strict=False)
        torch.export.save(program, file, extra_files={DESCRIPTION: text})
        file.seek(0)
        loaded = torch.export.load(file).module()

    def run(arguments: tuple[Tensor, ...]) -> list[Tensor]:
        with torch.inference_mode():
            return list(loaded(*arguments))

    return Built((file.getvalue(), text.encode()), run, f"torch {torch.__version__}")
