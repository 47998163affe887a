"""The content of the files of an export, before they are compared with nnzoo and written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

Runner = Callable[[tuple[Tensor, ...]], list[Tensor]]
"""Computes the outputs of an exported network for its inputs."""


@dataclass(frozen=True)
class Built:
    """An exported network.

    Attributes:
        files: The content of each file, that of the network first.
        run: Computes its outputs.
        runtime: What `run` uses for that, with its version.
    """

    files: tuple[bytes, ...]
    run: Runner
    runtime: str
