from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nnzoo import log
from nnzoo.errors import RunError
from nnzoo.run.artifact import Artifact, load_artifact, save_artifact
from nnzoo.run.checkpoint import load_checkpoint, load_last, save_checkpoint
from nnzoo.run.files import atomic_file, to_json, write_csv, write_json, write_text
from nnzoo.run.history import History


def artifact(value: float) -> Artifact:
    return Artifact({"w": torch.full((50, 50), value)}, {}, {"metrics": {"val/loss": value}})


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Limits the size of files, as a full disk would: a write beyond the limit raises OSError.

    It ends inside the test, since pytest's own output may go to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def full(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("module", "function"), [(tempfile, "mkstemp"), (os, "fsync"), (os, "chmod"), (os, "replace")])
def test_a_failed_write_keeps_the_old_file(
    module: Any, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})
    monkeypatch.setattr(module, function, full)
    with pytest.raises(RunError, match=r"x\.json: can't be written: No space left on device\.$"):
        write_json(path, {"new": 2})
    assert [file.name for file in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == '{\n  "old": 1\n}\n'


class Crash(BaseException):
    """An exception that no handler catches, which simulates a kill."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_crash_around_any_rename_leaves_an_intact_checkpoint(
    number: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checkpoint except the first has two renames: of the previous one, and of the new one."""
    plain, count = os.replace, 0

    def replace(source: Any, target: Any) -> None:
        nonlocal count
        count += 1
        if count == number and not after:
            raise Crash
        plain(source, target)
        if count == number:
            raise Crash

    monkeypatch.setattr(os, "replace", replace)
    with contextlib.suppress(Crash):
        for step in range(3):
            save_checkpoint(tmp_path / "last.safetensors", {"step": step})
    assert count == number
    found = load_last(tmp_path)
    first_is_there, second_is_there = (number, after) > (1, False), (number, after) == (3, True)
    assert (found["step"] if found else None) == (1 if second_is_there else 0 if first_is_there else None)
    monkeypatch.setattr(os, "replace", plain)
    for step in (7, 8):
        save_checkpoint(tmp_path / "last.safetensors", {"step": step})
    assert [load_checkpoint(tmp_path / name)["step"] for name in ("last.safetensors", "previous.safetensors")] == [8, 7]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.safetensors", "previous.safetensors"]


def test_a_file_system_without_links_is_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", full)
    for step in range(3):
        save_checkpoint(tmp_path / "last.safetensors", {"step": step})
    assert [load_checkpoint(tmp_path / name)["step"] for name in ("last.safetensors", "previous.safetensors")] == [2, 1]
    # A kill between the two renames leaves only the second name.
    (tmp_path / "last.safetensors").unlink()
    assert (load_last(tmp_path) or {})["step"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]


def test_an_error_of_the_writer_is_raised_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TypeError), atomic_file(tmp_path / "x") as file:
        file.writelines([b"half", "no bytes"])  # type: ignore[list-item]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1, 100, 5_000, 10_000])
def test_a_full_disk_leaves_no_partial_checkpoint(size: int, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "last.safetensors", {"w": torch.zeros(50, 50)})
    save_artifact(tmp_path / "best.safetensors", artifact(0.0))
    with largest_file(size):
        with pytest.raises(RunError, match=r"last\.safetensors: can't be written: File too large"):
            save_checkpoint(tmp_path / "last.safetensors", {"w": torch.ones(50, 50)})
        with pytest.raises(RunError, match=r"best\.safetensors: can't be written: File too large"):
            save_artifact(tmp_path / "best.safetensors", artifact(1.0))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.safetensors", "last.safetensors"]
    assert torch.equal(load_checkpoint(tmp_path / "last.safetensors")["w"], torch.zeros(50, 50))
    assert torch.equal(load_artifact(tmp_path / "best.safetensors").weights["w"], torch.zeros(50, 50))


def test_a_file_system_without_directory_fsync_is_supported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "x", "whole")
    assert (tmp_path / "x").read_text() == "whole"


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "x", "")
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_json_and_csv_are_standard(tmp_path: Path) -> None:
    assert to_json({"a": [1.5, float("nan")], "b": {"c": float("-inf")}, "ä": (True, None)}) == (
        '{\n  "a": [\n    1.5,\n    null\n  ],\n  "b": {\n    "c": null\n  },\n  "ä": [\n    true,\n    null\n  ]\n}'
    )
    write_csv(tmp_path / "x.csv", ["name", "ü"], [["a,b", 0.1], ['"', 2]])
    assert (tmp_path / "x.csv").read_text(encoding="utf-8") == 'name,ü\n"a,b",0.1\n"""",2\n'


def test_a_history_is_read_as_the_same_floats(tmp_path: Path) -> None:
    history = History()
    history.record({"epoch": 1.0, "step": 7.0, "lr": 0.1, "train/loss": 1 / 3, "seconds": 0.25})
    history.record({"epoch": 2.0, "step": 14.0, "lr": 1e-8, "train/loss": 2 / 3, "seconds": 0.5})
    again = History.from_state(history.state_dict())
    assert again.rows == history.rows
    assert again["train/loss"] == [1 / 3, 2 / 3]
    again.write(tmp_path / "metrics.csv")
    assert (tmp_path / "metrics.csv").read_text() == (
        "epoch,step,lr,train/loss,seconds\n1,7,0.1,0.3333333333333333,0.25\n2,14,1e-08,0.6666666666666666,0.5\n"
    )


def test_a_history_without_epochs_is_written_as_a_header(tmp_path: Path) -> None:
    History.from_state(History().state_dict()).write(tmp_path / "metrics.csv")
    assert (tmp_path / "metrics.csv").read_text() == "epoch,step,lr,train/loss,seconds\n"


def test_a_log_on_a_full_disk_is_truncated_without_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "train.log"
    with contextlib.ExitStack() as limits, log.recording(quiet=True) as journal, journal.to_file(path):
        log.info("first")
        limits.enter_context(largest_file(path.stat().st_size))
        log.info("second")
    assert (tmp_path / "train.log").read_text().endswith("INFO first\n")
    assert capsys.readouterr() == ("", "")
