"""`nnzoo sweep`: its files, its results, and that it survives kills and is shared by processes."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

import optuna
from accessibility import problems_of

from nnzoo.cli.app import run
from nnzoo.config import load_config
from nnzoo.experiment.train.record import Recorder

CONFIG = """\
data: {name: blobs, samples: 60, split: {val: 0.3, test: 0.2}}
model: {name: mlp, hidden: [3]}
optimizer: {name: sgd, lr: 0.1}
train: {epochs: 4, batch_size: 10, early_stopping: null, baselines: false}
"""
SPACE = ["optimizer.lr=log(1e-3,1)", "model.hidden=[2],[3,3]"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs a sweep in a new folder, with a trial that diverges."""
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "small.yaml").write_text(CONFIG)
    space = ["optimizer.lr=0.01,0.3,1e38", "model.hidden=[2],[3,3],[4]"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(["sweep", "small.yaml", *space, "train.epochs=3", "--metric", "val/accuracy"]) == 0
    return folder


def test_every_trial_is_a_run_with_its_config_and_result(swept: Path) -> None:
    folder = swept / "runs" / "small-sweep"
    result = json.loads((folder / "result.json").read_text())
    assert result["status"] == "completed"
    assert (result["method"], result["metric"], result["mode"]) == ("grid", "val/accuracy", "max")
    assert result["counts"]["all"] == 9
    assert result["counts"]["completed"] + result["counts"]["failed"] + result["counts"]["pruned"] == 9
    seen = set()
    for trial in result["trials"]:
        config = load_config(swept / trial["run_dir"])
        assert config.train.monitor == "val/accuracy"
        assert config.optimizer.lr == trial["values"]["optimizer.lr"]
        assert list(config.model.hidden or ()) == trial["values"]["model.hidden"]  # type: ignore[union-attr]
        seen.add(json.dumps(trial["values"]))
        own = json.loads((swept / trial["run_dir"] / "result.json").read_text())
        if trial["status"] == "failed":
            assert own["status"] == "diverged"
            assert trial["reason"].startswith("diverged: ")
            assert trial["value"] is None
        else:
            assert own["metrics"]["val/accuracy"] == trial["value"]
    assert len(seen) == 9


def test_the_best_config_repeats_the_best_trial(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(swept)
    folder = Path("runs/small-sweep")
    best = json.loads((folder / "result.json").read_text())["best"]
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    completed = [float(row["value"]) for row in rows if row["status"] == "completed"]
    assert best["value"] == max(completed)
    assert run(["train", str(folder / "best.yaml"), "--json"]) == 0
    own = json.loads((Path("runs/small-best") / "result.json").read_text())
    assert own["metrics"]["val/accuracy"] == best["value"]


def test_the_page_works_offline_and_shows_all_trials(swept: Path) -> None:
    html = (swept / "runs/small-sweep/sweep.html").read_text()
    assert problems_of(html) == []
    assert "default-src 'none'" in html
    for text in ("Parallel coordinates", "Importance", "Curves", "trial 1: val/accuracy", "optimistic"):
        assert text in html
    assert html.count("<title>trial ") == sum(
        trial["value"] is not None
        for trial in json.loads((swept / "runs/small-sweep/result.json").read_text())["trials"]
    )


def test_a_finished_sweep_is_shown_again_and_another_one_refused(
    swept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(swept)
    before = (Path("runs/small-sweep/trial-001") / "result.json").stat().st_mtime_ns
    assert run(["sweep", "runs/small-sweep", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"]["all"] == 9
    assert (Path("runs/small-sweep/trial-001") / "result.json").stat().st_mtime_ns == before
    assert run(["sweep", "small.yaml", "optimizer.lr=0.01,0.3", "train.epochs=5"]) == 2
    message = capsys.readouterr().err
    assert "train.epochs from 3 to 5" in message
    assert "--name" in message
    assert run(["sweep", "small.yaml", "optimizer.lr=0.01,0.3", "--name", "small-best"]) == 2
    assert "is a run directory" in capsys.readouterr().err


def test_if_all_trials_fail_the_command_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CONFIG)
    assert run(["sweep", "small.yaml", "optimizer.lr=1e37,1e38", "model.activation=identity"]) == 1
    assert "all 2 trials failed. The first one: diverged: " in capsys.readouterr().err
    assert run(["sweep", "small.yaml", "optimizer.lr=0.1,0.2", "--name", "other", "--storage", "nope://x"]) == 2
    assert "can't be used as a database" in capsys.readouterr().err


def test_before_the_first_trial_mistakes_about_the_data_can_be_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No trial is counted as failed, and paths of data do not depend on the folder of the command."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text("data: {name: csv, path: absent.csv, target: y}\nmodel: linear\ntrain: {epochs: 1}\n")
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("x,y\n" + "".join(f"{number},{'no' if number < 15 else 'yes'}\n" for number in range(30)))
    assert run(["sweep", "small.yaml", "optimizer.lr=0.1,0.2"]) == 3
    assert capsys.readouterr().err.count("there is no such file") == 1
    space = ["sweep", "small.yaml", "data.path=a.csv,b.csv", "optimizer.lr=0.1"]
    assert run([*space, "--metric", "val/mae"]) == 2
    assert "'val/mae' is not computed in this run" in capsys.readouterr().err
    assert run(space) == 0
    assert "2 trials by grid: 2 completed" in capsys.readouterr().out
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert run(["sweep", "../runs/small-sweep"]) == 0
    assert "2 trials by grid: 2 completed" in capsys.readouterr().out
    assert run(["sweep", "../small.yaml", "optimizer.lr=0.1,0.3", "--runs-dir", "../runs"]) == 2
    assert "started with other settings" in capsys.readouterr().err


def test_a_signal_after_the_last_step_of_a_trial_ends_the_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CONFIG)
    plain = Recorder.finish

    def finish(self: Recorder, *arguments: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGINT)
        return plain(self, *arguments)

    monkeypatch.setattr(Recorder, "finish", finish)
    assert run(["sweep", "small.yaml", "optimizer.lr=0.1,0.2,0.3", "train.epochs=1", "--no-batch"]) == 130
    assert "interrupted after 1 of 3 trials; `nnzoo sweep runs/small-sweep` continues." in capsys.readouterr().err


def test_without_optuna_the_command_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run(["sweep", "iris_mlp", "optimizer.lr=0.1,0.2"]) == 2
    assert "pip install 'nnzoo[sweep]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).with_name("sweep_forks.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def start(forks: subprocess.Popen[str], folder: Path, events: list[Any], *more: str) -> list[Any]:
    """Runs a sweep of six trials in one process per event, one trial after another."""
    assert forks.stdin
    assert forks.stdout
    (folder / "small.yaml").write_text(CONFIG)
    arguments = ["sweep", "small.yaml", *SPACE, "--trials", "6", "--no-prune", *(more or ["--no-batch"])]
    print(json.dumps({"folder": str(folder), "arguments": arguments, "events": events}), file=forks.stdin, flush=True)
    answer: list[Any] = json.loads(forks.stdout.readline())
    return answer


def values_of(folder: Path) -> list[Any]:
    result = json.loads((folder / "runs/small-sweep/result.json").read_text())
    assert result["status"] == "completed"
    return [(trial["values"], trial["value"]) for trial in result["trials"]]


def states_of(folder: Path) -> Counter[str]:
    """Returns the states of the entries of Optuna."""
    study = optuna.load_study(study_name="small-sweep", storage=f"sqlite:///{folder}/runs/small-sweep/sweep.db")
    return Counter(trial.state.name for trial in study.get_trials())


def test_a_killed_sweep_ends_with_the_right_number_of_trials(
    forks: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each trial has 12 steps. The sweep is killed in its second trial, then interrupted in the same one."""
    whole, killed = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("killed")
    assert [code for code, _ in start(forks, whole, [None])] == [0]
    assert [code for code, _ in start(forks, killed, [[17, "SIGKILL"]])] == [-signal.SIGKILL]
    [(code, message)] = start(forks, killed, [[4, "SIGINT"]])
    assert code == 130
    assert "of 6 trials; `nnzoo sweep runs/small-sweep` continues." in message
    [(code, message)] = start(forks, killed, [None])
    assert code == 0, message
    assert states_of(killed) == {"COMPLETE": 6, "FAIL": 2}
    # The trials that were killed continued, and later ones were chosen from the same results.
    assert values_of(killed) == values_of(whole)
    assert len(list((killed / "runs/small-sweep").glob("trial-*"))) == 6


def test_two_processes_share_a_sweep(forks: subprocess.Popen[str], tmp_path: Path) -> None:
    """One of them is killed; the other one, or the same command, trains its trial."""
    ended = start(forks, tmp_path, [None, [7, "SIGKILL"], None])
    assert sorted(code for code, _ in ended) == [-signal.SIGKILL, 0, 0], ended
    [(code, message)] = start(forks, tmp_path, [None])
    assert code == 0, message
    assert len(values_of(tmp_path)) == 6
    states = states_of(tmp_path)
    assert states["COMPLETE"] == 6
    assert set(states) <= {"COMPLETE", "FAIL"}
    lines = "".join(text for _, text in [*ended, [code, message]])
    trained = Counter(re.findall(r"^trial (\d+) of 6: ", lines, flags=re.MULTILINE))
    assert trained == {str(number): 1 for number in range(1, 7)}, lines


def test_a_batch_that_is_killed_or_interrupted_is_trained_again(forks: subprocess.Popen[str], tmp_path: Path) -> None:
    """The process is killed in the first batch, and interrupted in the next one."""
    more = ["--method", "random", "--batch"]
    assert [code for code, _ in start(forks, tmp_path, [[5, "SIGKILL"]], *more)] == [-signal.SIGKILL]
    [(code, message)] = start(forks, tmp_path, [[5, "SIGINT"]], *more)
    assert code == 130, message
    [(code, message)] = start(forks, tmp_path, [None], *more)
    assert code == 0, message
    assert "trials are trained at the same time" in message
    assert states_of(tmp_path)["COMPLETE"] == 6
    assert len(values_of(tmp_path)) == 6
