"""Transforms of inputs and targets, fitted on the training samples alone and saved with the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from nnzoo.data.dataset import Dataset, Split, row_slices
from nnzoo.data.on_disk import OnDisk, write_rows
from nnzoo.errors import CheckpointError, DataError

Normalize = Literal["none", "center", "standardize", "minmax"]

_NAMES = ("shift", "scale", "mean", "components", "whitening", "target_shift", "target_scale")
_MAX_COLUMNS = 10_000  # a covariance of 800 MB in float64
_SMALLEST_VARIANCE = 1e-10  # of the largest; below it float32 inputs hold rounding alone


class Preprocess(nn.Module):
    """Normalize, then PCA or ZCA; and scale regression targets. Whatever was not fitted does nothing.

    uint8 images are brought to [0, 1] first: what is fitted is so for images in [0, 1].

    Inputs are (N, F) features, (N, T, F) sequences or (N, C, H, W) images, told apart by their number of axes; tokens
    pass unchanged. What is fitted are float32 buffers: `state_dict` holds it and `Preprocess(state)` restores it.

    - `shift` and `scale`: (F,) for each column or feature of a step, (C, 1, 1) for each channel. `(x - shift) / scale`.
    - `mean` (D,) and `components` (D, K): PCA. D is F, for images C * H * W. `(x - mean) @ components`.
    - `mean` (D,) and `whitening` (D, D): ZCA. `(x - mean) @ whitening`.
    - `target_shift` and `target_scale`: (M,) for each target.

    Args:
        state: The fitted buffers by name, as `state_dict` gives them; none for a transform that does nothing.

    Raises:
        CheckpointError: Unknown names, or buffers whose shapes or values don't fit together.
    """

    shift: Tensor | None
    scale: Tensor | None
    mean: Tensor | None
    components: Tensor | None
    whitening: Tensor | None
    target_shift: Tensor | None
    target_scale: Tensor | None

    def __init__(self, state: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        state = {} if state is None else state
        _check_state(state)
        for name in _NAMES:
            self.register_buffer(name, state[name].detach().clone() if name in state else None)

    @classmethod
    def fit(
        cls,
        dataset: Dataset,
        *,
        normalize: Normalize = "none",
        pca: int | None = None,
        whiten: bool = False,
        zca: bool = False,
        scale_target: bool = False,
    ) -> Self:
        """Fit on the train split, in float64.

        Steps beyond the length of a sequence don't count. A constant column is divided by 1, never by 0.

        Args:
            dataset: Only its train split is read.
            normalize: "center" subtracts the mean of each column, feature of a step or channel; "standardize" also
                divides by its standard deviation; "minmax" maps its range to [0, 1].
            pca: The number of leading principal components to keep, of flattened images and of each step of a
                sequence. The sign is such that the largest weight of a component is positive.
            whiten: Divide each component by its standard deviation, but one whose variance is below 1e-10 of the
                largest by 1.
            zca: Whiten in the inputs' own axes (Bell & Sejnowski 1997), in place of PCA, by the same rule.
            scale_target: Standardize each regression target.

        Raises:
            DataError: Transforms that the data or each other rule out.
        """
        _check_fit(dataset, normalize, pca, whiten=whiten, zca=zca, scale_target=scale_target)
        train = dataset.train
        state: dict[str, Tensor] = {}
        if normalize != "none":
            state |= _fit_normalize(train, normalize)
        if pca is not None or zca:
            state |= _fit_projection(train, cls(_as_float32(state)), pca, whiten=whiten)
        if scale_target:
            shift, scale = _fit_scale(lambda: iter([train.targets.double()]), "standardize")
            state |= {"target_shift": shift, "target_scale": scale}
        return cls(_as_float32(state))

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Transform a batch; `inputs` themselves stay as they are.

        Args:
            inputs: (N, F), (N, T, F), (N, C, H, W) or tokens (N, T).
            lengths: (N,) valid steps of sequences: what lies beyond stays 0.

        Returns:
            The same shape; after PCA (N, K), or (N, T, K) for sequences.
        """
        outputs = self._project(self._normalize(to_real(inputs)))
        if lengths is None or outputs is inputs:
            return outputs
        beyond = torch.arange(outputs.shape[1], device=outputs.device) >= lengths.unsqueeze(1)  # (N, T)
        return outputs.masked_fill(beyond.unsqueeze(2), 0)

    def scale_targets(self, targets: Tensor) -> Tensor:
        """(N, M) regression targets to what the network learns; unchanged if targets are not scaled."""
        if self.target_shift is None or self.target_scale is None:
            return targets
        return (targets - self.target_shift) / self.target_scale

    def unscale_targets(self, outputs: Tensor) -> Tensor:
        """(N, M) outputs of the network to the targets' own units; unchanged if targets are not scaled."""
        if self.target_shift is None or self.target_scale is None:
            return outputs
        return outputs * self.target_scale + self.target_shift

    def units(self, num_columns: int, num_targets: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Shift and scale of the columns, (F,) each, then of the targets, (M,) each, on the CPU."""
        fitted = (self.shift, self.scale, self.target_shift, self.target_scale)
        without = (torch.zeros(num_columns), torch.ones(num_columns), torch.zeros(num_targets), torch.ones(num_targets))
        shift, scale, target_shift, target_scale = (
            other if tensor is None else tensor.cpu() for tensor, other in zip(fitted, without, strict=True)
        )
        return shift, scale, target_shift, target_scale

    def transform(self, dataset: Dataset, *, by_batch: Collection[str] = ()) -> Dataset:
        """Transform every split, block by block: what changes is a copy, and the peak of memory is near that copy.

        uint8 images stay as they are, four times smaller than that copy, and are transformed batch by batch: their
        split's `finish` is this module. PCA and ZCA, which are slow, transform them all at once too.

        Inputs in a file stay there, and are normalized when they are read. What PCA and ZCA make of them is written to
        another file: the last bits of a product depend on how many rows it has.

        Args:
            dataset: Divided.
            by_batch: Names of further splits of images that are transformed batch by batch.
        """
        splits = {}
        for name, split in dataset.splits.items():
            later = self.mean is None and (split.inputs.dtype == torch.uint8 or name in by_batch)
            inputs = split.inputs if later else self._transform_inputs(split)
            targets = self.scale_targets(split.targets)
            splits[name] = replace(split, inputs=inputs, targets=targets, finish=self if later else None)
        if self.components is None:
            return replace(dataset, splits=splits)
        layout = "features" if dataset.layout == "image" else dataset.layout
        return replace(dataset, splits=splits, layout=layout, feature_names=())

    def _transform_inputs(self, split: Split) -> Tensor:
        inputs, lengths = split.inputs, split.lengths
        if self.shift is None and self.mean is None:
            return inputs
        if isinstance(inputs, OnDisk) and self.mean is None:
            assert self.shift is not None
            assert self.scale is not None
            return inputs.normalized(self.shift, self.scale)
        shape = (len(inputs), *self(inputs[:1]).shape[1:])
        blocks = (self(inputs[rows], None if lengths is None else lengths[rows]) for rows in row_slices(inputs))
        if isinstance(inputs, OnDisk):
            return write_rows(blocks, shape)
        outputs = torch.empty(shape)
        for rows, block in zip(row_slices(inputs), blocks, strict=True):
            outputs[rows] = block
        return outputs

    def _normalize(self, inputs: Tensor) -> Tensor:
        if self.shift is None or self.scale is None:
            return inputs
        return (inputs - self.shift) / self.scale

    def _project(self, inputs: Tensor) -> Tensor:
        matrix = self.components if self.whitening is None else self.whitening
        if self.mean is None or matrix is None:
            return inputs
        flat = inputs.flatten(1) if inputs.ndim == 4 else inputs
        outputs = (flat - self.mean) @ matrix
        return outputs if self.whitening is None else outputs.reshape(inputs.shape)


def to_real(images: Tensor) -> Tensor:
    """uint8 to float32 in [0, 1]; anything else stays."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _fit_normalize(train: Split, normalize: Normalize) -> dict[str, Tensor]:
    is_image = train.inputs.ndim == 4

    def columns() -> Iterator[Tensor]:
        for block, lengths in _blocks(train):
            yield block.movedim(1, -1).flatten(0, 2) if is_image else _valid_steps(block, lengths)

    shift, scale = _fit_scale(columns, normalize)
    shape = (-1, 1, 1) if is_image else (-1,)
    return {"shift": shift.reshape(shape), "scale": scale.reshape(shape)}


def _fit_scale(columns: Callable[[], Iterator[Tensor]], normalize: Normalize) -> tuple[Tensor, Tensor]:
    """(F,) float64 shift and scale of the (M, F) float64 blocks of `columns`, which are read twice."""
    count, mean = _mean(columns)
    low, high, squares = torch.full_like(mean, torch.inf), torch.full_like(mean, -torch.inf), torch.zeros_like(mean)
    for block in columns():
        torch.minimum(low, block.amin(dim=0), out=low)
        torch.maximum(high, block.amax(dim=0), out=high)
        squares += (block - mean).square().sum(dim=0)
    if normalize == "center":
        return mean, torch.ones_like(mean)
    shift, scale = (low, high - low) if normalize == "minmax" else (mean, (squares / count).sqrt())
    # Rounding gives even a constant column a deviation where there are very many rows, so its range has to tell.
    varies = (high > low) & (scale >= torch.finfo(torch.float32).tiny)
    return shift, torch.where(varies, scale, 1.0)


def _fit_projection(train: Split, normalizer: Preprocess, pca: int | None, *, whiten: bool) -> dict[str, Tensor]:
    """PCA of the normalized inputs, or, where `pca` is None, ZCA: in float64, D columns."""

    def columns() -> Iterator[Tensor]:
        for block, lengths in _blocks(train):
            normalized = normalizer._normalize(block)
            yield normalized.flatten(1) if block.ndim == 4 else _valid_steps(normalized, lengths)

    num_rows, num_columns = _matrix_shape(train)
    _, mean = _mean(columns)
    covariance = torch.zeros(num_columns, num_columns, dtype=torch.float64)
    for block in columns():
        covariance += (block - mean).T @ (block - mean) / (num_rows - 1)
    variances, vectors = torch.linalg.eigh(covariance)  # ascending
    variances, vectors = variances.flip(0), vectors.flip(1)
    varies = variances > _SMALLEST_VARIANCE * variances[0]
    deviations = torch.where(varies, variances, 1.0).sqrt()
    if pca is None:
        return {"mean": mean, "whitening": vectors / deviations @ vectors.T}
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))  # (1, D)
    components = vectors * largest.sign()
    kept = (components / deviations if whiten else components)[:, :pca]
    # In the order of a saved one, which decides the last bits of products with it.
    return {"mean": mean, "components": kept.contiguous()}


