"""Freezes parameters: for the whole training, or for its first epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import nn

from nnzoo.errors import UsageError
from nnzoo.models.parameters import BatchNorm, head_of


def epochs_frozen(
    model: nn.Module, patterns: str | Sequence[str], epochs: Sequence[int | None] | None = None
) -> dict[str, float]:
    """Returns the frozen parameters by name, with the number of epochs for which each is frozen.

    A parameter that several patterns match is frozen until the last of them ends.

    Args:
        model: The model.
        patterns: `backbone` for all layers except the last, `batch_norm` for the scale and shift of batch norms, or
            fnmatch patterns on parameter names such as `hidden.0.*` and `*.bias`.
        epochs: The number of epochs of each pattern, None for the whole training, which is infinity in the result. By
            default, all patterns apply for the whole training.

    Raises:
        UsageError: A pattern matches no parameter.
    """
    patterns = [patterns] if isinstance(patterns, str) else patterns
    names = [name for name, _ in model.named_parameters()]
    found: dict[str, float] = {}
    for pattern, count in zip(patterns, epochs or [None] * len(patterns), strict=True):
        matched = _matched(model, names, pattern)
        if not matched:
            raise UsageError(f"'{pattern}' matches no parameter ({', '.join(names)}).", where="model.freeze")
        until = math.inf if count is None else count
        found |= {name: max(until, found.get(name, 0)) for name in matched}
    return {name: until for name, until in found.items() if until > 0}


def _matched(model: nn.Module, names: Sequence[str], pattern: str) -> list[str]:
    if pattern == "backbone":
        head = f"{head_of(model)}."
        return [name for name in names if not name.startswith(head)]
    if pattern == "batch_norm":
        norms = {id(each) for norm in model.modules() if isinstance(norm, BatchNorm) for each in norm.parameters()}
        return [name for name, parameter in model.named_parameters() if id(parameter) in norms]
    return [name for name in names if fnmatchcase(name, pattern)]


def freeze(model: nn.Module, patterns: str | Sequence[str], epochs: Sequence[int | None] | None = None) -> None:
    """Excludes parameters from training: those of `epochs_frozen` get `requires_grad = False`.

    Raises:
        UsageError: A pattern matches no parameter.
    """
    for name in epochs_frozen(model, patterns, epochs):
        model.get_parameter(name).requires_grad_(False)


class Unfreezing:
    """The parameters that are frozen in the first epochs and trained later.

    Args:
        starts: The parameters, by the number of epochs for which they are frozen.
    """

    def __init__(self, starts: Mapping[int, Sequence[nn.Parameter]] | None = None) -> None:
        self.starts = dict(starts or {})

    def release(self, epoch: float) -> int:
        """Starts to train the parameters whose frozen epochs are over.

        Args:
            epoch: The number of finished epochs.

        Returns:
            The number of values that were frozen until now.
        """
        released = self.frozen(epoch)
        for parameter in released:
            parameter.requires_grad_(True)
        return sum(parameter.numel() for parameter in released)

    def frozen(self, before: float = math.inf) -> list[nn.Parameter]:
        """Returns the parameters that are still frozen although they are trained from the epoch `before` on.

        Args:
            before: The number of finished epochs; infinity for all parameters.
        """
        due = (each for start, parameters in self.starts.items() if start <= before for each in parameters)
        return [each for each in due if not each.requires_grad]

    def is_pending(self, epoch: int) -> bool:
        """Whether parameters will be trained that were still frozen in the last of these finished epochs."""
        return any(start >= epoch for start in self.starts)
