"""`nnzoo init FILE` and `nnzoo train FILE` for tables: what is found, and configs that beat the baseline."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.cli.app import run
from nnzoo.config import dump, load_config
from nnzoo.experiment.prepare import prepare

Init = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def init(capsys: pytest.CaptureFixture[str]) -> Init:
    """Runs `nnzoo init --json` and returns what it prints, after checking that the config it wrote is valid."""

    def call(*arguments: str, code: int = 0) -> dict[str, Any]:
        assert run(["init", *arguments, "--json"]) == code
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        if not code:
            nnzoo.load_config(printed["path"])
        return printed

    return call


def write(name: str, header: Iterable[object], rows: Iterable[Iterable[object]], before: str = "") -> None:
    lines = [",".join(map(str, row)) for row in [header, *rows] if row]
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(before + "\n".join(lines) + "\n", encoding="utf-8")


def points(count: int = 120, seed: int = 0) -> list[list[Any]]:
    """Returns rows with two numbers and a label that follows from them."""
    values = np.random.default_rng(seed).normal(size=(count, 2)).round(3)
    return [[a, b, "up" if a + b > 0 else "down"] for a, b in values.tolist()]


def test_columns_get_their_roles(init: Init) -> None:
    rng = np.random.default_rng(0)
    rows = [
        [
            1000 + index,
            f"person {index} of {a}",
            "EUR",
            "",
            -999 if index % 9 == 0 else abs(a),
            rng.choice([10115, 20095, 80331]),
            b,
            label,
            {"up": "yes", "down": "no"}[label],
        ]
        for index, (a, b, label) in enumerate(points())
    ]
    write("visits.csv", ["id", "notes", "currency", "empty", "level", "zip", "x", "outcome", "alive"], rows)
    found = init("visits.csv")
    data = found["config"]["data"]
    assert data["target"] == "outcome"
    assert data["ignore"] == ["id", "notes", "currency", "empty", "alive"]
    assert data["categorical"] == ["zip"]
    assert data["replace"] == {"-999": ""}
    assert "alive" in found["warnings"][0]
    assert "copy of the target" in Path("visits.yaml").read_text(encoding="utf-8")


def test_rows_of_a_patient_stay_together(init: Init) -> None:
    rows = [[f"P{index // 4}", *row] for index, row in enumerate(points())]
    write("patients.csv", ["patient_id", "a", "b", "sick"], rows)
    assert init("patients.csv", "--target", "sick")["config"]["data"]["split"]["group"] == "patient_id"


def test_the_target_must_be_named_if_it_is_unclear(init: Init) -> None:
    write("t.csv", ["a", "b", "survived", "class"], [[*row, row[0] > 0] for row in points()])
    error = init("t.csv", code=2)
    assert [each["target"] for each in error["candidates"]][:2] in (["class", "survived"], ["survived", "class"])
    assert "nnzoo init t.csv --target survived" in error["error"]["message"]
    assert not Path("t.yaml").exists()
    assert "Did you mean 'survived'?" in init("t.csv", "--target", "survivd", code=2)["error"]["message"]


def test_names_of_labels_are_one_target(init: Init) -> None:
    rows = [[a, b, int(a > 0), int(b > 0)] for a, b, _ in points()]
    write("tags.csv", ["a", "b", "label_x", "label_y"], rows)
    data = init("tags.csv")["config"]["data"]
    assert (data["target"], data["task"]) == (["label_x", "label_y"], "multilabel")


def test_labels_of_the_test_file_are_replaced(init: Init) -> None:
    write("d/data-train.csv", ["a", "b", "class"], points())
    write("d/data-test.csv", ["a", "b", "class"], [[a, b, f"{label.upper()}."] for a, b, label in points(30, 1)])
    data = init("d/data-train.csv", "d")["config"]["data"]
    assert data["replace"] == {"UP.": "up", "DOWN.": "down"}
    assert Path("d/data-train.yaml").is_file()
    assert dump(nnzoo.load_config("d/data-train.yaml"))["data"]["test_path"] == str(Path("d/data-test.csv").absolute())


def test_a_test_file_without_the_target_is_left_for_predict(init: Init) -> None:
    write("train.csv", ["a", "b", "class"], points())
    write("test.csv", ["a", "b"], [row[:2] for row in points(20, 1)])
    found = init("train.csv")
    assert "test_path" not in found["config"]["data"]
    assert any("nnzoo predict" in note for note in found["notes"])


def test_lines_above_the_table_and_units_are_skipped(init: Init) -> None:
    write("title.csv", ["a", "b", "class"], points(), before="Report\nby the laboratory, 2024\n\n")
    assert init("title.csv")["config"]["data"]["skip_rows"] == 3
    write("units.csv", ["a", "b", "class"], [["cm", "kg", ""], *points()])
    assert init("units.csv")["config"]["data"]["skip_rows"] == [2]
    write("comments.csv", ["a", "b", "class"], [*points(50), ["# second day"], *points(50, 1)], before="# made by X\n")
    data = init("comments.csv")["config"]["data"]
    assert (data["skip_rows"], data["ragged"]) == (1, "skip")


def test_a_rare_class_changes_metrics_and_weights(init: Init) -> None:
    rows = [[a, b, int(index % 25 == 0)] for index, (a, b, _) in enumerate(points(500))]
    write("fraud.csv", ["a", "b", "is_fraud"], rows)
    config = init("fraud.csv")["config"]
    assert config["train"]["metrics"][0] == "auroc"
    assert config["loss"]["class_weights"] == [pytest.approx(0.722), pytest.approx(3.536)]


def test_more_rows_mean_larger_batches_and_fewer_epochs(init: Init) -> None:
    configs = []
    for count in (60, 600, 30_000):
        write(f"n{count}.csv", ["a", "b", "class"], points(count))
        configs.append(init(f"n{count}.csv")["config"])
    trains = [config["train"] for config in configs]
    assert ["hidden" in config["model"] for config in configs] == [True, False, False]
    assert [each["batch_size"] for each in trains] == [16, 32, 128]
    assert [each["epochs"] for each in trains] == sorted((each["epochs"] for each in trains), reverse=True)


def test_nothing_is_overwritten(init: Init) -> None:
    write("p.csv", ["a", "b", "class"], points())
    assert [init("p.csv")["path"] for _ in range(2)] == ["p.yaml", "p-2.yaml"]
    init("p.csv", "p.yaml", code=2)


def test_a_shipped_config_keeps_its_name(init: Init, capsys: pytest.CaptureFixture[str]) -> None:
    write("iris_mlp", ["a", "b", "class"], points())
    assert run(["init", "iris_mlp", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["config"] == "iris_mlp"
    assert "nnzoo init ./iris_mlp" in printed.err
    assert init("./iris_mlp", "mine.yaml")["kind"] == "csv"
    assert "Did you mean 'iris_mlp'?" in init("iris_mpl", code=2)["error"]["message"]


def test_train_on_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    header = "a;b;Preis\n"
    rows = "".join(f"{a:.3f};{b:.3f};{900 + 99 * a + b:.2f}\n".replace(".", ",") for a, b, _ in points(200))
    Path("euro.csv.gz").write_bytes(gzip.compress((header + rows).encode("cp1252")))
    assert run(["train", "euro.csv.gz", "--target", "Preis", "train.epochs=30", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metrics"]["test/rmse"] < 0.6 * result["baseline"]["test/rmse"]
    assert Path(result["run_dir"]).samefile("runs/euro")
    assert "# - Preis (target): numbers" in Path("runs/euro.yaml").read_text(encoding="utf-8")
    assert dump(nnzoo.load_config("runs/euro.yaml"))["data"]["path"] == str(Path("euro.csv.gz").absolute())


def test_target_is_only_for_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "iris_mlp", "--target", "x"]) == 2
    Path("c.yaml").write_text("data: iris\nmodel: mlp\n", encoding="utf-8")
    assert run(["train", "c.yaml", "--target", "x"]) == 2
    assert "data.target=x" in capsys.readouterr().err


def test_init_does_not_import_torch() -> None:
    write("p.csv", ["a", "b", "class"], points())
    code = "import sys; from nnzoo.cli.app import run; sys.exit(run(['init', 'p.csv']) or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_class_of_few_groups_is_in_train(init: Init) -> None:
    rows = [[f"P{index // 10}", a, b, "rare" if index < 20 else label] for index, (a, b, label) in enumerate(points())]
    write("patients.csv", ["patient_id", "a", "b", "sick"], rows)
    dataset = prepare(load_config(init("patients.csv", "--target", "sick")["path"])).dataset
    assert sorted(set(dataset.train.targets.tolist())) == list(range(len(dataset.classes)))


def test_rare_cells_do_not_change_the_type_of_a_column(init: Init) -> None:
    rows = [["maybe" if index == 7 else ["yes", "no"][index % 2], *row] for index, row in enumerate(points())]
    write("t.csv", ["answer", "a", "b", "class"], rows)
    found = init("t.csv")
    assert found["config"]["data"]["categorical"] == ["answer"]
    # Row 7 is in val with this seed: without the key, the train rows would be booleans.
    nnzoo.train(found["path"], overrides={"data.split.seed": 4}, dry_run=True, quiet=True)


def test_json_lines(init: Init) -> None:
    rows = [{"id": f"c{i}", "a": a, "b": b, "tags": [1, 2], "label": label} for i, (a, b, label) in enumerate(points())]
    rows[3]["a"] = None
    with gzip.open("users.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    found = init("users.jsonl.gz")
    assert found["config"]["data"]["ignore"] == ["id"]
    dataset = prepare(load_config(found["path"])).dataset
    assert dataset.feature_names == ("a", "a is missing", "b")
    assert dataset.classes == ("down", "up")


def test_damaged_json_lines_are_an_error(init: Init) -> None:
    Path("users.jsonl").write_text('{"a": 1, "label": "x"}\n{"a": }\n', encoding="utf-8")
    assert "damaged" in init("users.jsonl", code=3)["error"]["message"]


def test_more_columns_than_rows_are_a_warning(init: Init) -> None:
    rng = np.random.default_rng(0)
    write(
        "genes.csv",
        [*(f"g{i}" for i in range(60)), "label"],
        [[*rng.normal(size=60).round(3), "ab"[i % 2]] for i in range(40)],
    )
    assert "more columns (60) than train rows (24)" in init("genes.csv")["warnings"][0]
