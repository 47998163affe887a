"""Columns next to the predictions for new data: files, rows, copied columns."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnzoo.cli.app import run as nnzoo
from nnzoo.experiment import metadata
from nnzoo.experiment.train.run import train
from nnzoo.run.artifact import Artifact, load_artifact


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


TABLE = "id,a,b,y\n" + "".join(f"{1000 + i},{i % 7},{i % 5},{('no', 'yes')[i % 2]}\n" for i in range(60))
NEW = 'b,id,note,a\n1,00501,"x, y ",3\n2,1e22,,4\n3, 7 ,?,5\n'


def trained(**data: Any) -> None:
    Path("t.csv").write_text(TABLE)
    settings = {"name": "csv", "path": "t.csv", "target": "y", "features": ["a", "b"], **data}
    train({"name": "r", "data": settings, "model": "linear", "train": {"epochs": 1}}, quiet=True)


def predicted(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    capsys.readouterr()
    code = nnzoo(["predict", "r", *arguments])
    out, err = capsys.readouterr()
    assert code == 0, err
    return list(csv.DictReader(io.StringIO(out)))


def test_one_file_is_identified_by_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    Path("new.csv").write_text(NEW)
    rows = predicted(capsys, "new.csv")
    assert list(rows[0]) == ["input", "prediction", "probability_no", "probability_yes"]
    assert [row["input"] for row in rows] == ["0", "1", "2"]


@pytest.mark.parametrize("inputs", [["parts"], ["parts/*.csv"], ["parts/1.csv", "parts/2.csv"]])
def test_several_files_have_their_names_and_rows(inputs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    Path("parts").mkdir()
    lines = TABLE.splitlines()
    Path("parts/1.csv").write_text("\n".join(lines[:13]) + "\n")
    Path("parts/2.csv").write_text("\n".join([lines[0], *lines[13:20]]) + "\n")
    rows = predicted(capsys, *inputs, "--keep", "id")
    assert list(rows[0])[:4] == ["input", "file", "row", "id"]
    assert [row["input"] for row in rows] == list(map(str, range(19)))
    expected = [("parts/1.csv", str(row)) for row in range(12)] + [("parts/2.csv", str(row)) for row in range(7)]
    assert [(row["file"], row["row"]) for row in rows] == expected
    assert [row["id"] for row in rows] == [str(1000 + number) for number in range(19)]
    assert nnzoo(["predict", "r", *inputs, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][12]["row"] == 0


def test_columns_are_kept_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    Path("new.csv").write_text(NEW)
    rows = predicted(capsys, "new.csv", "--keep", "id", "--keep", "note")
    assert list(rows[0])[:4] == ["input", "id", "note", "prediction"]
    assert [row["id"] for row in rows] == ["00501", "1e22", " 7 "]
    with Path("new.csv").open() as file:
        assert [row["note"] for row in rows] == [row["note"] for row in csv.DictReader(file)]
    rows = predicted(capsys, "new.csv", "--keep", "all", "--output", "out.csv") or []
    with Path("out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["input", "b", "id", "note", "a", "prediction"]
    # Predictions can be the input of another prediction: no column occurs twice.
    rows = predicted(capsys, "out.csv", "--keep", "all")
    assert list(rows[0])[:3] == ["input", "kept_input", "b"]
    assert len(set(rows[0])) == len(rows[0])
    assert [row["kept_prediction"] for row in rows] == [row["prediction"] for row in rows]


def test_kept_columns_of_text_and_of_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [f"{i},word{i % 4} here,{('no', 'yes')[i % 2]}" for i in range(40)]
    Path("t.csv").write_text("\n".join(["id,text,y", *lines]) + "\n")
    data = {"name": "text", "path": "t.csv", "text": "text", "target": "y"}
    train({"name": "r", "data": data, "model": "gru", "train": {"epochs": 1}}, quiet=True)
    Path("a.csv").write_text("text,id\nword1 here,x 7\nword2,8\n")
    Path("b.csv").write_text("id,text\n9,here\n")
    rows = predicted(capsys, "a.csv", "b.csv", "--keep", "id")
    assert [[row[key] for key in ("input", "file", "row", "id")] for row in rows] == [
        ["word1 here", "a.csv", "0", "x 7"],
        ["word2", "a.csv", "1", "8"],
        ["here", "b.csv", "0", "9"],
    ]
    steps = [f"{i % 20},{i},{i % 3},{('no', 'yes')[i % 2]}" for i in range(60)]
    Path("s.csv").write_text("\n".join(["who,when,a,y", *steps]) + "\n")
    sequences = {"name": "csv", "path": "s.csv", "target": "y", "sequence_id": "who", "features": ["a"]}
    train({"name": "r", "data": sequences, "model": "gru", "train": {"epochs": 1}}, quiet=True, overwrite=True)
    rows = predicted(capsys, "s.csv", "--keep", "when")
    assert [(row["input"], row["when"]) for row in rows] == [(str(i), str(i + 40)) for i in range(20)]


def test_other_inputs_have_no_columns(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    Path("new.csv").write_text(NEW)
    capsys.readouterr()
    assert nnzoo(["predict", "r", "new.csv", "--keep", "ids"]) == 3
    assert "has no column 'ids' (it has: b, id, note, a). Did you mean 'id'?" in capsys.readouterr().err
    np.savez("a.npz", x=np.random.default_rng(0).normal(size=(40, 2)), y=np.arange(40) % 2)
    np.save("one.npy", np.zeros((2, 2)))
    np.save("two.npy", np.zeros((1, 2)))
    data = {"name": "arrays", "path": "a.npz"}
    train({"name": "r", "data": data, "model": "linear", "train": {"epochs": 1}}, quiet=True, overwrite=True)
    assert nnzoo(["predict", "r", "one.npy", "--keep", "all"]) == 2
    assert "are not rows of a table, so there are no columns to keep" in capsys.readouterr().err
    rows = predicted(capsys, "one.npy", "two.npy")
    assert [(row["input"], row["file"], row["row"]) for row in rows] == [
        ("0", "one.npy", "0"),
        ("1", "one.npy", "1"),
        ("2", "two.npy", "0"),
    ]


def test_several_series_lines_and_trees_have_their_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.csv").write_text("y\n" + "".join(f"{i % 5}\n" for i in range(60)))
    Path("u.csv").write_text("y\n" + "".join(f"{i % 4}\n" for i in range(30)))
    data = {"name": "series", "path": "s.csv", "target": "y", "window": 4, "horizon": 2}
    train({"name": "r", "data": data, "model": "gru", "train": {"epochs": 1}}, quiet=True)
    rows = predicted(capsys, "s.csv", "u.csv")
    assert [(row["input"], row["file"]) for row in rows] == [
        ("60", "s.csv"), ("61", "s.csv"), ("30", "u.csv"), ("31", "u.csv"),
    ]  # fmt: skip
    Path("l.txt").write_text("abcab\ncabba\n" * 20)
    Path("m.txt").write_text("abc\n\ncba\n")
    train(
        {
            "name": "r",
            "data": {"name": "language", "path": "l.txt", "by_line": True},
            "model": "gru",
            "train": {"epochs": 1},
        },
        quiet=True,
        overwrite=True,
    )
    assert [row["input"] for row in predicted(capsys, "m.txt")] == ["1", "3"]
    assert len(predicted(capsys, "l.txt", "m.txt")) == 42
    assert [(row["file"], row["row"]) for row in predicted(capsys, "l.txt", "m.txt")[40:]] == [
        ("m.txt", "0"),
        ("m.txt", "2"),
    ]


@pytest.mark.parametrize("text", [["--text", "ab"], []])
def test_the_checkpoint_is_read_once(
    text: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("l.txt").write_text("abcab\ncabba\n" * 20)
    config = {"name": "r", "data": {"name": "language", "path": "l.txt"}, "model": "gru", "train": {"epochs": 1}}
    train(config, quiet=True)
    opened = []

    def read(path: Path) -> Artifact:
        opened.append(path)
        return load_artifact(path)

    monkeypatch.setattr(metadata, "load_artifact", read)
    assert nnzoo(["predict", "r", *(text or ["l.txt"]), "--length", "5"]) == 0
    assert len(opened) == 1
