"""Inputs larger than memory: rows of a file that are read when they are asked for, and not kept.

They are read, not mapped: pages that a map has touched count as memory of the process, and dropping them again takes
three times as long as reading. Rows that lie close to each other are read in one call.
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
"""The most that is read at once, except for a single row that is larger."""
GAP_BYTES = 2**14
"""A gap between two rows up to which they are read in one call: a second call takes as long."""


class RowFile:
    """An array in an open file, row by row.

    Args:
        file: It may be closed or removed later: what is read stays the same.
        path: For messages.
        dtype: Of any byte order.
        shape: (N, *).
        offset: Bytes before the first number.

    Attributes:
        likeness: An array of that type and shape, of zeros that take no memory.

    Raises:
        DataError: The file is shorter than that.
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
                f"is shorter than its {shape} of {np.dtype(dtype)} (got {self._found[0]} bytes). Save it again.",
                where=self.name,
            )

    def read(self, rows: slice | NDArray[np.int64], into: NDArray[Any]) -> None:
        """Copies rows, from start to stop or those of an (M,) index, into (M, *), converted to its type.

        Scattered rows are read in the order of the file, which is faster.

        Raises:
            DataError: The file has changed since it was opened, or can no longer be read.
        """
        if not into.size:
            return
        if self._state() != self._found:
            raise self._changed()
        a_row = self.likeness[0].size * self.likeness.itemsize
        if isinstance(rows, slice):
            rows = np.arange(rows.start, rows.stop)
        places = rows.argsort(kind="stable")
        starts = rows[places] * a_row
        # A piece ends before a gap, and where it would be too long.
        pieces = np.cumsum(np.diff(starts, prepend=starts[0]) > a_row + GAP_BYTES)
        pieces = np.flatnonzero(np.diff(pieces + starts // PIECE_BYTES, prepend=-1))
        is_as_it_is = into.dtype == self.likeness.dtype
        raw = into.reshape(len(into), -1).view(np.uint8) if is_as_it_is else np.empty((len(into), a_row), np.uint8)
        memory = raw.data.cast("B")
        ends = np.append(pieces[1:], len(rows))
        together = ends - pieces > 1
        alone = pieces[~together]
        # The only loop over samples: in large files every row is a call, so it does as little else as possible.
        for place, start in zip((places[alone] * a_row).tolist(), starts[alone].tolist(), strict=True):
            self._fill(memory[place : place + a_row], start)
        for first, last in zip(pieces[together].tolist(), ends[together].tolist(), strict=True):
            piece = np.empty(starts[last - 1] - starts[first] + a_row, np.uint8)
            self._fill(piece.data, int(starts[first]))
            index = (starts[first:last] - starts[first]) // a_row
            raw[places[first:last]] = piece.reshape(-1, a_row).take(index, axis=0)
        if not is_as_it_is:
            np.copyto(into.reshape(len(into), -1), raw.view(self.likeness.dtype), casting="unsafe")

    def _fill(self, buffer: memoryview, start: int) -> None:
        """Reads bytes from an offset counted from the first number."""
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
            "changed while it was read. Wait until the program that writes it has finished, then start again.",
            where=self.name,
        )

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.path)

    def _state(self) -> tuple[int, int]:
        try:
            found = os.fstat(self._handle)
        except OSError as error:
            raise DataError(f"can no longer be read: {error.strerror}.", where=self.name) from error
        return found.st_size, found.st_mtime_ns


def _seek_and_read(handle: int, buffer: memoryview, place: int) -> int:
    """Fills a buffer from a place of a file, as far as one call does, where there is no `pread`."""
    os.lseek(handle, place, os.SEEK_SET)
    found = os.read(handle, len(buffer))
    buffer[: len(found)] = found
    return len(found)


def _pread(handle: int, buffer: memoryview, place: int) -> int:
    return os.preadv(handle, (buffer,), place)


_read_at = _pread if hasattr(os, "preadv") else _seek_and_read


