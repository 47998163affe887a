"""Copies and checks arrays, for inputs and targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.dataset import row_slices
from nnzoo.errors import DataError

Array = NDArray[Any]


def copy(values: Array, dtype: torch.dtype) -> Tensor:
    """Copies an array to a tensor of a given dtype."""
    tensor = torch.empty(values.shape, dtype=dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # overflow gives inf, which check_finite reports
        np.copyto(tensor.numpy(), values, casting="unsafe")
    return tensor


def exact_dtype(dtype: np.dtype[Any]) -> torch.dtype:
    """Returns float32 if it can represent every value of a dtype exactly, else float64."""
    return torch.float32 if np.can_cast(dtype, np.float32, "safe") else torch.float64


def check_kind(values: Array, kinds: str, allowed: str, where: str) -> None:
    if values.dtype.kind not in kinds:
        raise DataError(f"has an unsupported type (got {values.dtype}; allowed {allowed}).", where=where)


def check_finite(values: Tensor, where: str) -> None:
    """Checks (N, ...) `values` for NaN and inf, block by block to limit the memory."""
    # Allocated in advance: small results allocated between the blocks would fragment the memory.
    finite = torch.empty(len(values), dtype=torch.bool)
    for rows in row_slices(values):
        block = values[rows]
        finite[rows] = block.reshape(len(block), -1).isfinite().all(dim=1)
    check_rows(finite.numpy(), "has NaN or inf", where)


def check_rows(good: NDArray[np.bool_], problem: str, where: str) -> None:
    if not good.all():
        num_bad = int((~good).sum())
        rows = "1 row" if num_bad == 1 else f"{num_bad} rows"
        raise DataError(f"row {int(good.argmin())} {problem} ({rows} of {len(good)}).", where=where)


def describe(values: Array) -> str:
    return f"{values.dtype} {values.shape}"
