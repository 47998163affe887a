"""The data behind the charts of a run's page, compared with the files of the run and with scikit-learn."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

import nnzoo
from nnzoo.experiment.predict.language import continue_text
from nnzoo.report.charts import Bars, Details, Drawing, Heatmap, Images, Lines, Part, Scatter, Section, TableOf, Text
from nnzoo.report.reading import read_run
from nnzoo.report.samples import Samples
from nnzoo.report.write import sections

pytestmark = pytest.mark.page

Kind = TypeVar("Kind", bound=Lines | Scatter | Bars | Heatmap | Images | TableOf)
Train = Callable[..., Path]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Returns a function that trains and returns the run directory."""

    def train_config(config: str | Mapping[str, Any], **overrides: Any) -> Path:
        changes = {key.replace("__", "."): value for key, value in overrides.items()}
        folder = tmp_path_factory.mktemp("runs")
        return nnzoo.train(config, overrides=changes, runs_dir=folder, quiet=True).run_dir

    return train_config


def page_of(folder: Path) -> list[Section]:
    """Returns the sections of the page of a run."""
    return sections(read_run(str(folder), "runs"))


def all_parts(parts: Any) -> Iterator[Part]:
    """Yields parts with those inside."""
    for part in parts:
        yield part
        if isinstance(part, Details):
            yield from all_parts(part.parts)


def find(page: list[Section], kind: type[Kind], title: str) -> Kind:
    """Returns the part of a kind and title."""
    return next(
        part for section in page for part in all_parts(section.parts) if isinstance(part, kind) and part.title == title
    )


def rows_of(file: Path) -> list[dict[str, str]]:
    """Returns the rows of a CSV file."""
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_confusion_matrix_and_its_samples(train: Train) -> None:
    folder = train("digits_cnn", train__epochs=2)
    chart = find(page_of(folder), Heatmap, "Confusion matrix")
    expected = [[int(row[name]) for name in chart.column_labels] for row in rows_of(folder / "confusion_matrix.csv")]
    assert [list(row) for row in chart.values] == expected
    predictions = rows_of(folder / "predictions.csv")
    assert set(chart.opens) == {(i, j) for i in range(10) for j in range(10) if expected[i][j]}
    for (i, j), parts in chart.opens.items():
        images = parts[0]
        assert isinstance(images, Images)
        assert len(images.items) == min(8, expected[i][j])
        for item in images.items:
            row = next(row for row in predictions if f"row {row['row']}" in item.alt.split("sample ")[1:])
            assert (row["target"], row["prediction"]) == (chart.row_labels[i], chart.column_labels[j])
            share = max(float(row[f"probability_{name}"]) for name in chart.column_labels)
            assert item.label.split("\n")[:2] == [f"is {row['target']}", f"{row['prediction']} {share:.3f}"]
            assert item.png.startswith(b"\x89PNG")


def test_curves_equal_metrics_csv(train: Train) -> None:
    folder = train("digits_mlp", train__epochs=3)
    page, rows = page_of(folder), rows_of(folder / "metrics.csv")
    for name in ("loss", "accuracy"):
        chart = find(page, Lines, name)
        for key, (epochs, values) in chart.series.items():
            assert [(int(epoch), value) for epoch, value in zip(epochs, values, strict=True)] == [
                (int(row["epoch"]), float(row[key])) for row in rows
            ]
    assert [mark.label for mark in find(page, Lines, "loss").marks] == ["best epoch: 3"]


def test_two_classes(train: Train) -> None:
    folder = train("breast_cancer_linear", train__epochs=3)
    page, rows = page_of(folder), rows_of(folder / "predictions.csv")
    classes = [name.removeprefix("probability_") for name in rows[0] if name.startswith("probability_")]
    actual = np.array([row["target"] == classes[1] for row in rows])
    score = np.array([float(row[f"probability_{classes[1]}"]) for row in rows])
    roc = find(page, Lines, "ROC curve")
    false_rate, recall, _ = roc_curve(actual, score, drop_intermediate=False)
    np.testing.assert_allclose(roc.series["network"][0], false_rate)
    np.testing.assert_allclose(roc.series["network"][1], recall)
    assert f"Area: {roc_auc_score(actual, score):.4f}" in roc.caption
    caption = find(page, Lines, "Precision and recall").caption
    assert f"Average precision: {average_precision_score(actual, score):.4f}" in caption
    confidence, correct = np.maximum(score, 1 - score), (score > 0.5) == actual
    bins = np.clip((confidence * 10).astype(int), 0, 9)
    error = sum(
        (bins == i).mean() * abs(confidence[bins == i].mean() - correct[bins == i].mean()) for i in set(bins.tolist())
    )
    assert f"error: {error:.4f}" in find(page, Lines, "Calibration").caption


