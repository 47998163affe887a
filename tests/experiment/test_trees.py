"""Trees from bracketed text to answers."""

from __future__ import annotations

import csv
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnzoo
from nnzoo.builders import build_model
from nnzoo.cli.app import run as cli
from nnzoo.config import load_config
from nnzoo.data import load_trees
from nnzoo.errors import ConfigError, DataError
from nnzoo.experiment.describe import describe_network
from nnzoo.experiment.evaluate.evaluate import evaluate_checkpoint

WORDS = {"awful": 0, "bad": 1, "film": 2, "good": 3, "great": 4}


def negated(label: int) -> int:
    return 4 - label


def sentences() -> list[str]:
    """Returns trees in which `not` inverts what follows, so that the target depends on the entire tree."""
    found = []
    for word, other in itertools.product(WORDS, ("film", "plot", "cast")):
        label = WORDS[word]
        phrase = f"({label} ({label} {word}) (2 {other}))"
        found += [phrase, f"({negated(label)} (1 not) {phrase})"]
    return found


def write(folder: Path, name: str = "trees.txt", lines: list[str] | None = None) -> str:
    (folder / name).write_text("\n\n".join(lines or sentences() * 4) + "\n", encoding="utf-8")
    return str(folder / name)


def config_of(folder: Path, model: Any, **data: Any) -> dict[str, Any]:
    return {
        "data": {"name": "trees", "path": write(folder), **data},
        "model": model,
        "optimizer": {"name": "adam", "lr": 0.02},
        "train": {"epochs": 25, "batch_size": 8, "metrics": ["accuracy", "f1"]},
    }


