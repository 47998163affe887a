"""Weights of a checkpoint are matched with the inputs and classes of the new data by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nnzoo
from nnzoo.errors import ConfigError, NnzooWarning
from nnzoo.experiment.train.finished import Run
from nnzoo.run.artifact import load_artifact

KEPT = {"optimizer": {"name": "sgd", "lr": 1e-12, "weight_decay": 0}, "train": {"epochs": 1, "early_stopping": None}}
"""Training that does not change the weights."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(name: str, columns: Mapping[str, Any]) -> str:
    rows = zip(*columns.values(), strict=True)
    Path(name).write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return name


def table(rng: np.random.Generator, size: int = 120) -> dict[str, Any]:
    """Returns columns of every kind, and a class that depends on most of them."""
    a, b, c = rng.normal(size=(3, size)).round(4)
    kind = rng.choice(["red", "green", "blue"], size)
    flag = rng.choice(["yes", "no"], size)
    score = a - 2 * b + 2 * (kind == "red") - 2 * (kind == "blue") + (flag == "yes")
    y = np.where(score > 1, "high", np.where(score < -1, "low", "middle"))
    gaps = [str(each) if number % 7 else "" for number, each in enumerate(c)]
    return {"a": a.tolist(), "kind": kind.tolist(), "b": b.tolist(), "flag": flag.tolist(), "c": gaps, "y": y.tolist()}


def train(name: str, data: dict[str, Any], model: dict[str, Any], **more: Any) -> Run:
    config = {
        "name": name,
        "data": data,
        "model": model,
        "optimizer": {"name": "adam", "lr": 0.05},
        "train": {"epochs": 8},
    }
    return nnzoo.train({**config, **more}, quiet=True)


def tuned(data: dict[str, Any], model: dict[str, Any], **more: Any) -> Run:
    return train("tuned", data, {**model, "pretrained": "base"}, **{**KEPT, **more})


def weights(run: Run) -> dict[str, Tensor]:
    return load_artifact(run.run_dir / "best.safetensors").weights


TABULAR: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": [6]},
    "maxout": {"name": "mlp", "hidden": [4], "activation": {"name": "maxout", "num_pieces": 2}},
    "linear": {"name": "linear"},
    "kernel": {"name": "linear", "kernel": "rbf", "n_components": 30},
}


@pytest.mark.parametrize("case", TABULAR)
@pytest.mark.parametrize("zca", [False, True])
def test_columns_in_another_order_keep_the_function(case: str, zca: bool) -> None:
    columns = table(np.random.default_rng(0))
    more = {"preprocess": {"zca": zca}}
    base = train("base", {"name": "csv", "path": write("a.csv", columns), "target": "y"}, TABULAR[case], **more)
    shuffled = {name: columns[name] for name in ("c", "flag", "y", "b", "kind", "a")}
    run = tuned({"name": "csv", "path": write("b.csv", shuffled), "target": "y"}, TABULAR[case], **more)
    rows = {name: values[:40] for name, values in columns.items() if name != "y"}
    found, expected = run.model.predict_proba(rows), base.model.predict_proba(rows)
    assert np.abs(found - expected).max() < 1e-5
    assert (run.model.predict(rows) == base.model.predict(rows)).all()


def test_two_columns_swapped(capsys: pytest.CaptureFixture[str]) -> None:
    """With two columns swapped, the accuracy is 1; matched by position it would be 0.5."""
    rng = np.random.default_rng(1)
    y = np.arange(80) % 2
    x1, x2 = np.where(y, 1.5, -1.5) + 0.3 * rng.normal(size=80), rng.normal(size=80)
    names = np.array(["q", "p"])[y].tolist()
    train(
        "base", {"name": "csv", "path": write("a.csv", {"x1": x1, "x2": x2, "y": names}), "target": "y"}, TABULAR["mlp"]
    )
    run = nnzoo.train(
        {
            "data": {"name": "csv", "path": write("b.csv", {"x2": x2, "x1": x1, "y": names}), "target": "y"},
            "model": {**TABULAR["mlp"], "pretrained": "base"},
            **KEPT,
        }
    )
    assert run.metrics["test/accuracy"] == 1.0
    assert (
        "2 inputs in a different order, matched by name; the last layer (output) is copied" in capsys.readouterr().err
    )