def test_regression(train: Train) -> None:
    folder = train("diabetes_mlp", train__epochs=2)
    page, rows = page_of(folder), rows_of(folder / "predictions.csv")
    truth = [float(row["target"]) for row in rows]
    predicted = [float(row["prediction"]) for row in rows]
    points = next(iter(find(page, Scatter, "Truth and prediction").groups.values()))
    assert points == (truth, predicted)
    residuals = next(iter(find(page, Scatter, "Residuals").groups.values()))[1]
    np.testing.assert_allclose(residuals, np.subtract(predicted, truth))
    assert sum(find(page, Bars, "Distribution of residuals").series["samples"]) == len(rows)
    worst = max(range(len(rows)), key=lambda i: abs(predicted[i] - truth[i]))
    first = find(page, Images, "Worst rows").items[0]
    assert first.label.startswith(f"is {truth[worst]:.5g}\npredicted {predicted[worst]:.5g}")
    assert f"row {rows[worst]['row']}" in first.label


def test_series(train: Train, tmp_path: Path) -> None:
    values = [float(np.sin(i / 3) * 10 + i / 10) for i in range(160)]
    (tmp_path / "series.csv").write_text("\n".join(["value", *(f"{value:.3f}" for value in values)]))
    data = {"name": "series", "path": str(tmp_path / "series.csv"), "target": "value", "window": 8, "horizon": 3}
    folder = train({"data": data, "model": {"name": "mlp", "hidden": [8]}, "train": {"epochs": 2}})
    page, rows = page_of(folder), rows_of(folder / "predictions.csv")
    steps, errors = find(page, Lines, "Error by horizon").series["network"]
    expected = [
        np.sqrt(np.mean([(float(row[f"target_value+{i}"]) - float(row[f"prediction_value+{i}"])) ** 2 for row in rows]))
        for i in steps
    ]
    np.testing.assert_allclose(errors, expected)
    one_ahead = find(page, Lines, "Forecast one row ahead").series
    assert list(one_ahead) == ["truth", "network", "naive forecast"]
    np.testing.assert_allclose(one_ahead["truth"][1], [float(row["target_value+1"]) for row in rows])


def test_restarts(train: Train) -> None:
    folder = train("xor_mlp", train__epochs=5, train__restarts=6)
    chart = find(page_of(folder), Bars, "Restarts")
    rows = sorted(rows_of(folder / "restarts.csv"), key=lambda row: float(row["train/loss"]))
    assert list(chart.labels) == [f"seed {row['seed']}" for row in rows]
    assert list(chart.series["train/loss"]) == [float(row["train/loss"]) for row in rows]


def test_answers_of_steps(train: Train, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("the cat sat on the mat. " * 60)
    data = {"name": "language", "path": str(tmp_path / "text.txt"), "sequence_length": 12}
    folder = train({"data": data, "model": {"name": "lstm", "hidden_size": 8}, "train": {"epochs": 1}})
    rows = rows_of(folder / "predictions.csv")
    steps = next(section for section in page_of(folder) if section.id == "steps")
    table = next(part for part in all_parts(steps.parts) if isinstance(part, TableOf))
    assert [(row[0], row[2], row[3]) for row in table.rows] == [
        (int(row["step"]) + 1, row["target"], row["prediction"]) for row in rows[: len(table.rows)]
    ]
    # The target of a step is the input of the next one.
    assert [row[1] for row in table.rows][1:] == [row[2] for row in table.rows][:-1]


@pytest.mark.parametrize("is_small", [True, False])
def test_a_table_row_is_shown_with_its_columns(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_small: bool
) -> None:
    if not is_small:
        monkeypatch.setattr("nnzoo.data.tables.source.SMALL_BYTES", 0)
    lines = [
        f"{i},{'red' if i % 3 else 'blue'},{i * 2 if i % 5 else ''},{i % 28 + 1:02}.0{i % 9 + 1}.2007,{'ab'[i % 2]}"
        for i in range(60)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["size,color,weight,built,label", *lines]))
    data = {"name": "csv", "path": str(tmp_path / "table.csv"), "target": "label"}
    folder = train({"data": data, "model": "linear", "train": {"epochs": 1}})
    page = page_of(folder)
    shown = {item.label.rpartition("row ")[2]: item.alt for item in find(page, Images, "Examples").items}
    date = "built 01.01.2007" if is_small else "built month 1, built day 1, built weekday 0"
    assert shown["0"] == f"size 0, color blue, weight missing, {date}"
    columns = {str(row[0]): row[1:] for row in find(page, TableOf, "Columns").rows}
    assert columns["color"][0] == "category"
    assert str(columns["weight"][2]).endswith("%)")
    assert sum(find(page, Bars, "Class balance").series["train"]) == 42


