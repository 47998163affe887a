"""Where decoded images are kept: in memory, or in a file that is mapped into it and found again by the next run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.images.decode import Channels, decode, each_in_parallel
from nnzoo.errors import RunError

Cache = Literal["memory", "disk"]

LARGEST_IN_MEMORY = 2**32
"""Bytes; a rule that does not ask how much memory is free gives the same answer when a run is resumed."""
_VERSION = 1
"""Of what decoding makes of a file."""


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Attributes:
        images: (N, C, H, W) uint8, those that could be read.
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
        images = torch.empty(len(paths), *shape, dtype=torch.uint8)
        broken = _fill(images, paths, title=title)
        return Decoded(images[: len(paths) - len(broken)], broken)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnzoo" / "images"
    data = folder / f"{_key(paths, shape)}.u8"
    notes = data.with_suffix(".json")
    try:
        whole = data.is_file() and data.stat().st_size == len(paths) * math.prod(shape)
        found = _read_notes(notes) if whole else None
        if found is None:
            folder.mkdir(parents=True, exist_ok=True)
        broken = _write(data, notes, paths, shape, title=title) if found is None else found
        return Decoded(_map(data, len(paths) - len(broken), shape, shared=False), broken)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error).split("\n")[0]
        raise RunError(
            f"can't be written: {reason}. Free space, or set `data: {{cache: memory}}`.", where=str(data)
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
            # A full disk is an error here. Later, writing to mapped memory, it would be a signal that kills.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, len(paths) * math.prod(shape))
            else:
                file.truncate(len(paths) * math.prod(shape))
        images = _map(Path(name), len(paths), shape, shared=True)
        broken = _fill(images, paths, title=title)
        os.replace(name, data)  # noqa: PTH105
        notes.write_text(json.dumps(broken), encoding="utf-8")
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return broken


def _map(path: Path, num_images: int, shape: Sequence[int], *, shared: bool) -> Tensor:
    """(N, C, H, W) of a file; not shared, what is written to it stays in memory."""
    size = num_images * math.prod(shape)
    return torch.from_file(str(path), shared=shared, size=size, dtype=torch.uint8).reshape(num_images, *shape)


def _fill(images: Tensor, paths: Sequence[Path], *, title: str) -> dict[int, str]:
    """Decodes files into the first rows of (N, C, H, W), one after the other, and tells those that are broken."""
    channels, height, width = images.shape[1:]
    work = partial(_decode_or_reason, size=(height, width), channels=1 if channels == 1 else 3)
    broken: dict[int, str] = {}
    for index, result in enumerate(each_in_parallel(work, paths, title=title)):
        if isinstance(result, str):
            broken[index] = result
        else:
            images[index - len(broken)] = torch.from_numpy(result)
    return broken


def _decode_or_reason(path: Path, size: tuple[int, int], channels: Channels) -> NDArray[np.uint8] | str:
    try:
        return decode(path, size, channels)
    except ValueError as error:
        return str(error)
