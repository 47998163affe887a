"""What expressions read of language models, and how much each step of a sequence counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from nnzoo.data import LanguageReader
from nnzoo.errors import UsageError
from nnzoo.lessons.functions.maths import Array
from nnzoo.lessons.functions.trained import Moment, Trained


class Tokens:
    """Functions over the tokens of texts and the steps of sequences.

    Args:
        trained: The trained variants.
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Returns the functions by the name that expressions use."""
        own = (self.tokens, self.classes, self.token_targets, self.step_gradients)
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
        module = self.trained.network(variant, at).module
        steps = found.experiment.preprocess(torch.as_tensor(np.asarray(inputs)).float()).requires_grad_()
        gradient = torch.autograd.grad(module(steps).sum(), steps)[0]
        norms: Array = gradient.norm(dim=2).mean(0).double().numpy()
        return norms

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
