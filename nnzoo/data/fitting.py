"""Fits shifts, scales and principal components on the training samples, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.dataset import Split, row_slices
from nnzoo.data.quantiles import CLIP, Columns, fit_quantiles, fit_robust
from nnzoo.errors import DataError

Normalize = Literal["none", "center", "standardize", "minmax", "robust", "quantile"]

_SMALLEST_VARIANCE = 1e-10
"""Relative to the largest variance. A direction with less variance is only rounding, often that of a text file."""


def fit_normalize(train: Split, normalize: Normalize, one_hot: Sequence[tuple[int, int]] = ()) -> dict[str, Tensor]:
    """Returns the fitted values of `Preprocess`: (F,) for columns or the features of a step, (C, 1, 1) for channels.

    Args:
        train: The training samples.
        normalize: The normalization.
        one_hot: The ranges (start, stop) of features that stay unchanged.
    """
    is_image = train.inputs.ndim == 4

    def columns() -> Iterator[Tensor]:
        for block, lengths in _blocks(train):
            yield block.movedim(1, -1).flatten(0, 2) if is_image else _valid_steps(block, lengths)

    kept = [column for start, stop in one_hot for column in range(start, stop)]
    if normalize == "quantile":
        quantiles = fit_quantiles(columns)
        quantiles[:, kept] = 0
        return {"quantiles": quantiles}
    shift, scale = fit_robust(columns) if normalize == "robust" else fit_scale(columns, normalize)
    shift[kept], scale[kept] = 0, 1
    shape = (-1, 1, 1) if is_image else (-1,)
    state = {"shift": shift.reshape(shape), "scale": scale.reshape(shape)}
    if normalize == "robust":
        state["clip"] = torch.full_like(shift, CLIP)
        state["clip"][kept] = 0
    return state


def fit_scale(columns: Columns, normalize: Normalize) -> tuple[Tensor, Tensor]:
    """Returns the shift and the scale of each column, (F,) float64.

    A column is constant only if all its values are equal; its scale is then 1. Any other column gets its own scale,
    even if it is tiny compared with the values. The columns are read twice.

    Raises:
        DataError: The range of a column overflows float64.
    """
    low, high = _range(columns)
    varies = high > low
    # Dividing by a power of two near the size of the values is exact and prevents overflow and underflow of squares.
    unit = _power_near(torch.maximum(low.abs(), high.abs()))
    middle = low / unit / 2 + high / unit / 2
    mean, deviation = _moments(lambda: (block / unit - middle for block in columns()))
    mean = torch.where(varies, (middle + mean) * unit, low)
    if normalize == "center":
        return mean, torch.ones_like(mean)
    shift, scale = (low, high - low) if normalize == "minmax" else (mean, deviation * unit)
    if not bool(scale.isfinite().all()):
        raise DataError("the range of a column is too large for float64. Rescale its values.", where="preprocess")
    # For values next to 0 the deviation may underflow.
    return shift, torch.where(varies, scale.clamp_min(math.ulp(0.0)), 1.0)


def fit_projection(
    train: Split, normalize: Callable[[Tensor], Tensor], pca: int | None, *, whiten: bool
) -> dict[str, Tensor]:
    """Fits PCA, or ZCA if `pca` is None, on the normalized inputs with D columns.

    Args:
        train: The training samples.
        normalize: Normalizes a float64 block of inputs.
        pca: The number of components that are kept.
        whiten: Whether each component is divided by its standard deviation.
    """

    def columns() -> Iterator[Tensor]:
        for block, lengths in _blocks(train):
            normalized = normalize(block)
            yield normalized.flatten(1) if block.ndim == 4 else _valid_steps(normalized, lengths)

    num_rows, num_columns = matrix_shape(train)
    mean = (
        sum((block.sum(dim=0) for block in columns()), start=torch.zeros(num_columns, dtype=torch.float64)) / num_rows
    )
    covariance = torch.zeros(num_columns, num_columns, dtype=torch.float64)
    for block in columns():
        covariance += (block - mean).T @ (block - mean) / (num_rows - 1)
    if not bool(covariance.isfinite().all()):
        raise DataError(
            "the inputs are too large for pca and zca. Set preprocess: {normalize: standardize}.", where="preprocess"
        )
    variances, vectors = torch.linalg.eigh(covariance)  # ascending
    variances, vectors = variances.flip(0), vectors.flip(1)
    varies = variances > _SMALLEST_VARIANCE * variances[0]
    deviations = torch.where(varies, variances, 1.0).sqrt()
    if pca is None:
        return {"mean": mean, "whitening": vectors / deviations @ vectors.T}
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))  # (1, D)
    components = vectors * largest.sign()
    kept = (components / deviations if whiten else components)[:, :pca]
    # Contiguous like a loaded tensor: the memory layout affects the last bits of matrix products.
    return {"mean": mean, "components": kept.contiguous()}


def matrix_shape(train: Split) -> tuple[int, int]:
    """Returns the number of rows and columns of the matrix for PCA and ZCA."""
    inputs = train.inputs
    if inputs.ndim == 3:
        num_rows = inputs.shape[0] * inputs.shape[1] if train.lengths is None else int(train.lengths.sum())
        return num_rows, inputs.shape[2]
    return len(inputs), math.prod(inputs.shape[1:])


def to_real(images: Tensor) -> Tensor:
    """Converts uint8 to float32 in [0, 1]; returns anything else unchanged."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _power_near(sizes: Tensor) -> Tensor:
    """Returns a power of two near each size, clamped so that neither it nor its inverse over- or underflows."""
    exponents = torch.frexp(sizes).exponent.clamp(-1000, 1000).numpy()
    return torch.from_numpy(np.ldexp(1.0, exponents))  # exact, unlike torch.ldexp


def _range(columns: Columns) -> tuple[Tensor, Tensor]:
    """Returns the smallest and the largest value of each column."""
    lows, highs = zip(*((block.amin(dim=0), block.amax(dim=0)) for block in columns() if len(block)), strict=True)
    return torch.stack(lows).amin(dim=0), torch.stack(highs).amax(dim=0)


def _moments(columns: Columns) -> tuple[Tensor, Tensor]:
    """Returns the mean and the standard deviation of each column, block by block as in Chan et al. 1979."""
    count = 0
    mean = squares = torch.zeros(1, dtype=torch.float64)
    for block in columns():
        own, total = block.mean(dim=0), count + len(block)
        distance = own - mean
        mean = mean + distance * (len(block) / total)
        squares = squares + (block - own).square().sum(dim=0) + distance.square() * (count * len(block) / total)
        count = total
    return mean, (squares / count).sqrt()


def _blocks(split: Split) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yields rows of the inputs in float64, with their lengths."""
    for rows in row_slices(split.inputs):
        yield to_real(split.inputs[rows]).double(), None if split.lengths is None else split.lengths[rows]


def _valid_steps(block: Tensor, lengths: Tensor | None) -> Tensor:
    """Returns (N, F) unchanged, and (N, T, F) as (M, F), the M steps within the lengths."""
    if block.ndim == 2 or lengths is None:
        return block.reshape(-1, block.shape[-1])
    return block[torch.arange(block.shape[1]) < lengths.unsqueeze(1)]
