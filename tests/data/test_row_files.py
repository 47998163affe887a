from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnzoo.data import Dataset, OnDisk, Preprocess, load_arrays
from nnzoo.data.arrays import source
from nnzoo.data.files import on_disk
from nnzoo.data.split import Division, divide, drop_repeats
from nnzoo.errors import DataError, RunError

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 40)
Y[:2] = 0, 1
LENGTHS = RNG.integers(1, 6, 40)
NORMAL = RNG.normal(3, 2, (40, 5, 2))
NORMAL[np.arange(5) >= LENGTHS[:, None]] = np.nan

CASES: dict[str, tuple[Any, str]] = {
    "float32": (RNG.normal(size=(40, 3)).astype("f4"), "features"),
    "float64": (RNG.normal(size=(40, 3)), "features"),
    "big endian float16": (RNG.normal(size=(40, 3)).astype(">f2"), "features"),
    "one column": (np.arange(40, dtype="u1"), "features"),
    "booleans": (RNG.normal(size=(40, 3)) > 0, "features"),
    "tokens": (RNG.integers(0, 9, (40, 5), dtype="i4"), "tokens"),
    "sequence": (RNG.normal(size=(40, 5, 2)).astype("f4"), "sequence"),
    "one feature per step": (RNG.normal(size=(40, 5)), "sequence"),
    "uint8 images": (RNG.integers(0, 256, (40, 3, 4, 5), dtype="u1"), "image"),
    "grey images": (RNG.normal(size=(40, 4, 5)).astype("f4"), "image"),
}


def save(folder: Path, **arrays: Any) -> Path:
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def both(folder: Path, **options: Any) -> tuple[Dataset, Dataset]:
    """Loads the same data to memory and on disk."""
    in_memory, stored = (load_arrays(path=folder, cache=cache, **options) for cache in ("memory", "disk"))
    assert isinstance(stored.train.inputs, OnDisk)
    assert isinstance(in_memory.train.inputs, torch.Tensor)
    return in_memory, stored


def same(first: Dataset, second: Dataset) -> None:
    assert first.schema == second.schema
    assert first.splits.keys() == second.splits.keys()
    for name, split in first.splits.items():
        other = second.splits[name]
        assert torch.equal(split.inputs[:], other.inputs[:])
        assert torch.equal(split.targets, other.targets)
        rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(1))[: len(split) // 2]
        assert torch.equal(split.inputs.index_select(0, rows), other.inputs.index_select(0, rows))
        assert torch.equal(split.inputs[rows], other.inputs[rows])
        assert torch.equal(split.inputs[-1], other.inputs[-1])
        assert (split.inputs.shape, split.inputs.dtype) == (other.inputs.shape, other.inputs.dtype)


@pytest.mark.parametrize("case", CASES)
def test_data_on_disk_equals_data_in_memory(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "PIECE_BYTES", 64)
    monkeypatch.setattr(on_disk, "GAP_BYTES", 16)
    x, layout = CASES[case]
    in_memory, stored = both(save(tmp_path / "d", x=x, y=Y, x_test=x[:3], y_test=Y[:3]), layout=layout)
    same(in_memory, stored)
    division = Division(val=0.2, test=0)
    same(divide(in_memory, division), divide(stored, division))
    with_repeats = Division(val=0.2, test=0, deduplicate=True)
    same(drop_repeats(divide(in_memory, with_repeats)), drop_repeats(divide(stored, with_repeats)))


@pytest.mark.parametrize("projection", [{}, {"pca": 2}, {"pca": 2, "whiten": True}, {"zca": True}])
@pytest.mark.parametrize("normalize", ["none", "center", "standardize", "minmax", "robust", "quantile"])
@pytest.mark.parametrize("case", ["float64", "sequence", "steps", "uint8 images"])
def test_preprocessing_on_disk_gives_the_same_bits(
    case: str, normalize: Any, projection: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    x, layout = (NORMAL, "sequence") if case == "steps" else CASES[case]
    if layout == "image" and normalize in ("robust", "quantile"):
        return  # only for columns
    more = {"lengths": LENGTHS} if case == "steps" else {}
    in_memory, stored = (
        divide(each, Division(val=0.3, test=0)) for each in both(save(tmp_path / "d", x=x, y=Y, **more), layout=layout)
    )
    fitted = [Preprocess.fit(each, normalize=normalize, **projection) for each in (in_memory, stored)]
    for name, tensor in fitted[0].state_dict().items():
        assert torch.equal(tensor, fitted[1].state_dict()[name])
    changed = fitted[1].transform(stored)
    assert isinstance(changed.train.inputs, OnDisk)
    same(fitted[0].transform(in_memory), changed)


def test_auto_cache_depends_on_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "d", x=np.ones((40, 3), "f8"), y=Y, x_val=np.ones((2, 3)), y_val=Y[:2])
    monkeypatch.setattr(source, "LARGEST_IN_MEMORY", 4 * 3 * 42)
    assert load_arrays(path=folder).choices["cache"] == "disk"
    assert load_arrays(path=folder, limit=39).choices["cache"] == "memory"
    np.savez(tmp_path / "d.npz", x=np.ones((400, 3)), y=np.tile(Y, 10))
    assert load_arrays(path=tmp_path / "d.npz").choices["cache"] == "memory"


def test_files_that_cannot_stay_on_disk_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.ones((40, 3)), y=Y)
    with pytest.raises(DataError, match=r"d\.npz: an \.npz file can't be read in parts"):
        load_arrays(path=tmp_path / "d.npz", cache="disk")
    folder = save(tmp_path / "d", x=np.asfortranarray(np.ones((40, 3))), y=Y)
    with pytest.raises(DataError, match=r"x\.npy: is stored in Fortran order"):
        load_arrays(path=folder, cache="disk")