def test_health(train: Train) -> None:
    folder = train("xor_mlp", train__epochs=2)
    header = "epoch,step,layer,dead,saturated,gradient_norm,update_ratio,activation_mean,activation_variance"
    layers = "1,4,hidden.0,0.5,,0.25,1e-3,0.1,0.2\n2,8,hidden.0,0.75,,0.5,2e-3,0.1,0.2\n1,4,output,,,0.125,1e-4,0,1\n"
    (folder / "health.csv").write_text(f"{header}\n{layers}")
    page = page_of(folder)
    assert find(page, Lines, "Dead units").series == {"hidden.0": ([1.0, 2.0], [0.5, 0.75])}
    (folder / "health.csv").write_text(f"{header}\n{layers.replace('0.5,', '0,').replace('0.75,', '0,')}")
    health = next(section for section in page_of(folder) if section.id == "health")
    assert Text("Dead units: none, in all layers and all sampled epochs.") in health.parts
    norms = find(page, Lines, "Gradient norm").series
    assert norms == {"hidden.0": ([1.0, 2.0], [0.25, 0.5]), "output": ([1.0], [0.125])}
    assert "Saturated values" not in [
        part.title for section in page for part in section.parts if isinstance(part, Lines)
    ]


def test_several_labels(train: Train, tmp_path: Path) -> None:
    rows = "\n".join(f"{i % 7},{i % 5},{i % 2},{int(i % 7 > 3)}" for i in range(80))
    (tmp_path / "labels.csv").write_text(f"a,b,odd,high\n{rows}\n")
    data = {"name": "csv", "path": str(tmp_path / "labels.csv"), "target": ["odd", "high"], "task": "multilabel"}
    folder = train({"data": data, "model": "linear", "train": {"epochs": 3}})
    predictions = rows_of(folder / "predictions.csv")
    section = next(section for section in page_of(folder) if section.id == "labels")
    table = next(part for part in section.parts if isinstance(part, TableOf))
    for name, _, recall, _, support in table.rows:
        actual = [row[f"prediction_{name}"] for row in predictions if float(row[f"target_{name}"])]
        assert support == len(actual)
        assert recall == pytest.approx(sum(map(float, actual)) / len(actual))


@pytest.mark.parametrize(
    ("tokenizer", "by_line", "cell"), [("char", False, "lstm"), ("word", False, "gru"), ("char", True, "rnn")]
)
def test_language_models(train: Train, tmp_path: Path, tokenizer: str, by_line: bool, cell: str) -> None:
    lines = [f"the {animal} sat on the {place}." for animal in ("cat", "dog", "owl") for place in ("mat", "log", "hat")]
    (tmp_path / "text.txt").write_text("\n".join(lines * 12))
    data = {"name": "language", "path": str(tmp_path / "text.txt"), "tokenizer": tokenizer, "by_line": by_line}
    data |= {} if by_line else {"sequence_length": 12}
    folder = train({"data": data, "model": {"name": cell, "hidden_size": 8}, "train": {"epochs": 2, "batch_size": 8}})
    run = read_run(str(folder), "runs")
    page, trained = sections(run), nnzoo.load(folder)
    assert run.experiment is not None
    split = run.experiment.splits["test"]
    with torch.no_grad():
        arguments = (split.inputs,) if split.lengths is None else (split.inputs, split.lengths)
        shares = trained.module(*arguments).softmax(2).double()
    losses = -shares.gather(2, split.targets.clamp_min(0).unsqueeze(2))[..., 0].log()
    losses[split.targets < 0] = torch.nan
    chart = find(page, Lines, "Loss by position")
    np.testing.assert_allclose(chart.series["network"][1], losses.nanmean(0), rtol=1e-5)
    assert np.exp(chart.series["baseline"][1][0]) == pytest.approx(run.result["baseline"]["test/perplexity"])
    language = next(section for section in page if section.id == "language")
    sampled = next(part.text for part in language.parts if isinstance(part, Text) and part.code)
    assert sampled == continue_text(trained, "", length=300, temperature=0.8, seed=0).text
    rows = find(page, TableOf, "Likeliest next symbols").rows
    assert len(rows) == 8
    for i, (context, actual, *likeliest) in enumerate(rows):
        sample = round(i * (len(split) - 1) / 7)
        target = str(actual).rpartition("\N{NO-BREAK SPACE}")
        valid = split.targets[sample] >= 0
        step = min(int(valid.sum()) - 1, round(int(valid.sum()) * (i + 0.5) / 8))
        assert actual == f"{shown(run.dataset.classes[split.targets[sample, step]])}{''.join(target[1:])}"
        assert target[2] == f"{shares[sample, step, split.targets[sample, step]]:.3f}"
        top = shares[sample, step].topk(len(likeliest))
        assert likeliest == [
            f"{shown(run.dataset.classes[j])}\N{NO-BREAK SPACE}{share:.3f}"
            for share, j in zip(*map(torch.Tensor.tolist, top), strict=True)
        ]
        if by_line and not step:
            assert context == "(start of a line)"


