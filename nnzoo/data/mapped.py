"""Inputs larger than memory: rows of a file, read when they are asked for and forgotten again.

A file is mapped into memory and not read call by call: a batch of scattered rows is then one call that lets other
threads run. The pages it touches count as memory of the process until they are dropped, which happens after
`MAPPED_BYTES` of them; what the system keeps of the file beside that, it gives up when anyone needs the memory.
"""

from __future__ import annotations

import contextlib
import copy
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from nnzoo.errors import DataError, RunError

Cache = Literal["memory", "disk"]

MAPPED_BYTES = 2**26
"""No more of a file is mapped at once, about, but for a single row that is larger."""
_BYTES_AROUND = 2**21
"""Linux maps up to so much around what is touched, where it has the file in huge pages."""


class MappedFile:
    """An array in an open file, row after row.

    Args:
        file: May be closed and its name may vanish: what is read stays what it was.
        path: For messages.
        dtype: Of any byte order.
        shape: (N, *).
        offset: Bytes before the first number.

    Raises:
        DataError: The file is shorter than that.
    """

    def __init__(
        self, file: BinaryIO, path: Path, dtype: DTypeLike, shape: tuple[int, ...], *, offset: int = 0
    ) -> None:
        self.path = path
        self._handle = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._handle)
        self._found = self._state()
        self._mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            self.array: NDArray[Any] = np.ndarray(shape, dtype, buffer=self._mapping, offset=offset)
        except TypeError:
            raise DataError(
                f"is shorter than its {shape} of {np.dtype(dtype)} (got {len(self._mapping)} bytes). Save it again.",
                where=str(path),
            ) from None

    def read(self, rows: slice | NDArray[np.int64], into: NDArray[Any]) -> None:
        """Copies rows, from start to stop or those of an (M,) index, into (M, *), converted to its type.

        Scattered rows are read in the order of the file: many fall onto one page, and a disk likes it better.

        Raises:
            DataError: The file has changed since it was opened, or can't be asked about any more. It is asked before
                each piece is touched: a file that is cut off amid one, and a disk that fails, still end the process.
        """
        if not len(into):
            return
        a_row = into[0].size * self.array.itemsize
        if isinstance(rows, slice):
            most = max(1, MAPPED_BYTES // a_row)
            for start in range(0, len(into), most):
                part = into[start : start + most]
                with self._touched():
                    np.copyto(part, self.array[rows.start + start :][: len(part)], casting="unsafe")
            return
        places = rows.argsort(kind="stable")
        rows = rows[places]
        starts = np.flatnonzero(np.diff(rows * a_row // _BYTES_AROUND, prepend=-1))
        cuts = starts[:: max(1, MAPPED_BYTES // (_BYTES_AROUND + a_row))].tolist()
        for start, stop in pairwise([*cuts, len(rows)]):
            with self._touched():
                into[places[start:stop]] = self.array.take(rows[start:stop], axis=0)

    @contextlib.contextmanager
    def _touched(self) -> Iterator[None]:
        """Around each piece: past the end of a file that was cut off, mapped memory is a signal that kills."""
        if self._state() != self._found:
            raise DataError("changed while it was read. Let what writes it finish, then start again.", where=self.name)
        yield
        if hasattr(mmap, "MADV_DONTNEED") and len(self._mapping) > MAPPED_BYTES:
            self._mapping.madvise(mmap.MADV_DONTNEED)

    @property
    def name(self) -> str:
        """For messages."""
        return str(self.path)

    def _state(self) -> tuple[int, int]:
        try:
            found = os.fstat(self._handle)
        except OSError as error:
            raise DataError(f"can't be read any more: {error.strerror}.", where=self.name) from error
        return found.st_size, found.st_mtime_ns


class Mapped(Tensor if TYPE_CHECKING else object):  # type: ignore[misc]  # it stands where inputs are, mostly tensors
    """The inputs of a split in a file: as of the tensor that they would be, what is asked of inputs, and no more.

    Shape, type, rows by index or slice, and a device, where the rows that are asked for arrive. Rows are copies.

    Args:
        file: Its first N rows hold the samples.
        shape: (N, *) of the inputs, axes of size one that the file leaves out included.
        dtype: What numbers are converted to.
        lengths: (N,) int64 valid steps: what lies beyond becomes 0.
    """

    def __init__(
        self, file: MappedFile, shape: tuple[int, ...], dtype: torch.dtype, lengths: Tensor | None = None
    ) -> None:
        self.file = file
        self.shape = torch.Size(shape)
        self.ndim = len(shape)
        self.dtype = dtype
        self.device = torch.device("cpu")
        self._rows: Tensor | None = None
        self._lengths = lengths
        self._normal: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | Tensor) -> Tensor:
        """A copy of one row, of consecutive ones, or of those of an (M,) int64 index."""
        if isinstance(index, int):
            at = range(len(self))[index]
            return self.read(slice(at, at + 1))[0]
        if isinstance(index, Tensor):
            return self.read(index)
        start, stop, step = index.indices(len(self))
        assert step == 1
        return self.read(slice(start, max(start, stop)))

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """A copy of the rows of an (M,) int64 index, on any device."""
        assert dim == 0
        return self.read(index)

    def read(self, at: slice | Tensor, into: Tensor | None = None) -> Tensor:
        """A copy of rows, from start to stop or those of an index: read, converted, normalized, 0 beyond the lengths.

        With NumPy, which leaves the threads of torch to the network: this may run beside it.

        Args:
            at: Which ones.
            into: (M, *) on the CPU, to be used again: large blocks that come and go break up the memory.
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
        with np.errstate(over="ignore", invalid="ignore"):  # as of `encode_inputs`
            plain = rows if isinstance(rows, slice) else rows.numpy()
            self.file.read(plain, array.reshape(count, *self.file.array.shape[1:]))
            if self._normal is not None:
                np.subtract(array, self._normal[0], out=array)
                np.divide(array, self._normal[1], out=array)
        if self._lengths is not None:
            array[np.arange(array.shape[1]) >= self._lengths[at].numpy()[:, None]] = 0
        # Not waiting is safe for pinned memory alone.
        return found.to(self.device, non_blocking=self.device.type == "cuda")

    def is_floating_point(self) -> bool:
        """Whether the inputs are no tokens and no uint8 images."""
        return self.dtype.is_floating_point

    def to(self, device: torch.device) -> Self:
        """The same rows, which arrive on a device."""
        moved = copy.copy(self)
        moved.device = device
        return moved

    def at(self, rows: Tensor) -> Self:
        """Those at (M,) int64 `rows`, on any device, in that order. Nothing is read."""
        rows = rows.cpu()
        part = copy.copy(self)
        part.shape = torch.Size((len(rows), *self.shape[1:]))
        part._rows = rows if self._rows is None else self._rows[rows]
        part._lengths = None if self._lengths is None else self._lengths[rows]
        return part

    def normalized(self, shift: Tensor, scale: Tensor) -> Self:
        """The same rows as (x - shift) / scale, to the last bit as torch computes it."""
        assert self._normal is None
        normal = copy.copy(self)
        normal._normal = shift.numpy(), scale.numpy()
        return normal


def map_npy(path: Path, *, limit: int | None) -> MappedFile:
    """The first rows of a .npy, which has been found to be one without objects.

    Raises:
        DataError: Its rows are not in one piece.
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
        mapped = MappedFile(file, path, dtype, shape, offset=file.tell())
    mapped.array = mapped.array[:limit]
    return mapped


def write_rows(blocks: Iterable[Tensor], shape: tuple[int, ...]) -> Mapped:
    """Rows that come block by block, (M, *) float32 on the CPU, in a file without a name: it goes with the process.

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
            return Mapped(MappedFile(file, folder, np.float32, shape), shape, torch.float32)
    except OSError as error:
        raise RunError(
            f"can't be written: {error.strerror}. Free space, set `data: {{cache: memory}}`, or leave pca and zca out.",
            where=str(folder),
        ) from error


def cache_folder() -> Path:
    """Where files are kept that can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nnzoo"
