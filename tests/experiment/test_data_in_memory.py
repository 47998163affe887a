"""Data passed from Python, in place of that of the config."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.config import load_config
from nnzoo.config.data import Frame
from nnzoo.errors import ConfigError, DataError
from nnzoo.experiment.train.finished import Run

CONFIG: dict[str, Any] = {"model": {"name": "mlp", "hidden": [6]}, "train": {"epochs": 3}}
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = (X[:, 0] > 0).astype(int)
COLUMNS: dict[str, list[Any]] = {
    "size": [round(float(value), 3) for value in X[:, 0]],
    "id": [10**17 + index % 5 for index in range(80)],
    "kind": [["red", "green", None][index % 3] for index in range(80)],
    "day": [f"2024-{1 + index % 12:02}-{1 + index % 28:02}" for index in range(80)],
    "sold": ["yes" if value else "no" for value in Y],
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def train(data: Any, config: dict[str, Any] = CONFIG, **options: Any) -> Run:
    return nnzoo.train(config, data=data, quiet=True, **options)


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in run.model.module.state_dict().items()}


def same(one: Run, other: Run) -> bool:
    found = weights(other)
    return all(tensor.equal(found[name]) for name, tensor in weights(one).items()) and one.metrics == other.metrics


def frames() -> dict[str, Callable[[], Any]]:
    def pandas() -> Any:
        found = pytest.importorskip("pandas").DataFrame(COLUMNS)
        found["kind"] = found["kind"].astype("category")
        found["day"] = pytest.importorskip("pandas").to_datetime(found["day"])
        return found

    return {
        "pandas": pandas,
        "polars": lambda: pytest.importorskip("polars").DataFrame(COLUMNS),
        "pyarrow": lambda: pa.table(COLUMNS),
        "dict of columns": lambda: COLUMNS,
        "list of dicts": lambda: [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)],
    }


@pytest.mark.parametrize(
    "data",
    [
        (X.tolist(), Y.tolist()),
        (torch.from_numpy(X), torch.from_numpy(Y)),
        {"x": X, "y": Y},
        {"x": X, "y": Y, "lengths": None},
        TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)),
        {"train": (X, Y)},
    ],
    ids=["lists", "tensors", "dict", "dict with None", "torch", "train"],
)
def test_arrays_equal_those_of_a_file(data: Any) -> None:
    np.savez("a.npz", x=X, y=Y)
    expected = nnzoo.train({**CONFIG, "data": {"name": "arrays", "path": "a.npz"}}, quiet=True)
    run = train(data)
    assert same(run, expected)
    assert nnzoo.predict(run, X[:5]).tolist() == expected.model.predict(X[:5]).tolist()
    assert (run.run_dir / "predictions.csv").read_text().splitlines()[1:] != []


@pytest.mark.parametrize("kind", frames())
def test_a_frame_is_read_like_its_file(kind: str) -> None:
    frame = frames()[kind]()
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in zip(*COLUMNS.values(), strict=True)]
    Path("t.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    settings = {"target": "sold", "categorical": ["id"]}
    expected = nnzoo.train({**CONFIG, "data": {"name": "csv", "path": "t.csv", **settings}}, quiet=True)
    run = train(frame, {**CONFIG, "data": {"categorical": ["id"]}}, target="sold")
    assert run.model.metadata.feature_names == expected.model.metadata.feature_names
    assert "id=100000000000000004" in run.model.metadata.feature_names
    assert same(run, expected)
    predicted = nnzoo.predict(run.run_dir, frame)
    assert predicted.tolist() == run.model.predict(COLUMNS).tolist()
    again = nnzoo.evaluate(run.run_dir, frame)
    assert again.metrics["accuracy"] == pytest.approx(np.mean(predicted == np.array(COLUMNS["sold"])), abs=1e-6)
    assert command(["predict", str(run.run_dir), "t.csv", "--output", "answers.csv"]) == 0
    answers = [line.split(",")[1] for line in Path("answers.csv").read_text().splitlines()[1:]]
    assert answers == predicted.tolist()


def test_all_kinds_of_frames_have_one_digest() -> None:
    digests = {kind: train(make(), target="sold").config.data.digest for kind, make in frames().items()}  # type: ignore[union-attr]
    assert len(set(digests.values())) == 1, digests
    other = {**COLUMNS, "size": [*COLUMNS["size"][:-1], 9.0]}
    assert train(other, target="sold").config.data.digest not in digests.values()  # type: ignore[union-attr]


def test_a_frame_with_separate_targets() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(COLUMNS)
    inputs, sold = frame.drop(columns="sold"), frame["sold"]
    run = train((inputs, sold))
    assert same(run, train(frame, target="sold"))
    assert nnzoo.evaluate(run, (inputs, sold)).num_samples == 80
    assert run.config.data.target == ("sold",)  # type: ignore[union-attr]
    unnamed = train((inputs, np.array(Y)))
    assert unnamed.config.data.target == ("target",)  # type: ignore[union-attr]


@pytest.mark.parametrize("columns", [["a"], ["a", "b"]])
def test_a_frame_and_a_frame_of_targets(columns: list[str]) -> None:
    pandas = pytest.importorskip("pandas")
    inputs = pandas.DataFrame(X, columns=list("stuv"))
    targets = pandas.DataFrame({"a": X @ [1, 2, 3, 4], "b": X[:, 0] ** 2})[columns]
    run = train((inputs, targets))
    assert run.model.metadata.target_names == tuple(columns)
    assert same(run, train(pandas.concat([inputs, targets], axis=1), target=columns))
    assert nnzoo.evaluate(run, (inputs, targets)).num_samples == 80
    split = train({"x": inputs[:60], "y": targets[:60], "x_val": inputs[60:], "y_val": targets[60:]})
    assert nnzoo.evaluate(split, split="val").num_samples == 20
    assert train((inputs, targets.to_numpy())).model.metadata.target_names == (
        ("target",) if len(columns) == 1 else ("target 0", "target 1")
    )
    with pytest.raises(DataError, match="already has a column 'a'"):
        train((inputs.rename(columns={"s": "a"}), targets))


def test_given_splits_and_keys_of_the_config() -> None:
    run = train(
        {"x": X[:50], "y": Y[:50], "x_val": X[50:], "y_val": Y[50:]}, {**CONFIG, "data": {"split": {"test": 0.2}}}
    )
    sizes = {name: nnzoo.evaluate(run, split=name).num_samples for name in ("train", "val", "test")}
    assert sizes == {"train": 40, "val": 30, "test": 10}
    run = train((X, Y), overrides={"data.split.val": 0.25, "data.split.test": 0.25})
    assert nnzoo.evaluate(run).num_samples == 20
    run = train((X, Y.astype(float)), {**CONFIG, "data": {"task": "classification"}})
    assert run.model.classes == ("0", "1")
    parts = {"train": COLUMNS, "test": {name: cells[:30] for name, cells in COLUMNS.items()}}
    assert nnzoo.evaluate(train(parts, target="sold")).num_samples == 30


def test_data_replaces_that_of_a_config() -> None:
    run = nnzoo.train("digits_mlp", data=(X, Y), overrides={"train.epochs": 1}, quiet=True)
    assert run.config.name == "digits_mlp"
    assert run.model.input_shape == (4,)
    settings = {"name": "csv", "path": "nowhere.csv", "delimiter": ";", "target": "sold", "categorical": ["id"]}
    run = train(COLUMNS, {**CONFIG, "data": settings})
    assert "id=100000000000000000" in run.model.metadata.feature_names


SERIES = {"name": "series", "path": "s.csv", "target": "sold"}


@pytest.mark.parametrize(
    ("section", "lost"),
    [
        ({**SERIES, "window": 4, "time": "id"}, ["name", "window", "time"]),
        (SERIES, ["name"]),
        ({"name": "csv", "path": "t.csv", "target": "sold", "limit": 20}, ["limit"]),
        ({"name": "csv", "path": "t.csv", "target": "sold", "test_path": "u.csv"}, ["test_path"]),
        ({"name": "text", "path": "t.csv", "target": "sold"}, ["name"]),
        ({"name": "moons", "samples": 30}, ["samples"]),
    ],
)
def test_keys_that_a_frame_would_lose_are_refused(section: dict[str, Any], lost: list[str]) -> None:
    with pytest.raises(ConfigError, match="does not apply to data passed from Python") as caught:
        train(COLUMNS, {**CONFIG, "data": section}, target="sold", name="lost")
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [f"data.{key}" for key in lost]
    replaced = train(COLUMNS, {**CONFIG, "data": section}, overrides={"data.name": "frame"}, target="sold", name="lost")
    assert isinstance(replaced.config.data, Frame)


def test_keys_that_arrays_would_lose_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.features: does not apply .* arrays with one sample per item"):
        train((X, Y), {**CONFIG, "data": {"name": "csv", "target": "y", "features": ["a"]}})
    section = {"name": "csv", "path": "no.csv", "target": "y", "decimal": ","}  # about files and their cells
    train((X, Y), {**CONFIG, "data": section})


@pytest.mark.parametrize("shape", [(3, 5), (1, 6, 6)])
def test_regression_sequences_and_images(shape: tuple[int, ...]) -> None:
    x = RNG.normal(size=(40, *shape)).astype(np.float32)
    y = x.reshape(40, -1).sum(1)
    run = train((x, y), {"model": "linear", "train": {"epochs": 2}})
    assert run.model.decoder.task == "regression"
    assert nnzoo.evaluate(run, (x, y)).metrics["loss"] >= 0
    assert nnzoo.predict(run, x).shape == (40,)


def test_a_class_per_step() -> None:
    x = RNG.normal(size=(30, 6, 2))
    y = (x[:, :, 0] > 0).astype(int)
    run = train((x, y), {"model": {"name": "gru", "hidden_size": 4}, "train": {"epochs": 1}})
    assert nnzoo.predict(run, x).shape == (30, 6)
    assert nnzoo.evaluate(run, (x, y)).metrics["accuracy"] > 0


def test_evaluating_needs_the_data_again() -> None:
    run = train((X, Y))
    assert nnzoo.evaluate(run).metrics["accuracy"] == run.metrics["test/accuracy"]
    assert nnzoo.evaluate(run.run_dir, (X, Y), "test").metrics == nnzoo.evaluate(run).metrics
    advice = r"data: the data was passed from Python and was not saved. Pass it again: data="
    for use in (
        lambda: nnzoo.evaluate(run.run_dir),
        lambda: nnzoo.train(run.run_dir, resume=True, quiet=True),
        lambda: nnzoo.train(run.run_dir / "config.yaml", quiet=True),
    ):
        with pytest.raises(nnzoo.DataError, match=advice):
            use()
    with pytest.raises(nnzoo.DataError, match=r"this is not the training data of the network \(the checksum differs\)"):
        nnzoo.evaluate(run.run_dir, (X[1:], Y[1:]), split="test")
    for arguments in (["eval"], ["doctor"]):
        assert command([*arguments, str(run.run_dir)]) == 3


def test_resuming_with_the_data() -> None:
    whole = train((X, Y), overrides={"train.epochs": 6}, name="whole")
    first = train((X, Y))
    with pytest.raises(nnzoo.DataError, match="has changed since the run was started"):
        train((X + 1, Y), resume=True)
    resumed = train((X, Y), resume=True, overrides={"train.epochs": 6})
    assert resumed.run_dir == first.run_dir
    assert same(resumed, whole)


def test_the_config_of_a_run_says_that_its_data_is_from_python() -> None:
    run = train(COLUMNS, target="sold")
    text = (run.run_dir / "config.yaml").read_text()
    assert re.search(r"name: frame\n", text)
    assert re.search(r"digest: [0-9a-f]{64}\n", text)
    assert "path" not in text
    assert load_config(run.run_dir).data == run.config.data


class Pairs(Dataset[Any]):
    def __init__(self, samples: list[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (5, {}, r"data: int is not data to train on. Pass \(x, y\)"),
        ("t.csv", {}, "data: str is not data to train on"),
        ({"x": X}, {}, "data: has no y"),
        ({"x": X, "y": Y, "z": Y}, {}, "data: z is not one of x, y, lengths, x_val"),
        (COLUMNS, {}, r"data.target: missing"),
        (COLUMNS, {"target": "sld"}, r"data: has no column 'sld'.*Did you mean 'sold'"),
        ((X, Y), {"target": "y"}, "target: target= is for data frames"),
        (None, {"target": "y"}, "target: target= needs a data frame, but data= is missing"),
        ({"val": COLUMNS}, {"target": "sold"}, "data: there is no train split"),
        ((X, Y[:5]), {}, r"data: y: has a different length than x \(got 5 samples, expected 80\)"),
        ((np.array([object()] * 3), [1, 2, 3]), {}, "data: x: expected numbers, booleans or strings, got object"),
        (Pairs([]), {}, r"data \(train\): has no samples"),
        (Pairs([1, 2]), {}, r"data \(train\): expected samples \(x, y\), got int"),
        (
            Pairs([([1.0], 0), ([1.0, 2.0], 1)]),
            {},
            r"data \(train\): x has samples of different shapes .got \(1,\) and \(2,\)",
        ),
        ({**COLUMNS, "size": [1.0]}, {"target": "sold"}, "data: expected non-empty columns of equal length"),
    ],
)
def test_wrong_arguments(data: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(nnzoo.NnzooError, match=message):
        train(data, **options)
    assert not Path("runs").exists()


def test_columns_of_the_same_name() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame([[1, 2, "a"], [3, 4, "b"]], columns=["u", "u", "y"])
    with pytest.raises(nnzoo.DataError, match="data: has several columns called 'u'"):
        train(frame, target="y")


def test_a_notebook_shows_a_run() -> None:
    run = train((X, Y), name="a-b")
    shown = run._repr_html_()
    assert shown.count("<tr>") == 1 + 3 + 2 + len(run.result["baselines"])
    assert f"<td>{run.metrics['test/accuracy']:.4g}</td>" in shown
    assert "baseline (test)" in shown
    assert "completed after 3 epochs" in shown


def test_docstrings_describe_all_arguments() -> None:
    from inspect import signature

    for function in (nnzoo.train, nnzoo.evaluate, nnzoo.predict, nnzoo.load, nnzoo.build_model, nnzoo.summary):
        text = function.__doc__ or ""
        assert "Raises:" in text
        for name in signature(function).parameters:
            assert re.search(rf"^ +{name}: ", text, re.M), f"{function.__name__}: {name}"