def shown(symbol: str) -> str:
    """Returns a symbol as the page shows it."""
    return {" ": "␣", "\n": "↵"}.get(symbol, symbol)


def test_trees_have_the_labels_of_all_nodes(train: Train, tmp_path: Path) -> None:
    lines = ["(3 (2 a) (4 (2 very) (4 (3 <b>good) (2 film))))", "(1 (2 a) (0 bad))", "(2 (2 the) (2 film))"] * 30
    (tmp_path / "trees.txt").write_text("\n".join(lines))
    data = {"name": "trees", "path": str(tmp_path / "trees.txt")}
    folder = train({"data": data, "model": {"name": "tree_lstm", "hidden_size": 4}, "train": {"epochs": 3}})
    run, trained = read_run(str(folder), "runs"), nnzoo.load(folder)
    assert run.experiment is not None
    split = run.experiment.splits["test"]
    parts = list(all_parts(next(section for section in sections(run) if section.id == "trees").parts))
    drawings = [part for part in parts if isinstance(part, Drawing)]
    tables = [part for part in parts if isinstance(part, TableOf)]
    assert len(drawings) == len(tables) == 3
    with torch.no_grad():
        shares = trained.module(split.inputs).softmax(2)
    index = {name: i for i, name in enumerate(run.dataset.classes)}
    for drawing, table in zip(drawings, tables, strict=True):
        row = next(i for i in range(len(split)) if drawing.title.startswith(Samples(run, "test").place(i) + ":"))
        targets = split.targets[row, : len(table.rows)]
        assert [index[str(cells[1])] for cells in table.rows] == targets.tolist()
        expected = shares[row, : len(table.rows)].max(1)
        assert [index[str(cells[2])] for cells in table.rows] == expected.indices.tolist()
        np.testing.assert_allclose([float(str(cells[3])) for cells in table.rows], expected.values, rtol=1e-6)
        right = int((expected.indices == targets).sum())
        assert drawing.title.endswith(f"{right} of {len(targets)} labels right")
        assert drawing.svg.count(">×<") == len(targets) - right
        assert "<b>" not in drawing.svg
    assert {str(table.rows[0][0]) for table in tables} <= {"a very <b>good film", "a bad", "the film"}


def test_inputs_on_the_disk_have_their_ranges(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.arange(40) % 2)
    data = {"name": "arrays", "path": str(tmp_path), "cache": "disk", "split": {"val": 0.0, "test": 0.0}}
    folder = train({"data": data, "model": "linear", "train": {"epochs": 1}})
    rows = find(page_of(folder), TableOf, "Features in train").rows
    expected = np.stack([x.mean(0), x.std(0), x.min(0), x.max(0)], axis=1)
    np.testing.assert_allclose(np.array([row[1:] for row in rows], dtype=float), expected, atol=1e-6)
    monkeypatch.setattr("nnzoo.report.inputs.MAX_RAW_ENTRIES", 30)
    page = page_of(folder)
    assert [row[3] for row in find(page, TableOf, "Features in train").rows] == x[::4].min(0).tolist()
    texts = [part.text for section in page for part in section.parts if isinstance(part, Text)]
    assert "The ranges are those of 10 of the 40 train samples." in texts
