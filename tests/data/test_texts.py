"""Tests of text classification: reading, dividing, tokenizing, training, and predicting from only the weights."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnzoo
from nnzoo.cli.app import run as cli
from nnzoo.data import Dataset, Division, TextReader, load_text
from nnzoo.data.vocabulary import UNKNOWN
from nnzoo.errors import DataError
from nnzoo.run.artifact import load_artifact, save_artifact

COLOURS = {"warm": ["red", "orange", "yellow", "scarlet"], "cold": ["blue", "cyan", "teal", "navy"]}
SHORT = {"epochs": 2, "batch_size": 16}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def samples(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Returns texts of one to six words, one of which is a colour of the class."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        label = str(rng.choice(list(COLOURS)))
        words = [str(rng.choice(["a", "the", "old", "car,", 'a "quoted" word', "of"])) for _ in range(rng.integers(6))]
        words.insert(int(rng.integers(len(words) + 1)), str(rng.choice(COLOURS[label])))
        rows.append((" ".join(words), label))
    return rows


def write_csv(path: str, rows: list[tuple[str, str]], header: tuple[str, ...] = ("what", "kind"), **how: Any) -> None:
    with Path(path).open("w", encoding=how.pop("encoding", "utf-8"), newline="") as file:
        writer = csv.writer(file, lineterminator="\n", **how)
        writer.writerows([*([header] if header else []), *rows])


def read(**words: Any) -> Dataset:
    split = words.pop("split", {})
    return load_text(division=Division(**split), **words)


def tokens(dataset: Dataset, split: str) -> list[list[int]]:
    part = dataset.splits[split]
    assert part.lengths is not None
    return [row[:length].tolist() for row, length in zip(part.inputs, part.lengths, strict=True)]


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def train_on_columns() -> dict[str, Any]:
    write_csv("train.csv", samples(80))
    write_csv("test.csv", samples(20, seed=1))
    data = {"name": "text", "path": "train.csv", "test_path": "test.csv", "target": "kind"}
    return {"name": "r", "data": data, "model": {"name": "gru", "hidden_size": 8}, "train": SHORT}


def test_predictions_from_the_weights_alone_equal_those_of_the_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = nnzoo.train(train_on_columns(), quiet=True)
    known = table(Path("runs/r/predictions.csv").read_text())
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move("test.csv", elsewhere / "new.csv")
    shutil.move("runs/r/best.safetensors", elsewhere)
    shutil.rmtree("runs")
    Path("train.csv").unlink()
    arguments = [sys.executable, "-m", "nnzoo", "predict", "best.safetensors", "new.csv"]
    environment = {**os.environ, "PYTHONPATH": str(Path(nnzoo.__file__).parents[1])}
    out = subprocess.run(arguments, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True).stdout
    found = table(out)
    assert [row["input"] for row in found] == [text for text, _ in samples(20, seed=1)]
    keys = ["prediction", "probability_cold", "probability_warm"]
    assert [[row[key] for key in keys] for row in found] == [[row[key] for key in keys] for row in known]
    assert cli(["eval", "elsewhere/best.safetensors", "--data", "elsewhere/new.csv", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert {f"test/{key}": value for key, value in measured["metrics"].items()}.items() <= run.metrics.items()
    assert measured["baseline"].items() == {"accuracy": run.result["baseline"]["test/accuracy"]}.items()


def test_texts_from_python_stdin_and_options(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nnzoo.train(train_on_columns(), quiet=True)
    model = nnzoo.load("r")
    texts = ["a red car,", "", "the old unheard of blue"]
    expected = model.predict_proba(texts)
    # The amount of padding does not change predictions.
    alone = np.concatenate([model.predict_proba([text]) for text in texts])
    np.testing.assert_allclose(alone, expected, rtol=1e-5)
    assert model.predict(texts).tolist() == [model.classes[index] for index in expected.argmax(1)]
    Path("lines.txt").write_text("\n".join(texts) + "\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(texts).encode())))
    for arguments in (["lines.txt"], ["-"], [part for text in texts for part in ("--text", text)]):
        capsys.readouterr()
        assert cli(["predict", "r", *arguments]) == 0
        found = table(capsys.readouterr().out)
        assert [row["input"] for row in found] == texts
        np.testing.assert_allclose([float(row["probability_cold"]) for row in found], expected[:, 0], rtol=1e-5)
    assert cli(["predict", "r", "lines.txt", "--text", "both"]) == 2
    nnzoo.train({"name": "numbers", "data": "iris", "model": "linear", "train": {"epochs": 1}}, quiet=True)
    capsys.readouterr()
    assert cli(["predict", "numbers", "--text", "red"]) == 2
    assert "only networks trained on" in capsys.readouterr().err


def test_class_files_with_a_character_tokenizer() -> None:
    Path("kinds").mkdir()
    for label, colours in COLOURS.items():
        lines = [f"{word}{number}\n\n" for number in range(15) for word in colours]
        Path(f"kinds/{label}.txt").write_text("".join(lines))
    Path("kinds/README.md").write_text("no class")
    words = {"name": "text", "path": "kinds", "tokenizer": "char", "split": {"val": 0.2, "test": 0.2}}
    config = {"name": "r", "data": words, "model": {"name": "cnn", "blocks": [{"global_pool": "avg"}]}, "train": SHORT}
    run = nnzoo.train({**config, "train": {"epochs": 20, "batch_size": 8}, "optimizer": {"lr": 0.05}}, quiet=True)
    assert run.metrics["test/accuracy"] == 1.0
    assert nnzoo.load("r").classes == ("cold", "warm")
    assert run.config.data.max_length == len("scarlet14")  # type: ignore[union-attr]
    Path("new").mkdir()
    shutil.copy("kinds/warm.txt", "new/warm.txt")
    assert cli(["eval", "r", "--data", "new"]) == 0
    assert cli(["eval", "r", "--data", "kinds/README.md"]) == 3


def test_the_vocabulary_is_of_only_the_training_texts() -> None:
    rows = [("common word", "a"), ("common thing", "b"), ("common stone", "a"), ("common tree", "b")]
    write_csv("train.csv", rows)
    write_csv("test.csv", [("common zebra and a whole lot of words more", "b")])
    dataset = read(path="train.csv", test_path="test.csv", target="kind", split={"val": 0.25, "stratify": False})
    assert isinstance(dataset.reader, TextReader)
    held_out = {word for row in rows for word in row[0].split()} - set(dataset.reader.vocabulary.symbols)
    assert len(held_out) == 1
    assert tokens(dataset, "val") == [[2, UNKNOWN]]
    assert tokens(dataset, "test") == [[2, UNKNOWN]]
    assert dataset.num_tokens == len(dataset.reader.vocabulary) == 2 + 4
    assert dataset.warnings == ("1 of 1 test texts are longer than 2 symbols and are truncated",)


def test_vocabulary_options() -> None:
    write_csv("t.csv", [("a a a b b c", "x"), ("A a B", "y")])
    split = {"val": 0, "test": 0}

    def symbols(**words: Any) -> tuple[str, ...]:
        reader = read(path="t.csv", target="kind", split=split, **words).reader
        assert isinstance(reader, TextReader)
        return reader.vocabulary.symbols

    assert symbols() == ("a", "b", "A", "B", "c")
    assert symbols(lowercase=True) == ("a", "b", "c")
    assert symbols(min_count=2) == ("a", "b")
    assert symbols(vocab_size=1) == ("a",)
    assert symbols(tokenizer="char")[0] == " "


def test_truncated_and_empty_texts_are_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    write_csv("t.csv", [*samples(40), ("", "warm"), ("red " * 9, "warm")])
    data = {"name": "text", "path": "t.csv", "target": "kind", "max_length": 4, "split": {"val": 0, "test": 0}}
    Path("c.yaml").write_text(json.dumps({"data": data, "model": "rnn", "train": {"epochs": 1}}))
    assert cli(["train", "c.yaml"]) == 0
    error = capsys.readouterr().err
    assert "of 42 train texts are longer than 4 symbols and are truncated" in error
    assert "1 of 42 train texts have no symbol" in error
    dataset = read(path="t.csv", target="kind", max_length=4, split={"val": 0, "test": 0})
    assert dataset.input_shape == (4,)
    assert tokens(dataset, "train")[40] == [UNKNOWN]


def test_the_default_max_length_is_at_most_512() -> None:
    write_csv("t.csv", [("a " * 2000, "x"), ("b", "y")])
    dataset = read(path="t.csv", target="kind", split={"val": 0, "test": 0})
    assert dataset.input_shape == (512,)
    assert "1 of 2 train texts are longer than 512" in dataset.warnings[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("what,kind\nhow are you,a\nfine,b\n", {"target": "kind"}),
        ("kind;what\na;how are you\nb;fine\n", {"target": "kind", "text": "what"}),
        ("\ufeffid\tkind\twhat\r\n1\ta\thow are you\r\n2\tb\tfine\r\n", {"target": "kind", "text": "what"}),
        ('what,kind\n"how are you",a\n\n"fine",b\n', {"target": "kind", "header": True}),
        ("how are you|a\nfine|b\n", {"target": "1", "header": False}),
        ("how are you|a\nfine|b\n", {"names": ("what", "kind"), "target": "kind"}),
        ("what|kind\nhow are you|a\nfine|b\n", {"names": ("what", "kind"), "target": "kind"}),
        ("a how are you\nb fine\n", {"delimiter": " ", "target": "0", "header": False}),
        ("a:how are you\nb:fine\n", {"delimiter": ":", "names": ("kind", "what"), "target": "kind"}),
        ("kind::what\na::how are you\nb::fine\n", {"delimiter": "::", "target": "kind"}),
        ("kind\twhat\na\thow are you\nb\tfine\n", {"delimiter": "\t", "target": "kind"}),
    ],
)
def test_file_formats(text: str, words: dict[str, Any]) -> None:
    Path("t.csv").write_bytes(text.encode())
    dataset = read(path="t.csv", split={"val": 0, "test": 0}, **words)
    assert dataset.classes == ("a", "b")
    assert dataset.train.targets.tolist() == [0, 1]
    assert dataset.train.lengths is not None
    assert dataset.train.lengths.tolist() == [3, 1]
    assert isinstance(dataset.reader, TextReader)
    # The reader gives the same, with and without labels.
    again = dataset.reader.read([Path("t.csv")], dataset.schema, labelled=True)
    assert torch.equal(again.inputs, dataset.train.inputs)
    assert again.targets is not None
    assert torch.equal(again.targets, dataset.train.targets)
    assert list(dataset.reader.read([Path("t.csv")], dataset.schema, labelled=False).names) == ["how are you", "fine"]


def test_labels_can_equal_column_positions() -> None:
    Path("t.all").write_text("0 how are you\n1 fine and you\n0 who\n1 me\n")
    dataset = read(path="t.all", target="0", delimiter=" ", split={"val": 0, "test": 0})
    assert dataset.classes == ("0", "1")
    assert dataset.input_shape == (3,)
    assert dataset.choices["text"] == "1"


def test_quotes_in_tab_separated_texts_are_literal() -> None:
    Path("t.tsv").write_text('ham\t"hello" he said\nspam\t"unclosed\nham\tmore\n')
    dataset = read(path="t.tsv", target="0", tokenizer="char", split={"val": 0, "test": 0})
    assert dataset.reader is not None
    names = dataset.reader.read([Path("t.tsv")], dataset.schema, labelled=False).names
    assert list(names) == ['"hello" he said', '"unclosed', "more"]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_encodings(encoding: str) -> None:
    write_csv("t.csv", [("Zürich", "a"), ("Genève", "b")], encoding=encoding)
    dataset = read(path="t.csv", target="kind", split={"val": 0, "test": 0})
    assert isinstance(dataset.reader, TextReader)
    assert dataset.reader.vocabulary.symbols == ("Genève", "Zürich")
    assert dataset.choices["encoding"] == {"utf-16": "utf-16"}.get(encoding, encoding)


def test_equal_samples_are_dropped_first() -> None:
    write_csv("t.csv", [("a  b", "x"), ("a b", "x"), ("a b", "y"), ("b a", "x")] * 5)
    dataset = read(path="t.csv", target="kind", split={"val": 0, "test": 0, "deduplicate": True})
    assert len(dataset.train) == 3
    assert dataset.notes == ("deduplicate: dropped 17 of 20 samples, each equal to an earlier one",)


def test_limit_is_balanced_over_class_files() -> None:
    for label in "abc":
        Path(f"{label}.txt").write_text("".join(f"{label}{number}\n" for number in range(5)))
    dataset = read(path="*.txt", limit=4, split={"val": 0, "test": 0})
    assert dataset.train.targets.tolist() == [0, 0, 1, 2]
    write_csv("t.csv", samples(9))
    assert len(read(path="t.csv", target="kind", limit=4, split={"val": 0, "test": 0}).train) == 4


GOOD = "text,kind\nred,a\nblue,b\n"


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        (None, {}, "t.csv: there is no such file"),
        (b"", {}, "t.csv: is empty"),
        (b"text,kind\n", {}, "t.csv: has a header but no rows"),
        (b"text,sort\nred,a\n", {}, "t.csv: has no column 'kind' (it has: text, sort)"),
        (
            b"text,kind\nred,a\nblue, green,b\n",
            {},
            "t.csv: line 3 has a different number of cells than the header (got 3, expected",
        ),
        (
            b"text,kind\n\nred,a\nblue\n",
            {"ragged": "error"},
            "t.csv: line 4 has a different number of cells than the header (got 1, expected",
        ),
        (
            b'text,kind\n"two\nlines",a\nblue\n',
            {"ragged": "error"},
            "t.csv: line 4 has a different number of cells than the header (got 1, expected",
        ),
        (b'text,kind\nred,a\n"blue,b\n', {}, "t.csv: line 3 has a quote that is not closed"),
        (b"text,kind\nred,a\nblue,\n", {}, "t.csv: line 3: column 'kind': the target is missing (1 of 2 rows)"),
        (b"text,kind\nred,a\nblue,a\n", {}, "there is only one class (a)"),
        (b"text,kind,text\nred,a,b\n", {}, "t.csv: it is not clear which column contains the text (got text, text.1"),
        (b"text,more,kind\nred,x,a\nblue,x,b\n", {}, "t.csv: it is not clear which column contains the text"),
        (b"text,kind\nred,a\nblu\xe9,b\n", {"encoding": "utf-8"}, "t.csv: line 3 is not valid utf-8"),
        (GOOD.encode(), {"text": "words"}, "t.csv: has no column 'words' (it has: text, kind)"),
        (GOOD.encode(), {"text": "kind"}, "t.csv: column 'kind' can't be both text and target"),
        (GOOD.encode(), {"min_count": 2}, "no symbol occurs 2 or more times in the training texts"),
        (b"text,kind\n,a\n,b\n", {}, "no symbol occurs 1 or more times in the training texts"),
        (GOOD.encode(), {"target": None}, "there is only one class (t)"),
        (GOOD.encode(), {"test_path": "u.csv"}, "u.csv: line 3: the label 'c' is not a class of the training samples"),
    ],
)
def test_bad_files_are_named(
    content: bytes | None, words: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        Path("t.csv").write_bytes(content)
    Path("u.csv").write_text("text,kind\nred,a\nblue,c\n")
    data = {"name": "text", "path": "t.csv", "target": "kind", "split": {"val": 0, "test": 0}} | words
    Path("c.yaml").write_text(json.dumps({"data": data, "model": "rnn"}))
    assert cli(["train", "c.yaml"]) == 3
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("true", "True", "false"), ("false", "true")),
        (("1", "1.0", "2"), ("1", "2")),
        (("yes", "Yes", "NO"), ("NO", "yes")),
        (("Yes", "yes", "maybe"), ("maybe", "Yes", "yes")),  # as in a column, other words are not booleans
    ],
)
def test_class_files_of_equal_names_are_one_class(names: tuple[str, ...], classes: tuple[str, ...]) -> None:
    Path("kinds").mkdir()
    for name, count in zip(names, (6, 4, 6), strict=True):
        Path(f"kinds/{name}.txt").write_text(f"{name} text\n" * count)
    dataset = load_text(path="kinds", division=Division(val=0, test=0))
    assert set(dataset.classes) == set(classes)
    assert sorted(dataset.train.class_indices().bincount().tolist()) == ([6, 10] if len(classes) == 2 else [4, 6, 6])
    assert dataset.reader is not None
    new = dataset.reader.read([Path(f"kinds/{names[1]}.txt")], dataset.schema, labelled=True)
    assert new.targets is not None
    assert {dataset.classes[index] for index in new.targets.tolist()} <= {names[0], names[1]}


def test_rows_of_class_files_count_blank_lines() -> None:
    Path("kinds").mkdir()
    Path("kinds/a.txt").write_text("one\n\ntwo\n")
    Path("kinds/b.txt").write_text("\n\nthree\n")
    dataset = load_text(path="kinds", division=Division(val=0, test=0))
    assert dataset.train.origin is not None
    assert dataset.train.rows is not None
    assert dataset.train.origin.find(dataset.train.rows.numpy()) == [["a.txt", "a.txt", "b.txt"], [0, 2, 2]]
    assert list(dataset.sample_names) == ["kinds/a.txt: line 1", "kinds/a.txt: line 3", "kinds/b.txt: line 3"]


def test_empty_and_unknown_class_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("kinds").mkdir()
    Path("kinds/a.txt").write_text("some\ntext\n")
    Path("kinds/b.txt").write_text("\n \n")
    Path("kinds/c.txt").write_text("more\ntext\n")
    dataset = read(path="kinds", split={"val": 0, "test": 0})
    assert dataset.classes == ("a", "c")
    assert dataset.warnings[0].startswith("1 class file without a text was left out (kinds/b.txt)")
    Path("kinds/c.txt").unlink()
    Path("kinds/b.txt").write_text("more\ntext\n")
    Path("test").mkdir()
    Path("test/c.txt").write_text("more\n")
    with pytest.raises(DataError, match=r"c\.txt: line 1: the label 'c' is not a class of the training samples"):
        read(path="kinds", test_path="test", split={"val": 0})


@pytest.mark.parametrize("source", ["csv", "text", "series"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"encoding": "utf-9"}, "data.encoding: there is no encoding 'utf-9'"),
        ({"delimiter": '"'}, "data.delimiter: expected auto, or characters such as"),
        ({"names": ["y", "y"]}, "data.names: 'y' is listed twice"),
    ],
)
def test_table_options_have_the_same_errors_in_every_source(
    source: str, words: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"name": source, "path": "t.csv", "target": "y", **words}
    Path("c.yaml").write_text(json.dumps({"data": data, "model": "rnn"}))
    assert cli(["validate", "c.yaml"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", ["text: what", "names: [what, kind]"])
def test_columns_need_a_target(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(f"data: {{name: text, path: t.csv, {words}}}\nmodel: rnn\n")
    assert cli(["validate", "c.yaml"]) == 2
    assert "Set `target` to a column" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"max_length": 3}, {"vocabulary": {"symbols": ["a"] * 500}}])
def test_a_reader_that_does_not_match_the_schema_is_refused(
    change: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    nnzoo.train(train_on_columns(), quiet=True)
    artifact = load_artifact(Path("runs/r/best.safetensors"))
    for key, value in change.items():
        artifact.metadata["reader"][key] = (
            {**artifact.metadata["reader"][key], **value} if key == "vocabulary" else value
        )
    save_artifact(Path("other.safetensors"), artifact)
    capsys.readouterr()
    assert cli(["predict", "other.safetensors", "--text", "red"]) == 1
    assert "other.safetensors: damaged" in capsys.readouterr().err


def test_plain_lines_are_distinguished_from_tables(capsys: pytest.CaptureFixture[str]) -> None:
    config = train_on_columns()
    nnzoo.train(config, quiet=True)
    Path("lines.txt").write_text("a red car\nblue\n")
    capsys.readouterr()
    assert cli(["predict", "r", "lines.txt"]) == 0
    assert [row["input"] for row in table(capsys.readouterr().out)] == ["a red car", "blue"]
    # Without a header a table is recognised by its labels.
    write_csv("bare.csv", samples(60), header=())
    data = {"name": "text", "path": "bare.csv", "target": "1", "split": {"val": 0, "test": 0}}
    nnzoo.train({**config, "name": "bare", "data": data}, quiet=True)
    shutil.copy("bare.csv", "bare.txt")
    for file, expected in {"lines.txt": ["a red car", "blue"], "bare.txt": [text for text, _ in samples(60)]}.items():
        capsys.readouterr()
        assert cli(["predict", "bare", file]) == 0
        assert [row["input"] for row in table(capsys.readouterr().out)] == expected