@pytest.mark.parametrize(
    ("x", "layout", "message"),
    [
        (np.where(np.arange(120).reshape(40, 3) == 77, np.nan, 1), "features", r"x: row 25 has NaN or inf"),
        (np.full((40, 3, 2, 2), 1e39), "image", r"x: row 0 has NaN or inf"),
        (np.where(np.arange(120).reshape(40, 3) == 77, -1, 1), "tokens", r"out of range in row 25"),
    ],
)
def test_bad_rows_are_named(x: Any, layout: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnzoo.data.dataset._BLOCK_ENTRIES", 30)
    with pytest.raises(DataError, match=message):
        load_arrays(path=save(tmp_path / "d", x=x, y=Y), cache="disk", layout=layout)


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", x=np.ones((40, 3)), y=Y)
    cut, touched, gone = (load_arrays(path=folder, cache="disk").train.inputs for _ in range(3))
    (folder / "x.npy").rename(tmp_path / "elsewhere.npy")
    assert gone[:].eq(1).all()  # the open file stays readable
    os.utime(tmp_path / "elsewhere.npy", (1, 1))
    with pytest.raises(DataError, match=r"x\.npy: changed while it was being read"):
        touched[:2]
    os.truncate(tmp_path / "elsewhere.npy", 200)
    with pytest.raises(DataError, match=r"x\.npy: changed while it was being read"):
        cut.index_select(0, torch.tensor([39, 2]))


def test_a_file_that_is_too_short_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "d", x=np.ones((40, 3)), y=Y)
    os.truncate(folder / "x.npy", 200)
    with pytest.raises(DataError, match=r"x: can't be read: it is damaged or incomplete"):
        load_arrays(path=folder, cache="disk")


def test_a_projection_that_cannot_be_written_is_a_run_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stored = load_arrays(path=save(tmp_path / "d", x=CASES["float64"][0], y=Y), cache="disk")
    with pytest.raises(RunError, match=r"can't be written: .*cache: memory"):
        Preprocess.fit(stored, pca=2).transform(stored)
