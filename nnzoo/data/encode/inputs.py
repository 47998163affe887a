"""Encoding of inputs: layouts, numbers, tokens and lengths."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.dataset import row_slices
from nnzoo.data.encode.checks import Array, check_finite, check_kind, copy, describe, exact_dtype
from nnzoo.data.files.on_disk import OnDisk, RowFile
from nnzoo.data.reader import Layout
from nnzoo.errors import DataError

_AXES: dict[Layout, tuple[int, ...]] = {"features": (1, 2), "sequence": (2, 3), "image": (3, 4), "tokens": (2,)}
_SHAPES: dict[Layout, str] = {
    "features": "(N, F) or (N,)",
    "sequence": "(N, T, F) or (N, T)",
    "image": "(N, C, H, W) or (N, H, W)",
    "tokens": "integer (N, T)",
}
_LARGEST_TOKEN = 2**31 - 1


def choose_layout(x: Array, layout: Layout | Literal["auto"], *, where: str) -> Layout:
    """Returns the layout of the inputs `x`; for "auto" by the number of axes and the type.

    (N,) and (N, F) are features, but integers (N, T) are tokens; (N, T, F) are sequences; (N, C, H, W) are images.

    Raises:
        DataError: No layout has this number of axes.
    """
    if layout != "auto":
        return layout
    by_axes: dict[int, Layout] = {1: "features", 2: "features", 3: "sequence", 4: "image"}
    if x.ndim not in by_axes:
        allowed = ", ".join(f"{name} {shape}" for name, shape in _SHAPES.items())
        raise DataError(f"has a shape that does not match any layout (got {x.shape}; allowed {allowed}).", where=where)
    return "tokens" if x.ndim == 2 and x.dtype.kind in "iu" else by_axes[x.ndim]


def encode_inputs(x: Array, layout: Layout, *, lengths: Tensor | None, where: str) -> Tensor:
    """Copies inputs to a tensor, with 0 beyond the length of each sample.

    Args:
        x: Real numbers, of any type and byte order, in the shape of the layout or without its axis of size one.
        layout: The meaning of the axes. Images have their channels first.
        lengths: (N,) the number of valid steps of sequences and tokens. Later values are ignored, even NaN.
        where: The location in messages.

    Returns:
        (N, F) features or (N, T, F) sequences, float64, or float32 if it represents every value of their dtype
        exactly; (N, C, H, W) float32 images; or (N, T) int64 tokens.

    Raises:
        DataError: The type or the number of axes does not fit the layout, an axis is empty, channels are last, a value
            is NaN or inf (also after conversion), or a token is negative or too large.
    """
    _check_inputs_shape(x, layout, where)
    inputs = copy(x, _dtype(x, layout)).reshape(_shape(x, layout))
    if lengths is not None:
        beyond = torch.arange(inputs.shape[1]) >= lengths.unsqueeze(1)  # (N, T)
        inputs.masked_fill_(beyond.reshape(*beyond.shape, *[1] * (inputs.ndim - 2)), 0)
    _check_values(inputs, layout, where)
    return inputs


def inputs_on_disk(file: RowFile, layout: Layout, *, lengths: Tensor | None, where: str) -> OnDisk:
    """Returns the same inputs as `encode_inputs`, but leaves them on disk. The file is read once, to check its values.

    Raises:
        DataError: As in `encode_inputs`.
    """
    _check_inputs_shape(file.likeness, layout, where)
    inputs = OnDisk(file, _shape(file.likeness, layout), _dtype(file.likeness, layout), lengths)
    _check_values(inputs, layout, where)
    return inputs


def encode_pixels(x: Array, *, where: str) -> Tensor:
    """Copies images (N, C, H, W) or (N, H, W) to a tensor: uint8, or float32 in [0, 1] for other types.

    Raises:
        DataError: As in `encode_inputs`, or values are outside [0, 1].
    """
    if x.dtype == np.uint8:
        _check_inputs_shape(x, "image", where)
        pixels = copy(x, torch.uint8)
        return pixels.unsqueeze(1) if pixels.ndim == 3 else pixels
    inputs = encode_inputs(x, "image", lengths=None, where=where)
    low, high = float(inputs.min()), float(inputs.max())
    if low < 0 or high > 1:
        raise DataError(
            f"has pixels outside [0, 1] (got {low:g} to {high:g}). Save them as uint8, or divide them by 255.",
            where=where,
        )
    return inputs


def check_tokens(tokens: Tensor, *, largest: int, where: str) -> None:
    """Checks that all (N, T) `tokens` are between 0 and `largest`.

    Raises:
        DataError: A token is out of range.
    """
    for rows in row_slices(tokens):
        block = tokens[rows]
        outside = ((block < 0) | (block > largest)).any(dim=1)
        if outside.any():
            row = int(outside.int().argmax())
            raise DataError(
                f"has a token that is out of range in row {rows.start + row} (got {block[row].min()} to "
                f"{block[row].max()}; allowed 0 to {largest}).",
                where=where,
            )


def encode_lengths(lengths: Array, x: Array, layout: Layout, *, where: str) -> Tensor:
    """Copies the length of each sequence in `x` to an (N,) int64 tensor.

    Raises:
        DataError: The lengths are not (N,) integers from 1 to the number of steps, or the layout has no steps.
    """
    if layout not in ("sequence", "tokens") or x.ndim < 2:
        raise DataError(f"is for sequences and tokens (got layout {layout}). Remove it or set layout.", where=where)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise DataError(f"is not a list of integers (got {describe(lengths)}; allowed integer (N,)).", where=where)
    num_steps = x.shape[1]
    outside = (lengths < 1) | (lengths > num_steps)
    if outside.any():
        row = int(outside.argmax())
        raise DataError(
            f"has a length that is out of range in row {row} (got {lengths[row]}; allowed 1 to {num_steps}).",
            where=where,
        )
    return copy(lengths, torch.int64)


def _dtype(x: Array, layout: Layout) -> torch.dtype:
    if layout == "tokens":
        return torch.int64
    return torch.float32 if layout == "image" else exact_dtype(x.dtype)


def rounded_integers(inputs: Array) -> int:
    """Counts the integers that float64 does not represent exactly. It rounds some integers larger than 2^53."""
    if inputs.dtype.kind not in "iu" or inputs.dtype.itemsize < 8:
        return 0
    largest = float(np.iinfo(inputs.dtype).max)  # rounded up, to a power of two
    count = 0
    for start in range(0, len(inputs), 2**16):
        block = np.asarray(inputs[start : start + 2**16])
        rounded = block.astype(np.float64)
        fits = rounded < largest
        count += int((~fits | (np.where(fits, rounded, 0).astype(inputs.dtype) != block)).sum())
    return count


def _shape(x: Array, layout: Layout) -> tuple[int, ...]:
    """Returns the full shape: adds the axis of size one that may be omitted."""
    if x.ndim == max(_AXES[layout]):
        return x.shape
    return (len(x), 1, *x.shape[1:]) if layout == "image" else (*x.shape, 1)


def _check_values(inputs: Tensor, layout: Layout, where: str) -> None:
    if layout == "tokens":
        check_tokens(inputs, largest=_LARGEST_TOKEN, where=where)
    else:
        check_finite(inputs, where)


def check_channels(x: Array, *, where: str) -> None:
    """Raises a DataError if images have their channels last."""
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise DataError(
            f"has its channels last (got shape {x.shape}; allowed (N, C, H, W)). Save x.transpose(0, 3, 1, 2).",
            where=where,
        )


def _check_inputs_shape(x: Array, layout: Layout, where: str) -> None:
    kinds, allowed = ("iu", "integers") if layout == "tokens" else ("biuf", "real numbers")
    check_kind(x, kinds, f"{allowed} for {layout}", where)
    if x.ndim not in _AXES[layout]:
        raise DataError(
            f"has a shape that does not fit the layout {layout} (got {x.shape}; allowed {_SHAPES[layout]}). "
            "Reshape it or set layout.",
            where=where,
        )
    if 0 in x.shape:
        raise DataError(f"is empty (got shape {x.shape}; every axis needs at least size 1).", where=where)
    if layout == "image":
        check_channels(x, where=where)
