"""A config for a folder of images per class, and for data sets in the layout of torchvision."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnzoo.data.files.repairs import Repairs
from nnzoo.data.images.decode import probe
from nnzoo.data.images.listing import class_folders, images_by_class, list_images
from nnzoo.errors import DataError
from nnzoo.suggestion.kinds import SPLIT_WORDS
from nnzoo.suggestion.suggestion import Suggestion, listed, percent, plural, printable
from nnzoo.suggestion.training import budget_for, set_training

_SAMPLE = 200
_FEW_IMAGES = 1_000
_LABELS = {b"\5\0\4\1\t\2\1\3": "mnist", b"\t\0\0\3\0\2\7\2": "fashion_mnist", b"\x08\7\0\1\4\2\4\x08": "kmnist"}
"""The first labels of data sets whose files have the same names."""
_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_OTHERS = {
    "cifar10": ("cifar-10-batches-py", "data_batch_1", "cifar-10-python.tar.gz"),
    "cifar100": ("cifar-100-python", "cifar-100-python.tar.gz"),
    "svhn": ("train_32x32.mat",),
}
_ROOTS = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw", "kmnist": "KMNIST/raw"}
_IMAGES = {
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "kmnist": 60_000,
    "cifar10": 50_000,
    "cifar100": 50_000,
    "svhn": 73_257,
}


def image_splits(folder: Path) -> dict[str, Path] | None:
    """Returns the folders of class folders with images by split, or None if there are none."""
    try:
        folders = class_folders(folder)
    except DataError:
        return None
    splits = {SPLIT_WORDS[name.lower()]: paths[0] for name, paths in folders.items() if name.lower() in SPLIT_WORDS}
    if "train" in splits and any(list_images(each) for each in splits["train"].iterdir() if each.is_dir()):
        return splits
    filled = [name for name, paths in folders.items() if any(list_images(each) for each in paths)]
    return {"train": folder} if len(filled) > 1 else None


def inner_folder(folder: Path) -> Path | None:
    """Returns the only folder in a folder, such as `Dataset`."""
    inner = [each for each in folder.iterdir() if each.is_dir() and not each.name.startswith((".", "__"))]
    return inner[0] if len(inner) == 1 else None


def suggest_images(folder: Path, splits: dict[str, Path]) -> Suggestion:
    """Returns a config for a folder of class folders, possibly in folders of splits."""
    images = images_by_class(splits["train"], Repairs())
    counts = {name: len(paths) for name, paths in images.items()}
    total = sum(counts.values())
    paths = [path for each in images.values() for path in each[:: max(1, len(each) * len(images) // _SAMPLE)]]
    known = [found for found in map(probe, paths) if found is not None]
    if not known:
        raise DataError("has no image that can be read.", where=str(folder))
    sizes = sorted({(height, width) for height, width, _ in known})
    is_gray = all(gray for _, _, gray in known)
    middle = sorted(max(height, width) for height, width, _ in known)[len(known) // 2]
    size = middle if middle <= 40 and len(sizes) == 1 else 32 if middle < 96 or total > 20_000 else 64
    suggestion = Suggestion("image_folder", {}, task=f"classification of images, {len(counts)} classes")
    smallest, largest = sizes[0], sizes[-1]
    suggestion.found += [
        f"{plural(total, 'image')}, {plural(len(counts), 'class')}",
        f"{'grayscale' if is_gray else 'color'}, {smallest[1]} x {smallest[0]}"
        + (f" to {largest[1]} x {largest[0]}" if len(sizes) > 1 else "")
        + " pixels",
        "classes: "
        + ", ".join(f"{printable(name)} {percent(count / total)}" for name, count in [*counts.items()][:20]),
    ]
    suggestion.set("data.name", "image_folder")
    suggestion.set("data.path", str(folder))
    reason = "the size of the images" if size == middle else f"images are resized to {size} x {size}; larger is slower"
    suggestion.set("data.size", size, reason)
    suggestion.set("data.channels", 1 if is_gray else 3, "all images are grayscale" if is_gray else "")
    left = [name for name in ("val", "test") if name not in splits]
    if left:
        share = 0.2 if total < _FEW_IMAGES else 0.15
        given = f"; {' and '.join(name for name in splits if name != 'train')} are given" if len(splits) > 1 else ""
        suggestion.set(
            "data.split", dict.fromkeys(left, share), f"{percent(share)} of the images for {' and '.join(left)}{given}"
        )
    num_train = round(total * (1 - sum(suggestion.config["data"].get("split", {}).values())))
    _set_network(suggestion, num_train, size)
    return suggestion


def _set_network(suggestion: Suggestion, num_train: int, size: int) -> None:
    """Sets a small convolutional network with one block more for each doubling of the size."""
    widths = [16, 32, 64] if size <= 40 else [16, 32, 64, 64]
    blocks: list[dict[str, Any]] = []
    for width in widths:
        blocks += [
            {"conv": {"out_channels": width, "kernel_size": 3, "padding": 1, "batch_norm": True}},
            {"pool": {"kind": "max", "kernel_size": 2}},
        ]
    blocks += [{"global_pool": "avg"}]
    suggestion.set(
        "model",
        {"name": "cnn", "blocks": blocks},
        "a small network that trains on a CPU; `resnet20` is better and about ten times slower",
    )
    crop = {"name": "random_crop", "padding": max(2, size // 8)}
    suggestion.set(
        "augment", [crop], "shifted copies; add horizontal_flip if mirrored images mean the same (not for digits)"
    )
    suggestion.set("optimizer", {"name": "adamw", "lr": 1e-2})
    suggestion.set("scheduler", "one_cycle", "the learning rate rises to `lr`, and falls to 0 at the end")
    steps = 2_000 if size <= 40 else 1_500
    budget = budget_for(num_train, batch_size=32 if num_train < 5_000 else 128, steps=steps, least=8)
    set_training(suggestion, budget._replace(epochs=min(budget.epochs, 40)), num_train)
    suggestion.set("train.early_stopping", None, "the cycle of the learning rate needs all epochs; the best are kept")


def torchvision_set(folder: Path) -> tuple[str, Path] | None:
    """Returns the name of a data set of torchvision and its root folder; None if the folder is none."""
    for name, files in _OTHERS.items():
        if any((folder / file).exists() for file in files):
            return name, folder
    for name, inner in _ROOTS.items():
        if _has_idx(folder / inner):
            return name, folder
    for below in ("", "raw"):
        if _has_idx(folder / below):
            return _idx_name(folder, folder / below), folder
    return None


def _has_idx(folder: Path) -> bool:
    return all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in _IDX)


def _idx_name(folder: Path, files: Path) -> str:
    """Returns the name of the data set: by its first labels, else by the name of the folder."""
    path = files / _IDX[1]
    path = path if path.is_file() else path.with_name(f"{path.name}.gz")
    raw = path.read_bytes()
    labels = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)[8:16]
    name = folder.resolve().name.lower()
    by_name = "fashion_mnist" if "fashion" in name else "kmnist" if name.startswith("k") else "mnist"
    return _LABELS.get(labels, by_name)


def suggest_torchvision(name: str, root: Path) -> Suggestion:
    """Returns a config for a data set of torchvision that is on disk."""
    count = _IMAGES[name]
    suggestion = Suggestion(name, {}, task="classification of images with the official test split")
    suggestion.found += [f"the files of {name}: {count:,} train images, and a test split"]
    suggestion.set("data.name", name)
    suggestion.set("data.root", str(root))
    suggestion.set("data.download", False, "the files are there")
    suggestion.set("data.split", {"val": 0.1}, "10 % of the train images select the best weights; test is official")
    _set_network(suggestion, round(0.9 * count), 28 if "mnist" in name else 32)
    suggestion.set("train.epochs", 6, f"a few minutes on a CPU; more epochs are better ({listed(_better(name))})")
    return suggestion


def _better(name: str) -> Sequence[str]:
    return ("try 30", "with resnet20 on a GPU") if name.startswith("cifar") else ("try 30",)
