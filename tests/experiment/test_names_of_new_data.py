"""New data is read by name: columns may be in any order, with additional ones."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.cli.app import run as command
from nnzoo.data import load_iris, load_moons
from nnzoo.errors import DataError
from nnzoo.experiment.train.finished import Run


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, columns: Mapping[str, Any], separator: str = ",") -> str:
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    Path(name).write_text("\n".join(lines) + "\n")
    return name


def train(data: Any, model: Any = "linear", **more: Any) -> Run:
    config = {"name": "r", "data": data, "model": model, "train": {"epochs": 2}, **more}
    return nnzoo.train(config, quiet=True, overwrite=True)


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    capsys.readouterr()
    code = command(["predict", "r", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def measured(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert command(["eval", "r", "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def table(seed: int, size: int = 90) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    kind = rng.choice(["red", "green", "blue"], size)
    a, b = rng.normal(size=(2, size)).round(4)
    return {"a": a, "kind": kind, "b": b, "y": np.where(a + (kind == "red") > 0.4, "up", "down")}


def shuffled(columns: dict[str, Any]) -> dict[str, Any]:
    """Writes the same columns in another order, with one more."""
    return {"id": range(len(columns["a"])), **{name: columns[name] for name in reversed(columns)}}


def test_columns_of_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    train({"name": "csv", "path": write("t.csv", table(0)), "target": "y"})
    write("new.csv", table(1))
    write("other.csv", shuffled(table(1)), ";")
    assert predicted(capsys, "new.csv") == predicted(capsys, "other.csv")
    first, second = (measured(capsys, "--data", name) for name in ("new.csv", "other.csv"))
    assert first["metrics"] == second["metrics"]
    assert first["confusion_matrix"] == second["confusion_matrix"]
    # Only some of the classes, in another order of appearance.
    rows = {
        name: [value for value, y in zip(values, table(1)["y"], strict=True) if y == "up"]
        for name, values in table(1).items()
    }
    only = measured(capsys, "--data", write("only.csv", rows))
    assert sum(only["confusion_matrix"][0]) == 0
    assert only["classes"] == ["down", "up"]


def test_features_of_a_series(capsys: pytest.CaptureFixture[str]) -> None:
    values = np.random.default_rng(0).normal(size=(3, 80)).cumsum(1).round(3)
    columns = {"p": values[0], "q": values[1], "r": values[2], "kind": ["x", "y"] * 40}
    data = {"name": "series", "path": write("s.csv", columns), "target": ["p", "q"], "features": ["p", "q", "r"]}
    train({**data, "categorical": ["kind"], "window": 5, "horizon": 2}, "gru")
    write("t.csv", {"more": range(80), **{name: columns[name] for name in ("kind", "r", "q", "p")}})
    assert predicted(capsys, "s.csv") == predicted(capsys, "t.csv")
    assert measured(capsys, "--data", "s.csv")["metrics"] == measured(capsys, "--data", "t.csv")["metrics"]


def test_columns_of_texts(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"word{i % 5} is {('good', 'bad')[i % 2]}" for i in range(40)]
    columns = {"text": texts, "y": [("up", "down")[i % 2] for i in range(40)]}
    train({"name": "text", "path": write("t.csv", columns), "text": "text", "target": "y"}, "gru")
    write("u.csv", {"y": columns["y"], "n": range(40), "text": texts})
    assert predicted(capsys, "t.csv") == predicted(capsys, "u.csv")
    assert measured(capsys, "--data", "t.csv")["metrics"] == measured(capsys, "--data", "u.csv")["metrics"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (shuffled, "New inputs: 'id'. Its inputs are"),
        (
            lambda columns: {name: columns[name] for name in reversed(columns)},
            "Its inputs are in a different order (now 'b', 'kind=",
        ),
        (lambda columns: {name: columns[name] for name in columns if name != "b"}, "Missing inputs: 'b'."),
        (
            lambda columns: {**columns, "kind": ["pink" if each == "red" else each for each in columns["kind"]]},
            "New inputs: 'kind=pink'",
        ),
        (
            lambda columns: {**columns, "y": ["sure" if each == "up" else each for each in columns["y"]]},
            "New outputs: 'sure'",
        ),
    ],
)
def test_a_changed_file_is_not_read_by_position(change: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After the columns of a file are reordered, `eval` and `--resume` by position would read other columns."""
    columns = table(0)
    Path("c.yaml").write_text(
        "name: r\ndata: {name: csv, path: t.csv, target: y}\nmodel: linear\ntrain: {epochs: 2, early_stopping: null}\n"
    )
    write("t.csv", columns)
    assert command(["train", "c.yaml", "-q"]) == 0
    weights = Path("runs/r/best.safetensors").read_bytes()
    assert command(["eval", "r"]) == 0
    write("t.csv", change(columns))
    sentence = message.partition(". ")[0]
    for arguments in (["eval", "r"], ["train", "c.yaml", "--resume", "train.epochs=3"]):
        capsys.readouterr()
        assert command(arguments) == 3
        error = capsys.readouterr().err
        assert sentence in error
        assert "data: " in error
    assert Path("runs/r/best.safetensors").read_bytes() == weights
    write("t.csv", columns)
    assert command(["train", "c.yaml", "--resume", "train.epochs=3"]) == 0


