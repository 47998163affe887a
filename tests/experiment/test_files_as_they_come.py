"""Real-world files, from training to predictions on the command line: repairs are reported."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import nnzoo
from nnzoo.cli.app import run as cli

SHORT = {"epochs": 2, "batch_size": 16}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows(count: int = 60) -> list[list[Any]]:
    numbers = np.random.default_rng(0).normal(size=(count, 2)).round(3).tolist()
    return [[a, b, "pq"[a + b > 0]] for a, b in numbers]


def write(path: str, rows: list[list[Any]], header: list[str] | None = None) -> None:
    with Path(path).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([*([header] if header else []), *rows])


def train(**data: Any) -> None:
    config = {"name": "r", "data": {"name": "csv", "path": "d.csv", "target": "y", **data}, "model": "linear"}
    Path("c.yaml").write_text(json.dumps({**config, "train": SHORT}))
    assert cli(["train", "c.yaml", "-q", "--overwrite"]) == 0


def predict(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[dict[str, str]], str]:
    capsys.readouterr()
    assert cli(["predict", "r", *arguments]) == 0
    out, error = capsys.readouterr()
    return list(csv.DictReader(out.splitlines())), error


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("kind", [*PACKERS, "parquet"])
def test_compressed_data_trains_the_same_network(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("d.csv", rows(), ["a", "b", "y"])
    train()
    expected = nnzoo.load("r").predict_proba({"a": [0.5], "b": [2.5]}).tolist()
    answers = predict(capsys, "d.csv")[0]
    if kind == "parquet":
        a, b, y = zip(*rows(), strict=True)
        parquet.write_table(pa.table({"a": a, "b": b, "y": y}), "d.parquet")
        packed = Path("d.parquet")
    else:
        packed = Path(f"d.csv.{kind}")
        packed.write_bytes(PACKERS[kind](Path("d.csv").read_bytes()))
    train(path=str(packed))
    assert nnzoo.load("r").predict_proba({"a": [0.5], "b": [2.5]}).tolist() == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(packed.read_bytes())))
    assert predict(capsys, str(packed))[0] == predict(capsys, "-")[0] == answers


def test_a_header_with_the_columns_of_the_network_is_recognized(capsys: pytest.CaptureFixture[str]) -> None:
    write("d.csv", rows())
    train(names=["a", "b", "y"])
    answers, _ = predict(capsys, "d.csv")
    write("new.csv", [[y, "id", b, a, 7] for a, b, y in rows()], ["y", "id", "b", "a", "more"])
    assert predict(capsys, "new.csv")[0] == answers
    write("bare.csv", [[a, b] for a, b, _ in rows()])
    assert predict(capsys, "bare.csv")[0] == answers
    write("lacking.csv", [[a, y] for a, _, y in rows()], ["a", "y"])
    assert cli(["predict", "r", "lacking.csv"]) == 3
    # Positions are not a header of columns without names: a row may contain the same numbers.
    write("d.csv", [[1, 0, "p"], *rows()])
    train(target="2", header=False)
    write("new.csv", [[1, 0], [0, 1], *([a, b] for a, b, _ in rows())])
    assert len(predict(capsys, "new.csv")[0]) == len(rows()) + 2


def test_repairs_of_new_data_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    write("d.csv", [*rows(), ["", 1, "p"], [1, "", "q"]], ["a", "b", "y"])
    train(split={"val": 0, "test": 0})
    Path("new.csv").write_text("a,b\n1,2\n,\n3\n4,5\n")
    answers, error = predict(capsys, "new.csv")
    assert [row["input"] for row in answers] == ["0", "2", "3"]
    assert "warning: 1 row without a value was left out (new.csv: line 3)" in error
    assert "warning: 1 row with fewer cells than columns was filled" in error
    capsys.readouterr()
    assert cli(["predict", "r", "new.csv", "--strict"]) == 3
    out, error = capsys.readouterr()
    assert not out
    assert "1 row without a value was left out" in error
    Path("labelled.csv").write_text("a,b,y\n1,2,p\n3,4,\n4,5,q\n0,1,p\n")
    assert cli(["eval", "r", "--data", "labelled.csv", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["num_samples"] == 3
    assert any("1 row without a target was left out (labelled.csv: line 3" in line for line in output["warnings"])


def test_repairs_of_training_data_are_in_the_result() -> None:
    write("d.csv", [*rows(), [1.5]], ["a", "b", "y"])
    Path("d.csv").write_text(Path("d.csv").read_text() + ",,\n")
    train()
    warnings = json.loads(Path("runs/r/result.json").read_text())["warnings"]
    assert [line.split(" (")[0] for line in warnings[:3]] == [
        "1 row with fewer cells than columns was filled with missing values",
        "1 row without a value was left out",
        "1 row without a target was left out",
    ]
    assert cli(["train", "c.yaml", "data.strict=true", "--overwrite"]) == 3
    assert cli(["train", "c.yaml", "data.strict=true", "data.missing_target=drop", "--overwrite"]) == 3


def test_texts_without_known_symbols_are_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    write("d.csv", [["a red car", "w"], ["blue sea", "c"], ["red", "w"], ["the blue", "c"]] * 9, ["what", "kind"])
    config = {"name": "r", "data": {"name": "text", "path": "d.csv", "target": "kind"}, "model": "rnn"}
    Path("c.yaml").write_text(json.dumps({**config, "train": SHORT}))
    assert cli(["train", "c.yaml", "-q"]) == 0
    write("new.csv", [["red"], [""], ["?? zebra"], ["of blue"], ["yak"]], ["what"])
    answers, error = predict(capsys, "new.csv")
    assert len(answers) == 5
    assert "warning: 1 text without a symbol was read as one unknown symbol (text 2)" in error
    assert "warning: 2 texts of only unknown symbols were predicted from unknown tokens" in error
    _, error = predict(capsys, "--text", "zebra")
    assert "1 text of only unknown symbols" in error
    Path("new.csv.gz").write_bytes(gzip.compress(Path("new.csv").read_bytes()))
    assert predict(capsys, "new.csv.gz")[0] == answers


@pytest.mark.parametrize("kind", ["language", "trees"])
def test_compressed_texts_and_trees(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("parts").mkdir()
    lines = ["(3 (2 It) (4 (2 's) (4 fun)))", "(1 (2 It) (0 (2 's) (0 bad)))"] * 20
    for part in (1, 2, 10):
        Path(f"parts/t{part}.txt.gz").write_bytes(gzip.compress(("\n".join(lines) + f"\n(2 part{part})\n").encode()))
    model = {"name": "lstm", "hidden_size": 4} if kind == "language" else {"name": "recursive", "hidden_size": 4}
    config = {"name": "r", "data": {"name": kind, "path": "parts"}, "model": model}
    Path("c.yaml").write_text(json.dumps({**config, "train": SHORT}))
    assert cli(["train", "c.yaml", "-q"]) == 0
    assert "3 files are read in the order of the numbers in their names" in Path("runs/r/train.log").read_text()
    Path("new.txt").write_text("(2 zzz)\n" if kind == "trees" else "éè\n")
    assert "1 tree without a known word" in predict(capsys, "new.txt")[1] or kind == "language"
