"""Reads new images in the same way as the training images: image files, folders of them, and arrays of pixels."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnzoo.data.arrays import read_arrays
from nnzoo.data.encode import encode_pixels, encode_targets
from nnzoo.data.files.contents import STDIN, name_of
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.fitting import to_real
from nnzoo.data.images.decode import Channels, decode, each_in_parallel
from nnzoo.data.images.listing import images_by_class, list_images
from nnzoo.data.reader import Reader, Samples, Schema
from nnzoo.errors import DataError

_SHOWN = 5


class ImageReader(Reader):
    """Reads image files, converted to the size and channels of the training images, and .npy and .npz files of images.

    Labels come from folders of class folders, or from an .npz file with `y`.
    """

    kind: Literal["images"] = "images"
    pixels: ClassVar[bool] = True

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads images (N, C, H, W) as uint8, or as float32 in [0, 1] if they come from float arrays.

        Files that can't be read are skipped and listed in `broken`.

        Raises:
            DataError: No file can be read, a folder is not a class, or arrays don't match the training data.
        """
        repairs = Repairs()
        parts = [_read(Path(path), schema, repairs, labelled=labelled) for path in paths]
        broken = tuple(line for part in parts for line in part.broken)
        if len(broken) and not any(len(part.names) for part in parts):
            raise DataError(" ".join(broken[:_SHOWN]))
        inputs = [part.inputs for part in parts]
        if len({each.dtype for each in inputs}) > 1:
            inputs = [to_real(each) for each in inputs]
        targets = [part.targets for part in parts if part.targets is not None]
        names = [name for part in parts for name in part.names]
        warnings = repairs.warnings()
        if labelled and broken:
            count = f"{len(broken)} of {len(names) + len(broken)} images can't be read and are left out"
            warnings += (f"{count}: {' '.join(broken[:_SHOWN])}",)
        return Samples(
            torch.cat(inputs),
            names,
            targets=torch.cat(targets) if labelled else None,
            warnings=warnings,
            broken=broken,
        )


def _read(path: Path, schema: Schema, repairs: Repairs, *, labelled: bool) -> Samples:
    if path.suffix in (".npy", ".npz"):
        return _read_arrays(path, schema, labelled=labelled)
    if labelled:
        files, labels = _labelled_files(path, schema.classes, repairs)
        return _decoded(files, schema, torch.tensor(labels))
    if not path.is_dir():
        return _decoded([path], schema)
    files = list_images(path, repairs)
    if not files:
        raise DataError("is a folder without images. Check the path.", where=str(path))
    return _decoded(files, schema)


def _labelled_files(path: Path, classes: Sequence[str], repairs: Repairs) -> tuple[list[Path], list[int]]:
    index = _index_by_folder(classes)
    files: list[Path] = []
    labels: list[int] = []
    for name, images in images_by_class(path, repairs).items():
        if name not in index:
            where = str(path / name if path.is_dir() else images[0].parent)
            raise DataError(f"is not a class of the training data (expected {', '.join(index)}).", where=where)
        files += images
        labels += [index[name]] * len(images)
    if not files:
        raise DataError(f"is a folder without images in class folders (expected {', '.join(index)}).", where=str(path))
    return files, labels


def _index_by_folder(classes: Sequence[str]) -> Mapping[str, int]:
    """Returns the class index per folder name, in which a `/` can't occur."""
    return {name.replace("/", "_"): index for index, name in enumerate(classes)}


def _decoded(files: Sequence[Path], schema: Schema, targets: Tensor | None = None) -> Samples:
    """Decodes the images that can be read, with their targets; the others are listed in `broken`."""
    images = torch.empty(len(files), *schema.input_shape, dtype=torch.uint8)
    kept: list[int] = []
    broken: list[str] = []
    work = partial(_decode_or_reason, schema=schema)
    for row, image in enumerate(each_in_parallel(work, files, title="decoding")):
        if isinstance(image, str):
            broken.append(image)
        else:
            images[len(kept)] = image
            kept.append(row)
    names = [str(files[row]) for row in kept]
    return Samples(images[: len(kept)], names, None if targets is None else targets[kept], broken=tuple(broken))


def _decode_or_reason(path: Path, schema: Schema) -> Tensor | str:
    """Returns a (C, H, W) uint8 image, or the reason why the file can't be used."""
    channels, height, width = schema.input_shape
    kind: Channels = 1 if channels == 1 else 3
    try:
        raw = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
        return torch.from_numpy(decode(io.BytesIO(raw), (height, width), kind))
    except FileNotFoundError:
        return f"{path}: there is no such file. Check the path."
    except OSError as error:
        return f"{path}: can't be read: {error.strerror}."
    except ValueError as error:
        return f"{name_of(path)}: can't be read as an image: {error}."


def _read_arrays(path: Path, schema: Schema, *, labelled: bool) -> Samples:
    x, y = read_arrays(path, labelled=labelled)
    inputs = encode_pixels(x, where=f"{path}: x")
    if tuple(inputs.shape[1:]) != schema.input_shape:
        raise DataError(
            f"has images of a different shape than the training data (got {tuple(inputs.shape[1:])}; expected "
            f"{schema.input_shape}).",
            where=f"{path}: x",
        )
    targets = None if y is None else encode_targets(y, schema.task, schema.classes, where=f"{path}: y")
    return Samples(inputs, range(len(inputs)), targets=targets)
