from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run as nnzoo
from nnzoo.errors import RunError
from nnzoo.run.lock import locked

CONFIG = """
name: x
data: {name: moons, samples: 60}
model: {name: mlp, hidden: [4]}
train: {epochs: 2}
"""
HOLD = """
import sys
from pathlib import Path
from typing import Any
from nnzoo.run.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Starts a process that locks a run directory until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "locked\n"
    return process


def test_a_folder_has_one_training_and_the_lock_file_is_removed(tmp_path: Path) -> None:
    with locked(tmp_path):
        expected = rf"another training run is writing to this folder \(process {os.getpid()} on "
        with pytest.raises(RunError, match=expected), locked(tmp_path):
            pass
        assert [file.name for file in tmp_path.iterdir()] == [".lock"]
    assert not list(tmp_path.iterdir())
    with locked(tmp_path):
        pass


def test_a_second_process_can_not_train_in_a_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CONFIG)
    assert nnzoo(["train", "c.yaml", "-q"]) == 0
    before = {file.name: file.read_bytes() for file in Path("runs/x").iterdir()}
    with holder(Path("runs/x")) as other:
        for option in ("--resume", "--overwrite"):
            capsys.readouterr()
            assert nnzoo(["train", "c.yaml", "-q", "train.epochs=3", option]) == 1
            error = capsys.readouterr().err
            assert len(error.splitlines()) == 1
            assert error.startswith(
                f"nnzoo: runs/x: another training run is writing to this folder (process {other.pid} on "
            )
        assert {file.name: file.read_bytes() for file in Path("runs/x").glob("[!.]*")} == before
        assert nnzoo(["train", "c.yaml", "-q"]) == 0
        assert Path("runs/x-2/result.json").is_file()
        assert nnzoo(["eval", "runs/x", "-q"]) == 0
        other.communicate()
    assert nnzoo(["train", "runs/x", "-q", "train.epochs=3", "--resume"]) == 0
    assert not list(Path("runs/x").glob(".*"))


def test_the_lock_of_a_killed_process_is_released(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.kill()
    assert other.returncode == -signal.SIGKILL
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_lock_file_that_was_just_removed_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking the file, its owner ends and another process acquires the lock."""
    plain, others = fcntl.flock, list[subprocess.Popen[str]]()

    def late(handle: int, operation: int) -> None:
        if not others:
            (tmp_path / ".lock").unlink()
            others.append(holder(tmp_path))
        plain(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with (
        pytest.raises(RunError, match=r"another training run is writing to this folder \(process \d+ on"),
        locked(tmp_path),
    ):
        pass
    others[0].communicate()


def test_a_lock_is_acquired_while_its_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking the file, its owner ends."""
    plain, count = fcntl.flock, 0

    def late(handle: int, operation: int) -> None:
        nonlocal count
        count += 1
        if count == 1:
            (tmp_path / ".lock").unlink()
        plain(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path):
        assert count > 1
        assert (tmp_path / ".lock").is_file()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_an_error(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", unable)
    with pytest.raises(RunError, match=r"does not support locks \(.*\).* Use a --runs-dir"), locked(tmp_path):
        pass


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_a_folder_without_write_permission_is_an_error(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = os.open

    def unable(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(number, os.strerror(number), path)
        return plain(path, *arguments, **options)

    monkeypatch.setattr(os, "open", unable)
    expected = rf"{tmp_path.name}: can't be written: {os.strerror(number)}\."
    with pytest.raises(RunError, match=expected), locked(tmp_path):
        pass
