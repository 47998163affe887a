"""The files that hold arrays: an .npz, a folder of .npy, or one .npy that is `x`."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from nnzoo.data.encode import Array
from nnzoo.data.files.on_disk import RowFile, open_npy
from nnzoo.errors import DataError

_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a truncated or overwritten file raises, by the place of the damage."""


@dataclass(frozen=True)
class Part:
    """Where the arrays of one split are: in `path`, with `suffix` behind their names."""

    path: Path
    suffix: str
    has_lengths: bool
    limit: int | None
    on_disk: bool = False
    """Whether the inputs stay in their file."""

    def where(self, name: str) -> str:
        """For messages."""
        return f"{self.path}: {name}{self.suffix}"

    def can_stay_on_disk(self) -> bool:
        """Returns whether `x` has a file of its own."""
        return self.path.is_dir() or self.path.suffix == ".npy"

    def num_entries(self) -> int:
        """Returns the number of entries of `x` that are used."""
        return int(self.read("x")[: self.limit].size)

    def rows(self) -> RowFile:
        """Opens the file of `x`, which has been read once."""
        path = self.path / f"x{self.suffix}.npy" if self.path.is_dir() else self.path
        return open_npy(path, limit=self.limit)

    def read(self, name: str, x: Array | None = None) -> Array:
        """Reads the array of that name, with as many samples as `x`.

        Raises:
            DataError: It can't be used, is empty, or has another length.
        """
        array = self._array(name)
        if array.ndim == 0 or len(array) == 0:
            raise DataError(f"has no samples (got shape {array.shape}).", where=self.where(name))
        if x is not None and len(array) != len(x):
            raise DataError(f"is not as long as x (got {len(array)} samples; x has {len(x)}).", where=self.where(name))
        return array

    def _array(self, name: str) -> Array:
        return _read_array(self.path, name + self.suffix, where=self.where(name))


@dataclass(frozen=True)
class PartInMemory(Part):
    """The arrays of one split that Python passed."""

    arrays: Mapping[str, Array] = field(default_factory=dict)

    def can_stay_on_disk(self) -> bool:
        return False

    def _array(self, name: str) -> Array:
        return self.arrays[name + self.suffix]


def parts_in_memory(arrays: Mapping[str, Array]) -> dict[str, Part]:
    """Returns the splits of arrays by name: `x` and `y`, maybe `lengths`, and the same with `_val` and `_test`.

    Raises:
        DataError: A split has no `x` or no `y`.
    """
    parts: dict[str, Part] = {}
    for split, suffix in (("train", ""), ("val", "_val"), ("test", "_test")):
        there = [name for name in ("x", "y", "lengths") if name + suffix in arrays]
        if not there and split != "train":
            continue
        missing = [name + suffix for name in ("x", "y") if name not in there]
        if missing:
            raise DataError(f"has no {' and no '.join(missing)} (got {', '.join(arrays)}).", where="data")
        parts[split] = PartInMemory(Path("data"), suffix, "lengths" in there, None, arrays=arrays)
    return parts


def find_parts(path: Path, other_paths: dict[str, str | Path | None], limit: int | None) -> dict[str, Part]:
    """The splits that a file or folder holds, and those that other paths give.

    Raises:
        DataError: A file is none that holds arrays, an array is missing, or a split is there twice.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit is too small (got {limit}; at least 1).", where=str(path))
    names = _list_arrays(path)
    parts = {"train": find_part(path, "", limit)}
    for split, other_path in other_paths.items():
        own = {f"{name}_{split}" for name in ("x", "y", "lengths")} & names
        if other_path is not None and own:
            raise DataError(
                f"holds a {split} split of its own (got {', '.join(sorted(own))}) and {split}_path gives another "
                f"({other_path}). Remove one of them.",
                where=str(path),
            )
        if other_path is not None:
            parts[split] = find_part(Path(other_path), "", limit)
        elif own:
            parts[split] = find_part(path, f"_{split}", limit)
    return parts


def find_part(path: Path, suffix: str = "", limit: int | None = None, *, labelled: bool = True) -> Part:
    """The arrays of one split, with `suffix` behind their names.

    Raises:
        DataError: The file is none that holds arrays, or one is missing.
    """
    names = _list_arrays(path)
    needed = ("x", "y") if labelled else ("x",)
    missing = [name + suffix for name in needed if name + suffix not in names]
    if missing:
        raise DataError(
            f"has no array {' and no array '.join(missing)} (got {', '.join(sorted(names)) or 'no arrays'}).",
            where=str(path),
        )
    return Part(path, suffix, f"lengths{suffix}" in names, limit)


def _list_arrays(path: Path) -> set[str]:
    if path.is_dir():
        return {file.stem for file in path.glob("*.npy")}
    if not path.exists():
        raise DataError("there is no such file or folder. Check the path.", where=str(path))
    if path.suffix == ".npy":
        return {"x"}
    if path.suffix != ".npz":
        raise DataError(
            f"is no kind of file that holds arrays (got {path.suffix or 'no suffix'}; allowed .npz, or a folder of "
            ".npy files). Save it with numpy.savez.",
            where=str(path),
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    except _DAMAGE as error:
        raise DataError(
            f"can't be read as an .npz: it is damaged, incomplete or another kind of file ({error}). Save it again "
            "with numpy.savez.",
            where=str(path),
        ) from error


def _read_array(path: Path, name: str, *, where: str) -> Array:
    """The array of an .npz in memory, or of a folder as a memory map, which reads what is used of it."""
    try:
        if path.is_dir() or path.suffix == ".npy":
            file_path = path / f"{name}.npy" if path.is_dir() else path
            with file_path.open("rb") as file:
                _refuse_objects(file, where)
            return np.lib.format.open_memmap(file_path, mode="r")
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            _refuse_objects(file, where)
            file.seek(0)
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
            return array
    except _DAMAGE as error:
        raise DataError(f"can't be read: it is damaged or incomplete ({error}). Save it again.", where=where) from error


def _refuse_objects(file: IO[bytes], where: str) -> None:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = read_header(file)
    if dtype.hasobject:
        raise DataError(
            "holds Python objects, which are never loaded (got dtype object; allowed numbers, booleans and "
            "strings). Convert it with astype and save it again.",
            where=where,
        )
