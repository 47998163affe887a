from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open

from nnzoo.cli.app import run as nnzoo
from nnzoo.data import load_moons
from nnzoo.run.artifact import load_artifact

pytestmark = pytest.mark.page

CLASSIFICATION = """
name: my_run
data: {name: moons, samples: 80}
model: {name: mlp, hidden: [4], dropout: 0.2}
train: {epochs: 3, batch_size: 16}
"""
REGRESSION = """
data: {name: sine, samples: 80}
preprocess: {scale_target: true}
model: {name: mlp, hidden: [4]}
train: {epochs: 2}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(CLASSIFICATION)
    Path("r.yaml").write_text(REGRESSION)


def train_json(capsys: pytest.CaptureFixture[str], *arguments: str, expected: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert nnzoo(["train", *arguments, "--json"]) == expected
    result = json.loads(capsys.readouterr().out)
    assert isinstance(result, dict)
    return result


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_run_directory_of_a_classification(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    result = train_json(capsys, "c.yaml", "seed=3")
    folder = Path("runs/my_run")
    assert sorted(file.name for file in folder.iterdir()) == [
        "best.safetensors",
        "config.yaml",
        "confusion_matrix.csv",
        "environment.json",
        "health.csv",
        "last.safetensors",
        "metrics.csv",
        "predictions.csv",
        "previous.safetensors",
        "report.html",
        "result.json",
        "summary.txt",
        "train.log",
    ]
    assert json.loads((folder / "result.json").read_text()) == result
    assert list(result) == [
        "run_dir",
        "status",
        "epochs",
        "best_epoch",
        "monitor",
        "metrics",
        "baseline",
        "baselines",
        "num_parameters",
        "seconds",
        "device",
        "warnings",
        "linear",
        "notes",
        "findings",
    ]
    assert (result["run_dir"], result["status"], result["epochs"]) == ("runs/my_run", "completed", 3)
    assert (result["monitor"], result["num_parameters"], result["device"]) == ("val/loss", 3 * 4 + 5 * 2, "cpu")
    assert list(result["metrics"]) == [f"{s}/{m}" for s in ("train", "val", "test") for m in ("loss", "accuracy")]
    assert result["baseline"] == {"val/accuracy": 0.5, "test/accuracy": 0.5}
    log = (folder / "train.log").read_text().splitlines()
    assert sum("epoch" in line and "val/loss" in line for line in log) == 3
    environment = json.loads((folder / "environment.json").read_text())
    assert (environment["seed"], environment["device"]) == (3, "cpu")
    assert environment["num_threads"] == 1
    assert torch.__version__.startswith(environment["versions"]["torch"])
    assert "22" in (folder / "summary.txt").read_text()


def test_metrics_csv_has_one_row_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    result = train_json(capsys, "c.yaml")
    table = rows(Path("runs/my_run/metrics.csv"))
    columns = ["epoch", "step", "lr", "train/loss", "train/accuracy", "val/loss", "val/accuracy", "seconds"]
    assert list(table[0]) == columns
    steps_per_epoch = 4  # 56 train samples
    assert [(row["epoch"], row["step"]) for row in table] == [(str(n), str(n * steps_per_epoch)) for n in (1, 2, 3)]
    best = table[result["best_epoch"] - 1]
    assert float(best["val/loss"]) == min(float(row["val/loss"]) for row in table)
    assert float(best["val/loss"]) == pytest.approx(result["metrics"]["val/loss"], rel=1e-6)


def test_predictions_and_confusion_matrix_agree_with_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    result = train_json(capsys, "c.yaml")
    answers = rows(Path("runs/my_run/predictions.csv"))
    assert list(answers[0]) == ["row", "x1", "x2", "target", "prediction", "probability_0", "probability_1"]
    points = load_moons(samples=80).train
    for row in answers:
        number = int(row["row"])
        assert [float(row["x1"]), float(row["x2"])] == pytest.approx(points.inputs[number].tolist())
        assert int(row["target"]) == int(points.targets[number])
    right = [row["target"] == row["prediction"] for row in answers]
    assert np.mean(right) == pytest.approx(result["metrics"]["test/accuracy"])
    for row in answers:
        shares = [float(row["probability_0"]), float(row["probability_1"])]
        assert sum(shares) == pytest.approx(1)
        assert int(row["prediction"]) == int(np.argmax(shares))
    counted = [[sum(r["target"] == t and r["prediction"] == p for r in answers) for p in "01"] for t in "01"]
    matrix = rows(Path("runs/my_run/confusion_matrix.csv"))
    assert [[row["actual"], int(row["0"]), int(row["1"])] for row in matrix] == [["0", *counted[0]], ["1", *counted[1]]]


def test_a_regression_has_no_confusion_matrix_and_predicts_in_the_unit_of_the_target(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = train_json(capsys, "r.yaml")
    assert not Path("runs/r/confusion_matrix.csv").exists()
    answers = rows(Path("runs/r/predictions.csv"))
    assert list(answers[0]) == ["row", "x", "target", "prediction"]
    errors = [abs(float(row["target"]) - float(row["prediction"])) for row in answers]
    assert np.mean(errors) == pytest.approx(result["metrics"]["test/mae"], rel=1e-5)


def test_the_config_of_a_run_repeats_it_bit_by_bit(capsys: pytest.CaptureFixture[str]) -> None:
    train_json(capsys, "c.yaml", "optimizer.lr=1e-2")
    written = Path("runs/my_run/config.yaml").read_text()
    assert "auto" not in written.replace("device: auto", "").replace("name: auto", "")
    train_json(capsys, "runs/my_run/config.yaml")
    first, second = (Path(f"runs/{name}/best.safetensors").read_bytes() for name in ("my_run", "my_run-2"))
    assert first == second
    assert Path("runs/my_run-2/config.yaml").read_text() == written


def test_paths_are_absolute_in_the_config_and_absent_from_the_artifact(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    Path("deep").mkdir()
    np.savez("deep/secret_place.npz", x=rng.normal(size=(60, 3)).astype("f4"), y=rng.integers(0, 2, 60))
    Path("deep/a.yaml").write_text("data: {name: arrays, path: secret_place.npz}\nmodel: linear\ntrain: {epochs: 1}\n")
    train_json(capsys, "deep/a.yaml", "--name", "named_run")
    folder = tmp_path / "runs/named_run"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["data"]["path"] == str(tmp_path / "deep/secret_place.npz")
    for file in ("best.safetensors", "last.safetensors"):
        content = (folder / file).read_bytes()
        assert b"secret_place.npz" in content
        assert str(tmp_path).encode() not in content
        assert b"named_run" not in content
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    train_json(capsys, str(folder), "--runs-dir", "../runs")
    assert (tmp_path / "runs/named_run-2/best.safetensors").read_bytes() == (folder / "best.safetensors").read_bytes()


def test_the_artifact_is_sorted_json_and_tensors(capsys: pytest.CaptureFixture[str]) -> None:
    result = train_json(capsys, "c.yaml")
    path = Path("runs/my_run/best.safetensors")
    with safe_open(path, framework="pt") as file:
        assert list(file.metadata()) == ["nnzoo"]
        metadata = json.loads(file.metadata()["nnzoo"])
    assert list(metadata) == sorted(metadata)
    assert metadata["metrics"] == result["metrics"]
    assert metadata["classes"] == ["0", "1"]
    assert metadata["versions"].keys() == {"nnzoo", "torch"}
    assert set(load_artifact(path).preprocess) == {"shift", "scale"}
    words = path.read_bytes()
    assert b"seconds" not in words.replace(b"max_seconds", b"")
    assert b"my_run" not in words


def test_names_numbers_and_overwriting(capsys: pytest.CaptureFixture[str]) -> None:
    names = [Path(train_json(capsys, "c.yaml", "--name", "2024")["run_dir"]).name for _ in range(3)]
    assert names == ["2024", "2024-2", "2024-3"]
    Path("runs/2024/notes.txt").write_text("mine")
    before = Path("runs/2024/best.safetensors").read_bytes()
    result = train_json(capsys, "c.yaml", "--name", "2024", "--overwrite", "seed=1", "train.epochs=1")
    assert (result["run_dir"], result["epochs"]) == ("runs/2024", 1)
    assert Path("runs/2024/best.safetensors").read_bytes() != before
    assert len(rows(Path("runs/2024/metrics.csv"))) == 1
    lines = Path("runs/2024/train.log").read_text().splitlines()
    assert len([line for line in lines if "note: " not in line]) == 2
    assert Path("runs/2024/notes.txt").read_text() == "mine"
    assert train_json(capsys, "c.yaml", "--runs-dir", "a/b")["run_dir"] == "a/b/my_run"


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-x"])
def test_a_name_that_is_not_a_folder_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert nnzoo(["train", "c.yaml", f"--name={name}"]) == 2
    assert "name" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_seeds_names_and_folders(capsys: pytest.CaptureFixture[str]) -> None:
    def best(*arguments: str) -> bytes:
        return (Path(train_json(capsys, "c.yaml", *arguments)["run_dir"]) / "best.safetensors").read_bytes()

    first = best()
    assert best("--name", "other", "--runs-dir", "elsewhere") == first
    assert best("seed=0") == first
    one, two = best("seed=1"), best("seed=2")
    assert len({first, one, two}) == 3


def test_output_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert nnzoo(["train", "c.yaml"]) == 0
    shown = capsys.readouterr()
    assert "Layer (type)" in shown.out.splitlines()[1]
    assert shown.out.index("Total params") < shown.out.index("completed after 3 epochs") < shown.out.index("run dir")
    assert [line[:9] for line in shown.err.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert "\x1b" not in shown.out + shown.err

    assert nnzoo(["train", "c.yaml", "--json"]) == 0
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) == 1
    assert "Layer (type)" in shown.err

    assert nnzoo(["train", "c.yaml", "-q"]) == 0
    shown = capsys.readouterr()
    assert "Layer (type)" not in shown.out
    assert "completed after 3 epochs" in shown.out
    assert shown.err == ""


def test_a_missing_class_causes_a_warning_even_if_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["data.samples=7", "data.split={val: 0.15, test: 0.0}"]
    assert nnzoo(["train", "c.yaml", *few]) == 0
    warning = "the val split has no sample of 1"
    assert f"warning: {warning}\n" in capsys.readouterr().err
    assert nnzoo(["train", "c.yaml", *few, "-q", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == f"warning: {warning}\n"
    assert json.loads(shown.out)["warnings"] == [warning]


@pytest.mark.parametrize(
    "data",
    ["data={name: moons, samples: 8}", "data=xor", "data={name: random, shape: [2], samples: 50, targets: 3}"],
)
def test_a_dry_run_leaves_nothing(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert nnzoo(["train", "c.yaml", data, "--dry-run"]) == 0
    assert "no files were written to" in capsys.readouterr().out
    result = train_json(capsys, "c.yaml", data, "--dry-run")
    assert (result["run_dir"], result["epochs"]) == (None, 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_is_two_batches(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert nnzoo(["train", "c.yaml", "data.samples=1000", "train.batch_size=4", "--dry-run", "-q"]) == 0
    assert capsys.readouterr().err == ""
    result = train_json(capsys, "c.yaml", "data.samples=1000", "train.batch_size=4", "--dry-run")
    wrong_samples = result["metrics"]["train/accuracy"] * 8
    assert wrong_samples == round(wrong_samples)
    assert nnzoo(["train", "c.yaml", "--dry-run", "optimizer={name: sgd, lr: 1e30}"]) == 4
    assert not (tmp_path / "runs").exists()


def test_resume_excludes_overwrite_and_dry_run(capsys: pytest.CaptureFixture[str]) -> None:
    for other in ("--overwrite", "--dry-run"):
        assert nnzoo(["train", "c.yaml", "--resume", other]) == 2
        assert "resume continues a run and can't be combined with" in capsys.readouterr().err
