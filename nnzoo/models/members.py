"""The networks of a cross-validation in one module."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nnzoo.errors import UsageError


def no_single_network(count: int) -> str:
    """Returns the message for what needs a single network."""
    return (
        f"this is the average of the {count} networks of a cross-validation. `eval` and `predict` accept it; for "
        "anything else, use the network of one fold: RUN/fold-1."
    )


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
        raise UsageError(no_single_network(len(self.members)), where="train.folds")