def test_new_and_missing_columns_and_categories(capsys: pytest.CaptureFixture[str]) -> None:
    columns = table(np.random.default_rng(0))
    base = train("base", {"name": "csv", "path": write("a.csv", columns), "target": "y"}, TABULAR["mlp"])
    renamed = {"red": "amber", "green": "green", "blue": "blue"}
    other = {
        "kind": [renamed[each] for each in columns["kind"]],
        "z": np.random.default_rng(3).normal(size=120).tolist(),
        "b": columns["b"],
        "a": columns["a"],
        "y": columns["y"],
    }
    config = {
        "data": {"name": "csv", "path": write("b.csv", other), "target": "y"},
        "model": {**TABULAR["mlp"], "pretrained": "base", "freeze": "backbone"},
        **KEPT,
    }
    capsys.readouterr()
    with pytest.warns(NnzooWarning) as warned:
        run = nnzoo.train({**config, "name": "tuned"})
    output = "\n".join([capsys.readouterr().err, *(str(each.message) for each in warned)])
    assert "4 of 6 inputs matched by name" in output
    assert re.search(r"2 inputs not in the checkpoint, initialized by `init`: 'kind=amber', 'z'", output)
    assert re.search(
        r"4 inputs of the checkpoint not in this data, dropped: 'kind=red', 'flag', 'c', 'c is missing'", output
    )
    assert "hidden.0.linear.weight is frozen, so new inputs keep their initial weights" in output
    there, here = base.model.metadata.feature_names, run.model.metadata.feature_names
    old, new = (weights(each)["hidden.0.linear.weight"] for each in (base, run))
    for name in set(there) & set(here):
        assert new[:, here.index(name)].equal(old[:, there.index(name)])
    torch.manual_seed(0)
    fresh = nnzoo.build_model({**config, "model": TABULAR["mlp"]}).get_parameter("hidden.0.linear.weight")
    for name in set(here) - set(there):
        assert new[:, here.index(name)].equal(fresh[:, here.index(name)])


def test_names_are_equal_however_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    """Categories 1, 2, 3 and 1.0, 2.0, 3.0; classes True and False, and no and yes."""
    rng = np.random.default_rng(0)
    x, kind = rng.normal(size=60).round(3), rng.integers(1, 4, 60)
    y = x + kind > 2
    first = {"k": kind, "x": x, "y": y}
    second = {"x": x, "k": [f"{each}.0" for each in kind], "y": np.where(y, "YES", "No")}
    settings = {"name": "csv", "target": "y", "categorical": ["k"]}
    base = train("base", {**settings, "path": write("a.csv", first)}, TABULAR["mlp"])
    capsys.readouterr()
    model = {**TABULAR["mlp"], "pretrained": "base"}
    run = nnzoo.train({"data": {**settings, "path": write("b.csv", second)}, "model": model, **KEPT})
    output = capsys.readouterr().err
    assert "4 inputs in a different order, matched by name; the last layer (output) is copied" in output
    rows = {"x": x[:20].tolist(), "k": kind[:20].tolist()}
    assert np.abs(run.model.predict_proba(rows) - base.model.predict_proba(rows)).max() < 1e-5


