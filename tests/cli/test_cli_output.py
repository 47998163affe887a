"""Output and exit code of every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nnzoo.cli.app import run
from nnzoo.errors import DivergedError, NnzooError

Capture = pytest.CaptureFixture[str]

SMALL = "data: {name: moons, samples: 60}\nmodel: {name: mlp, hidden: [4]}\ntrain: {epochs: 2}\n"


@pytest.fixture(autouse=True)
def _inside_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(SMALL)
    Path("broken.yaml").write_text("data: digits\nmodel: mlp\ntrain: {epohcs: 3}\n")


def only_json(text: str) -> Any:
    """Returns the JSON object, and checks that there is exactly one."""
    assert text.endswith("\n")
    assert text.isascii()
    return json.loads(text)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (["validate", "c.yaml"], {"config", "valid"}),
        (["validate", "c.yaml", "--resolved", "-v"], {"config", "valid", "resolved"}),
        (["list"], {"models", "data", "configs", "metrics"}),
        (["list", "models"], {"kind", "names"}),
        (["list", "models", "mlp", "-q"], {"kind", "name", "meaning", "fields"}),
        (["list", "runs"], {"kind", "runs"}),
        (["init", "digits_mlp"], {"config", "path"}),
        (["schema"], {"$schema", "properties"}),
        (["summary", "c.yaml"], {"model", "layers", "num_parameters", "notes"}),
        (["summary", "c.yaml", "-v"], {"model", "parameters"}),
        (["train", "c.yaml", "--dry-run"], {"status", "metrics", "num_parameters"}),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_json_is_one_object(arguments: list[str], keys: set[str], before: bool, capsys: Capture) -> None:
    assert run(["--json", *arguments] if before else [*arguments, "--json"]) == 0
    assert keys <= set(only_json(capsys.readouterr().out))


@pytest.mark.parametrize(
    ("arguments", "kind", "where", "part"),
    [
        ([], "usage", "", "Missing command."),
        (["nope"], "usage", "", "No such command 'nope'."),
        (["validat", "c.yaml"], "usage", "", "Did you mean 'validate'?"),
        (["validate"], "usage", "", "Missing argument 'CONFIG'."),
        (["validate", "c.yaml", "--nope"], "usage", "", "there is no option --nope. A config key is set"),
        (["summary", "c.yaml", "--batch-size", "x"], "usage", "", "--batch-size"),
        (["summary", "c.yaml", "--batch-size", "0"], "usage", "", "--batch-size"),
        (["validate", "nope.yaml"], "usage", "nope.yaml", "no such file"),
        (["validate", "c.yaml", "--jsn"], "usage", "", "there is no option --jsn. Did you mean --json?"),
        (["validate", "c.yml"], "usage", "c.yml", "Did you mean 'c.yaml'?"),
        (["validate", "broken.yaml"], "config", "broken.yaml:3:9", "train.epohcs: unknown key. Did you mean 'epochs'?"),
        (["validate", "c.yaml", "seed=x"], "config", "override seed=x", "expected an integer"),
        (["validate", "c.yaml", "seed"], "usage", "override", "Write KEY=VALUE"),
        (["train", "broken.yaml"], "config", "broken.yaml:3:9", "train.epohcs: unknown key."),
        (["train", "c.yaml", "--name", "../x"], "config", 'override name="../x"', "letters, digits"),
        (["train", "c.yaml", "--device", "gpu"], "config", 'override train.device="gpu"', "Did you mean 'cuda'?"),
        (["train", "c.yaml", "--resume", "--overwrite"], "usage", "", "can't be combined"),
        (["summary", "broken.yaml"], "config", "broken.yaml:3:9", "train.epohcs: unknown key."),
        (["summary", "seed=3"], "usage", "seed=3", "before the overrides"),
        (["summary"], "usage", "", "no config.yaml in the current folder and no run"),
        (["eval", "nope"], "usage", "nope", "no such file or run"),
        (["eval", "nope", "--split", "all"], "usage", "--split", "expected train, val or test, got 'all'."),
        (["eval", "nope", "--fail-under", "acc"], "usage", "--fail-under", "METRIC=VALUE"),
        (["eval", "nope", "--fail-under", "acc=1"], "usage", "--fail-under", "Did you mean 'accuracy'?"),
        (["list", "nope"], "usage", "list", "is not a kind"),
        (["init", "nope"], "usage", "nope", "there is no such file, folder or shipped config"),
        (["init", "digits_mlp", "c.yaml"], "usage", "c.yaml", "already exists"),
    ],
)
def test_errors(arguments: list[str], kind: str, where: str, part: str, capsys: Capture) -> None:
    assert run([*arguments, "--json"]) == 2
    captured = capsys.readouterr()
    error = only_json(captured.out)["error"]
    assert set(error) == {"kind", "message", "where"}
    assert (error["kind"], error["where"]) == (kind, where)
    assert part in error["message"]
    if arguments:
        assert run(["--json", *arguments]) == 2
        assert capsys.readouterr().out == captured.out
        assert run(arguments) == 2
        plain = capsys.readouterr()
        assert plain.out == ""
        assert part in plain.err
        assert "Traceback" not in plain.err
        assert plain.err.startswith(where if kind == "config" else "nnzoo: ")
    assert not Path("runs").exists()


def test_no_arguments_print_the_help(capsys: Capture) -> None:
    assert run([]) == 0
    text = capsys.readouterr().out
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == text
    for command in ("train", "eval", "summary", "validate", "list", "init", "schema"):
        assert f"\n  {command} " in text
        assert run([command, "-h"]) == 0
        help_text = capsys.readouterr().out
        assert help_text.startswith(f"Usage: nnzoo {command} [OPTIONS]")
        for option in ("--json", "-q", "--quiet", "-v", "--verbose", "--debug"):
            assert option in help_text


def test_the_version(capsys: Capture) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip().count(".") == 2


def test_validate_with_and_without_quiet(capsys: Capture) -> None:
    assert run(["validate", "c.yaml"]) == 0
    assert capsys.readouterr().out == "c.yaml: valid\n"
    assert run(["-q", "validate", "c.yaml"]) == 0
    assert capsys.readouterr().out == ""
    assert run(["validate", "broken.yaml", "-q"]) == 2
    assert capsys.readouterr().err.startswith("broken.yaml:3:9: ")


def test_the_resolved_config_is_a_config(capsys: Capture) -> None:
    assert run(["validate", "c.yaml", "seed=5", "--resolved"]) == 0
    text = capsys.readouterr().out
    Path("resolved.yaml").write_text(text)
    assert run(["validate", "resolved.yaml", "--resolved"]) == 0
    assert capsys.readouterr().out == text
    assert "name: c\n" in text
    assert "seed: 5\n" in text


def test_only_debug_shows_the_traceback(capsys: Capture) -> None:
    for arguments in (["--debug", "validate", "broken.yaml"], ["validate", "broken.yaml", "--debug"]):
        assert run(arguments) == 2
        error = capsys.readouterr().err
        assert "Traceback (most recent call last)" in error
        assert "load_config" in error
        assert "\nbroken.yaml:3:9: train.epohcs" in error
    assert run(["validate", "broken.yaml", "-v"]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raised", "code", "kind", "part"),
    [
        (KeyboardInterrupt(), 130, "interrupted", "interrupted before training started."),
        (MemoryError(), 1, "error", "out of memory."),
        (OSError(28, "No space left on device", "x.yaml"), 1, "error", "No space left on device."),
        (RuntimeError("can't allocate memory: 7 bytes"), 1, "error", "out of memory."),
        (ZeroDivisionError("division"), 1, "error", "unexpected ZeroDivisionError: division. This is a bug in nnzoo"),
        (NnzooError("plain"), 1, "error", "plain"),
    ],
)
def test_exceptions_become_errors(
    raised: BaseException, code: int, kind: str, part: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise raised

    monkeypatch.setattr("nnzoo.config.load_config", fail)
    assert run(["validate", "c.yaml", "--json"]) == code
    error = only_json(capsys.readouterr().out)["error"]
    assert error["kind"] == kind
    assert part in error["message"]
    assert run(["validate", "c.yaml"]) == code
    captured = capsys.readouterr()
    assert part in captured.err
    assert "Traceback" not in captured.err


def test_a_failed_run_prints_its_result_with_the_error(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        error = DivergedError("the loss is not finite.")
        error.result = {"status": "diverged", "metrics": {"train/loss": float("nan")}}
        raise error

    monkeypatch.setattr("nnzoo.api.train", fail)
    assert run(["train", "c.yaml", "--json"]) == 4
    printed = only_json(capsys.readouterr().out)
    assert printed["error"]["kind"] == "diverged"
    assert (printed["status"], printed["metrics"]) == ("diverged", {"train/loss": None})


def test_init_copies_and_never_overwrites(capsys: Capture) -> None:
    assert run(["init", "digits_mlp"]) == 0
    assert capsys.readouterr().out.startswith("digits_mlp.yaml: a copy of digits_mlp.")
    assert run(["validate", "digits_mlp.yaml"]) == 0
    Path("digits_mlp.yaml").write_text("mine")
    assert run(["init", "digits_mlp"]) == 2
    assert "digits_mlp.yaml: already exists." in capsys.readouterr().err
    assert Path("digits_mlp.yaml").read_text() == "mine"
    Path("folder").mkdir()
    assert run(["init", "digits_mlp", "folder", "-q"]) == 0
    assert run(["init", "digits_mlp", "folder/own.yaml"]) == 0
    assert Path("folder/digits_mlp.yaml").read_text() == Path("folder/own.yaml").read_text()
    capsys.readouterr()
    assert run(["init", "digits_mlp", "nowhere/x.yaml"]) == 1
    assert capsys.readouterr().err == "nnzoo: nowhere/x.yaml: can't be written: No such file or directory.\n"
    assert not Path("nowhere").exists()


def test_every_copied_config_is_valid(capsys: Capture) -> None:
    from nnzoo.config.shipped import shipped_configs

    for name in shipped_configs():
        assert run(["init", name]) == 0
        assert run(["validate", f"{name}.yaml"]) == 0, capsys.readouterr().err


def units(text: str) -> list[int]:
    """Returns the number of parameters of each linear layer of a summary."""
    return [layer["output_shape"][-1] for layer in json.loads(text)["layers"] if layer["type"] == "Linear"]


def test_summary_defaults_to_the_local_config_or_the_newest_run(capsys: Capture) -> None:
    assert run(["train", "c.yaml", "-q", "--name", "older"]) == 0
    assert run(["train", "c.yaml", "-q", "--name", "newer", "model.hidden=[7]"]) == 0
    capsys.readouterr()
    assert run(["summary", "--json"]) == 0
    captured = capsys.readouterr()
    assert "summary of latest" in captured.err
    assert units(captured.out) == [7, 2]
    Path("config.yaml").write_text("data: digits\nmodel: linear\n")
    assert run(["summary"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "summary of config.yaml\n"
    assert "650" in captured.out
    assert run(["summary", "-q"]) == 0
    assert capsys.readouterr().err == ""
    assert run(["summary", "older", "--json"]) == 0
    assert units(capsys.readouterr().out) == [4, 2]
    assert run(["summary", "older", "seed=3"]) == 2
    assert "overrides apply only to configs" in capsys.readouterr().err


def test_train_and_eval_from_the_command_line(capsys: Capture) -> None:
    assert run(["train", "c.yaml", "--json", "--name", "5", "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    result = only_json(captured.out)
    assert result["run_dir"] == "runs/5"
    assert "\x1b" not in captured.err
    assert "\r" not in captured.err
    assert run(["eval", "5", "--json"]) == 0
    assert only_json(capsys.readouterr().out)["metrics"]["accuracy"] == result["metrics"]["test/accuracy"]
    assert run(["eval", "latest", "--fail-under", "accuracy=1.1", "--json"]) == 5
    assert only_json(capsys.readouterr().out)["error"]["kind"] == "gate"
    assert run(["eval", "latest", "--fail-under", "accuracy=0.0", "--fail-under", "loss=1e9"]) == 0
    assert run(["list", "runs"]) == 0
    assert "\n5 " in capsys.readouterr().out


def nnzoo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "nnzoo", *arguments],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


def test_python_m_nnzoo_is_the_same_program() -> None:
    done = nnzoo("validate", "broken.yaml", FORCE_COLOR="1")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"broken.yaml:3:9: train.epohcs: unknown key.")
    assert b"\x1b" not in done.stderr
    assert nnzoo("list", "models", "-q", NO_COLOR="1").stdout.decode().split()[:3] == ["perceptron", "linear", "mlp"]


def test_names_that_the_terminal_can_not_encode() -> None:
    for name in ("é日.yaml", "\udcff.yaml"):
        done = nnzoo("validate", name, PYTHONIOENCODING="ascii")
        assert done.returncode == 2
        assert b"no such file" in done.stderr
        done = nnzoo("validate", name, "--json", PYTHONIOENCODING="ascii")
        assert json.loads(done.stdout)["error"]["where"] == name


def test_a_closed_pipe_is_not_an_error() -> None:
    for arguments in (["schema"], ["list"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "nnzoo", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(60) == 0


def test_init_creates_the_given_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["init", "xor_mlp", "new/folder/"]) == 0
    assert (tmp_path / "new" / "folder" / "xor_mlp.yaml").is_file()
