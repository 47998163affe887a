"""Image datasets of torchvision, in its directory layout: MNIST and its variants, CIFAR, SVHN.

Files are searched for in torchvision's folders below a root, and in the root itself. Whether a file is gzipped is
detected by its content. torchvision downloads missing files and verifies their checksums.
"""

from __future__ import annotations

import gzip
import io
import math
import tarfile
import tempfile
import urllib.error
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.images.cifar_pickle import read_cifar_pickle
from nnzoo.data.images.image_reader import ImageReader
from nnzoo.errors import DataError
from nnzoo.folders import data_folder

_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error, MemoryError)
"""Exceptions from reading a truncated or damaged file."""

_GZIP = b"\x1f\x8b"
_CHUNK = 2**20
_LARGEST = 2**33
"""Maximum size in bytes that the header of an idx file may declare."""


class _Place(NamedTuple):
    """Where the files of a dataset may be.

    Attributes:
        folders: The folders to search, in this order.
        archive: The name of a .tar.gz with all files in one of the folders; empty if there is no archive.
    """

    folders: tuple[Path, ...]
    archive: str

    def candidates(self, name: str) -> list[Path]:
        """Returns every path where a file may be."""
        if self.archive:
            return [*(folder / name for folder in self.folders), *(folder / self.archive for folder in self.folders)]
        return [folder / f"{name}{end}" for folder in self.folders for end in ("", ".gz")]

    def find(self, name: str) -> Path | None:
        """Returns the path of a file, or of the archive that should contain it; None if neither exists."""
        return next((path for path in self.candidates(name) if path.is_file()), None)

    def path(self, name: str) -> Path:
        """Returns the path of a file, or of the archive that should contain it.

        Raises:
            DataError: Neither exists.
        """
        path = self.find(name)
        if path is None:
            candidates = ", ".join(map(str, self.candidates(name)))
            raise DataError(
                f"there is no such file. Set `download: true`, or put it at one of these paths: {candidates}.",
                where=name,
            )
        return path

    def open(self, name: str) -> io.BufferedIOBase:
        """Opens a file, or a member of the archive. Gzip is detected by the first bytes and decompressed."""
        path = self.path(name)
        if self.archive and path.name == self.archive:
            with tarfile.open(path) as tar:
                entry = next((each for each in tar if each.isfile() and each.name.split("/")[-1] == name), None)
                stream = tar.extractfile(entry) if entry else None
                if stream is None:
                    raise ValueError(f"it has no member {name}")
                return io.BytesIO(stream.read())
        with path.open("rb") as file:
            is_packed = file.read(2) == _GZIP
        return gzip.open(path) if is_packed else path.open("rb")


class _Layout(NamedTuple):
    """Where the files of a dataset are, and how they are read.

    Attributes:
        torchvision: The name of the class in torchvision.datasets.
        folders: Folders below the root.
        files: The file names of each split.
        read: Reads images of a given shape, (N, C, H, W) uint8, and their labels, (N,) int64, from files.
        archive: As in `_Place`.
    """

    torchvision: str
    folders: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]
    read: Callable[[_Place, Sequence[str], tuple[int, int, int]], tuple[Tensor, Tensor]]
    archive: str = ""