@pytest.mark.parametrize("task", ["classes", "values", "labels"])
def test_outputs_of_the_same_name_are_copied(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).round(4)
    first: dict[str, Any] = {"x1": x[:, 0], "x2": x[:, 1]}
    second = dict(first)
    if task == "classes":
        first["y"] = [("a", "c", "d")[index % 3] for index in range(60)]
        second["y"] = [("a", "b", "c", "e")[index % 4] for index in range(60)]
        target: Any = {"base": "y", "tuned": "y"}
        pairs = {0: 0, 2: 1}
    else:
        values = rng.normal(size=(4, 60)) if task == "values" else rng.integers(0, 2, (4, 60))
        first |= {"t1": values[0], "t2": values[1]}
        second |= {"t3": values[2], "t2": values[1], "t1": values[0]}
        target = {"base": ["t1", "t2"], "tuned": ["t3", "t2", "t1"]}
        pairs = {1: 1, 2: 0}
    kind = {"classes": "classification", "values": "regression", "labels": "multilabel"}[task]
    settings = {"name": "csv", "task": kind}
    base = train("base", {**settings, "path": write("a.csv", first), "target": target["base"]}, TABULAR["mlp"])
    capsys.readouterr()
    run = nnzoo.train(
        {
            "data": {**settings, "path": write("b.csv", second), "target": target["tuned"]},
            "model": {**TABULAR["mlp"], "pretrained": "base"},
            **KEPT,
        }
    )
    output = capsys.readouterr().err
    assert (
        f"the last layer (output) is copied: {len(pairs)} of {2 + len(pairs) - (task != 'classes')} outputs" in output
    )
    for part in ("weight", "bias"):
        old, new = (weights(each)[f"output.linear.{part}"] for each in (base, run))
        assert all(new[here].equal(old[there]) for here, there in pairs.items())


SERIES: dict[str, dict[str, Any]] = {
    "mlp": {"name": "mlp", "hidden": [6]},
    "lstm": {"name": "lstm", "hidden_size": 5, "bidirectional": True},
    "gru": {"name": "gru", "hidden_size": 5, "num_layers": 2},
    "rnn": {"name": "rnn", "hidden_size": 5},
    "cnn": {"name": "cnn", "blocks": [{"conv": {"out_channels": 4, "kernel_size": 3}}]},
    "cnn, pooled first": {"name": "cnn", "blocks": [{"pool": {"kind": "max", "kernel_size": 2}}], "head": [4]},
}


@pytest.mark.parametrize("difference", [False, "auto"])
@pytest.mark.parametrize("case", SERIES)
def test_features_of_a_series_in_another_order(case: str, difference: bool | str) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 150)).cumsum(1).round(3)
    columns = {"p": values[0], "q": values[1], "r": values[2]}
    settings = {
        "name": "series",
        "target": ["p", "q"],
        "window": 6,
        "horizon": 2,
        "path": write("a.csv", columns),
        "difference": difference,
    }
    base = train("base", {**settings, "features": ["p", "q", "r"]}, SERIES[case])
    run = tuned({**settings, "target": ["q", "p"], "features": ["r", "q", "p"]}, SERIES[case])
    x = values.T[:12].reshape(2, 6, 3)
    found, expected = run.model.predict(x[:, :, ::-1].copy()), base.model.predict(x)
    order = [list(run.model.metadata.target_names).index(name) for name in base.model.metadata.target_names]
    assert np.abs(found[:, order] - expected).max() < 1e-3 * np.abs(expected).max()


def test_the_only_feature_of_another_series_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("load", "price"):
        write(f"{name}.csv", {name: np.sin(np.arange(90) / 5)})
    base = train("base", {"name": "series", "path": "load.csv", "target": "load", "window": 4}, SERIES["gru"])
    data = {"name": "series", "path": "price.csv", "target": "price", "window": 4}
    run = nnzoo.train({"data": data, "model": {**SERIES["gru"], "pretrained": "base"}, **KEPT})
    output = capsys.readouterr().err
    assert "its only input 'load' as 'price'; the last layer (output) is initialized: the targets differ" in output
    name = "network.recurrent.0.weight_ih_l0"
    assert weights(run)[name].equal(weights(base)[name])


FIRST = ["good film", "bad film", "good fun here", "bad plot here", "good good plot", "bad bad fun"] * 6
SECOND = ["plot bad today", "film good today", "fun good", "here bad", "plot plot good", "film film bad"] * 6
WORDS: dict[str, dict[str, Any]] = {
    "lstm": {"name": "lstm", "hidden_size": 5, "bidirectional": True},
    "cnn": {
        "name": "cnn",
        "blocks": [{"conv": {"out_channels": 4, "kernel_size": 2, "padding": "same"}}, {"global_pool": "max"}],
    },
}


