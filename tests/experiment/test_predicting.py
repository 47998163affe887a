"""Predictions for raw new data."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from nnzoo.cli.app import run as nnzoo
from nnzoo.data import load_diabetes, load_iris
from nnzoo.experiment.train.run import train

SHORT = {"epochs": 2}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def train_on_test_rows(x: np.ndarray, y: np.ndarray) -> list[dict[str, str]]:
    """Trains on arrays whose test split is in `x.npy` too, and returns the predictions of the run."""
    np.savez("data.npz", x=x[20:], y=y[20:], x_test=x[:20], y_test=y[:20])
    np.save("x.npy", x[:20])
    train({"name": "r", "data": {"name": "arrays", "path": "data.npz"}, "model": "mlp", "train": SHORT}, quiet=True)
    return rows(Path("runs/r/predictions.csv").read_text())


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_predicting_the_test_rows_gives_the_predictions_of_the_run(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (load_iris() if kind == "classes" else load_diabetes()).train
    order = np.random.default_rng(0).permutation(len(data))
    known = train_on_test_rows(data.inputs.numpy()[order], data.targets.numpy()[order])
    assert nnzoo(["predict", "runs/r/best.safetensors", "x.npy"]) == 0
    found = rows(capsys.readouterr().out)
    assert [row["input"] for row in found] == [str(index) for index in range(20)]
    for row, expected in zip(found, known, strict=True):
        assert row.keys() - {"input"} == expected.keys() - {"array", "row", "target"}
        assert (expected["array"], expected["row"]) == ("x_test", row["input"])
        for key in row.keys() - {"input"}:
            assert row[key] == expected[key] or float(row[key]) == pytest.approx(float(expected[key]), rel=1e-5)


def test_json_and_output_file(capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "r", "data": "iris", "model": "mlp", "train": SHORT}, quiet=True)
    np.save("x.npy", load_iris().train.inputs.numpy()[:3])
    assert nnzoo(["predict", "r", "x.npy", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["num_samples"] == 3
    assert set(found["predictions"][0]) == {
        "input",
        "prediction",
        "probability_setosa",
        "probability_versicolor",
        "probability_virginica",
    }
    assert nnzoo(["predict", "r", "x.npy", "--output", "out.csv"]) == 0
    assert capsys.readouterr().out == ""
    written = rows(Path("out.csv").read_text())
    assert [row["prediction"] for row in written] == [row["prediction"] for row in found["predictions"]]


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        ([], 2, "there are no inputs"),
        (["none.npy"], 3, "none.npy: there is no such file"),
        (
            ["wide.npy"],
            3,
            "wide.npy: x: has samples of a different shape than the training data (got (9,); expected (4,))",
        ),
        (["nan.npy"], 3, "nan.npy: x: row 0 has NaN or inf"),
        (["objects.npy"], 3, "objects.npy: x: has Python objects, which are not supported"),
    ],
)
def test_bad_input_is_named(inputs: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "r", "data": "iris", "model": "mlp", "train": SHORT}, quiet=True)
    np.save("wide.npy", np.zeros((2, 9)))
    np.save("nan.npy", np.full((2, 4), np.nan))
    np.save("objects.npy", np.array([{}, {}]), allow_pickle=True)
    capsys.readouterr()
    assert nnzoo(["predict", "r", *inputs, "--output", "out.csv"]) == code
    assert message in capsys.readouterr().err
    assert not Path("out.csv").exists()


def test_invalid_output_paths_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "r", "data": "iris", "model": "mlp", "train": SHORT}, quiet=True)
    np.save("x.npy", load_iris().train.inputs.numpy()[:3])
    before = Path("x.npy").read_bytes()
    Path("link.npy").symlink_to("x.npy")
    for output, message in (
        ("x.npy", "would be overwritten"),
        ("./link.npy", "would be overwritten"),
        ("nowhere/out.csv", "the folder nowhere does not exist"),
        (".", "is a folder"),
    ):
        assert nnzoo(["predict", "r", "x.npy", "--output", output]) == 2
        assert message in capsys.readouterr().err
    assert Path("x.npy").read_bytes() == before
