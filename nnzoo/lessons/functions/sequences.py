"""What expressions read of texts, sequences and trees, and of the networks that process them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from nnzoo.data import LanguageReader
from nnzoo.data.reader import NO_TARGET
from nnzoo.errors import UsageError
from nnzoo.lessons.functions.maths import Array
from nnzoo.lessons.functions.trained import Moment, Trained


class Sequences:
    """Functions over sequences.

    Args:
        trained: The trained variants.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Returns the functions by the name that expressions use."""
        own = (self.tokens, self.classes, self.token_targets, self.step_gradients, self.node_accuracy)
        return {each.__name__: each for each in own}

    def classes(self, variant: str) -> list[str]:
        """Returns the names of the classes; of a language model, its tokens."""
        return list(self.trained.variant(variant).experiment.dataset.classes)

    def tokens(self, variant: str, text: str) -> list[int]:
        """Returns the inputs of a language model that predict each token of a text, as it reads lines or windows."""
        return self._sample(variant, text)[0]

    def token_targets(self, variant: str, text: str) -> list[int]:
        """Returns the class index of each token that a language model predicts of a text."""
        return self._sample(variant, text)[1]

    def step_gradients(self, variant: str, inputs: ArrayLike, at: Moment = "start") -> Array:
        """Returns the norm of the gradient of the summed outputs with respect to each step, a mean over sequences.

        Args:
            variant: A variant that reads sequences of numbers.
            inputs: Raw sequences, (N, T, F).
            at: The weights: start, best or last.
        """
        found = self.trained.variant(variant)
        module = found.with_weights(_weights_of(found, at)).module
        steps = found.experiment.preprocess(torch.as_tensor(np.asarray(inputs)).float()).requires_grad_()
        gradient = torch.autograd.grad(module(steps).sum(), steps)[0]
        norms: Array = gradient.norm(dim=2).mean(0).double().numpy()
        return norms

    def node_accuracy(self, variant: str, split: str = "train") -> float:
        """Returns the share of nodes of all trees, or of steps of all sequences, whose label is right."""
        network = self.trained.variant(variant).network
        part = network.experiment.splits[split]
        labels = network.decoder.labels(network.outputs(network.inputs(part, slice(None))))
        targets = part.targets.cpu()
        is_labelled = targets != NO_TARGET
        return float((labels == targets)[is_labelled].double().mean())

    def _sample(self, variant: str, text: str) -> tuple[list[int], list[int]]:
        reader = self.trained.variant(variant).experiment.dataset.reader
        if not isinstance(reader, LanguageReader):
            raise UsageError(f"{variant} is not a language model.", where="lesson")
        symbols = reader.vocabulary.tokenize(text)
        split = reader.model_copy(update={"sequence_length": len(symbols) + reader.by_line}).split(
            [symbols], where=text
        )
        inputs: list[int] = torch.as_tensor(split.inputs[:])[0].tolist()
        targets: list[int] = split.targets[0].tolist()
        return inputs, targets


def _weights_of(found: Any, at: Moment) -> Any:
    if at == "start":
        return found.replica.path[0][1]
    return found.replica.weights if at == "best" else found.replica.last
