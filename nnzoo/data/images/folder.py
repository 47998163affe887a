"""User images: one folder per class, optionally inside train, val and test folders."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from statistics import median_low
from typing import Literal

import torch

from nnzoo import log
from nnzoo.data.dataset import Dataset, Split
from nnzoo.data.files.on_disk import Cache
from nnzoo.data.files.origin import name_below, of_names
from nnzoo.data.files.repairs import Repairs
from nnzoo.data.images.cache import choose_cache, decode_all
from nnzoo.data.images.decode import Channels, each_in_parallel, probe
from nnzoo.data.images.image_reader import ImageReader
from nnzoo.data.images.listing import class_folders, images_by_class, list_images
from nnzoo.data.split import Division, dropped_note
from nnzoo.errors import DataError

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""The split of each possible folder name, in lower case."""
LARGEST_KEPT = 256
"""A common image size is used up to this many pixels per side; larger images are downscaled."""
SQUARES = (32, 64, 128)
_SHOWN = 5


@dataclass(frozen=True)
class _Files:
    """The files of a split and the class of each."""

    paths: list[Path]
    labels: list[int]

    def take(self, rows: Sequence[int]) -> _Files:
        return _Files([self.paths[row] for row in rows], [self.labels[row] for row in rows])


def load_image_folder(
    *,
    path: str | Path,
    val_path: str | Path | None = None,
    test_path: str | Path | None = None,
    limit: int | None = None,
    size: Literal["auto"] | int | tuple[int, ...] = "auto",
    channels: Literal["auto"] | Channels = "auto",
    cache: Cache | Literal["auto"] = "auto",
    strict: bool = False,
    division: Division | None = None,
) -> Dataset:
    """Finds the images, splits them, and decodes each once.

    They are split before they are decoded, so that images that don't fit into memory can be written directly to the
    cache file of their split.

    Args:
        path: A folder of class folders, or of `train`, `val` and `test` with class folders in each; or a glob pattern
            that matches class folders. Subfolders of class folders are searched too. Links are followed.
        val_path: A folder of class folders for the val split.
        test_path: A folder of class folders for the test split.
        limit: Maximum number of images per split, balanced over the classes.
        size: Side of a square, or (H, W). "auto": the size of more than half of the training images, up to 256 x 256;
            else the largest of 32, 64 and 128 that is not larger than the median image.
        channels: "auto": 1 if all training images are grayscale by their headers, else 3.
        cache: "memory", "disk", or "auto" by the size of the images.
        strict: Whether images that can't be decoded, and other skipped files, are errors.
        division: How missing splits are split off from train. For `deduplicate`, samples are equal if their files are.

    Returns:
        Images (N, C, H, W) uint8; classes are the names of the training folders, in natural order.

    Raises:
        DataError: A folder is missing, has no images or has an unknown class, there is only one class, or images are
            broken.
        RunError: The cache can't be written.
    """
    given = _given_splits(Path(path), {"val": val_path, "test": test_path})
    repairs = Repairs(strict=strict)
    images = {name: _list_classes(Path(folder), repairs) for name, folder in given.items()}
    classes = tuple(images["train"])
    if len(classes) < 2:
        raise DataError(
            f"has images of only one class (got {classes[0]}, expected at least two class folders).",
            where=str(given["train"]),
        )
    files = {name: _number(each, classes, limit, where=str(given[name])) for name, each in images.items()}
    files, notes = _divide(files, classes, division or Division(0, 0))
    shape = _choose_shape(files["train"].paths, size, channels)
    cache = choose_cache(cache, sum(len(split.paths) for split in files.values()), shape)
    split_paths = {name: Path(each) for name, each in (("val", val_path), ("test", test_path)) if each is not None}
    splits, paths, names, unreadable = {}, list[str](), list[str](), list[str]()
    for name, part in files.items():
        split, split_warnings = _decode(part, shape, cache, strict=strict, title=name)
        unreadable += split_warnings
        assert split.rows is not None
        names += (name_below(file, split_paths.get(name, Path(path))) for file in part.paths)
        splits[name] = replace(split, rows=split.rows + len(paths), origin=of_names(names))
        paths += map(str, part.paths)
    lost = set(range(len(classes))) - set(splits["train"].targets.tolist())
    if lost:
        listed = ", ".join(classes[index] for index in sorted(lost))
        raise DataError(
            f"no training image of {listed} can be read. Replace them, or remove the folder.", where=str(given["train"])
        )
    log.info("%d images of %d x %d, %d channels", sum(map(len, splits.values())), shape[1], shape[2], shape[0])
    return Dataset(
        splits,
        task="classification",
        layout="image",
        classes=classes,
        choices={"size": shape[1:], "channels": shape[0], "cache": cache},
        warnings=(*repairs.warnings(), *unreadable),
        notes=notes,
        sample_names=paths,
        reader=ImageReader(),
        divisible=False,
    )


def _divide(
    files: dict[str, _Files], classes: tuple[str, ...], division: Division
) -> tuple[dict[str, _Files], tuple[str, ...]]:
    """Splits the missing val and test splits off from train; returns the files of each split, and notes for the log."""
    train = files["train"]
    notes: tuple[str, ...] = ()
    if division.deduplicate:
        distinct = _distinct(train)
        notes = (dropped_note(len(train.paths) - len(distinct.paths), len(train.paths)),)
        train = distinct
    labels = torch.tensor(train.labels)
    rows = division.rows(len(labels), classes=labels, class_names=classes, given=files)
    files = files | {name: train.take(part.tolist()) for name, part in rows.items()}
    return {name: files[name] for name in ("train", "val", "test") if name in files}, notes