def load_torchvision_set(
    name: str,
    *,
    class_names: Sequence[str],
    shape: tuple[int, int, int],
    root: str | Path | None = None,
    download: bool = True,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
) -> Dataset:
    """Reads a torchvision dataset, and downloads missing files.

    Args:
        name: mnist, fashion_mnist, kmnist, cifar10, cifar100 or svhn.
        class_names: All classes in the order of the labels.
        shape: (C, H, W) of an image.
        root: The root folder of torchvision, or the folder with the files; None for the folder of data sets
            (`nnzoo.folders`).
        download: Whether missing files are downloaded.
        classes: The classes to keep, in the order of their indices; None for all.
        limit: Maximum number of samples per split; the first ones are used.

    Returns:
        Images (N, C, H, W) uint8 and the official test split.

    Raises:
        DataError: Files are missing (the message lists the paths), can't be downloaded, are damaged, or belong to a
            different dataset.
    """
    layout, base = LAYOUTS[name], data_folder() if root is None else Path(root).expanduser()
    place = _Place(tuple(base / folder for folder in (*layout.folders, name)), layout.archive)
    if download and any(place.find(file) is None for files in layout.files.values() for file in files):
        _download(layout, base)
    kept = tuple(class_names if classes is None else classes)
    splits = {}
    for split, files in layout.files.items():
        images, labels = layout.read(place, files, shape)
        where = str(place.path(files[-1]))
        if bool(((labels < 0) | (labels >= len(class_names))).any()):
            raise DataError(f"has labels that are not in {name} (got up to {int(labels.max())}).", where=where)
        splits[split] = _select(Split(images, labels), [class_names.index(each) for each in kept], limit)
        if len(splits[split]) == 0:
            raise DataError(f"has no sample of {', '.join(kept)}.", where=where)
    return Dataset(splits, task="classification", layout="image", classes=kept, reader=ImageReader())


def _select(split: Split, labels: list[int], limit: int | None) -> Split:
    """Returns the first samples with the given labels, renumbered from 0 in their order."""
    wanted = torch.tensor(labels)
    index = torch.full((int(max(wanted.max(), split.targets.max())) + 1,), -1)
    index[wanted] = torch.arange(len(labels))
    targets = index[split.targets]
    rows = (targets >= 0).nonzero().flatten()[:limit]
    if len(rows) == len(split):
        return Split(split.inputs, targets)
    return Split(split.inputs.index_select(0, rows), targets[rows])


