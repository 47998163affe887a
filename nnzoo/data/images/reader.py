"""Reading new images as those of training were read: image files, folders of them, and arrays of pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from nnzoo.data.arrays import read_arrays
from nnzoo.data.encode import encode_pixels, encode_targets
from nnzoo.data.files import STDIN, read_bytes
from nnzoo.data.fitting import to_real
from nnzoo.data.images.decode import Channels, decode, each_in_parallel, list_images
from nnzoo.data.reader import Reader, Samples, Schema
from nnzoo.errors import DataError


class ImageReader(Reader):
    """Reads image files to the size and channels of the training images; also .npy and .npz of such images.

    For labels it reads folders whose folders are classes, or an .npz with `y`.
    """

    kind: Literal["images"] = "images"
    pixels: ClassVar[bool] = True

    def read(self, paths: Sequence[Path], schema: Schema, *, labelled: bool) -> Samples:
        """Reads images (N, C, H, W), uint8, or float32 in [0, 1] from arrays of that type.

        Raises:
            DataError: There is no such file, it can't be decoded, a folder is no class, or arrays don't fit.
        """
        parts = [_read(Path(path), schema, labelled=labelled) for path in paths]
        inputs = [part.inputs for part in parts]
        if len({each.dtype for each in inputs}) > 1:
            inputs = [to_real(each) for each in inputs]
        targets = [part.targets for part in parts if part.targets is not None]
        names = [name for part in parts for name in part.names]
        return Samples(torch.cat(inputs), names, targets=torch.cat(targets) if labelled else None)


def class_folders(path: Path) -> dict[str, list[Path]]:
    """The folders in a folder, or those that a glob pattern matches, by their name, in order: numbers as numbers.

    Raises:
        DataError: There is no such folder.
    """
    if path.is_dir():
        found = list(path.iterdir())
    else:
        root = Path(path.anchor)
        found = [] if path.exists() else list(root.glob(str(path.relative_to(root))))
        if not found:
            problem = "is a file; expected a folder" if path.exists() else "there is no such folder. Check the path"
            raise DataError(f"{problem}.", where=str(path))
    folders: dict[str, list[Path]] = {}
    for folder in sorted(found):
        if folder.is_dir() and not folder.name.startswith(".") and folder.name != "__MACOSX":
            folders.setdefault(folder.name, []).append(folder)
    numbers = all(name.isascii() and name.isdigit() for name in folders)
    return dict(sorted(folders.items(), key=lambda item: (int(item[0]) if numbers else 0, item[0])))


def _read(path: Path, schema: Schema, *, labelled: bool) -> Samples:
    if path.suffix in (".npy", ".npz"):
        return _read_arrays(path, schema, labelled=labelled)
    if labelled:
        files, labels = _labelled_files(path, schema.classes)
        return Samples(_decode(files, schema), list(map(str, files)), targets=torch.tensor(labels))
    if path == STDIN:
        return Samples(_decode_one(path, schema).unsqueeze(0), [str(path)])
    files = list_images(path) if path.is_dir() else [path]
    if not files:
        raise DataError("a folder without images.", where=str(path))
    return Samples(_decode(files, schema), list(map(str, files)))


def _labelled_files(path: Path, classes: Sequence[str]) -> tuple[list[Path], list[int]]:
    index = _index_by_folder(classes)
    files: list[Path] = []
    labels: list[int] = []
    for name, folders in class_folders(path).items():
        found = [file for folder in folders for file in list_images(folder)]
        if found and name not in index:
            raise DataError(f"is no class of the training data (allowed {', '.join(index)}).", where=str(folders[0]))
        files += found
        labels += [index[name]] * len(found) if found else []
    if not files:
        raise DataError(f"a folder without images in class folders ({', '.join(index)}).", where=str(path))
    return files, labels


def _index_by_folder(classes: Sequence[str]) -> Mapping[str, int]:
    """The index of each class by the folder that it may have: no folder has a / in its name."""
    return {name.replace("/", "_"): index for index, name in enumerate(classes)}


def _decode(files: Sequence[Path], schema: Schema) -> Tensor:
    images = torch.empty(len(files), *schema.input_shape, dtype=torch.uint8)
    work = partial(_decode_one, schema=schema)
    for row, image in enumerate(each_in_parallel(work, files, title="decoding")):
        images[row] = image
    return images


def _decode_one(path: Path, schema: Schema) -> Tensor:
    channels, height, width = schema.input_shape
    assert channels in (1, 3)
    kind: Channels = 1 if channels == 1 else 3
    try:
        return torch.from_numpy(decode(io.BytesIO(read_bytes(path)), (height, width), kind))
    except ValueError as error:
        raise DataError(f"can't be read as an image: {error}.", where=str(path)) from error


def _read_arrays(path: Path, schema: Schema, *, labelled: bool) -> Samples:
    x, y = read_arrays(path, labelled=labelled)
    inputs = encode_pixels(x, where=f"{path}: x")
    if tuple(inputs.shape[1:]) != schema.input_shape:
        raise DataError(
            f"has images of another shape than the training data (got {tuple(inputs.shape[1:])}; allowed "
            f"{schema.input_shape}).",
            where=f"{path}: x",
        )
    targets = None if y is None else encode_targets(y, schema.task, schema.classes, where=f"{path}: y")
    return Samples(inputs, range(len(inputs)), targets=targets)
