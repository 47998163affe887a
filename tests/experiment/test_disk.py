from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run as nnzoo
from nnzoo.run.artifact import load_artifact
from nnzoo.run.checkpoint import load_checkpoint
from nnzoo.run.directory import CHECKPOINT, PREVIOUS
from nnzoo.training import checkpoints
from nnzoo.training.progress import Progress

pytestmark = pytest.mark.page

CONFIG = """
name: x
data: {name: moons, samples: 60}
model: {name: mlp, hidden: [4]}
train: {epochs: 3, batch_size: 16}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoints, "MIN_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    Path("c.yaml").write_text(CONFIG)


def assert_complete(folder: Path) -> None:
    """Asserts that every file of a run is complete."""
    for file in folder.iterdir():
        assert not file.name.endswith(".tmp")
        if file.name in (CHECKPOINT, PREVIOUS):
            load_checkpoint(file)
        elif file.suffix == ".safetensors":
            load_artifact(file)
        elif file.suffix == ".json":
            json.loads(file.read_text())
        elif file.suffix == ".csv":
            assert file.read_text().endswith("\n")


def one_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 1, shown.err
    assert shown.err.startswith("nnzoo: ")
    assert text in shown.err
    assert "run directory" not in shown.out


@pytest.mark.slow
def test_a_full_disk_at_any_write(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert nnzoo(["train", "c.yaml", "-q", "--name", "reference"]) == 0
    reference = Path("runs/reference/best.safetensors").read_bytes()
    plain, failed = os.fsync, 0
    while True:
        count = 0

        def fsync(handle: int, fatal: int = failed) -> None:
            nonlocal count
            count += 1
            if count > fatal:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            plain(handle)

        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            code = nnzoo(["train", "c.yaml", "-q"])
        if code == 0:
            break
        assert code == 1
        one_line(capsys, "can't be written: No space left on device.")
        if Path("runs/x").exists():
            assert_complete(Path("runs/x"))
        assert nnzoo(["train", "c.yaml", "-q", "--resume"]) == 0
        assert Path("runs/x/best.safetensors").read_bytes() == reference
        shutil.rmtree("runs/x")
        failed += 1
    assert failed >= 2 * 12  # for a dozen files, the file and its folder


class Crash(BaseException):
    """An exception that is not handled, like a kill in this process."""


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["I/O error", "crash before rename", "crash after rename"])
def test_a_failure_at_any_rename(
    fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    once = ["c.yaml", "-q", "train.epochs=1"]
    assert nnzoo(["train", *once, "--name", "reference"]) == 0
    reference = Path("runs/reference/best.safetensors").read_bytes()
    plain, failed, renamed = os.replace, 0, set()

    def fatal(number: int) -> Callable[[Any, Any], None]:
        count = 0

        def replace(source: Any, target: Any) -> None:
            nonlocal count
            count += 1
            if count == number:
                renamed.add(Path(target).name)
                if fault == "I/O error":
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                if fault == "crash before rename":
                    raise Crash
            plain(source, target)
            if count == number:
                raise Crash

        return replace

    while True:
        capsys.readouterr()
        code = -1
        with monkeypatch.context() as patch, contextlib.suppress(Crash):
            patch.setattr(os, "replace", fatal(failed + 1))
            code = nnzoo(["train", *once])
        if code == 0:
            break
        if fault == "I/O error":
            assert code == 1
            one_line(capsys, "can't be written: Input/output error.")
        if Path("runs/x").exists():
            assert_complete(Path("runs/x"))
        assert nnzoo(["train", *once, "--resume"]) == 0
        assert Path("runs/x/best.safetensors").read_bytes() == reference
        assert not list(Path("runs/x").glob(".*"))
        shutil.rmtree("runs/x")
        failed += 1
    written = {file.name for file in Path("runs/x").iterdir()}
    # If only the page can't be written, the training succeeds with a warning.
    assert renamed == (written | {"report.html"}) - {"train.log"}


def test_a_full_disk_keeps_the_previous_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert nnzoo(["train", "c.yaml", "-q"]) == 0
    before = {file.name: file.read_bytes() for file in Path("runs/x").iterdir()}
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
        assert nnzoo(["train", "c.yaml", "-q", "--resume", "train.epochs=9"]) == 1
    one_line(capsys, "runs/x/config.yaml: can't be written: No space left on device.")
    assert {file.name: file.read_bytes() for file in Path("runs/x").iterdir()} == before


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip("mounting is not allowed")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_file_system_that_is_full(tiny_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nnzoo(["train", "c.yaml", "-q", "--name", "reference"]) == 0
    reference = Path("runs/reference/best.safetensors").read_bytes()
    filler, runs, finished = tiny_disk / "filler", tiny_disk / "runs", 0
    for free in (0, 1, 2, 3, 4, 6, 8, 10, 14, 20, 40):
        with filler.open("wb") as file:
            total = os.statvfs(tiny_disk).f_bavail
            file.write(bytes(4096 * max(0, total - free)))
        capsys.readouterr()
        code = nnzoo(["train", "c.yaml", "-q", "--runs-dir", str(runs)])
        finished += code == 0
        if code:
            assert code == 1
            one_line(capsys, "No space left on device")
        for folder in runs.iterdir() if runs.exists() else ():
            assert_complete(folder)
        filler.unlink()
        assert nnzoo(["train", "c.yaml", "-q", "--runs-dir", str(runs), "--resume"]) == 0
        assert (runs / "x/best.safetensors").read_bytes() == reference
        shutil.rmtree(runs)
    assert 1 <= finished <= 4


@pytest.mark.parametrize("runs_dir", ["c.yaml", "c.yaml/below", "/proc/runs"])
def test_an_invalid_runs_directory(runs_dir: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nnzoo(["train", "c.yaml", "-q", "--runs-dir", runs_dir]) == 1
    one_line(capsys, "can't be created: ")
    assert Path("c.yaml").read_text() == CONFIG


def test_a_read_only_runs_directory(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def mkdir(self: Path, *arguments: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert nnzoo(["train", "c.yaml", "-q"]) == 1
    one_line(capsys, "runs: can't be created: Permission denied.")


def test_a_run_directory_removed_while_it_trains(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", lambda _: shutil.rmtree("runs", ignore_errors=True))
        assert nnzoo(["train", "c.yaml", "-q"]) == 1
    one_line(capsys, "runs/x/last.safetensors: can't be written: No such file or directory.")
    assert nnzoo(["train", "c.yaml", "-q", "--resume"]) == 0
