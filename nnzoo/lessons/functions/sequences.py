"""What expressions read of networks over sequences and trees, step by step and node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnzoo.data.reader import NO_TARGET
from nnzoo.errors import UsageError
from nnzoo.lessons.functions.maths import Array
from nnzoo.lessons.functions.trained import Trained
from nnzoo.models.unrolled import GATES, run_steps
from nnzoo.report.inside.network import MAX_SAMPLES, Network
from nnzoo.report.trees import read_tree

SAMPLES = slice(0, MAX_SAMPLES)
PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Sequences:
    """The functions over variants whose samples are sequences, all steps of which are valid, or trees.

    Args:
        trained: The trained variants.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Returns the functions by the name that expressions use."""
        return {"recurrence": self.recurrence, "tree_labels": self.tree_labels, "node_accuracy": self.node_accuracy}

    def recurrence(self, variant: str, split: str = "test", layer: str = "recurrent.0") -> dict[str, Array]:
        """Returns what a recurrent layer computes for a split, (N, T, H) by name: h, and i, f, g, o and c of an LSTM.

        At most 1,000 samples are read. A GRU has the gates r and u and the candidate n. It is the first layer of a
        module, in the direction of the sequence, with the best weights.
        """
        network = self.trained.network(variant, "best")
        with torch.no_grad():
            found = _run(network, layer, network.inputs(network.experiment.splits[split], SAMPLES))
        return {name: torch.stack(steps, 1).numpy() for name, steps in found.items()}

    def tree_labels(self, variant: str, index: int, split: str = "test") -> list[int]:
        """Returns the predicted class index of every node of a tree, the root first, each node before its children."""
        network = self.trained.network(variant, "best")
        return list(read_tree(network, network.experiment.splits[split], int(index)).answers)

    def node_accuracy(self, variant: str, split: str = "test") -> float:
        """Returns the share of the nodes of all trees whose predicted label is right, words included."""
        network = self.trained.network(variant, "best")
        rows = network.experiment.splits[split]
        targets = rows.targets.flatten()
        labels = network.decoder.labels(network.outputs(network.inputs(rows, slice(None))).flatten(0, 1))
        return float((labels == targets)[targets != NO_TARGET].double().mean())


def _run(network: Network, layer: str, inputs: Tensor) -> dict[str, list[Tensor]]:
    module = network.module.get_submodule(layer)
    if not isinstance(module, tuple(GATES)):
        raise UsageError(f"'{layer}' is not a recurrent layer.", where="lesson")
    steps = network.activations(inputs, [layer], entering=True)[layer].double()
    weights = {name: getattr(module, f"{name}_l0").double() for name in PARAMETERS}
    return run_steps(module, weights, steps, range(steps.shape[1]))