def _read_idx(place: _Place, files: Sequence[str], shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    images, image_path = _read_idx_file(place, files[0], num_axes=3)
    labels, label_path = _read_idx_file(place, files[1], num_axes=1)
    if images.shape[1:] != shape[1:]:
        raise DataError(
            f"has images of a different size (got {tuple(images.shape[1:])}, expected {shape[1:]}).",
            where=str(image_path),
        )
    if len(images) != len(labels):
        raise DataError(
            f"has {len(labels)} labels for the {len(images)} images of {image_path}.", where=str(label_path)
        )
    return images.unsqueeze(1), labels.long()


def _read_idx_file(place: _Place, name: str, *, num_axes: int) -> tuple[Tensor, Path]:
    """Reads an idx file of uint8: 0, 0, 8, the number of axes, their sizes as big-endian int32, the values (LeCun)."""
    path = place.path(name)
    try:
        with place.open(name) as stream:
            magic = stream.read(4)
            if magic != bytes((0, 0, 8, num_axes)):
                raise ValueError(f"it does not start with the header of an idx file with {num_axes} axes")
            sizes = np.frombuffer(stream.read(4 * num_axes), dtype=">i4").tolist()
            count = math.prod(sizes)
            if len(sizes) < num_axes or min(sizes) < 1 or count > _LARGEST:
                raise ValueError(f"it has invalid sizes {sizes}")
            tensor = torch.empty(sizes, dtype=torch.uint8)
            # Reads into the result, at most the declared size: a small gzip file may decompress to any size.
            values = tensor.numpy().reshape(-1).data
            size = 0
            while size < count and (num_read := stream.readinto(values[size : size + _CHUNK])):
                size += num_read
            if size < count or stream.read(1):
                raise ValueError(f"it has {'fewer' if size < count else 'more'} values than the declared {count}")
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    return tensor, path


def _damaged(path: Path, error: BaseException) -> DataError:
    return DataError(
        f"can't be read: it is damaged or in a different format ({error}). Download it again.", where=str(path)
    )


def _read_cifar(place: _Place, files: Sequence[str], shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    parts = [_read_cifar_file(place, name, shape) for name in files]
    return torch.cat([images for images, _ in parts]), torch.cat([labels for _, labels in parts])


def _read_cifar_file(place: _Place, name: str, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    path = place.path(name)
    try:
        with place.open(name) as stream:
            batch = read_cifar_pickle(stream)
        batch = {key.decode() if isinstance(key, bytes) else key: value for key, value in batch.items()}
        labels = np.asarray(batch["fine_labels" if "fine_labels" in batch else "labels"])
        data = batch["data"]
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape != (len(labels), math.prod(shape)):
            raise ValueError(f"its data does not have {math.prod(shape)} bytes for each of its {len(labels)} labels")
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) == 0:
            raise ValueError("its labels are not a list of integers")
    except (*_DAMAGE, tarfile.TarError) as error:
        raise _damaged(path, error) from error
    return torch.tensor(data).reshape(-1, *shape), torch.tensor(labels.astype(np.int64))


def _read_svhn(place: _Place, files: Sequence[str], shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = place.path(files[0])
    try:
        with place.open(files[0]) as stream:
            arrays = loadmat(stream, variable_names=["X", "y"])
        images, labels = arrays["X"], arrays["y"].reshape(-1)
        if labels.dtype.kind not in "iuf" or not np.isin(labels, range(11)).all():
            raise ValueError("y has labels other than 1 to 10")
        if images.dtype != np.uint8 or images.shape != (*shape[1:], shape[0], len(labels)) or len(labels) == 0:
            raise ValueError(f"X has shape {images.shape} of {images.dtype} for {len(labels)} labels")
    except (*_DAMAGE, MatReadError, NotImplementedError) as error:
        raise _damaged(path, error) from error
    # (H, W, C, N) -> (N, C, H, W); the digit 0 has label 10.
    return torch.tensor(np.ascontiguousarray(images.transpose(3, 2, 0, 1))), torch.tensor(labels.astype(np.int64) % 10)


def _download(layout: _Layout, root: Path) -> None:
    """Downloads the files of a dataset to torchvision's folders. Archives are not unpacked."""
    from torchvision import datasets
    from torchvision.datasets.utils import download_url

    known = getattr(datasets, layout.torchvision)
    if hasattr(known, "resources"):
        raw = root / layout.torchvision / "raw"
        wanted = [(raw, name, md5, [f"{mirror}{name}" for mirror in known.mirrors]) for name, md5 in known.resources]
        wanted = [each for each in wanted if not (raw / each[1].removesuffix(".gz")).is_file()]
    elif hasattr(known, "split_list"):
        files = (known.split_list[split] for split in layout.files)
        wanted = [(root, name, md5, [url]) for url, name, md5 in files]
    else:
        wanted = [(root, known.filename, known.tgz_md5, [known.url])]
    for folder, name, md5, urls in wanted:
        problems = []
        for url in urls:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # Moved only when complete: other processes may look for the file, or download it too.
                with tempfile.TemporaryDirectory(prefix=".downloading-", dir=folder) as aside:
                    download_url(url, aside, name, md5)
                    (Path(aside) / name).replace(folder / name)
                break
            except (OSError, RuntimeError, urllib.error.URLError) as error:
                problems.append(f"{url}: {error}")
        else:
            raise DataError(
                f"can't be downloaded ({'; '.join(problems)}). Put the file there by hand, or set data.root to its "
                "folder.",
                where=str(folder / name),
            )


def _idx_layout(torchvision: str) -> _Layout:
    files = {
        split: (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte")
        for split, stem in (("train", "train"), ("test", "t10k"))
    }
    return _Layout(torchvision, (f"{torchvision}/raw", "raw", ""), files, _read_idx)


LAYOUTS = {
    "mnist": _idx_layout("MNIST"),
    "fashion_mnist": _idx_layout("FashionMNIST"),
    "kmnist": _idx_layout("KMNIST"),
    "cifar10": _Layout(
        "CIFAR10",
        ("cifar-10-batches-py", ""),
        {"train": tuple(f"data_batch_{index}" for index in range(1, 6)), "test": ("test_batch",)},
        _read_cifar,
        archive="cifar-10-python.tar.gz",
    ),
    "cifar100": _Layout(
        "CIFAR100",
        ("cifar-100-python", ""),
        {"train": ("train",), "test": ("test",)},
        _read_cifar,
        archive="cifar-100-python.tar.gz",
    ),
    "svhn": _Layout("SVHN", ("",), {"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)}, _read_svhn),
}
