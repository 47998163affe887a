"""Transforms of inputs and targets, fitted only on the training samples and saved with the weights.

Features, sequences and targets are transformed in float64 and then rounded to float32 for the network, so that the
values of a column such as 1e9 +- 1 stay distinct.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from nnzoo.data.dataset import Dataset, Split, row_slices
from nnzoo.data.files.on_disk import OnDisk, write_rows
from nnzoo.data.fitting import Normalize, fit_normalize, fit_projection, fit_scale, matrix_shape, to_real
from nnzoo.data.quantiles import clip_smoothly, to_normal
from nnzoo.errors import CheckpointError, DataError

_NAMES = ("shift", "scale", "clip", "quantiles", "mean", "components", "whitening", "target_shift", "target_scale")
_MAX_COLUMNS = 10_000  # a covariance of 800 MB in float64


class ImageScaling(nn.Module):
    """Normalizes batches of images on any device. Their range is bounded, so float32 is precise enough.

    Args:
        shift: (C, 1, 1); None to leave images in [0, 1].
        scale: (C, 1, 1).
    """

    shift: Tensor | None
    scale: Tensor | None

    def __init__(self, shift: Tensor | None, scale: Tensor | None) -> None:
        super().__init__()
        self.register_buffer("shift", None if shift is None else shift.float())
        smallest = torch.finfo(torch.float32).smallest_normal
        self.register_buffer("scale", None if scale is None else scale.float().clamp_min(smallest))

    def forward(self, images: Tensor) -> Tensor:
        """Converts (N, C, H, W) uint8 or float32 images to float32 of the same shape."""
        images = to_real(images)
        return images if self.shift is None or self.scale is None else (images - self.shift) / self.scale


class Preprocess(nn.Module):
    """Normalizes inputs, then applies PCA or ZCA, and scales regression targets.

    Transforms that are not fitted are skipped. uint8 images are divided by 255 before the other transforms.

    Inputs are (N, F) features, (N, T, F) sequences or (N, C, H, W) images, by their number of axes; tokens are not
    changed. The fitted values are float64 buffers: `state_dict` returns them and `Preprocess(state)` restores them.
    They stay on the CPU, as do the samples until they are transformed: some devices have no float64.

    - `shift` and `scale`: (F,) for columns or the features of a step, (C, 1, 1) for channels. `(x - shift) / scale`.
    - `clip` (F,): the bound of a column after that, 0 for none (`quantiles.clip_smoothly`).
    - `quantiles` (Q, F): instead of all these, the transform to a normal distribution (`quantiles.to_normal`).
    - `mean` (D,) and `components` (D, K): PCA. D is F, or C * H * W for images. `(x - mean) @ components`.
    - `mean` (D,) and `whitening` (D, D): ZCA. `(x - mean) @ whitening`.
    - `target_shift` and `target_scale`: (M,) for each target.

    Args:
        state: The fitted buffers by name, as `state_dict` returns them; empty or None for the identity.

    Raises:
        CheckpointError: A name is unknown, or the types, shapes or values of the buffers are not consistent.
    """

    shift: Tensor | None
    scale: Tensor | None
    clip: Tensor | None
    quantiles: Tensor | None
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
        """Fits the transforms on the train split, in float64.

        Steps beyond the length of a sequence are ignored. A constant column is divided by 1, never by 0. Features that
        are 0 or 1 (`Dataset.one_hot`) are not normalized, except before PCA and ZCA.

        Args:
            dataset: The dataset; only its train split is read.
            normalize: "center" subtracts the mean of each column, feature of a step or channel; "standardize" also
                divides by its standard deviation; "minmax" maps its range to [0, 1]; "robust" subtracts the median,
                divides by the distance between the quartiles and clips smoothly; "quantile" maps columns to a normal
                distribution.
            pca: The number of leading principal components to keep, of flattened images and of each step of a
                sequence. The largest weight of each component is positive.
            whiten: Divide each component by its standard deviation, or by 1 if its variance is below 1e-10 of the
                largest one.
            zca: Whiten along the axes of the inputs (Bell & Sejnowski 1997), instead of PCA, with the same threshold.
            scale_target: Standardize each regression target.

        Raises:
            DataError: The transforms do not fit the data or each other.
        """
        _check_fit(dataset, normalize, pca, whiten=whiten, zca=zca, scale_target=scale_target)
        train = dataset.train
        state: dict[str, Tensor] = {}
        if normalize != "none":
            state |= fit_normalize(train, normalize, () if pca is not None or zca else dataset.one_hot)
        if pca is not None or zca:
            state |= fit_projection(train, cls(state)._normalize, pca, whiten=whiten)
        if scale_target:
            shift, scale = fit_scale(lambda: iter([train.targets.double()]), "standardize")
            state |= {"target_shift": shift, "target_scale": scale}
        return cls(state)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None, *, first: int = 0) -> Tensor:
        """Transforms samples. It does not change `inputs` in place.

        Args:
            inputs: (N, F), (N, T, F), (N, C, H, W) or tokens (N, T), on the CPU.
            lengths: (N,) valid steps of sequences. Later steps stay 0.
            first: The index of the first sample, for messages.

        Returns:
            The same shape in float32; after PCA (N, K), or (N, T, K) for sequences.

        Raises:
            DataError: A value is too large for float32.
        """
        if inputs.ndim == 4 and self.mean is None:
            scaled: Tensor = self.image_scaling()(inputs)
            return scaled
        untouched = not self._normalizes and self.mean is None and inputs.dtype == torch.float32
        if untouched or not (inputs.is_floating_point() or inputs.ndim == 4):
            return inputs
        return _as_float32(self.in_float64(inputs, lengths), first, "an input", "normalize: standardize")

    def in_float64(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Transforms samples as `forward` does, without the rounding to float32.

        Args:
            inputs: (N, F), (N, T, F) or (N, C, H, W), on the CPU.
            lengths: (N,) valid steps of sequences. Later steps stay 0.
        """
        outputs = self._project(self._normalize(to_real(inputs).double()))
        if lengths is not None:
            beyond = torch.arange(outputs.shape[1]) >= lengths.unsqueeze(1)  # (N, T)
            outputs = outputs.masked_fill(beyond.unsqueeze(2), 0)
        return outputs

    @property
    def _normalizes(self) -> bool:
        return self.shift is not None or self.quantiles is not None

    @property
    def is_linear(self) -> bool:
        """Whether inputs are only shifted and scaled, or projected."""
        return self.clip is None and self.quantiles is None

    def image_scaling(self) -> ImageScaling:
        """Returns the transform for batches of images, a module that can be moved to their device."""
        return ImageScaling(self.shift, self.scale)

    def scale_targets(self, targets: Tensor) -> Tensor:
        """Returns the scaled (N, M) regression targets, float64, that the network learns."""
        targets = targets.double()
        if self.target_shift is None or self.target_scale is None:
            return targets
        return (targets - self.target_shift) / self.target_scale

    def unscale_targets(self, outputs: Tensor) -> Tensor:
        """Returns (N, M) outputs of the network, float64, in the original unit of the targets."""
        outputs = outputs.double()
        if self.target_shift is None or self.target_scale is None:
            return outputs
        return outputs * self.target_scale + self.target_shift

    def units(self, num_columns: int, num_targets: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns the shift and scale of the columns, (F,) each, and of the targets, (M,) each, in float64."""

        def fitted(shift: Tensor | None, scale: Tensor | None, size: int) -> tuple[Tensor, Tensor]:
            if shift is None or scale is None:
                return torch.zeros(size, dtype=torch.float64), torch.ones(size, dtype=torch.float64)
            return shift, scale

        columns = fitted(self.shift, self.scale, num_columns)
        return *columns, *fitted(self.target_shift, self.target_scale, num_targets)

    def transform(self, dataset: Dataset, *, by_batch: Collection[str] = ()) -> Dataset:
        """Transforms a copy of every split, block by block; the peak memory is about the size of that copy.

        uint8 images stay uint8, which takes a quarter of the memory of float32, and `finish` of their split transforms
        each batch. PCA and ZCA are slow, so they are applied in advance even to uint8 images.

        Inputs on disk stay there and are shifted and scaled when they are read. The result of other transforms is
        written to another file, not computed per batch: the last bits of a matrix product depend on its number of rows.

        Args:
            dataset: The divided dataset.
            by_batch: Names of other splits of images that are also transformed batch by batch.

        Returns:
            The dataset with float32 inputs and targets. `exact` contains the regression targets in their original unit.

        Raises:
            DataError: A value is too large for float32.
        """
        splits = {}
        for name, split in dataset.splits.items():
            later = self.mean is None and (split.inputs.dtype == torch.uint8 or name in by_batch)
            try:
                inputs = split.inputs if later else self._transform_inputs(split)
                targets, exact = split.targets, None
                if dataset.task == "regression":
                    exact = targets.double() if split.exact is None else split.exact
                    targets = _as_float32(self.scale_targets(targets), 0, "a target", "scale_target: true")
            except _TooLargeError as error:
                row = error.row if split.rows is None else int(split.rows[error.row])
                sample = f"'{dataset.sample_names[row]}'" if dataset.sample_names else f"row {row}"
                raise DataError(error.message, where=f"{name} {sample}") from None
            finish = self.image_scaling() if later else None
            splits[name] = replace(split, inputs=inputs, targets=targets, finish=finish, exact=exact)
        if self.components is None:
            return replace(dataset, splits=splits)
        layout = "features" if dataset.layout == "image" else dataset.layout
        return replace(dataset, splits=splits, layout=layout, feature_names=())

    def _transform_inputs(self, split: Split) -> Tensor:
        inputs, lengths = split.inputs, split.lengths
        if isinstance(inputs, OnDisk) and self.mean is None and self.is_linear:
            if not inputs.is_floating_point():
                return inputs
            if self.shift is None or self.scale is None:
                return inputs.scaled()
            if inputs.ndim < 4:
                return inputs.scaled(self.shift, self.scale)
            images = self.image_scaling()
            assert images.shift is not None
            assert images.scale is not None
            return inputs.scaled(images.shift, images.scale)
        start = self(inputs[:1])
        if start.dtype == inputs.dtype and not self._normalizes and self.mean is None:
            return inputs
        shape = (len(inputs), *start.shape[1:])
        blocks = (
            self(inputs[rows], None if lengths is None else lengths[rows], first=rows.start)
            for rows in row_slices(inputs)
        )
        if isinstance(inputs, OnDisk):
            return write_rows(blocks, shape)
        outputs = torch.empty(shape, dtype=start.dtype)
        for rows, block in zip(row_slices(inputs), blocks, strict=True):
            outputs[rows] = block
        return outputs

    def _normalize(self, inputs: Tensor) -> Tensor:
        if self.quantiles is not None:
            return to_normal(inputs, self.quantiles)
        if self.shift is None or self.scale is None:
            return inputs
        scaled = (inputs - self.shift) / self.scale
        return scaled if self.clip is None else clip_smoothly(scaled, self.clip)

    def _project(self, inputs: Tensor) -> Tensor:
        matrix = self.components if self.whitening is None else self.whitening
        if self.mean is None or matrix is None:
            return inputs
        flat = inputs.flatten(1) if inputs.ndim == 4 else inputs
        outputs = (flat - self.mean) @ matrix
        return outputs if self.whitening is None else outputs.reshape(inputs.shape)


class _TooLargeError(DataError):
    """A value is too large for float32.

    Attributes:
        row: The index of the sample.
    """

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message, where=f"row {row}")
        self.row = row


def _as_float32(values: Tensor, first: int, what: str, fix: str) -> Tensor:
    """Rounds (N, *) float64 to float32.

    Raises:
        DataError: A value is too large. Samples are counted from `first`.
    """
    rounded = values.float()
    finite = rounded.isfinite()
    if not bool(finite.all()):
        row = int((~finite).reshape(len(values), -1).any(dim=1).int().argmax())
        bad = values[row].flatten()[int((~finite[row]).flatten().int().argmax())]
        largest = torch.finfo(torch.float32).max
        raise _TooLargeError(
            f"{what} is too large for the network, which computes in float32 (got {float(bad):g}, at most "
            f"{largest:.2g}). Correct it, or set preprocess: {{{fix}}}.",
            first + row,
        )
    return rounded


def _check_fit(
    dataset: Dataset, normalize: Normalize, pca: int | None, *, whiten: bool, zca: bool, scale_target: bool
) -> None:
    projects = pca is not None or zca
    problem = None
    if dataset.layout in ("tokens", "tree") and (normalize != "none" or projects):
        problem = (
            "tokens are indices: they can't be normalized. Set preprocess: {normalize: none, pca: null, zca: false}."
        )
    elif dataset.layout == "image" and normalize in ("robust", "quantile"):
        problem = f"normalize: {normalize} is for columns, but this data is images. Use standardize."
    elif pca is not None and zca:
        problem = f"pca (got {pca}) and zca exclude each other. Set only one of them."
    elif whiten and pca is None:
        problem = "whiten scales the components of pca, which is not set. Set pca, or use zca."
    elif scale_target and dataset.task != "regression":
        problem = f"scale_target is for regression (got {dataset.task}). Remove it."
    elif projects:
        num_rows, num_columns = matrix_shape(dataset.train)
        most = min(num_rows - 1, num_columns)
        if num_columns > _MAX_COLUMNS:
            problem = f"pca and zca have too many columns (got {num_columns}; allowed {_MAX_COLUMNS}). Remove them."
        elif num_rows < 2:
            problem = "pca and zca need at least two training rows (got 1). Remove them."
        elif pca is not None and not 1 <= pca <= most:
            problem = (
                f"pca has too many components for this data (got {pca}; allowed 1 to {most}, for {num_rows} training "
                f"rows and {num_columns} columns). Keep fewer, or add data."
            )
    if problem is not None:
        raise DataError(problem, where="preprocess")


def _check_state(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if name not in _NAMES:
            raise CheckpointError(f"unknown fitted transform (got {name!r}; allowed {', '.join(_NAMES)}).")
        if tensor.dtype != torch.float64 or not bool(tensor.isfinite().all()):
            raise CheckpointError(f"{name} of the preprocessing is not finite float64 (got {tensor.dtype}).")
        if name in ("scale", "target_scale") and not bool((tensor > 0).all()):
            raise CheckpointError(f"{name} of the preprocessing is not positive (got {float(tensor.min())}).")
        if name == "quantiles" and not (tensor.ndim == 2 and len(tensor) > 1 and bool((tensor.diff(dim=0) >= 0).all())):
            raise CheckpointError(f"{name} of the preprocessing are not in order (got {tuple(tensor.shape)}).")
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    shift, target_shift, mean = (shapes.get(name) for name in ("shift", "target_shift", "mean"))
    matrices = [shapes[name] for name in ("components", "whitening") if name in shapes]
    fits = shapes.get("scale") == shift and shapes.get("target_scale") == target_shift
    fits &= shift is None or len(shift) == 1 or (len(shift) == 3 and shift[1:] == (1, 1))
    fits &= "clip" not in shapes or (shapes["clip"] == shift and bool((state["clip"] >= 0).all()))
    fits &= "quantiles" not in shapes or (shift is None and (mean is None or mean == shapes["quantiles"][1:]))
    fits &= target_shift is None or len(target_shift) == 1
    fits &= not matrices if mean is None else len(mean) == len(matrices) == 1
    fits &= all(len(matrix) == 2 and matrix[:1] == mean for matrix in matrices)
    fits &= "whitening" not in shapes or matrices[0][0] == matrices[0][-1]
    if not fits:
        raise CheckpointError(f"the shapes of the fitted preprocessing are inconsistent (got {shapes}).")
