"""Storage of decoded images: in memory, or in a cache file that later runs reuse."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.files.on_disk import Cache, OnDisk, RowFile, cache_folder
from nnzoo.data.images.decode import Channels, decode, each_in_parallel
from nnzoo.errors import RunError

LARGEST_IN_MEMORY = 2**32
"""In bytes. A fixed limit, independent of the free memory, so that a resumed run makes the same choice."""
_VERSION = 1
"""Version of the decoding; part of the cache key."""


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Attributes:
        images: (N, C, H, W) uint8, the images that could be read; `OnDisk` if they are in a cache file.
        broken: Maps the index of each broken file to the reason why it could not be read.
    """

    images: Tensor
    broken: dict[int, str]


def choose_cache(cache: Cache | Literal["auto"], num_images: int, shape: Sequence[int]) -> Cache:
    """Resolves "auto" by the size of the images."""
    if cache != "auto":
        return cache
    return "disk" if num_images * math.prod(shape) >= LARGEST_IN_MEMORY else "memory"


def decode_all(paths: Sequence[Path], shape: tuple[Channels, int, int], cache: Cache, *, title: str) -> Decoded:
    """Decodes every image once.

    Args:
        paths: The files.
        shape: (C, H, W) of an image.
        cache: "memory" or "disk". A cache file of an earlier run is used if no image file has changed since.
        title: The title of the progress bar.

    Raises:
        RunError: The cache can't be written.
    """
    if cache == "memory":
        images, broken = torch.empty(len(paths), *shape, dtype=torch.uint8), {}
        for index, result in enumerate(_decoded(paths, shape, title=title)):
            if isinstance(result, str):
                broken[index] = result
            else:
                images[index - len(broken)] = torch.from_numpy(result)
        return Decoded(images[: len(paths) - len(broken)], broken)
    folder = cache_folder() / "images"
    data = folder / f"{_key(paths, shape)}.u8"
    reasons = data.with_suffix(".json")
    try:
        is_complete = data.is_file() and data.stat().st_size == len(paths) * math.prod(shape)
        cached = _read_reasons(reasons) if is_complete else None
        if cached is None:
            folder.mkdir(parents=True, exist_ok=True)
        broken = _write(data, reasons, paths, shape, title=title) if cached is None else cached
        stacked = (len(paths) - len(broken), *shape)
        with data.open("rb") as file:
            return Decoded(OnDisk(RowFile(file, data, np.uint8, stacked), stacked, torch.uint8), broken)
    except OSError as error:
        raise RunError(
            f"can't be written: {error.strerror}. Free space, or set `data: {{cache: memory}}`.", where=str(data)
        ) from error


def _key(paths: Sequence[Path], shape: Sequence[int]) -> str:
    """Returns a digest of the name, size and modification time of each file and of the shape."""
    digest = hashlib.sha256(json.dumps([_VERSION, *shape]).encode())
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            digest.update(json.dumps([str(path.absolute()), status.st_size, status.st_mtime_ns]).encode())
    return digest.hexdigest()[:32]


def _read_reasons(path: Path) -> dict[int, str] | None:
    """Reads the reasons why files are broken; None if the cache is incomplete."""
    try:
        reasons = json.loads(path.read_text(encoding="utf-8"))
        return {int(row): str(reason) for row, reason in reasons.items()}
    except (OSError, ValueError, AttributeError):
        return None


def _write(data: Path, reasons: Path, paths: Sequence[Path], shape: Sequence[int], *, title: str) -> dict[int, str]:
    """Writes the images, then the reasons why files are broken. A cache without the second file is incomplete."""
    handle, name = tempfile.mkstemp(prefix=f".{data.name}.", suffix=".tmp", dir=data.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            # Allocated in advance: a full disk fails now, not after hours of decoding.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, len(paths) * math.prod(shape))
            broken = _fill(file, _decoded(paths, shape, title=title))
            file.truncate(len(paths) * math.prod(shape))
        os.replace(name, data)  # noqa: PTH105
        reasons.write_text(json.dumps(broken), encoding="utf-8")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return broken


def _fill(file: BinaryIO, images: Iterable[NDArray[np.uint8] | str]) -> dict[int, str]:
    """Writes images one after the other; returns the reasons why files are broken."""
    broken: dict[int, str] = {}
    for index, result in enumerate(images):
        if isinstance(result, str):
            broken[index] = result
        else:
            file.write(np.ascontiguousarray(result).data)
    return broken


def _decoded(paths: Sequence[Path], shape: Sequence[int], *, title: str) -> Iterator[NDArray[np.uint8] | str]:
    """Yields each image, or the reason why it can't be read."""
    channels, height, width = shape
    work = partial(_decode_or_reason, size=(height, width), channels=1 if channels == 1 else 3)
    return each_in_parallel(work, paths, title=title)


def _decode_or_reason(path: Path, size: tuple[int, int], channels: Channels) -> NDArray[np.uint8] | str:
    try:
        return decode(path, size, channels)
    except ValueError as error:
        return str(error)