def _mean(columns: Callable[[], Iterator[Tensor]]) -> tuple[int, Tensor]:
    """The number of rows M of the (M, F) float64 blocks of `columns`, and their (F,) mean."""
    count = 0
    total = torch.zeros(1, dtype=torch.float64)
    for block in columns():
        count += len(block)
        total = total + block.sum(dim=0)
    return count, total / count


def _matrix_shape(train: Split) -> tuple[int, int]:
    """Rows and columns of the matrix that PCA and ZCA see."""
    inputs = train.inputs
    if inputs.ndim == 3:
        num_rows = inputs.shape[0] * inputs.shape[1] if train.lengths is None else int(train.lengths.sum())
        return num_rows, inputs.shape[2]
    return len(inputs), math.prod(inputs.shape[1:])


def _blocks(split: Split) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Rows of the inputs in float64, with their lengths."""
    for rows in row_slices(split.inputs):
        yield to_real(split.inputs[rows]).double(), None if split.lengths is None else split.lengths[rows]


def _valid_steps(block: Tensor, lengths: Tensor | None) -> Tensor:
    """(N, F) as it is, (N, T, F) to (M, F): the M steps within the lengths."""
    if block.ndim == 2 or lengths is None:
        return block.reshape(-1, block.shape[-1])
    return block[torch.arange(block.shape[1]) < lengths.unsqueeze(1)]


def _as_float32(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    fitted = {name: tensor.float() for name, tensor in state.items()}
    if not all(bool(tensor.isfinite().all()) for tensor in fitted.values()):
        raise DataError("the training samples have values too large for float32 arithmetic.", where="preprocess")
    return fitted


def _check_fit(
    dataset: Dataset, normalize: Normalize, pca: int | None, *, whiten: bool, zca: bool, scale_target: bool
) -> None:
    projects = pca is not None or zca
    problem = None
    if dataset.layout in ("tokens", "tree") and (normalize != "none" or projects):
        problem = (
            "tokens are indices and can't be normalized, nor have components. Set normalize: none, no pca, no zca."
        )
    elif pca is not None and zca:
        problem = f"pca (got {pca}) and zca exclude each other. Leave one out."
    elif whiten and pca is None:
        problem = "whiten is about the components of pca, which is not set. Set pca, or zca in its place."
    elif scale_target and dataset.task != "regression":
        problem = f"scale_target is for regression (got {dataset.task}). Leave it out."
    elif projects:
        num_rows, num_columns = _matrix_shape(dataset.train)
        most = min(num_rows - 1, num_columns)
        if num_columns > _MAX_COLUMNS:
            problem = f"pca and zca have too many columns (got {num_columns}; allowed {_MAX_COLUMNS}). Leave them out."
        elif num_rows < 2:
            problem = "pca and zca need at least two training rows (got 1). Leave them out."
        elif pca is not None and not 1 <= pca <= most:
            problem = (
                f"pca has that many components only from more data (got {pca}; allowed 1 to {most}, by {num_rows} "
                f"training rows of {num_columns} columns)."
            )
    if problem is not None:
        raise DataError(problem, where="preprocess")


def _check_state(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if name not in _NAMES:
            raise CheckpointError(f"unknown fitted transform (got {name!r}; allowed {', '.join(_NAMES)}).")
        if tensor.dtype != torch.float32 or not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{name} of the preprocessing is not finite float32 (got {tensor.dtype}).")
        if name in ("scale", "target_scale") and not bool((tensor > 0).all()):
            raise CheckpointError(f"{name} of the preprocessing is not positive (got {float(tensor.min())}).")
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    shift, target_shift, mean = (shapes.get(name) for name in ("shift", "target_shift", "mean"))
    matrices = [shapes[name] for name in ("components", "whitening") if name in shapes]
    fits = shapes.get("scale") == shift and shapes.get("target_scale") == target_shift
    fits &= shift is None or len(shift) == 1 or (len(shift) == 3 and shift[1:] == (1, 1))
    fits &= target_shift is None or len(target_shift) == 1
    fits &= not matrices if mean is None else len(mean) == len(matrices) == 1
    fits &= all(len(matrix) == 2 and matrix[:1] == mean for matrix in matrices)
    fits &= "whitening" not in shapes or matrices[0][0] == matrices[0][-1]
    if not fits:
        raise CheckpointError(f"the shapes of the fitted preprocessing don't fit together (got {shapes}).")
