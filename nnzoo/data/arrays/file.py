"""Array files: an .npz file, a folder of .npy files, or one .npy file with `x`."""

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
"""Exceptions from reading a truncated or damaged file."""


@dataclass(frozen=True)
class Part:
    """The location of the arrays of one split: in `path`, with `suffix` after their names."""

    path: Path
    suffix: str
    has_lengths: bool
    limit: int | None
    on_disk: bool = False
    """Whether the inputs stay in their file."""

    def where(self, name: str) -> str:
        """Returns the location of an array, for messages."""
        return f"{self.path}: {name}{self.suffix}"

    def can_stay_on_disk(self) -> bool:
        """Returns whether `x` is in a separate file."""
        return self.path.is_dir() or self.path.suffix == ".npy"

    def num_entries(self) -> int:
        """Returns the number of values of `x` that are used."""
        return int(self.read("x")[: self.limit].size)

    def rows(self) -> RowFile:
        """Opens the file of `x`, which must have been read before."""
        path = self.path / f"x{self.suffix}.npy" if self.path.is_dir() else self.path
        return open_npy(path, limit=self.limit)

    def read(self, name: str, x: Array | None = None) -> Array:
        """Reads an array by name. It must have as many samples as `x`.

        Raises:
            DataError: The array can't be read, is empty, or has a different length than `x`.
        """
        array = self._array(name)
        if array.ndim == 0 or len(array) == 0:
            raise DataError(f"has no samples (got shape {array.shape}).", where=self.where(name))
        if x is not None and len(array) != len(x):
            raise DataError(
                f"has a different length than x (got {len(array)} samples, expected {len(x)}).", where=self.where(name)
            )
        return array

    def _array(self, name: str) -> Array:
        return _read_array(self.path, name + self.suffix, where=self.where(name))


@dataclass(frozen=True)
class PartInMemory(Part):
    """The arrays of one split that were passed from Python."""

    arrays: Mapping[str, Array] = field(default_factory=dict)

    def can_stay_on_disk(self) -> bool:
        return False

    def _array(self, name: str) -> Array:
        return self.arrays[name + self.suffix]


def parts_in_memory(arrays: Mapping[str, Array]) -> dict[str, Part]:
    """Returns the splits of named arrays: `x`, `y`, optionally `lengths`, and the same with `_val` and `_test`.

    Raises:
        DataError: A split has no `x` or no `y`.
    """
    parts: dict[str, Part] = {}
    for split, suffix in (("train", ""), ("val", "_val"), ("test", "_test")):
        names = [name for name in ("x", "y", "lengths") if name + suffix in arrays]
        if not names and split != "train":
            continue
        missing = [name + suffix for name in ("x", "y") if name not in names]
        if missing:
            raise DataError(f"has no {' and no '.join(missing)} (got {', '.join(arrays)}).", where="data")
        parts[split] = PartInMemory(Path("data"), suffix, "lengths" in names, None, arrays=arrays)
    return parts


def find_parts(path: Path, other_paths: dict[str, str | Path | None], limit: int | None) -> dict[str, Part]:
    """Returns the splits in a file or folder, and those given by separate paths.

    Raises:
        DataError: A file is not an array file, an array is missing, or a split occurs twice.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit is too small (got {limit}; at least 1).", where=str(path))
    names = _list_arrays(path)
    suffix = "_train" if "x_train" in names and "x" not in names else ""
    parts = {"train": find_part(path, suffix, limit)}
    for split, other_path in other_paths.items():
        own = {f"{name}_{split}" for name in ("x", "y", "lengths")} & names
        if other_path is not None and own:
            raise DataError(
                f"has a {split} split (got {', '.join(sorted(own))}), but {split}_path also gives one "
                f"({other_path}). Remove one of them.",
                where=str(path),
            )
        if other_path is not None:
            parts[split] = find_part(Path(other_path), "", limit)
        elif own:
            parts[split] = find_part(path, f"_{split}", limit)
    return parts


def find_part(path: Path, suffix: str = "", limit: int | None = None, *, labelled: bool = True) -> Part:
    """Returns the arrays of one split, with `suffix` after their names.

    Raises:
        DataError: The file is not an array file, or an array is missing.
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
            f"is not an array file (got {path.suffix or 'no suffix'}; allowed .npz, or a folder of .npy files). Save "
            "it with numpy.savez.",
            where=str(path),
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
    except _DAMAGE as error:
        raise DataError(
            f"can't be read as an .npz file: it is damaged, incomplete or in a different format ({error}). Save it "
            "again "
            "with numpy.savez.",
            where=str(path),
        ) from error


def _read_array(path: Path, name: str, *, where: str) -> Array:
    """Reads an array of an .npz file into memory, or maps an .npy file, so that only the used rows are read."""
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
            "has Python objects, which are not supported (got dtype object; allowed numbers, booleans and "
            "strings). Convert it with astype and save it again.",
            where=where,
        )
