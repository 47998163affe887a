"""`nnzoo doctor RUN --prove` and `--apply`: fixes are tried beside the unchanged run, over several seeds."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo as package
from nnzoo import doctor
from nnzoo.cli.app import run as nnzoo
from nnzoo.config import dump, load_config
from nnzoo.doctor import Examination, Finding
from nnzoo.doctor.proof.verdict import Pairs, Score
from nnzoo.errors import DivergedError

SICK = {"data": "digits", "model": {"name": "mlp", "hidden": [16]}, "optimizer": {"name": "sgd", "lr": 1e-5}}
FASTER, WORSE = ("optimizer.lr=0.1",), ("model.dropout=0.9",)


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose learning rate is far too low."""
    folder = tmp_path_factory.mktemp("sick")
    package.train({"name": "r", **SICK, "train": {"epochs": 4}}, runs_dir=folder / "runs", quiet=True)
    return folder


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Returns a function that sets the fixes of the findings, with their topics."""
    examine = doctor.examine

    def arrange(**fixes: Sequence[str]) -> None:
        findings = tuple(
            Finding("warning", topic.replace("_", " "), "It is so.", fix=tuple(fix)) for topic, fix in fixes.items()
        )

        def examined(*args: Any, **kwargs: Any) -> Examination:
            return replace(examine(*args, **kwargs), findings=findings)

        monkeypatch.setattr(doctor, "examine", examined)

    return arrange


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def value_of(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


def test_a_fix_is_proved_or_withdrawn_and_the_proved_one_is_written(
    sick: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sick)
    finds(learning_rate_too_low=FASTER, overfitting=WORSE)
    before = files_of(sick)
    assert nnzoo(["doctor", "r", "--prove", "--apply", "cured.yaml", "--json"]) == 0
    value = value_of(capsys)
    proved, withdrawn = value["proofs"]
    assert (proved["verdict"], proved["change"]) == ("proved", "optimizer.lr 1e-05 -> 0.1")
    assert (proved["metric"], proved["better"], len(proved["before"])) == ("val/accuracy", 5, 5)
    assert proved["mean_before"] < 0.3 < 0.8 < proved["mean_after"]
    assert (withdrawn["verdict"], withdrawn["topics"]) == ("withdrawn", ["overfitting"])
    assert "The fix model.dropout 0 -> 0.9 is withdrawn" in value["findings"][1]["message"]
    assert [each["fix"] for each in value["findings"]] == [list(FASTER), []]
    assert value["applied"] == {"file": "cured.yaml", "fix": list(FASTER), "proved": True}
    after = files_of(sick)
    text = after.pop("cured.yaml").decode()
    assert after == before
    assert "# - learning rate too low: optimizer.lr 1e-05 -> 0.1: val/accuracy 0." in text
    assert "5 of 5 seeds better" in text
    assert nnzoo(["validate", "cured.yaml"]) == 0
    cured = load_config("cured.yaml")
    assert (cured.name, cured.optimizer.lr, cured.seed) == ("cured", 0.1, 0)
    assert nnzoo(["doctor", "r", "--apply", "cured.yaml"]) == 2
    assert "the file exists already" in capsys.readouterr().err


def test_the_table_has_one_line_per_fix(
    sick: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sick)
    finds(learning_rate_too_low=FASTER, leak=WORSE, duplicates=["data.split.seed=5"], underfitting=["model.hiden=[3]"])
    assert nnzoo(["doctor", "runs/r", "--prove", "--seeds", "3"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()[-4:]
    assert lines[0].startswith("proved    optimizer.lr 1e-05 -> 0.1: val/accuracy 0.")
    assert lines[0].endswith("3 of 3 seeds better")
    assert "a lower score does not speak against it" in lines[1]
    assert lines[2] == (
        "undecided data.split.seed 0 -> 5: the fix changes the val samples, so scores can't be compared"
    )
    assert lines[3].startswith("withdrawn model.hiden=[3]: the config can't be used: ")
    assert "unchanged: 3 seeds together, " in err


def test_several_proved_fixes_are_tried_and_written_together(
    sick: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sick)
    finds(learning_rate_too_low=["optimizer.lr=0.02"], plateau=["optimizer.lr=0.01", "optimizer.momentum=0.9"])
    assert nnzoo(["doctor", "r", "--prove", "--seeds", "3", "--apply", "both.yaml", "--json"]) == 0
    value = value_of(capsys)
    assert [each["verdict"] for each in value["proofs"]] == ["proved", "proved"]
    assert value["together"]["verdict"] == "proved"
    best = max(each["mean_after"] for each in [*value["proofs"], value["together"]])
    assert value["together"]["mean_after"] == best
    config = load_config("both.yaml")
    assert set(value["applied"]["fix"]) == {f"optimizer.lr={config.optimizer.lr:g}", "optimizer.momentum=0.9"}
    (sick / "both.yaml").unlink()


def test_without_prove_all_fixes_are_written_untested(
    sick: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sick)
    finds(learning_rate_too_low=FASTER, overfitting=["optimizer.lr=5", *WORSE])
    assert nnzoo(["doctor", "r", "--apply", "untested.yaml"]) == 0
    assert "They were not tested: --prove tests them." in capsys.readouterr().out
    config = load_config("untested.yaml")
    assert (config.optimizer.lr, dump(config)["model"]["dropout"]) == (0.1, 0.9)  # the first of two values counts
    text = (sick / "untested.yaml").read_text()
    assert "# - learning rate too low: optimizer.lr 1e-05 -> 0.1, not tested\n" in text
    (sick / "untested.yaml").unlink()
    finds()
    assert nnzoo(["doctor", "r", "--apply", "untested.yaml"]) == 0
    assert "untested.yaml was not written: no fix is known." in capsys.readouterr().out
    assert not (sick / "untested.yaml").exists()


def test_ctrl_c_prints_what_is_known_and_writes_nothing(
    sick: Path,
    finds: Callable[..., None],
    at_step: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(sick)
    finds(learning_rate_too_low=FASTER, overfitting=WORSE)
    steps = 4 * 40
    at_step(2 * steps + 50, lambda: os.kill(os.getpid(), signal.SIGINT))  # in the second epoch of the second fix
    before = files_of(sick)
    assert nnzoo(["doctor", "r", "--prove", "--apply", "cured2.yaml", "--json"]) == 130
    value = value_of(capsys)
    assert value["error"]["kind"] == "interrupted"
    assert [each["verdict"] for each in value["proofs"]] == ["proved", "undecided"]
    assert value["proofs"][1]["note"] == "first 1 of 4 epochs"
    assert files_of(sick) == before


def test_the_time_limit_leaves_fixes_undecided(
    sick: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(sick)
    finds(learning_rate_too_low=FASTER, overfitting=WORSE)
    assert nnzoo(["doctor", "r", "--prove", "--minutes", "1e-9", "--json"]) == 0
    assert {(each["verdict"], each["note"]) for each in value_of(capsys)["proofs"]} == {
        ("undecided", "not tried within 1e-09 minutes")
    }


def test_options_of_prove_need_prove_and_a_run(sick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sick)
    assert nnzoo(["doctor", "r", "--seeds", "4"]) == 2
    assert nnzoo(["doctor", "r", "--prove", "--minutes", "0"]) == 2
    assert nnzoo(["doctor", "digits_mlp", "--prove"]) == 2
    assert nnzoo(["doctor", "r", "--apply", "missing/folder/c.yaml"]) == 2


def proofs_of(
    config: dict[str, Any], fix: Sequence[str], finds: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    with contextlib.suppress(DivergedError):
        package.train({"name": "r"} | config, quiet=True)
    finds(plateau=fix)
    assert nnzoo(["doctor", "r", "--prove", "--seeds", "3", "--json", "-q"]) in (0, 5)
    proof: dict[str, Any] = value_of(capsys)["proofs"][0]
    return proof


def test_a_run_that_stopped_improving_early_is_shortened(
    tmp_path: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    train = {"epochs": 40, "early_stopping": None, "monitor": "val/accuracy"}
    config = {"data": "iris", "model": "mlp", "optimizer": {"name": "sgd", "lr": 1e-9}, "train": train}
    proof = proofs_of(config, ["optimizer.lr=0.3"], finds, capsys)
    assert json.loads(Path("runs/r/result.json").read_text())["best_epoch"] == 1
    assert (proof["verdict"], proof["note"]) == ("proved", "first 7 of 40 epochs")
    finds(plateau=["optimizer.lr=1e-8"])
    assert nnzoo(["doctor", "r", "--prove", "--seeds", "3", "--json", "-q"]) == 0
    proof = value_of(capsys)["proofs"][0]
    assert (proof["verdict"], proof["note"]) == ("withdrawn", "")  # a short comparison refutes nothing


def test_without_val_the_train_split_is_measured_and_restarts_give_the_seeds(
    tmp_path: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {
        "seed": 7,
        "data": {"name": "diabetes", "split": {"val": 0}},
        "model": {"name": "mlp", "dropout": 0.9},
        "train": {"epochs": 5, "restarts": 2, "early_stopping": None},
    }
    proof = proofs_of(config, ["model.dropout=0", "optimizer.lr=0.01"], finds, capsys)
    assert (proof["metric"], proof["verdict"]) == ("train/r2", "proved")
    assert proof["change"] == "model.dropout 0.9 -> 0, optimizer.lr 0.001 -> 0.01"


def test_a_run_that_diverges_is_worse_than_any_score(
    tmp_path: Path, finds: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"data": "sine", "model": "mlp", "optimizer": {"name": "sgd", "lr": 1e4}, "train": {"epochs": 3}}
    proof = proofs_of(config, ["optimizer.lr=0.01"], finds, capsys)
    assert (proof["verdict"], proof["before"], proof["better"]) == ("proved", [None] * 3, 3)
    assert nnzoo(["doctor", "r", "--prove", "--seeds", "3", "-q"]) in (0, 5)
    assert "optimizer.lr 10000 -> 0.01: val/r2 diverged -> 0." in capsys.readouterr().out


TEXT = {"name": "text", "path": "t.csv", "target": "y", "split": {"val": 0.3}}
LANGUAGE = {"name": "language", "path": "l.txt", "sequence_length": 8, "split": {"val": 0.3}}
LABELS = {"name": "arrays", "path": "m.npz", "task": "multilabel", "split": {"val": 0.3}}
SERIES = {"name": "series", "path": "s.csv", "time": "t", "target": "v", "window": 6, "split": {"val": 0.3}}


@pytest.mark.parametrize(
    ("data", "model", "metric"),
    [
        (TEXT, {"name": "gru", "hidden_size": 8}, "val/accuracy"),
        (LANGUAGE, {"name": "lstm", "hidden_size": 8}, "val/accuracy"),
        (SERIES, {"name": "gru", "hidden_size": 8}, "val/r2"),
        (
            {"name": "arrays", "path": "m.npz", "task": "multilabel", "split": {"val": 0.3}},
            {"name": "mlp"},
            "val/accuracy",
        ),
    ],
)
def test_fixes_are_proved_on_every_kind_of_data(
    data: dict[str, Any],
    model: dict[str, Any],
    metric: str,
    tmp_path: Path,
    finds: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{'good fine' if row % 2 else 'bad poor'} film,{row % 2}" for row in range(120)]
    Path("t.csv").write_text("text,y\n" + "\n".join(rows) + "\n")
    Path("l.txt").write_text("abcdefgh" * 60)
    Path("s.csv").write_text("t,v\n" + "".join(f"{row},{np.sin(row / 3):.4f}\n" for row in range(120)))
    x = np.random.default_rng(0).standard_normal((120, 3))
    np.savez("m.npz", x=x, y=(x[:, :2] > 0).astype(int))
    config = {"data": data, "model": model, "optimizer": {"name": "sgd", "lr": 1e-6}, "train": {"epochs": 8}}
    proof = proofs_of(config, ["optimizer={name: adamw, lr: 0.03}"], finds, capsys)
    assert (proof["metric"], proof["verdict"]) == (metric, "proved")
    assert proof["change"] == "optimizer sgd -> adamw"


def test_data_from_python_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).standard_normal((60, 3))
    package.train({"name": "r", "model": "mlp", "train": {"epochs": 1}}, data=(x, x[:, 0] > 0), quiet=True)
    assert nnzoo(["doctor", "r", "--prove"]) == 3
    assert "the data was passed from Python and was not saved" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("mode", "before", "after", "better", "helps"),
    [
        ("max", [0.1, 0.2, 0.1, 0.3, 0.2], [0.9, 0.9, 0.8, 0.9, 0.9], 5, True),
        ("min", [9.0, 8.0, 9.5, 9.0, 8.5], [1.0, 1.1, 0.9, 1.0, 1.0], 5, True),
        ("max", [0.90, 0.92, 0.91, 0.93, 0.92], [0.91, 0.93, 0.92, 0.94, 0.93], 5, False),  # within the spread
        ("max", [0.1, 0.9, 0.1, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9, 0.9], 4, True),  # one seed was fine
        ("max", [0.1, 0.9, 0.9, 0.1, 0.1], [0.9, 0.9, 0.9, 0.9, 0.9], 3, False),
        ("max", [0.098, 0.1, 0.099, 0.102, 0.097], [0.1] * 5, 3, False),  # a constant prediction
        ("max", [None] * 5, [0.1] * 5, 5, True),
        ("max", [0.1] * 5, [None] * 5, 0, False),
        ("max", [None] * 5, [None] * 5, 0, False),
        ("max", [0.1, 0.1], [0.9, 0.9], 2, False),  # too few seeds
    ],
)
def test_a_fix_helps_if_most_seeds_are_better_by_more_than_the_spread(
    mode: Any, before: list[Score], after: list[Score], better: int, helps: bool
) -> None:
    pairs = Pairs(mode, before, after)
    assert (pairs.better, pairs.helps()) == (better, helps)
