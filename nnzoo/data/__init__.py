"""Data sources, splits and preprocessing: from raw data to the tensors that a network takes.

A source returns a `Dataset`: tensors, splits and names. Everything specific to a file format, a download or a formula
is handled by the source; later steps do not know where the data came from.

    source -> divide -> Preprocess.fit on train -> Preprocess.transform -> the training loop

A source is a function with keyword arguments. `divide` adds the splits that the source does not provide. `Preprocess`
is fitted only on the training samples and saved with the weights. Every problem with the data raises a `DataError`.

Names are imported when they are first used, so that reading the cells of a table does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnzoo.data.sources import *  # noqa: F403


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'nnzoo.data' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module("nnzoo.data.sources"), name)
    globals()[name] = value
    return value
