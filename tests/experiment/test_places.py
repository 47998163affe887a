"""Every row of predictions.csv identifies its sample in the data."""

from __future__ import annotations

import csv
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnzoo.experiment.train.run import train

pd = pytest.importorskip("pandas")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def predicted(data: dict[str, Any], model: Any = "mlp", **more: Any) -> list[dict[str, str]]:
    """Returns the rows of predictions.csv after a short training."""
    config = {"name": "r", "data": data, "model": model, "train": {"epochs": 1}, **more}
    run = train(config, quiet=True, overwrite=True)
    with (run.run_dir / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Returns rows whose target identifies them."""
    rng = np.random.default_rng(seed)
    return [
        {"a": f"{rng.normal():.3f}", "b": f"{rng.normal():.3f}", "y": 1000 * seed + number / 8}
        for number in range(count)
    ]


def write(name: str, rows: list[dict[str, Any]], separator: str = ",", encoding: str = "utf-8") -> None:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    lines = [list(rows[0]), *([str(row[key]) for key in rows[0]] for row in rows)]
    Path(name).write_text("\n".join(separator.join(line) for line in lines) + "\n", encoding=encoding)


def assert_joined(found: list[dict[str, str]], root: str, target: str = "y", separator: str = ",", **read: Any) -> None:
    """Asserts that the row of the file that each prediction names has its target."""
    files: dict[str, Any] = {}
    for row in found:
        if row["file"] not in files:
            files[row["file"]] = pd.read_csv(Path(root) / row["file"], sep=separator, **read)
        truth = files[row["file"]][target][int(row["row"])]
        assert row["target"] == truth or math.isclose(float(row["target"]), float(truth), rel_tol=1e-6)


def test_part_files_of_a_table() -> None:
    for number in (1, 2, 10):
        write(f"parts/p{number}.csv", numbers(30, number))
    for path in ("parts", "parts/p*.csv"):
        found = predicted({"name": "csv", "path": path, "target": "y"})
        assert {row["file"] for row in found} == {"p1.csv", "p2.csv", "p10.csv"}
        assert_joined(found, "parts")
    folder = str(Path("parts").absolute())
    assert predicted({"name": "csv", "path": folder, "target": "y"}) == predicted(
        {"name": "csv", "path": "parts", "target": "y"}
    )


def test_files_in_folders_below_the_pattern() -> None:
    for name in ("north/a", "south/a"):
        write(f"sites/{name}.csv", numbers(25, len(name)) if "north" in name else numbers(25, 7))
    found = predicted({"name": "csv", "path": "sites/*/a.csv", "target": "y"})
    assert {row["file"] for row in found} == {"north/a.csv", "south/a.csv"}
    assert_joined(found, "sites")


@pytest.mark.parametrize("split", [{}, {"deduplicate": True}, {"group": "b"}, {"test": 0.0}, {"val": 0.0, "test": 0.0}])
def test_rows_that_are_divided(split: dict[str, Any]) -> None:
    rows = numbers(60)
    write("t.csv", [*rows[:20], *rows[5:15], *rows[20:]], ";")
    found = predicted({"name": "csv", "path": "t.csv", "target": "y", "split": split})
    assert {row["file"] for row in found} == {"t.csv"}
    assert_joined(found, ".", separator=";")
    assert len({row["row"] for row in found}) == len(found)


def test_limits_given_splits_encodings_and_blank_rows() -> None:
    write("train/t.csv", numbers(40))
    write("other/new.csv", [{**row, "a": f"{row['a']}"} for row in numbers(25, 3)], encoding="utf-16")
    found = predicted({"name": "csv", "path": "train", "test_path": "other/new.csv", "target": "y", "limit": 20})
    assert [(row["file"], row["row"]) for row in found] == [("new.csv", str(row)) for row in range(20)]
    assert_joined(found, "other", encoding="utf-16")
    text = Path("train/t.csv").read_text().splitlines()
    Path("blank.csv").write_text("\n".join([*text[:10], "", *text[10:20], "", "", *text[20:]]) + "\n\n")
    assert_joined(predicted({"name": "csv", "path": "blank.csv", "target": "y"}), ".")
    Path("bare.csv").write_text("\n".join(text[1:]) + "\n")
    found = predicted({"name": "csv", "path": "bare.csv", "target": 2, "header": False})
    assert_joined(found, ".", target=2, header=None)  # type: ignore[arg-type]


def test_sequences_have_their_id() -> None:
    rows = [
        {"who": f"person {person}", "a": f"{(person * 7 + step) % 5}", "y": person}
        for step in range(3)
        for person in range(40)
    ]
    write("t.csv", rows)
    data = {"name": "csv", "path": "t.csv", "target": "y", "sequence_id": "who", "task": "regression"}
    found = predicted(data, "gru")
    assert all(row["sequence_id"] == f"person {float(row['target']):.0f}" for row in found)
    write("new.csv", [{**row, "who": f"new {row['who']}"} for row in rows[::-1]])
    found = predicted({**data, "test_path": "new.csv"}, "gru")
    assert len(found) == 40
    assert all(row["sequence_id"] == f"new person {float(row['target']):.0f}" for row in found)


@pytest.mark.parametrize("given", [False, True])
def test_images_have_their_path(given: bool) -> None:
    for split in ("train", "test") if given else (".",):
        for number, color in enumerate(("red", "green")):
            folder = Path("photos") / split / color / "more"
            folder.mkdir(parents=True)
            for index in range(12):
                Image.new("RGB", (8, 8), color).save(folder / f"{number}-{index}.png")
    (next(Path("photos").rglob("0-3.png"))).write_bytes(b"broken")
    found = predicted({"name": "image_folder", "path": "photos", "size": 8}, "mlp")
    assert found
    for row in found:
        assert (Path("photos") / row["file"]).is_file()
        assert Path(row["file"]).parts[-3] == row["target"]
        assert (row["file"].split("/")[0] == "test") == given
    assert len({row["file"] for row in found}) == len(found)


def test_texts_have_their_file_and_row() -> None:
    rows = [{"text": f"word{number} is here", "y": ("in", "out")[number % 2]} for number in range(40)]
    write("texts/a.csv", rows[:25])
    write("texts/b.csv", [*rows[25:], *rows[:3]])
    data = {"name": "text", "text": "text", "target": "y", "path": "texts"}
    for split in ({}, {"deduplicate": True}):
        found = predicted({**data, "split": split}, "gru")
        assert {row["file"] for row in found} <= {"a.csv", "b.csv"}
        assert_joined(found, "texts")
    found = predicted({**data, "path": "texts/a.csv", "test_path": "texts/b.csv"}, "gru")
    assert [(row["file"], row["row"]) for row in found] == [("b.csv", str(row)) for row in range(18)]
    assert_joined(found, "texts")


def test_files_of_a_class_count_their_lines() -> None:
    lines = {name: [f"{name} {index}" for index in range(20)] for name in ("cat", "dog")}
    Path("pets").mkdir()
    for name, each in lines.items():
        Path(f"pets/{name}.txt").write_text("\n".join([each[0], "", *each[1:]]) + "\n")
    found = predicted({"name": "text", "path": "pets/*.txt"}, "gru")
    assert found
    for row in found:
        assert row["file"] == f"{row['target']}.txt"
        texts = Path(f"pets/{row['file']}").read_text().splitlines()
        assert texts[int(row["row"])] in lines[row["target"]]
    assert len({(row["file"], row["row"]) for row in found}) == len(found)


@pytest.mark.parametrize("parts", [False, True])
def test_forecasts_have_their_time(parts: bool) -> None:
    """Unordered rows, gaps in the steps, and missing values: windows across gaps are dropped."""
    days = [day for day in range(120) if day % 37 not in (5, 6)]
    order = np.random.default_rng(0).permutation(len(days))
    rows = [
        {
            "when": f"{np.datetime64('2024-01-01') + np.timedelta64(days[index], 'D')}",
            "y": "" if index % 29 == 3 else days[index],
        }
        for index in order
    ]
    if parts:
        write("s/a.csv", rows[:50])
        write("s/b.csv", rows[50:])
    else:
        write("s/a.csv", rows)
    data = {"name": "series", "path": "s", "target": "y", "time": "when", "window": 4, "horizon": 2}
    found = predicted(data, "gru")
    assert found
    for row in found:
        value = float(row["target_y+1"])
        assert row["time"] == str(np.datetime64("2024-01-01") + np.timedelta64(round(value), "D"))
        file = pd.read_csv(Path("s") / row["file"])
        assert file["when"][int(row["row"])] == row["time"]
    write("plain.csv", [{"y": number * 3} for number in range(60)])
    plain = predicted({"name": "series", "path": "plain.csv", "target": "y", "window": 4}, "gru")
    assert list(plain[0])[:3] == ["file", "row", "target"]
    assert all(float(row["target"]) == pytest.approx(3 * int(row["row"]), rel=1e-5) for row in plain)


def test_arrays_and_generated_points_have_their_row() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savez("a.npz", x=x, y=np.arange(60.0))
    found = predicted({"name": "arrays", "path": "a.npz"})
    assert {row["array"] for row in found} == {"x"}
    assert all(float(row["target"]) == pytest.approx(float(row["row"]), rel=1e-5) for row in found)
    np.savez("a.npz", x=x, y=np.arange(60.0), x_test=x[:5], y_test=np.arange(5.0))
    found = predicted({"name": "arrays", "path": "a.npz"})
    assert [(row["array"], row["row"]) for row in found] == [("x_test", str(row)) for row in range(5)]
    found = predicted({"name": "xor"}, {"name": "mlp", "hidden": [4]})
    assert [(row["x1"], row["x2"], row["target"]) for row in found] == [
        ("0.0", "0.0", "0"), ("0.0", "1.0", "1"), ("1.0", "0.0", "1"), ("1.0", "1.0", "0"),
    ]  # fmt: skip
    found = predicted({"name": "digits"})
    assert len({row["row"] for row in found}) == len(found) == 270


def test_rows_that_are_dropped_are_counted() -> None:
    rows = numbers(60)
    for number in (3, 7, 30):
        rows[number]["y"] = ""
    write("t.csv", rows)
    found = predicted({"name": "csv", "path": "t.csv", "target": "y"})
    assert_joined(found, ".")
    text = Path("t.csv").read_text().splitlines()
    Path("long.csv").write_text("\n".join([*text[:20], "1,2,3,4,5", *text[20:]]) + "\n")
    found = predicted({"name": "csv", "path": "long.csv", "target": "y", "ragged": "skip"})
    with Path("long.csv").open(newline="") as file:
        lines = list(csv.reader(file))[1:]
    assert all(lines[int(row["row"])][2] == f"{float(row['target'])}" for row in found)


@pytest.mark.parametrize("kind", ["csv.gz", "csv.xz", "zip", "parquet", "feather"])
def test_files_of_other_kinds(kind: str) -> None:
    frame = pd.DataFrame({name: [float(row[name]) for row in numbers(60)] for name in ("a", "b", "y")})
    Path("data").mkdir()
    name = f"data/t.{kind}"
    if kind == "parquet":
        frame.to_parquet(name)
    elif kind == "feather":
        frame.to_feather(name)
    elif kind == "zip":
        with zipfile.ZipFile(name, "w") as archive:
            archive.writestr("one.csv", frame[:25].to_csv(index=False))
            archive.writestr("two.csv", frame[25:].to_csv(index=False))
    else:
        frame.to_csv(name, index=False)
    for path in (name, "data"):
        found = predicted({"name": "csv", "path": path, "target": "y"})
        starts = {"t.zip/one.csv": 0, "t.zip/two.csv": 25} if kind == "zip" else {f"t.{kind}": 0}
        assert {row["file"] for row in found} <= set(starts)
        for row in found:
            truth = frame["y"][starts[row["file"]] + int(row["row"])]
            assert float(row["target"]) == pytest.approx(truth)


def test_trees_and_lines_have_their_row() -> None:
    labels = {"good": 4, "bad": 0, "plain": 2}
    lines = [f"({labels[word]} (2 it) ({labels[word]} {word}))" for word in ("good", "bad", "plain") * 12]
    Path("t.txt").write_text("\n".join([lines[0], "", *lines[1:]]) + "\n")
    found = predicted({"name": "trees", "path": "t.txt", "labels": 2}, {"name": "tree_lstm", "hidden_size": 3})
    assert found
    for row in found:
        assert row["file"] == "t.txt"
        assert (lines[int(row["row"])][1] == "4") == (row["target"] == "positive")
    texts = [f"{letter * 3}" for letter in "abcdefghij" * 3]
    Path("l.txt").write_text("\n\n".join(texts) + "\n")
    for split in ({}, {"deduplicate": True}):
        data = {"name": "language", "path": "l.txt", "by_line": True, "split": {"val": 0.2, "test": 0.2, **split}}
        steps = predicted(data, {"name": "gru", "hidden_size": 3})
        assert all(row["target"] in ("<unknown>", "<end>", texts[int(row["row"])][0]) for row in steps)
        assert len({row["row"] for row in steps}) == (2 if split else 6)
    text = "abcdefghij" * 30
    Path("w.txt").write_text(text)
    steps = predicted({"name": "language", "path": "w.txt", "sequence_length": 7}, {"name": "gru", "hidden_size": 3})
    assert all(row["target"] == text[int(row["position"]) + int(row["step"]) + 1] for row in steps)
