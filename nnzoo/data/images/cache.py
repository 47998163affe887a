"""Where decoded images are kept: in memory, or in a file, which the next run finds again."""

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
"""Bytes; a rule that does not ask how much memory is free gives the same answer when a run is resumed."""
_VERSION = 1
"""Of what decoding makes of a file."""


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Attributes:
        images: (N, C, H, W) uint8, those that could be read; on the disk, `OnDisk`.
        broken: The others: why, by their place in the list.
    """

    images: Tensor
    broken: dict[int, str]


def choose_cache(cache: Cache | Literal["auto"], num_images: int, shape: Sequence[int]) -> Cache:
    """Where images of a shape are kept."""
    if cache != "auto":
        return cache
    return "disk" if num_images * math.prod(shape) >= LARGEST_IN_MEMORY else "memory"


def decode_all(paths: Sequence[Path], shape: tuple[Channels, int, int], cache: Cache, *, title: str) -> Decoded:
    """Every image decoded once.

    Args:
        paths: The files.
        shape: (C, H, W) of an image.
        cache: "disk": what is there from an earlier run is taken, if no file has changed since.
        title: Of the bar.

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
    notes = data.with_suffix(".json")
    try:
        whole = data.is_file() and data.stat().st_size == len(paths) * math.prod(shape)
        found = _read_notes(notes) if whole else None
        if found is None:
            folder.mkdir(parents=True, exist_ok=True)
        broken = _write(data, notes, paths, shape, title=title) if found is None else found
        stacked = (len(paths) - len(broken), *shape)
        with data.open("rb") as file:
            return Decoded(OnDisk(RowFile(file, data, np.uint8, stacked), stacked, torch.uint8), broken)
    except OSError as error:
        raise RunError(
            f"can't be written: {error.strerror}. Free space, or set `data: {{cache: memory}}`.", where=str(data)
        ) from error


def _key(paths: Sequence[Path], shape: Sequence[int]) -> str:
    """Of the files by name, size and time of change, and what is made of them."""
    text = hashlib.sha256(json.dumps([_VERSION, *shape]).encode())
    for path in paths:
        with contextlib.suppress(OSError):
            found = path.stat()
            text.update(json.dumps([str(path.absolute()), found.st_size, found.st_mtime_ns]).encode())
    return text.hexdigest()[:32]


def _read_notes(path: Path) -> dict[int, str] | None:
    """What was broken, if the cache was written to its end."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return {int(row): str(reason) for row, reason in said.items()}
    except (OSError, ValueError, AttributeError):
        return None


def _write(data: Path, notes: Path, paths: Sequence[Path], shape: Sequence[int], *, title: str) -> dict[int, str]:
    """The notes come last: without them the data is not whole."""
    handle, name = tempfile.mkstemp(prefix=f".{data.name}.", suffix=".tmp", dir=data.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            # A full disk is known before hours of decoding.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, len(paths) * math.prod(shape))
            broken = _fill(file, _decoded(paths, shape, title=title))
            file.truncate(len(paths) * math.prod(shape))
        os.replace(name, data)  # noqa: PTH105
        notes.write_text(json.dumps(broken), encoding="utf-8")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return broken


def _fill(file: BinaryIO, images: Iterable[NDArray[np.uint8] | str]) -> dict[int, str]:
    """Writes images one after the other, and tells those that are broken."""
    broken: dict[int, str] = {}
    for index, result in enumerate(images):
        if isinstance(result, str):
            broken[index] = result
        else:
            file.write(np.ascontiguousarray(result).data)
    return broken


def _decoded(paths: Sequence[Path], shape: Sequence[int], *, title: str) -> Iterator[NDArray[np.uint8] | str]:
    """Every image, or why it can't be read."""
    channels, height, width = shape
    work = partial(_decode_or_reason, size=(height, width), channels=1 if channels == 1 else 3)
    return each_in_parallel(work, paths, title=title)


def _decode_or_reason(path: Path, size: tuple[int, int], channels: Channels) -> NDArray[np.uint8] | str:
    try:
        return decode(path, size, channels)
    except ValueError as error:
        return str(error)
