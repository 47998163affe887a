from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nnzoo.errors import RunError, UsageError
from nnzoo.run import directory


def make_run(folder: Path, *files: str, age: int = 0) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.yaml", *files):
        (folder / name).touch()
    os.utime(folder / "config.yaml", (1_000_000 - age, 1_000_000 - age))
    return folder


def test_runs_of_one_name_are_numbered(tmp_path: Path) -> None:
    made = [directory.create(tmp_path / "runs", "x", overwrite=False).name for _ in range(3)]
    assert made == ["x", "x-2", "x-3"]
    (tmp_path / "runs" / "y").touch()
    assert directory.create(tmp_path / "runs", "y", overwrite=False).name == "y-2"


def test_two_runs_get_different_folders(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: directory.create(tmp_path, "x", overwrite=False), range(32)))
    assert len(set(made)) == 32


def test_overwriting_removes_the_files_of_a_run_and_no_others(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "x", *directory.FILES[1:], "my notes.txt")
    assert directory.create(tmp_path, "x", overwrite=True) == folder
    directory.clear(folder)
    assert [file.name for file in folder.iterdir()] == ["my notes.txt"]


def test_a_file_with_the_name_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(RunError, match=r"runs: can't be created: File exists\.$"):
        directory.create(tmp_path / "runs", "x", overwrite=False)
    with pytest.raises(RunError, match="can't be created: Not a directory"):
        directory.create(tmp_path / "runs" / "below", "x", overwrite=False)


def test_numbered_runs_are_sorted_newest_first_and_have_the_same_name(tmp_path: Path) -> None:
    for name in ("x", "x-2", "x-10", "x-1", "x-02", "x-y", "xx", "x-2-3"):
        (tmp_path / name).mkdir()
    (tmp_path / "x-11").touch()
    assert [folder.name for folder in directory.numbered(tmp_path, "x")] == ["x-10", "x-2", "x"]
    assert directory.numbered(tmp_path, "x.") == []
    assert directory.numbered(tmp_path / "nowhere", "x") == []


def test_temporary_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "x", ".last.safetensors.abc123.tmp", ".best.safetensors.q_9.tmp", ".mine.tmp")
    directory.remove_leftovers(folder)
    assert sorted(file.name for file in folder.iterdir()) == [".mine.tmp", "config.yaml"]


def test_every_form_of_a_checkpoint_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = Path("runs")
    old = make_run(runs / "old", "best.safetensors", "last.safetensors", age=100)
    new = make_run(runs / "aaa", "best.safetensors")
    for text in ("runs/old", "runs/old/best.safetensors", "old", str(old.absolute())):
        assert directory.find_checkpoint(text, runs).resolve() == (old / "best.safetensors").resolve()
    assert directory.find_checkpoint("runs/old/last.safetensors", runs) == old / "last.safetensors"
    assert directory.find_checkpoint("latest", runs) == new / "best.safetensors"


def test_a_folder_without_a_run_does_not_hide_the_run_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("iris").mkdir()
    run = make_run(Path("runs") / "iris", "best.safetensors")
    assert directory.find_checkpoint("iris", Path("runs")) == run / "best.safetensors"


def test_arguments_that_are_not_checkpoints_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = Path("runs")
    with pytest.raises(UsageError, match=r"^latest: no such file or run\. Runs in runs: none\.$"):
        directory.find_checkpoint("latest", runs)
    make_run(runs / "started", "last.safetensors")
    Path("data").mkdir()
    with pytest.raises(UsageError, match=r"^nosuch: no such file or run\. Runs in runs: started\.$"):
        directory.find_checkpoint("nosuch", runs)
    with pytest.raises(UsageError, match=r"^data: is not a run directory: it has no best\.safetensors\.$"):
        directory.find_checkpoint("data", runs)
    with pytest.raises(RunError, match=r"no epoch was finished. `nnzoo train runs/started --resume` continues"):
        directory.find_checkpoint("started", runs)