@pytest.mark.parametrize("case", WORDS)
def test_words_keep_their_vectors(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Frequencies differ, so that each word has another number; and the vocabularies have other sizes."""
    for name, texts in (("a", FIRST), ("b", SECOND)):
        write(f"{name}.csv", {"text": texts, "y": ["yes" if "good" in text else "no" for text in texts]})
    settings = {"name": "text", "text": "text", "target": "y", "max_length": 4, "split": {"val": 0.2, "test": 0.0}}
    base = train("base", {**settings, "path": "a.csv"}, WORDS[case])
    capsys.readouterr()
    with pytest.warns(NnzooWarning) as warned:
        run = nnzoo.train(
            {"data": {**settings, "path": "b.csv"}, "model": {**WORDS[case], "pretrained": "base"}, **KEPT}
        )
    output = "\n".join([capsys.readouterr().err, *(str(each.message) for each in warned)])
    assert "8 of 9 tokens matched by name" in output
    assert "1 token not in the checkpoint, initialized by `init`: 'today'" in output
    texts = ["good film", "bad plot", "fun here", "plot nowhere good"]
    assert np.abs(run.model.predict_proba(texts) - base.model.predict_proba(texts)).max() < 1e-5
    with pytest.raises(ConfigError, match=r"its tokens are of a different kind \(got char, the checkpoint has word\)"):
        tuned({**settings, "path": "b.csv", "tokenizer": "char"}, WORDS[case])


def test_tokens_of_a_language_model_keep_vectors_and_classes() -> None:
    Path("a.txt").write_text("abcd abca abdc " * 30)
    Path("b.txt").write_text("ddcb dcba ddde " * 30)
    model = {"name": "gru", "hidden_size": 6}
    base = train("base", {"name": "language", "path": "a.txt", "sequence_length": 8}, model)
    run = tuned({"name": "language", "path": "b.txt", "sequence_length": 8}, model)
    assert base.model.classes != run.model.classes
    vectors, rows = "embedding.weight", "output.linear.weight"
    old, new = weights(base), weights(run)
    for symbol in "abcd ":
        there, here = (each.model.classes.index(symbol) for each in (base, run))
        # Class c is token c + 1.
        assert new[vectors][here + 1].equal(old[vectors][there + 1])
        assert new[rows][here].equal(old[rows][there])


def test_trees_keep_the_vectors_of_words() -> None:
    Path("a.txt").write_text("(3 (2 it) (4 (3 is) (4 fun)))\n(1 (2 it) (1 (2 is) (0 bad)))\n" * 8)
    Path("b.txt").write_text("(0 (0 bad) (1 (0 bad) (2 day)))\n(4 (4 fun) (3 (2 is) (2 it)))\n" * 8)
    model = {"name": "tree_lstm", "hidden_size": 4}
    base = train("base", {"name": "trees", "path": "a.txt"}, model)
    run = tuned({"name": "trees", "path": "b.txt"}, model)
    symbols = [each.model.reader.vocabulary.names for each in (base, run)]  # type: ignore[attr-defined]
    assert symbols[0] != symbols[1]
    old, new = weights(base)["embedding.weight"], weights(run)["embedding.weight"]
    for word in set(symbols[0]) & set(symbols[1]):
        assert new[symbols[1].index(word)].equal(old[symbols[0].index(word)])


def test_arrays_have_no_names_and_keep_their_positions(capsys: pytest.CaptureFixture[str]) -> None:
    columns = table(np.random.default_rng(0))
    numbers = {name: columns[name] for name in ("a", "b", "y")}
    base = train("base", {"name": "csv", "path": write("a.csv", numbers), "target": "y"}, TABULAR["mlp"])
    np.savez("n.npz", x=np.array([columns["a"], columns["b"]]).T, y=np.array(columns["y"]))
    capsys.readouterr()
    run = nnzoo.train(
        {"data": {"name": "arrays", "path": "n.npz"}, "model": {**TABULAR["mlp"], "pretrained": "base"}, **KEPT}
    )
    assert "inputs by position, since this data does not name them" in capsys.readouterr().err
    assert weights(run)["hidden.0.linear.weight"].equal(weights(base)["hidden.0.linear.weight"])
    np.savez("n.npz", x=np.zeros((60, 3)) + np.arange(60)[:, None], y=np.array(columns["y"][:60]))
    with pytest.raises(
        ConfigError, match=r"hidden\.0\.linear\.weight has the shape \(6, 2\) in the checkpoint and has"
    ):
        tuned({"name": "arrays", "path": "n.npz"}, TABULAR["mlp"])


def test_inputs_that_cannot_be_matched_are_refused() -> None:
    columns = table(np.random.default_rng(0))
    train("base", {"name": "csv", "path": write("a.csv", columns), "target": "y"}, TABULAR["mlp"])
    renamed = {f"new {name}" if name != "y" else name: values for name, values in columns.items()}
    with pytest.raises(
        ConfigError, match=r"none of its 8 inputs \('a', .*\) is an input of this data \('new a', .*rename"
    ):
        tuned({"name": "csv", "path": write("b.csv", renamed), "target": "y"}, TABULAR["mlp"])
    pca = {"preprocess": {"pca": {"n_components": 3}}}
    train("base-pca", {"name": "csv", "path": "a.csv", "target": "y"}, TABULAR["mlp"], **pca)
    fewer = {name: values for name, values in columns.items() if name != "b"}
    data = {"name": "csv", "path": write("c.csv", fewer), "target": "y"}
    model = {**TABULAR["mlp"], "pretrained": "base-pca"}
    with pytest.raises(ConfigError, match="principal components of different inputs cannot be matched by name"):
        train("tuned", data, model, **KEPT, **pca)
    with pytest.raises(ConfigError, match="principal components of different inputs cannot be matched by name"):
        train("tuned", {**data, "path": "a.csv", "ignore": ["kind"]}, model, **KEPT)
    # Principal components are ordered by their variance, not by the columns.
    shuffled = {name: columns[name] for name in reversed(columns)}
    run = train("tuned", {**data, "path": write("d.csv", shuffled)}, model, **KEPT, **pca)
    base = nnzoo.load("base-pca")
    rows = {name: values[:20] for name, values in columns.items() if name != "y"}
    assert np.abs(run.model.predict_proba(rows) - base.predict_proba(rows)).max() < 1e-4
    # Groups of channels are read separately.
    write("s.csv", {name: np.random.default_rng(5).normal(size=60) for name in "pq"})
    grouped = {"name": "cnn", "blocks": [{"conv": {"out_channels": 4, "kernel_size": 3, "groups": 2}}]}
    series = {"name": "series", "path": "s.csv", "target": "p", "window": 5}
    train("base-groups", {**series, "features": ["p", "q"]}, grouped)
    with pytest.raises(ConfigError, match="are in a different order than those of this data, and this network cannot"):
        train("tuned", {**series, "features": ["q", "p"]}, {**grouped, "pretrained": "base-groups"})


@pytest.mark.parametrize("loss", ["bce", "hinge", "cross_entropy"])
def test_two_classes_in_another_order(loss: str) -> None:
    """Two digits in torchvision's layout; the config sets the order of the classes."""
    import struct

    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    images = (rng.integers(0, 60, (80, 28, 28)) + 150 * labels[:, None, None]).astype(np.uint8)
    folder = Path("root/MNIST/raw")
    folder.mkdir(parents=True)
    for split in ("train", "t10k"):
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, 80, 28, 28) + images.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(
            struct.pack(">2i", 2049, 80) + labels.astype(np.uint8).tobytes()
        )
    data = {"name": "mnist", "root": "root", "download": False}
    model = {"name": "mlp", "hidden": [4]}
    base = train("base", {**data, "classes": [0, 1]}, model, loss=loss)
    run = tuned({**data, "classes": [1, 0]}, model, loss=loss)
    assert run.model.classes == base.model.classes[::-1]
    assert (run.model.predict(images[:20, None]) == base.model.predict(images[:20, None])).all()
    assert run.metrics["test/accuracy"] == base.metrics["test/accuracy"] == 1.0