class OnDisk(Tensor if TYPE_CHECKING else object):  # type: ignore[misc]  # it stands where inputs are, mostly tensors
    """The inputs of a split in a file. It has what is asked of inputs as tensors, and no more.

    It has a shape, a type, rows by index or slice, and a device, where the rows that are asked for arrive. Rows are
    copies.

    Args:
        file: Its first N rows hold the samples.
        shape: (N, *) of the inputs, including axes of size one that the file leaves out.
        dtype: What numbers are converted to.
        lengths: (N,) int64 valid steps: what lies beyond becomes 0.
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
        """Returns a copy of one row, of consecutive rows, or of those of an (M,) int64 index."""
        if isinstance(index, int):
            at = range(len(self))[index]
            return self.read(slice(at, at + 1))[0]
        if isinstance(index, Tensor):
            return self.read(index)
        start, stop, step = index.indices(len(self))
        assert step == 1
        return self.read(slice(start, max(start, stop)))

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """Returns a copy of the rows of an (M,) int64 index, on any device."""
        assert dim == 0
        return self.read(index)

    def read(self, at: slice | Tensor, into: Tensor | None = None) -> Tensor:
        """Returns a copy of rows, from start to stop or those of an index: read, converted, scaled, 0 beyond lengths.

        It uses NumPy, which leaves the threads of torch to the network: this may run beside it.

        Args:
            at: Which rows.
            into: (M, *) on the CPU, to be used again: large blocks that come and go break up the memory.

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
        with np.errstate(over="ignore", invalid="ignore"):  # too large becomes inf, which was refused
            self.file.read(plain, raw.reshape(count, *self.file.likeness.shape[1:]))
        if beyond is not None:
            raw[beyond] = 0
        self._scale(raw, array)
        if beyond is not None:
            array[beyond] = 0
        # Not waiting is safe only for pinned memory.
        return found.to(self.device, non_blocking=self.device.type == "cuda")

    def _scale(self, raw: NDArray[Any], into: NDArray[Any]) -> None:
        """Scales rows as they were read, in the precision of shift and scale, and rounds them to their type."""
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
        """Returns the same rows, which then arrive on a device."""
        moved = copy.copy(self)
        moved.device = device
        return moved

    def at(self, rows: Tensor) -> Self:
        """Returns those at (M,) int64 `rows`, on any device, in that order. Nothing is read."""
        rows = rows.cpu()
        part = copy.copy(self)
        part.shape = torch.Size((len(rows), *self.shape[1:]))
        part._rows = rows if self._rows is None else self._rows[rows]
        part._lengths = None if self._lengths is None else self._lengths[rows]
        return part

    def scaled(self, shift: Tensor | None = None, scale: Tensor | None = None) -> Self:
        """Returns the same rows as (x - shift) / scale, in float32, with the bits that torch computes.

        The arithmetic is that of shift and scale, float32 or float64.
        """
        assert self._scaling is None
        result = copy.copy(self)
        result.dtype = torch.float32
        if shift is not None and scale is not None:
            result._scaling = shift.numpy(), scale.numpy()
        return result


def open_npy(path: Path, *, limit: int | None) -> RowFile:
    """Opens the first rows of a .npy, which has been checked to hold no objects.

    Raises:
        DataError: It is stored column by column.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(file)
        if fortran and len(shape) > 1:
            raise DataError(
                "is stored column by column, so that a row of it can't be read alone. Save "
                "numpy.ascontiguousarray(x), or set `data: {cache: memory}`.",
                where=str(path),
            )
        rows = RowFile(file, path, dtype, shape, offset=file.tell())
    rows.likeness = rows.likeness[:limit]
    return rows


def write_rows(blocks: Iterable[Tensor], shape: tuple[int, ...]) -> OnDisk:
    """Writes rows that come block by block, (M, *) float32 on the CPU, to a nameless file that ends with the process.

    Raises:
        RunError: It can't be written.
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
            f"can't be written: {error.strerror}. Free space, set `data: {{cache: memory}}`, or leave pca and zca out.",
            where=str(folder),
        ) from error


def cache_folder() -> Path:
    """Returns the folder of files that can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnzoo"
