"""Unusable data: a one-line error with its place, exit code 3, and no partial files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnzoo
from nnzoo.cli.app import run as cli

ROWS = "".join(f"{row},{'pq'[row % 2]}\n" for row in range(40))
CSV: dict[str, Any] = {"name": "csv", "path": "d.csv", "target": "y"}
LABELS: dict[str, Any] = {**CSV, "target": ["y", "z"], "task": "multilabel"}
SERIES: dict[str, Any] = {"name": "series", "path": "d.csv", "target": "x"}
ARRAYS: dict[str, Any] = {"name": "arrays", "path": "d.npz"}
TREES: dict[str, Any] = {"name": "trees", "path": "d.txt"}
IMAGES: dict[str, Any] = {"name": "image_folder", "path": "photos"}
X, Y = np.linspace(0, 1, 40).reshape(20, 2), np.arange(20) % 2


def spoiled(value: float) -> Any:
    x = X.copy()
    x[7, 1] = value
    return x


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no file": (None, CSV, "d.csv: there is no such file"),
    "empty": ("", CSV, "d.csv: is empty"),
    "header only": ("x,y\n", CSV, "d.csv: has a header but no rows"),
    "target missing": ("x,z\n" + ROWS, CSV, "d.csv: has no column 'y' (it has: x, z)"),
    "one class": ("x,y\n" + ROWS.replace("q", "p"), CSV, "d.csv: line 2: column 'y': all "),
    "all missing": ("x,y\n" + "?,p\n?,q\n" * 9, CSV, "d.csv: column 'x': has no value in any of the"),
    "text": ("x,y\n" + ROWS.replace("33,", "n.a.,"), CSV, "d.csv: line 35: column 'x': 'n.a.' is not a number"),
    "ragged": ("x,y\n" + ROWS + "1,p,3\n", CSV, "d.csv: line 42 has a different number of cells than the header"),
    "encoding": ("x,y\n" + ROWS + "1,\xe9\n", {**CSV, "encoding": "ascii"}, "d.csv: line 42 is not valid ascii"),
    "label": ("x,y,z\n" + "1,0,1\n2,1,0\n" * 9 + "3,0,7\n", LABELS, "d.csv: line 20: column 'z': '7' is not a boolean"),
    "no images": (None, IMAGES, "photos: has no images in its class folders"),
    "nan": ({"x": spoiled(np.nan), "y": Y}, ARRAYS, "d.npz: x: row 7 has NaN or inf"),
    "inf": ({"x": spoiled(np.inf), "y": Y}, ARRAYS, "d.npz: x: row 7 has NaN or inf"),
    "lengths": ({"x": X, "y": Y[:5]}, ARRAYS, "20"),
    "objects": ({"x": X.astype(object), "y": Y}, ARRAYS, "which are not supported"),
    "labels out of range": ({"x": X, "y": Y, "x_test": X, "y_test": Y + 5}, ARRAYS, "y_test: has a label that is no"),
    "tree": ("(3 (2 a) (4 b))\n(3 (2 a) (4 b)\n", TREES, "d.txt: line 2"),
    "tree label": ("(3 (2 a) (4 b))\n(3 (2 a) (9 b))\n", TREES, "d.txt: line 2"),
    "short series": ("x,y\n" + ROWS, {**SERIES, "window": 50}, "d.csv: line 2: train has 28 rows, but"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_the_error_names_the_place_and_no_run_is_left(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    content, data, message = BAD[case]
    Path("photos/cat").mkdir(parents=True)
    Path("photos/dog").mkdir()
    if isinstance(content, str):
        Path(data["path"]).write_text(content, encoding="utf-8")
    elif content is not None:
        np.savez(data["path"], **content)
    model: Any = {"name": "recursive", "hidden_size": 2} if data is TREES else "linear"
    Path("c.json").write_text(json.dumps({"data": data, "model": model}))
    before = sorted(Path().rglob("*"))
    assert cli(["train", "c.json"]) == 3
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not captured.out
    assert sorted(Path().rglob("*")) == before
    assert cli(["train", "c.json", "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "data"
    assert error["where"]
    assert error["message"] in captured.err


@pytest.mark.parametrize("case", ["no file", "empty", "header only", "text", "ragged"])
def test_bad_new_rows_write_no_predictions(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("d.csv").write_text("x,y\n" + ROWS)
    nnzoo.train({"name": "r", "data": CSV, "model": "linear", "train": {"epochs": 1}}, quiet=True)
    content, _, message = BAD[case]
    Path("d.csv").unlink()
    if content is not None:
        Path("d.csv").write_text(content)
    capsys.readouterr()
    for command in (["predict", "r", "d.csv", "--output", "out.csv"], ["eval", "r", "--data", "d.csv"]):
        assert cli(command) == 3
        assert message.split(" (")[0] in capsys.readouterr().err
    assert not Path("out.csv").exists()