def _given_splits(path: Path, others: Mapping[str, str | Path | None]) -> dict[str, Path]:
    """Returns the folder of each split; "train" is always included."""
    own = _own_splits(path)
    splits = own or {"train": path}
    for name, other in others.items():
        if other is not None and name in own:
            raise DataError(
                f"has a {name} split (got {own[name].name}), but {name}_path also gives one ({other}). Remove one "
                "of them.",
                where=str(path),
            )
        if other is not None:
            # The path may be a folder of splits, too.
            splits[name] = _own_splits(Path(other)).get(name, Path(other))
    return splits


def _own_splits(path: Path) -> dict[str, Path]:
    """Returns the subfolders that are splits; empty if there is no train folder with class folders in it."""
    if not path.is_dir():
        return {}
    folders = {name: folder for name, (folder, *_) in class_folders(path).items()}
    named = [(SPLITS[name.lower()], folder) for name, folder in folders.items() if name.lower() in SPLITS]
    splits = dict(named)
    if "train" not in splits or not any(map(list_images, _folders_in(splits["train"]))):
        return {}
    for split, folder in named:
        if splits[split] != folder:
            raise DataError(
                f"has two {split} splits (got {folder.name} and {splits[split].name}). Remove one.", where=str(path)
            )
    others = [name for name, folder in folders.items() if name.lower() not in SPLITS and list_images(folder)]
    if others:
        raise DataError(
            f"has the split folder {splits['train'].name} and other folders (got {', '.join(others)}). "
            "Move the other folders elsewhere.",
            where=str(path),
        )
    return splits


def _folders_in(path: Path) -> list[Path]:
    return [folder for folders in class_folders(path).values() for folder in folders]


def _list_classes(path: Path, repairs: Repairs) -> dict[str, list[Path]]:
    """Returns the images of each class folder that is not empty."""
    images = images_by_class(path, repairs)
    if not images:
        raise DataError("has no images in its class folders. Check the path.", where=str(path))
    return images


def _number(images: Mapping[str, Sequence[Path]], classes: Sequence[str], limit: int | None, *, where: str) -> _Files:
    """Returns the files with their class indices; with a limit, balanced over the classes."""
    for name in images:
        if name not in classes:
            raise DataError(
                f"is not a class of the train split (allowed {', '.join(classes)}).", where=f"{where}/{name}"
            )
    index = {name: number for number, name in enumerate(classes)}
    if limit is None:
        taken = [(file, index[name]) for name, files in images.items() for file in files]
    else:
        in_turn = zip_longest(*([(file, index[name]) for file in files] for name, files in images.items()))
        taken = sorted([pair for turn in in_turn for pair in turn if pair][:limit], key=lambda pair: pair[1])
    return _Files([file for file, _ in taken], [label for _, label in taken])


def _distinct(files: _Files) -> _Files:
    """Drops files that have the same bytes as an earlier file of the same class."""
    first: dict[bytes, int] = {}
    for row, (path, label) in enumerate(zip(files.paths, files.labels, strict=True)):
        digest = hashlib.blake2b(f"{label} ".encode(), digest_size=16)
        # A file that can't be read is kept: decoding reports it.
        digest.update(path.read_bytes() if path.is_file() and os.access(path, os.R_OK) else bytes(path))
        first.setdefault(digest.digest(), row)
    return files.take(list(first.values()))


def _choose_shape(
    paths: Sequence[Path], size: Literal["auto"] | int | tuple[int, ...], channels: Literal["auto"] | Channels
) -> tuple[Channels, int, int]:
    """Returns (C, H, W). "auto" is resolved from the headers of the training images."""
    probes = []
    if size == "auto" or channels == "auto":
        headers = each_in_parallel(probe, paths, title="reading image headers")
        probes = [each for each in headers if each is not None]
        if not probes:
            raise DataError("no image can be read. Check the files.", where=str(paths[0].parent))
    if channels == "auto":
        channels = 1 if all(each.is_grey for each in probes) else 3
    if isinstance(size, tuple):
        height, width = size
        return channels, height, width
    if size != "auto":
        return channels, size, size
    (common, count), *_ = Counter((each.height, each.width) for each in probes).most_common(1)
    if 2 * count > len(probes) and max(common) <= LARGEST_KEPT:
        return channels, *common
    typical = median_low(min(each.height, each.width) for each in probes)
    side = max((square for square in SQUARES if square <= typical), default=SQUARES[0])
    return channels, side, side


def _decode(
    files: _Files, shape: tuple[Channels, int, int], cache: Cache, *, strict: bool, title: str
) -> tuple[Split, list[str]]:
    """Decodes a split; returns the readable images, and a warning about the others."""
    decoded = decode_all(files.paths, shape, cache, title=f"decoding {title}")
    warnings = []
    if decoded.broken:
        shown = [f"{files.paths[row]}: {reason}" for row, reason in decoded.broken.items()]
        more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
        listed = f"{'; '.join(shown[:_SHOWN])}{more}"
        count = f"{len(shown)} of {len(files.paths)} images of the {title} split can't be read"
        if strict or len(shown) == len(files.paths):
            raise DataError(f"{count}: {listed}. Remove them, or set `strict: false` to skip them.", where="data")
        warnings.append(f"{count} and are left out: {listed}")
    rows = torch.tensor([row for row in range(len(files.paths)) if row not in decoded.broken])
    return Split(decoded.images, torch.tensor(files.labels)[rows], rows=rows), warnings