@pytest.mark.parametrize("model", [{"name": "recursive", "hidden_size": 12}, {"name": "tree_lstm", "hidden_size": 8}])
def test_it_learns_a_target_of_the_entire_tree(model: Any, tmp_path: Path) -> None:
    run = nnzoo.train(config_of(tmp_path, model), runs_dir=tmp_path, quiet=True)
    assert run.metrics["test/accuracy"] == 1
    assert run.result["baseline"]["test/accuracy"] < 0.4
    found = evaluate_checkpoint(run.run_dir)
    assert {f"test/{name}": value for name, value in found.metrics.items()} == {
        name: value for name, value in run.metrics.items() if name.startswith("test/")
    }
    # Metrics are of the roots, although every node is trained.
    assert sum(map(sum, found.confusion_matrix)) == found.num_samples == 18
    with (run.run_dir / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 18
    assert list(rows[0])[:5] == ["file", "row", "target", "prediction", "probability_very negative"]
    report = describe_network(str(run.run_dir)).summary
    assert report.num_parameters == run.result["num_parameters"] == sum(row.num_parameters for row in report.layers)


def test_flops_are_those_of_the_largest_tree(tmp_path: Path) -> None:
    path, data = tmp_path / "c.yaml", f"{{name: trees, path: {write(tmp_path)}}}"
    path.write_text(f"data: {data}\nmodel: {{name: recursive, hidden_size: 6}}")
    found = describe_network(str(path)).summary
    # Five nodes: two of them compose 12 numbers to 6, all five have an output of 6 times 5.
    assert found.flops == 2 * (2 * 12 * 6) + 5 * (2 * 6 * 5)


def test_predicting_new_trees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = nnzoo.train(config_of(tmp_path, "recursive"), runs_dir=tmp_path, quiet=True)
    # The labels of new trees are ignored, and words may be unknown.
    new = write(tmp_path, "new.txt", ["(9 (9 great) (9 unheard))", "(9 (9 not) (9 (9 great) (9 film)))"])
    assert cli(["predict", str(run.run_dir), new]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert rows[1]["prediction"] == "very negative"
    assert len(rows) == 2
    labelled = write(tmp_path, "labelled.txt", sentences()[:10])
    assert evaluate_checkpoint(run.run_dir, data=labelled).metrics["accuracy"] == 1
    with pytest.raises(DataError, match=r"\(3 fun\): there is no such file"):
        run.model.predict(["(3 fun)"])
    with pytest.raises(DataError, match="trees are read from files"):
        run.model.predict(np.zeros((2, 3)))
    capsys.readouterr()
    assert cli(["predict", str(run.run_dir), str(labelled)]) == 0
    expected = [row["prediction"] for row in csv.DictReader(capsys.readouterr().out.splitlines())]
    assert run.model.predict(labelled).tolist() == expected


def test_two_labels_exclude_neutral_trees(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path)
    dataset = load_trees(path=path, labels=2)
    assert dataset.classes == ("negative", "positive")
    assert len(dataset.train) == 4 * 24
    assert dataset.notes == ("train: left out 24 trees with a neutral root",)
    assert not bool((dataset.train.targets[:, 0] == -100).any())
    assert dataset.train.targets[0].tolist() == [0, 0, -100, -100, -100]
    assert len(load_trees(path=path, labels=2, limit=5).train) == 5
    config = config_of(tmp_path, "recursive", labels=2)
    assert nnzoo.train(config, runs_dir=tmp_path, quiet=False).metrics["test/accuracy"] == 1
    assert "left out 24 trees" in capsys.readouterr().err
    with pytest.raises(DataError, match="every tree has a neutral root"):
        load_trees(path=write(tmp_path, lines=["(2 (3 one) (2 word))"]), labels=2)


def test_rows_are_nodes_before_their_children(tmp_path: Path) -> None:
    train = write(tmp_path, "a.txt", ["(3 (2 a) (4 (2 b) (1 a)))", "(1 c)"])
    other = write(tmp_path, "b.txt", ["(0 (2 new) (2 a))"])
    dataset = load_trees(path=train, val_path=other)
    tokens = {"a": 2, "b": 3, "c": 4}
    assert dataset.train.inputs[0].tolist() == [
        [0, 1, 2],
        [tokens["a"], 0, 0],
        [0, 1, 2],
        [tokens["b"], 0, 0],
        [tokens["a"], 0, 0],
    ]
    assert dataset.train.inputs[1].tolist() == [[tokens["c"], 0, 0], *[[0, 0, 0]] * 4]
    assert dataset.train.targets.tolist() == [[3, 2, 4, 2, 1], [1, -100, -100, -100, -100]]
    # Words that occur only in val are unknown.
    assert dataset.splits["val"].inputs[0, :, 0].tolist() == [0, 1, tokens["a"]]
    assert dataset.num_tokens == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("(3 (2 a) (4 b)", "line 3, column 1: this bracket is never closed"),
        ("(3 (2 a) (4 not fun))", "line 3, column 10: a node must be"),
        ("(3 (2 a) (7 b))", r"line 3, column 10: a label is out of range \(got 7; allowed 0 to 4\)"),
        ("nonsense", r"line 3, column 1: a tree starts with '\('"),
    ],
)
def test_an_invalid_tree_is_an_error(line: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, lines=["(3 fun)", line])
    with pytest.raises(DataError, match=re.escape(path) + ": " + message):
        load_trees(path=path)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "e.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"e\.txt: has no trees"):
        load_trees(path=tmp_path / "e.txt")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "lstm"}, "lstm does not support tree"),
        ({"loss": "hinge"}, "hinge needs a target for every output, but some nodes of this data have none"),
        ({"preprocess": {"normalize": "standardize"}}, "can't be normalized"),
    ],
)
def test_options_that_do_not_fit_trees_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config({"data": {"name": "trees", "path": "x.txt"}, "model": "recursive", **settings})


def test_the_backbone_can_be_frozen() -> None:
    settings = {"data": {"name": "trees", "path": "x.txt"}, "model": {"name": "tree_lstm", "freeze": "backbone"}}
    net = build_model(load_config(settings), (7, 3), 5, 30, "node")
    trained = {name for name, parameter in net.named_parameters() if parameter.requires_grad}
    assert trained == {"output.linear.weight", "output.linear.bias"}
    assert net(torch.zeros(2, 7, 3, dtype=torch.long).index_fill(2, torch.tensor([0]), 1)).shape == (2, 7, 5)
