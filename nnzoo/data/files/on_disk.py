"""Inputs larger than memory: rows of a file that are read on demand and not cached.

Files are read, not memory-mapped: mapped pages would count as memory of the process once they are accessed, and
dropping them takes three times as long as reading. Rows close to each other are read in one call.
"""

from __future__ import annotations

import copy
import os
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from nnzoo.errors import DataError, RunError

Cache = Literal["memory", "disk"]

PIECE_BYTES = 2**22
"""The maximum number of bytes per read, except for a single larger row."""
GAP_BYTES = 2**14
"""The maximum gap between rows that are read in one call. A second call takes as long as reading the gap."""


class RowFile:
    """An array in an open file, row by row.

    Args:
        file: The open file. It may be closed or removed later.
        path: The path for messages.
        dtype: The type of the numbers, in any byte order.
        shape: (N, *).
        offset: The offset of the first number in bytes.

    Attributes:
        likeness: An array of zeros with that type and shape, which takes no memory.

    Raises:
        DataError: The file is too short.
    """

    def __init__(
        self, file: BinaryIO, path: Path, dtype: DTypeLike, shape: tuple[int, ...], *, offset: int = 0
    ) -> None:
        self.path = path
        self.likeness: NDArray[Any] = np.broadcast_to(np.zeros((), dtype), shape)
        self._offset = offset
        self._handle = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._handle)
        self._found = self._state()
        if self._found[0] < offset + self.likeness.size * self.likeness.itemsize:
            raise DataError(
                f"is too short for shape {shape} of {np.dtype(dtype)} (got {self._found[0]} bytes). Save it again.",
                where=self.name,
            )

    def read(self, rows: slice | NDArray[np.int64], into: NDArray[Any]) -> None:
        """Copies a slice of rows, or the rows selected by an (M,) index, into (M, *), converted to its type.

        Scattered rows are read in file order, which is faster.

        Raises:
            DataError: The file has changed since it was opened, or can no longer be read.
        """
        if not into.size:
            return
        if self._state() != self._found:
            raise self._changed()
        row_bytes = self.likeness[0].size * self.likeness.itemsize
        if isinstance(rows, slice):
            rows = np.arange(rows.start, rows.stop)
        places = rows.argsort(kind="stable")
        starts = rows[places] * row_bytes
        # A piece ends before a gap, or at the maximum size.
        pieces = np.cumsum(np.diff(starts, prepend=starts[0]) > row_bytes + GAP_BYTES)
        pieces = np.flatnonzero(np.diff(pieces + starts // PIECE_BYTES, prepend=-1))
        is_same_dtype = into.dtype == self.likeness.dtype
        raw = (
            into.reshape(len(into), -1).view(np.uint8) if is_same_dtype else np.empty((len(into), row_bytes), np.uint8)
        )
        memory = raw.data.cast("B")
        ends = np.append(pieces[1:], len(rows))
        together = ends - pieces > 1
        alone = pieces[~together]
        # The only loop over samples, with one call per row in large files, so it must be fast.
        for place, start in zip((places[alone] * row_bytes).tolist(), starts[alone].tolist(), strict=True):
            self._fill(memory[place : place + row_bytes], start)
        for first, last in zip(pieces[together].tolist(), ends[together].tolist(), strict=True):
            piece = np.empty(starts[last - 1] - starts[first] + row_bytes, np.uint8)
            self._fill(piece.data, int(starts[first]))
            index = (starts[first:last] - starts[first]) // row_bytes
            raw[places[first:last]] = piece.reshape(-1, row_bytes).take(index, axis=0)
        if not is_same_dtype:
            np.copyto(into.reshape(len(into), -1), raw.view(self.likeness.dtype), casting="unsafe")

    def _fill(self, buffer: memoryview, start: int) -> None:
        """Reads bytes; `start` counts from the first number."""
        try:
            count = _read_at(self._handle, buffer, self._offset + start)
        except OSError as error:
            raise DataError(f"can no longer be read: {error.strerror}.", where=self.name) from error
        if not count:
            raise self._changed()
        if count < len(buffer):
            self._fill(buffer[count:], start + count)

    def _changed(self) -> DataError:
        return DataError(
            "changed while it was being read. Wait until the program that writes it has finished, then start again.",
            where=self.name,
        )

    @property
    def name(self) -> str:
        """The path, for messages."""
        return str(self.path)

    def _state(self) -> tuple[int, int]:
        try:
            found = os.fstat(self._handle)
        except OSError as error:
            raise DataError(f"can no longer be read: {error.strerror}.", where=self.name) from error
        return found.st_size, found.st_mtime_ns


def _seek_and_read(handle: int, buffer: memoryview, place: int) -> int:
    """Reads part of a buffer at a position, on systems without `preadv`."""
    os.lseek(handle, place, os.SEEK_SET)
    found = os.read(handle, len(buffer))
    buffer[: len(found)] = found
    return len(found)


def _pread(handle: int, buffer: memoryview, place: int) -> int:
    return os.preadv(handle, (buffer,), place)


_read_at = _pread if hasattr(os, "preadv") else _seek_and_read


class OnDisk(Tensor if TYPE_CHECKING else object):  # type: ignore[misc]  # used in place of input tensors
    """The inputs of a split that stay in a file, with the part of the tensor interface that inputs need.

    It has a shape, a dtype, a device that rows are copied to, and indexing by row.

    Args:
        file: The file. Its first N rows are the samples.
        shape: (N, *) the shape of the inputs, including axes of size one that the file omits.
        dtype: The type that numbers are converted to.
        lengths: (N,) int64 valid steps; later steps become 0.
    """

    def __init__(
        self, file: RowFile, shape: tuple[int, ...], dtype: torch.dtype, lengths: Tensor | None = None
    ) -> None:
        self.file = file
        self.shape = torch.Size(shape)
        self.ndim = len(shape)
        self.dtype = dtype
        self.device = torch.device("cpu")
        self._raw_dtype = dtype
        self._rows: Tensor | None = None
        self._lengths = lengths
        self._scaling: tuple[NDArray[Any], NDArray[Any]] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """Returns a copy of one row, a slice of rows, or the rows selected by an (M,) int64 index."""
        if isinstance(index, int):
            at = range(len(self))[index]
            return self.read(slice(at, at + 1))[0]
        if isinstance(index, Tensor):
            return self.read(index)
        start, stop, step = index.indices(len(self))
        assert step == 1
        return self.read(slice(start, max(start, stop)))

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Returns a copy of the rows selected by an (M,) int64 index, on any device."""
        assert dim == 0
        return self.read(index)

    def read(self, at: slice | Tensor, into: Tensor | None = None) -> Tensor:
        """Returns a copy of rows, converted and scaled, with 0 beyond lengths.

        It uses NumPy, so that it does not compete with the network for torch's threads.

        Args:
            at: A slice, or an (M,) int64 index.
            into: (M, *) on the CPU, a buffer to reuse, since allocating large blocks fragments memory.

        Raises:
            DataError: The file changed, or a scaled value is too large for float32.
        """
        if isinstance(at, slice):
            rows: slice | Tensor = at if self._rows is None else self._rows[at]
            count = at.stop - at.start
        else:
            at = at.cpu()
            rows, count = at if self._rows is None else self._rows[at], len(at)
        found = into
        if found is None:
            found = torch.empty(count, *self.shape[1:], dtype=self.dtype, pin_memory=self.device.type == "cuda")
        array = found.numpy()
        beyond = None if self._lengths is None else np.arange(self.shape[1]) >= self._lengths[at].numpy()[:, None]
        raw = array if self._raw_dtype == self.dtype else torch.empty(found.shape, dtype=self._raw_dtype).numpy()
        plain = rows if isinstance(rows, slice) else rows.numpy()
        with np.errstate(over="ignore", invalid="ignore"):  # overflow to inf was rejected before
            self.file.read(plain, raw.reshape(count, *self.file.likeness.shape[1:]))
        if beyond is not None:
            raw[beyond] = 0
        self._scale(raw, array)
        if beyond is not None:
            array[beyond] = 0
        # A non-blocking copy is safe only from pinned memory.
        return found.to(self.device, non_blocking=self.device.type == "cuda")

    def _scale(self, raw: NDArray[Any], into: NDArray[Any]) -> None:
        """Scales raw rows in the precision of shift and scale, and rounds them to their type."""
        if self._scaling is not None:
            shift, scale = self._scaling
            raw = np.subtract(raw, shift, out=raw if raw.dtype == shift.dtype else None)
            np.divide(raw, scale, out=raw)
        if raw is into:
            return
        try:
            with np.errstate(over="raise"):
                np.copyto(into, raw, casting="same_kind")
        except FloatingPointError:
            raise DataError(
                "has values that are too large for the network, which computes in float32. Correct them, or set "
                "preprocess: {normalize: standardize}.",
                where=self.file.name,
            ) from None

    def is_floating_point(self) -> bool:
        """Whether the inputs are real numbers: neither tokens nor uint8 images."""
        return self.dtype.is_floating_point

    def to(self, device: torch.device) -> Self:
        """Returns the same inputs, whose rows are copied to this device when they are read."""
        moved = copy.copy(self)
        moved.device = device
        return moved

    def at(self, rows: Tensor) -> Self:
        """Returns the rows at (M,) int64 `rows`, on any device, in the given order, without reading them."""
        rows = rows.cpu()
        part = copy.copy(self)
        part.shape = torch.Size((len(rows), *self.shape[1:]))
        part._rows = rows if self._rows is None else self._rows[rows]
        part._lengths = None if self._lengths is None else self._lengths[rows]
        return part

    def scaled(self, shift: Tensor | None = None, scale: Tensor | None = None) -> Self:
        """Returns the rows as (x - shift) / scale, in float32, bit-identical to torch.

        The arithmetic has the precision of shift and scale, float32 or float64.
        """
        assert self._scaling is None
        result = copy.copy(self)
        result.dtype = torch.float32
        if shift is not None and scale is not None:
            result._scaling = shift.numpy(), scale.numpy()
        return result


def open_npy(path: Path, *, limit: int | None) -> RowFile:
    """Opens the first rows of a .npy file without Python objects.

    Raises:
        DataError: The file has Fortran order.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if fortran and len(shape) > 1:
            raise DataError(
                "is stored in Fortran order, so single rows can't be read. Save "
                "numpy.ascontiguousarray(x), or set `data: {cache: memory}`.",
                where=str(path),
            )
        rows = RowFile(file, path, dtype, shape, offset=file.tell())
    rows.likeness = rows.likeness[:limit]
    return rows


def write_rows(blocks: Iterable[Tensor], shape: tuple[int, ...]) -> OnDisk:
    """Writes blocks of rows, (M, *) float32 on the CPU, to a temporary file that ends with the process.

    Raises:
        RunError: The file can't be written.
    """
    folder = cache_folder() / "arrays"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            for block in blocks:
                file.write(block.contiguous().numpy().data)
            file.flush()
            return OnDisk(RowFile(file, folder, np.float32, shape), shape, torch.float32)
    except OSError as error:
        raise RunError(
            f"can't be written: {error.strerror}. Free space, set `data: {{cache: memory}}`, or remove pca and zca.",
            where=str(folder),
        ) from error


def cache_folder() -> Path:
    """Returns the cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnzoo"
