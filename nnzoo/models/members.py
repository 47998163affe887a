"""The networks of a cross-validation in one module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nnzoo.errors import UsageError


class Members(nn.Module):
    """Networks that are averaged. Each has its own inputs, since each has its own preprocessing.

    Args:
        networks: The networks.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(networks)

    def forward(self, *inputs: Tensor) -> Tensor:  # noqa: ARG002
        """Raises an error.

        Raises:
            UsageError: The networks have no common input.
        """
        raise UsageError(
            f"this is the average of the {len(self.members)} networks of a cross-validation, which have no common "
            "input. `eval` and `predict` accept it; for anything else, use the network of one fold: RUN/fold-1.",
            where="train.folds",
        )