def test_a_changed_vocabulary_is_not_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every cat becomes a dog: the tokens are the same numbers, but other words."""
    lines = [f"the {('cat', 'bird')[i % 2]} sat {i % 3}" for i in range(40)]
    for name, text in (("t.csv", "\n".join(lines)), ("u.csv", "\n".join(lines).replace("cat", "dog"))):
        rows = [f"{line},{('in', 'out')[i % 2]}" for i, line in enumerate(text.split("\n"))]
        Path(name).write_text("\n".join(["text,y", *rows]) + "\n")
    Path("c.yaml").write_text(
        "name: r\ndata: {name: text, path: t.csv, text: text, target: y}\nmodel: gru\ntrain: {epochs: 1}\n"
    )
    assert command(["train", "c.yaml", "-q"]) == 0
    Path("t.csv").write_text(Path("u.csv").read_text())
    for arguments in (["eval", "r"], ["train", "c.yaml", "--resume", "train.epochs=2"]):
        capsys.readouterr()
        assert command(arguments) == 3
        assert "New inputs: 'dog'. Missing inputs: 'cat'." in capsys.readouterr().err


def test_points_from_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    run = train("moons", "mlp")
    points = load_moons(samples=50, seed=3).train
    x, y = points.inputs.double().numpy(), points.targets.numpy()
    write("points.csv", {"y": y, "name": [f"p{i}" for i in range(50)], "x2": x[:, 1], "x1": x[:, 0]})
    np.save("points.npy", points.inputs.numpy())
    np.savez("points.npz", x=points.inputs.numpy(), y=y)
    rows, expected = predicted(capsys, "points.csv", "--keep", "name"), predicted(capsys, "points.npy")
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in expected]
    assert [row["name"] for row in rows[:2]] == ["p0", "p1"]
    first, second = (measured(capsys, "--data", f"points.{kind}") for kind in ("csv", "npz"))
    assert first["metrics"] == pytest.approx(second["metrics"])
    # The predictions of a run can be its input.
    own = Path("runs/r/predictions.csv")
    with own.open() as file:
        answers = [row["prediction"] for row in csv.DictReader(file)]
    assert [row["prediction"] for row in predicted(capsys, str(own))] == answers
    assert measured(capsys, "--data", str(own))["metrics"]["accuracy"] == pytest.approx(run.metrics["test/accuracy"])
    model = nnzoo.load("r")
    columns = {"x2": x[:, 1], "x1": x[:, 0]}
    for raw in (columns, [{"x1": a, "x2": b} for a, b in x], "points.csv", Path("points.csv"), points.inputs):
        assert model.predict(raw).tolist() == [row["prediction"] for row in expected]
    for name, text, message in (
        ("a.csv", "x1,z\n1,2\n", "has no column 'x2', which the training data has (it has: x1, z)"),
        ("b.csv", "x1,x2\n1,\n3,4\n", "has no value: features must not be missing"),
        ("c.csv", "x1,x2\n1,b\n3,4\n", "'b' is not a number"),
    ):
        Path(name).write_text(text)
        assert command(["predict", "r", name]) == 3
        assert message in capsys.readouterr().err
    Path("d.csv").write_text("x1,x2,p,q\n1,2,0,1\n")
    assert command(["eval", "r", "--data", "d.csv"]) == 3
    assert "it is not clear which column has the targets (got the other columns 'p', 'q')" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["species", "class"])
def test_a_bundled_set_has_columns(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    train("iris", "linear")
    data = load_iris()
    columns = {name: data.train.inputs[:, index].tolist() for index, name in enumerate(data.feature_names)}
    names = [data.classes[index] for index in data.train.targets.tolist()]
    write("iris.csv", {target: names, **{name: columns[name] for name in reversed(data.feature_names)}})
    found = nnzoo.load("r").predict(data.train.inputs)
    assert [row["prediction"] for row in predicted(capsys, "iris.csv")] == found.tolist()
    assert measured(capsys, "--data", "iris.csv")["metrics"]["accuracy"] == pytest.approx(np.mean(found == names))


def test_one_row_from_python_is_one_sample() -> None:
    columns = {"a": ["xz", "uv", "xz", "q"] * 15, "b": ["uv", "xz", "q", "q"] * 15, "n": list(range(60))}
    y = [("in", "out")[index % 2] for index in range(60)]
    run = train({"name": "csv", "path": write("t.csv", {**columns, "y": y}), "target": "y"}, "mlp")
    expected = run.model.predict_proba({"a": ["xz"], "b": ["uv"], "n": [7]})
    for row in (
        {"a": "xz", "b": "uv", "n": 7},
        [{"n": 7, "b": "uv", "a": "xz"}],
        {"a": np.str_("xz"), "b": "uv", "n": np.int64(7)},
        {"a": "xz", "b": "uv", "n": np.array(7.0)},
        {"a": "xz", "b": "uv", "n": Decimal("7.0")},
    ):
        assert run.model.predict(row).shape == (1,)
        assert run.model.predict_proba(row).tolist() == expected.tolist()
    with pytest.raises(DataError, match=r"'b' has one value and 'a' has several. Pass single values for one row"):
        run.model.predict({"a": ["xz", "uv"], "b": "uv", "n": [1, 2]})
    assert run.model.predict({"a": None, "b": "uv", "n": None}).shape == (1,)


def test_numbers_from_python_keep_their_digits() -> None:
    """Ids that are equal in float32, or with 18 digits in float64, and numbers that Python prints with an exponent."""
    ids = [123456789012345678, 123456789012345679, 10**22, 10**22 + 1, 1, 2] * 12
    y = ["hi" if index % 2 else "lo" for index in range(len(ids))]
    data = {"name": "csv", "path": write("t.csv", {"user": ids, "y": y}), "target": "y", "categorical": ["user"]}
    run = train(data, "linear", optimizer={"name": "adam", "lr": 0.1}, train={"epochs": 30})
    known = run.model.predict([{"user": each} for each in ids[:6]])
    assert known.tolist() == ["lo", "hi"] * 3
    shares = run.model.predict_proba({"user": [*ids[:6], 1e22, "1e22", Decimal(10**22), 123456789012345680, 3]})
    for same in (6, 8):
        assert shares[same].tolist() == shares[2].tolist()
    # An unknown category: all features are 0. A string with an exponent is a category, like hexadecimal ids.
    assert shares[7].tolist() == shares[9].tolist() == shares[10].tolist()
    assert shares[9].tolist() not in shares[:6].tolist()


def test_files_from_python(capsys: pytest.CaptureFixture[str]) -> None:
    run = train({"name": "csv", "path": write("t.csv", table(0)), "target": "y"})
    write("new.csv", shuffled(table(1)))
    expected = [row["prediction"] for row in predicted(capsys, "new.csv")]
    for raw in ("new.csv", Path("new.csv"), ["new.csv"]):
        assert run.model.predict(raw).tolist() == expected
    assert len(run.model.predict(["new.csv", "t.csv"])) == 180
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        run.model.predict("none.csv")
    texts = {"text": ["good day", "bad day"] * 20, "y": ["up", "down"] * 20}
    run = train({"name": "text", "path": write("texts.csv", texts), "text": "text", "target": "y"}, "gru")
    answers = [row["prediction"] for row in predicted(capsys, "texts.csv")]
    # A str is a text, even if a file has that name.
    assert run.model.predict(Path("texts.csv")).tolist() == answers
    assert run.model.predict({"text": texts["text"]}).tolist() == answers
    assert run.model.predict([{"text": "good day"}]).tolist() == answers[:1]
    assert run.model.predict("texts.csv").shape == (1,)


@pytest.mark.parametrize("targets", [1, 2])
def test_rows_of_a_series_from_python(targets: int, capsys: pytest.CaptureFixture[str]) -> None:
    days = [dt.date(2024, 1, 1) + dt.timedelta(days=index) for index in range(70)]
    columns: dict[str, Any] = {
        "day": days,
        "p": [index % 7 for index in range(70)],
        "q": [index % 5 for index in range(70)],
    }
    data = {"name": "series", "path": write("s.csv", columns), "target": ["p", "q"][:targets], "time": "day"}
    run = train({**data, "window": 4, "horizon": 3}, "gru")
    rows = predicted(capsys, "s.csv")
    names = ["prediction"] if targets == 1 else ["prediction_p", "prediction_q"]
    expected = np.array([[float(row[name]) for name in names] for row in rows])
    expected = expected[:, 0] if targets == 1 else expected
    as_dicts = [{name: columns[name][index] for name in columns} for index in range(70)]
    stamped = {**columns, "day": [dt.datetime(day.year, day.month, day.day) for day in days]}
    texts = {**columns, "day": [str(day) for day in days]}
    for raw in (columns, as_dicts, as_dicts[::-1], stamped, texts, "s.csv"):
        found = run.model.predict(raw)
        assert found.shape == ((3,) if targets == 1 else (3, 2))
        assert found == pytest.approx(expected, rel=1e-6)
    with pytest.raises(DataError, match="too few rows to forecast from"):
        run.model.predict(as_dicts[:3])


def test_data_frames() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    import pyarrow as pa

    run = train({"name": "csv", "path": write("t.csv", table(0)), "target": "y"})
    columns = shuffled(table(1))
    expected = run.model.predict_proba(columns)
    frame = pandas.DataFrame(columns)
    plain = {
        name: list(map(str, values)) if name in ("kind", "y") else list(values) for name, values in columns.items()
    }
    for raw in (frame, polars.DataFrame(plain), pa.table(plain), frame.to_dict("records"), frame.to_dict("list")):
        assert run.model.predict_proba(raw).tolist() == expected.tolist()
    assert run.model.predict_proba(frame.iloc[3]).tolist() == [expected[3].tolist()]
    train("moons", "linear")
    points = pandas.DataFrame(load_moons(samples=5).train.inputs.numpy())
    model = nnzoo.load("r")
    # A data frame without column names is an array.
    assert model.predict(points).tolist() == model.predict(points.to_numpy()).tolist()
    named = points.rename(columns={0: "x1", 1: "x2"})[["x2", "x1"]]
    assert model.predict(named).tolist() == model.predict(points.to_numpy()).tolist()
