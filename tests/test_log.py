"""Progress and warnings, from Python and on the command line, with any logging of the user."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nnzoo
from nnzoo import log
from nnzoo.cli.app import run as command
from nnzoo.errors import RunError

CONFIG: dict[str, Any] = {
    "name": "x",
    "data": {"name": "moons", "samples": 7, "split": {"val": 0.15, "test": 0.0}},
    "model": {"name": "mlp", "hidden": [3]},
    "train": {"epochs": 2},
}
WARNING = "the val split has no sample of 1"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(json.dumps(CONFIG))


@pytest.fixture
def user_logging() -> Iterator[list[str]]:
    """Configures logging like `logging.basicConfig(level=INFO)`, with the lines in a list."""

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    lines: list[str] = []
    root, handler = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield lines
    root.removeHandler(handler)
    root.setLevel(level)


def epochs(lines: str | list[str]) -> list[str]:
    lines = lines.splitlines() if isinstance(lines, str) else lines
    return [line for line in lines if line.lstrip().startswith("epoch ")]


@pytest.mark.parametrize("quiet", [False, True])
def test_a_data_warning_from_python(quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(nnzoo.NnzooWarning) as caught:
        run = nnzoo.train(CONFIG, quiet=quiet)
    (warning,) = caught
    assert warning.category is nnzoo.DataWarning
    assert str(warning.message) == WARNING
    assert warning.filename == __file__
    assert run.result["warnings"] == [WARNING]
    assert json.loads(Path("runs/x/result.json").read_text())["warnings"] == [WARNING]
    assert Path("runs/x/train.log").read_text().count(f"WARNING {WARNING}\n") == 1
    assert WARNING not in "".join(capsys.readouterr())


@pytest.mark.parametrize("options", [(), ("-q",), ("--json",), ("--quiet", "--json")])
def test_a_data_warning_on_the_command_line(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert command(["train", "c.yaml", *options]) == 0
    shown = capsys.readouterr()
    assert [line for line in shown.err.splitlines() if WARNING in line] == [f"warning: {WARNING}"]
    assert json.loads(Path("runs/x/result.json").read_text())["warnings"] == [WARNING]
    assert Path("runs/x/train.log").read_text().count(f"WARNING {WARNING}\n") == 1
    if "--json" in options:
        assert json.loads(shown.out)["warnings"] == [WARNING]


@pytest.mark.parametrize("number_of_runs", [1, 2])
def test_warnings_of_a_table_reach_every_command(number_of_runs: int, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{index % 7},{index % 2},{index % 2}" for index in range(40)]
    Path("t.csv").write_text("\n".join(["a,copy,y", *rows]) + "\n")
    Path("t.yaml").write_text(
        "data: {name: csv, path: t.csv, target: y}\nmodel: {name: mlp, hidden: [3]}\ntrain: {epochs: 1}"
    )
    for _ in range(number_of_runs):
        assert command(["train", "t.yaml", "-q", "--overwrite"]) == 0
        assert capsys.readouterr().err.count("warning: column 'copy'") == 1
    for arguments in (["eval", "runs/t"], ["doctor", "t.yaml"], ["doctor", "runs/t"]):
        command([*arguments, "--json", "-q"])
        shown = capsys.readouterr()
        (caught,) = [line for line in shown.err.splitlines() if line.startswith("warning: ")]
        assert caught.startswith("warning: column 'copy'")
        assert json.loads(shown.out)["warnings"] == [caught.removeprefix("warning: ")]
    assert command(["predict", "runs/t", "t.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []


def test_a_resumed_run_has_each_warning_once() -> None:
    nnzoo.train(CONFIG, quiet=True)
    resumed = nnzoo.train(CONFIG, overrides={"train.epochs": 4}, quiet=True, resume=True)
    assert resumed.run_dir == Path("runs/x")
    assert resumed.result["epochs"] == 4
    assert resumed.result["warnings"] == [WARNING]


def test_a_run_without_warnings() -> None:
    run = nnzoo.train(CONFIG, overrides={"data.split.val": 0.0}, quiet=True)
    assert run.result["warnings"] == []


def test_progress_is_logged_once_to_the_logging_of_the_user(
    user_logging: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    nnzoo.train(CONFIG, show=lambda _: None)
    assert len(epochs(user_logging)) == 2
    assert capsys.readouterr().err == ""
    user_logging.clear()
    nnzoo.train(CONFIG, quiet=True)
    assert user_logging == []
    assert len(epochs([line.split("INFO ")[-1] for line in Path("runs/x-2/train.log").read_text().splitlines()])) == 2


def test_progress_without_logging_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    nnzoo.train(CONFIG, show=lambda _: None)
    assert len(epochs(capsys.readouterr().err)) == 2


def test_the_library_does_not_configure_logging() -> None:
    found = logging.getLogger("nnzoo")
    before = (found.level, list(found.handlers), found.propagate, found.disabled)
    nnzoo.train(CONFIG, quiet=True)
    assert command(["train", "c.yaml", "-q"]) == 0
    assert (found.level, found.handlers, found.propagate, found.disabled) == before
    assert [type(handler) for handler in found.handlers] == [logging.NullHandler]


@pytest.mark.parametrize(("quiet", "count"), [(False, 1), (True, 0)])
def test_lines_of_a_program_with_basic_config(quiet: bool, count: int) -> None:
    program = (
        "import logging, nnzoo; logging.basicConfig(level=logging.INFO); "
        f"nnzoo.train({CONFIG!r}, quiet={quiet}, show=lambda _: None)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for epoch in (1, 2):
        assert ran.stderr.count(f"epoch {epoch}/2") == count, ran.stderr
    assert ran.stderr.count(WARNING) == 1
    assert "DataWarning" in ran.stderr


def test_errors_are_logged_to_the_file_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.console(), log.recording() as journal, journal.to_file(tmp_path / "train.log"):
        log.warning("watch out")
        log.error("it broke")
    assert capsys.readouterr().err == "warning: watch out\n"
    assert (tmp_path / "train.log").read_text().endswith("ERROR it broke\n")


def test_a_log_that_cannot_be_created_is_a_run_error(tmp_path: Path) -> None:
    with (
        log.recording() as journal,
        pytest.raises(RunError, match="can't be written: Is a directory"),
        journal.to_file(tmp_path),
    ):
        pass


def test_errors_warnings_and_version_do_not_import_torch() -> None:
    program = (
        "import sys, nnzoo; assert nnzoo.errors.DataError is nnzoo.DataError; "
        "assert issubclass(nnzoo.DataWarning, UserWarning); print(nnzoo.__version__); assert 'torch' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    from importlib.metadata import version

    assert ran.stdout.strip() == version("nnzoo")
