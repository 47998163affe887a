"""`nnzoo init` for series, texts, trees, images and arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nnzoo
from nnzoo.cli.app import run

Init = Callable[..., dict[str, Any]]
WORDS = {"good": "great warm clever fine film", "bad": "dull cold slow poor mess"}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def init(capsys: pytest.CaptureFixture[str]) -> Init:
    """Runs `nnzoo init --json`, checks that its config trains for two batches, and returns what it prints."""

    def call(*arguments: str, code: int = 0, dry_run: bool = True) -> dict[str, Any]:
        assert run(["init", *arguments, "--json"]) == code
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        if not code and dry_run:
            nnzoo.train(printed["path"], dry_run=True, quiet=True)
        return printed

    return call


def write_series(name: str, header: str = "day,sold,promo", days: int = 150) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{date(2024, 1, 1) + timedelta(day)},{50 + 20 * np.sin(2 * np.pi * day / 7) + rng.normal():.1f},{day % 3 == 0}"
        for day in range(days)
    ]
    Path(name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_a_series(init: Init) -> None:
    write_series("sales.csv")
    data = init("sales.csv", "--target", "sold")["config"]["data"]
    assert (data["name"], data["time"], data["target"], data["window"]) == ("series", "day", "sold", 14)


def test_the_parts_of_a_time_make_a_series(init: Init) -> None:
    wind = np.random.default_rng(0).integers(0, 9, 480).tolist()
    rows = [
        f"{i + 1},2024,1,{i // 24 + 1},{i % 24},{np.sin(i / 4) + wind[i - 1] / 5:.3f},{wind[i]}" for i in range(480)
    ]
    Path("air.csv").write_text("No,year,month,day,hour,pm,wind\n" + "\n".join(rows) + "\n", encoding="utf-8")
    error = init("air.csv", code=2)
    assert [each["target"] for each in error["candidates"]] == ["wind", "pm"]
    data = init("air.csv", "--target", "pm")["config"]["data"]
    assert data["time"] == "No"
    assert data["features"] == ["pm", "hour", "wind"]


def test_one_column_of_numbers_is_a_series(init: Init) -> None:
    Path("load.csv").write_text("load\n" + "".join(f"{50 + i % 12}\n" for i in range(120)), encoding="utf-8")
    data = init("load.csv", dry_run=False)["config"]["data"]
    assert (data["name"], data["target"], data["window"]) == ("series", "load", 12)


def texts(count: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(0)
    return [
        (label, " ".join(rng.choice(WORDS[label].split(), 9)) + f" {index}")
        for index, label in enumerate(["good", "bad"] * (count // 2))
    ]


def test_texts_in_a_table(init: Init) -> None:
    rows = [f'{index},"{text}",{label}' for index, (label, text) in enumerate(texts(60))]
    Path("reviews.csv").write_text("\n".join(["id,review,sentiment", *rows]) + "\n", encoding="utf-8")
    data = init("reviews.csv")["config"]["data"]
    assert (data["name"], data["text"], data["target"], data["tokenizer"]) == ("text", "review", "sentiment", "word")


def test_lines_that_begin_with_a_label(init: Init) -> None:
    for part, count in (("train", 60), ("test", 20)):
        Path(f"q.{part}.all").write_text("".join(f"{label} {text}\n" for label, text in texts(count)), encoding="utf-8")
    data = init("q.train.all")["config"]["data"]
    assert (data["delimiter"], data["target"], data["test_path"]) == (" ", 0, "q.test.all")


def test_one_file_per_class(init: Init) -> None:
    Path("names").mkdir()
    for language, names in (("dutch", "janssen bakker visser"), ("japanese", "tanaka sato ito")):
        lines = [f"{name}{letter}" for name in names.split() for letter in "abcdefgh"]
        Path(f"names/{language}.txt").write_text("\n".join([*lines, lines[0]]) + "\n", encoding="utf-8")
    Path("names/SOURCE.txt").write_text("from the web\n", encoding="utf-8")
    data = init("names")["config"]["data"]
    assert data["path"] == "names/*[a-z0-9].txt"
    assert (data["tokenizer"], data["split"]["deduplicate"]) == ("char", True)


def test_trees_and_plain_text(init: Init) -> None:
    tree = "(3 (2 It) (4 (2 's) (4 fun)))\n(1 (2 It) (0 (2 's) (0 dull)))\n"
    Path("t").mkdir()
    for part in ("train", "dev", "test"):
        Path(f"t/{part}.txt").write_text(tree * 10, encoding="utf-8")
    data = init("t")["config"]["data"]
    assert (data["name"], data["val_path"], data["test_path"]) == ("trees", "t/dev.txt", "t/test.txt")
    rng = np.random.default_rng(0)
    play = "".join(f"KING: {' '.join(rng.choice(['what', 'news', 'my', 'lord'], 6))}.\n" for _ in range(100))
    Path("play.txt").write_text(play, encoding="utf-8")
    assert init("play.txt")["config"]["data"]["name"] == "language"
    assert "--target" in init("play.txt", "x.yaml", "--target", "a", code=2)["error"]["where"]


def test_images(init: Init) -> None:
    rng = np.random.default_rng(0)
    for label in ("day", "night"):
        Path("photos", label).mkdir(parents=True)
        for index in range(8):
            pixels = rng.integers(0, 255, size=(24, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(Path("photos", label, f"{index}.png"))
    found = init("photos")
    assert (found["config"]["data"]["size"], found["config"]["data"]["channels"]) == (24, 3)
    assert found["found"][:2] == ["16 images, 2 classes", "color, 24 x 24 pixels"]


def test_a_data_set_of_torchvision(init: Init) -> None:
    Path("clothes").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        labels = bytes([0, 0, 8, 1, 0, 0, 0, 8, 9, 0, 0, 3, 0, 2, 7, 2])
        Path(f"clothes/{name}-ubyte").write_bytes(labels)
    assert init("clothes", dry_run=False)["config"]["data"]["name"] == "fashion_mnist"


def test_arrays(init: Init) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 5, 3)).astype(np.float32)
    np.savez("steps.npz", x=x, y=(x[:, :, 0].sum(1) > 0).astype(np.int64))
    assert init("steps.npz")["config"]["model"]["name"] == "gru"
    Path("arrays").mkdir()
    np.save("arrays/x.npy", x[:, 0])
    np.save("arrays/y.npy", x[:, 0, :1] * 100)
    assert init("arrays")["config"]["preprocess"] == {"scale_target": True}
    np.savez("other.npz", data=x)
    assert "numpy.savez" in init("other.npz", code=3)["error"]["message"]


def test_files_that_do_not_belong_together(init: Init) -> None:
    Path("mixed").mkdir()
    write_series("mixed/a.csv")
    Path("mixed/b.csv").write_text("x,y\n1,2\n3,4\n", encoding="utf-8")
    assert "nnzoo init mixed/a.csv" in init("mixed", code=2)["error"]["message"]
    Path("mixed/b.csv").unlink()
    write_series("mixed/b.csv")
    assert init("mixed", "--target", "promo", dry_run=False)["config"]["data"]["path"] == "mixed"


def test_arrays_with_the_names_of_keras(init: Init) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (80, 12, 12), dtype=np.uint8), np.arange(80) % 2
    np.savez("mnist.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    found = init("mnist.npz")
    assert found["config"]["data"]["layout"] == "image"
    assert found["config"]["model"]["name"] == "cnn"
    assert "test" not in found["config"]["data"]["split"]


def test_channels_last_are_refused(init: Init) -> None:
    np.savez("photos.npz", x=np.zeros((20, 8, 8, 3), np.uint8), y=np.arange(20) % 2)
    assert "channels last" in init("photos.npz", code=3)["error"]["message"]


def test_a_table_of_file_names_is_refused(init: Init) -> None:
    Path("labels.csv").write_text("image,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(40)), "utf-8")
    assert "names of images" in init("labels.csv", code=3)["error"]["message"]


def test_texts_in_subfolders_are_refused(init: Init) -> None:
    for name in WORDS:
        Path("reviews", "train", name).mkdir(parents=True)
        Path("reviews", "train", name, "1.txt").write_text(WORDS[name], encoding="utf-8")
    assert "subfolders" in init("reviews", code=3)["error"]["message"]


def test_a_class_and_a_text_need_no_target(init: Init) -> None:
    Path("sms").write_text("\n".join(f"{label}\t{text}" for label, text in texts(80)), encoding="utf-8")
    data = init("sms", dry_run=False)["config"]["data"]
    assert (data["name"], data["text"], data["target"]) == ("text", "1", "0")
