"""The network in the page: its JavaScript, run without a browser, gives the answers of `nnzoo predict`."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from py_mini_racer import MiniRacer
from torch import nn

import nnzoo
from nnzoo.builders import model as builders
from nnzoo.data.images.decode import Channels, decode
from nnzoo.report.live.bundle import computation, script

pytestmark = pytest.mark.page

ANSWER = """
const model = loadModel(MODEL);
return (raw) => {
  const { tensor, layers, ...found } = answerTo(model, raw);
  return JSON.stringify(found);
};"""


class Page:
    """The network of a page, computed by the page's own files."""

    def __init__(self, run: nnzoo.Run) -> None:
        self.run = run
        html = (run.run_dir / "report.html").read_text(encoding="utf-8")
        found = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
        assert found is not None, re.findall("The network can't be tried[^<]*", html)
        self.model: dict[str, Any] = json.loads(found[1])
        self._context = MiniRacer()
        self._context.eval(f"var MODEL = {found[1]}; var answer = {script(computation(self.model), ANSWER)}")

    def answer(self, raw: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(str(self._context.eval(f"answer({json.dumps(raw)})")))
        return found

    def probabilities(self, samples: Sequence[object]) -> NDArray[np.float64]:
        return np.array([self.answer(each)["probabilities"] for each in samples])

    def values(self, samples: Sequence[object]) -> NDArray[np.float64]:
        return np.array([self.answer(each)["values"] for each in samples])


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Page]:
    """Returns a function that trains a network for a moment and opens its page."""
    folder = tmp_path_factory.mktemp("runs")

    def train(config: object, **arguments: Any) -> Page:
        return Page(nnzoo.train(config, runs_dir=folder, quiet=True, **arguments))  # type: ignore[arg-type]

    return train


IMAGE_MODELS: dict[str, Any] = {
    "linear": "linear",
    "mlp": {"name": "mlp", "hidden": [12], "activation": "gelu", "batch_norm": True, "dropout": 0.2},
    "cnn": {
        "name": "cnn",
        "blocks": [
            {
                "conv": {
                    "out_channels": 6,
                    "kernel_size": 3,
                    "stride": 2,
                    "dilation": 2,
                    "padding": 2,
                    "batch_norm": True,
                }
            },
            {"pool": {"kind": "avg", "kernel_size": 3, "stride": 1, "padding": 1}},
            {"conv": {"out_channels": 6, "kernel_size": 2, "padding": "same", "groups": 2, "activation": "maxout"}},
            {"pool": {"kind": "max", "kernel_size": 2, "padding": 1}},
            {"global_pool": "max"},
        ],
        "head": [8],
    },
    "lenet5": "lenet5",
    "rnn": {"name": "rnn", "hidden_size": 7, "nonlinearity": "relu", "num_layers": 2, "pooling": "max"},
    "lstm": {"name": "lstm", "hidden_size": 7, "bidirectional": True, "num_layers": 2},
    "gru": {"name": "gru", "hidden_size": 7, "num_layers": 2, "bidirectional": True, "pooling": "mean"},
}


@pytest.mark.parametrize("name", IMAGE_MODELS)
def test_images_get_the_probabilities_of_predict(name: str, page_of: Callable[..., Page]) -> None:
    page = page_of({"name": name, "data": "digits", "model": IMAGE_MODELS[name], "train": {"epochs": 1}})
    images = np.random.default_rng(0).integers(0, 17, (20, 1, 8, 8)).astype(np.float32)
    expected = page.run.model.predict_proba(images)
    assert np.abs(page.probabilities([each.flatten().tolist() for each in images]) - expected).max() < 1e-5


@pytest.mark.parametrize(
    "preprocess",
    [{"pca": {"n_components": 10, "whiten": True}}, {"normalize": "none", "zca": True}, {"normalize": "minmax"}],
)
def test_preprocessing_is_that_of_predict(preprocess: dict[str, Any], page_of: Callable[..., Page]) -> None:
    page = page_of({"data": "digits", "model": "linear", "preprocess": preprocess, "train": {"epochs": 1}})
    images = np.random.default_rng(1).integers(0, 17, (20, 1, 8, 8)).astype(np.float32)
    expected = page.run.model.predict_proba(images)
    assert np.abs(page.probabilities([each.flatten().tolist() for each in images]) - expected).max() < 1e-5


ACTIVATIONS = [name for name in builders.ACTIVATIONS if name != "step"]


@pytest.mark.parametrize("group", [ACTIVATIONS[:8], ACTIVATIONS[8:]])
def test_every_activation(group: list[str], page_of: Callable[..., Page]) -> None:
    layers = [{"units": 6, "activation": name} for name in group]
    page = page_of({"data": "iris", "model": {"name": "mlp", "layers": layers}, "train": {"epochs": 1}})
    rows = np.random.default_rng(0).normal(3, 2, (20, 4))
    cells = [[repr(float(value)) for value in row] for row in rows]
    assert np.abs(page.probabilities(cells) - page.run.model.predict_proba(rows)).max() < 1e-5


@pytest.mark.parametrize("loss", ["bce", "hinge", "cross_entropy"])
def test_two_classes_with_each_kind_of_output(loss: str, page_of: Callable[..., Page]) -> None:
    page = page_of({"data": "moons", "model": {"name": "mlp", "hidden": [4]}, "loss": loss, "train": {"epochs": 1}})
    rows = np.random.default_rng(0).normal(0, 1, (30, 2))
    found = [page.answer([repr(float(value)) for value in row]) for row in rows]
    assert [page.model["classes"][each["label"]] for each in found] == page.run.model.predict(rows).tolist()
    if loss != "hinge":
        expected = page.run.model.predict_proba(rows)
        assert np.abs(np.array([each["probabilities"] for each in found]) - expected).max() < 1e-5


def test_regression_in_the_unit_of_the_target(page_of: Callable[..., Page]) -> None:
    page = page_of(
        {"data": "diabetes", "model": {"name": "linear", "kernel": "rbf", "n_components": 64}, "train": {"epochs": 2}}
    )
    rows = torch.tensor(
        [[59.0, 2, 32.1, 101, 157, 93.2, 38, 4, 4.8598, 87], [48, 1, 21.6, 87, 183, 103.2, 70, 3, 3.8918, 69]]
    )
    found = page.values([[repr(value) for value in row] for row in rows.tolist()])
    assert np.abs(found[:, 0] - page.run.model.predict(rows)).max() < 1e-5 * 77  # the spread of the target


HEADER = ["size", "price", "color", "member", "since", "code", "label"]


def table_rows(count: int) -> list[list[str]]:
    """Returns rows with numbers, decimal commas, categories, booleans, dates and missing values."""
    choose = random.Random(0)
    rows = []
    for i in range(count):
        size = choose.choice(["", "NA", f"{choose.uniform(-3, 3):.3f}", f"{choose.randint(1, 9)}e-1", "+2"])
        price = f"{choose.randint(1, 9)}.{choose.randint(100, 999)},{choose.randint(10, 99)} €"
        color = choose.choice(["red", "green", "<b>blue</b>", "", "1.50"])
        member = choose.choice(["yes", "no", "Yes"]) if i % 9 else ""
        since = (
            f"{choose.randint(1, 28):02d}.{choose.randint(1, 12):02d}.{choose.randint(1990, 2020)}" if i % 7 else "?"
        )
        label = "big" if color == "red" or since.endswith("5") else "small"
        rows.append([size, price, color, member, since, f"{choose.randint(1, 3):03d}", label])
    return rows


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, page_of: Callable[..., Page]) -> Page:
    file = tmp_path_factory.mktemp("table") / "table.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=";").writerows([HEADER, *table_rows(300)])
    data = {"name": "csv", "path": str(file), "target": "label", "missing": ["", "NA", "?"], "replace": {"-7": "NA"}}
    return page_of({"name": "table", "data": data, "model": {"name": "mlp", "hidden": [8]}, "train": {"epochs": 3}})


CHANGED = {
    "size": ["", "NA", "-7.0", "-1.5", "(2)", " 3 ", "1e1", "−4"],
    "price": ["12,5", "1.234,5 €", "0,5"],
    "color": ["red", "purple", "1.5", "", "<b>blue</b>"],
    "member": ["TRUE", "0", "n", ""],
    "since": ["1.2.1999", "29.02.2000", "?", "07.11.2031 10:30"],
    "code": ["002", "001", "009"],
}


def test_cells_are_read_as_in_a_file(table: Page) -> None:
    assert {column["kind"] for column in table.model["input"]["columns"]} == {"number", "category", "boolean", "date"}
    names = [column["name"] for column in table.model["input"]["columns"]]
    rows = [dict(zip(HEADER, row, strict=True)) for row in table_rows(320)[300:]]
    rows += [{**rows[0], name: cell} for name, cells in CHANGED.items() for cell in cells]
    found = table.probabilities([[row[name] for name in names] for row in rows])
    expected = table.run.model.predict_proba(rows)
    assert np.abs(found - expected).max(1).tolist() == pytest.approx([0.0] * len(rows), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "cell"),
    [("size", "big"), ("size", "1,5"), ("price", "12.5 kg"), ("since", "31.02.2000"), ("since", "2000-01-01")],
)
def test_cells_in_another_format_are_refused(name: str, cell: str, table: Page) -> None:
    row = dict(zip(HEADER, table_rows(1)[0], strict=True)) | {name: cell}
    with pytest.raises(nnzoo.DataError, match="format"):
        table.run.model.predict({key: [value] for key, value in row.items()})
    found = table.answer([row[column["name"]] for column in table.model["input"]["columns"]])
    assert [problem["text"].startswith(f"{name}: '{cell}'") for problem in found["problems"]] == [True]


def test_samples_to_start_from_have_their_own_features(table: Page) -> None:
    predictions = {
        row["row"]: float(row["probability_big"])
        for row in csv.DictReader((table.run.run_dir / "predictions.csv").read_text(encoding="utf-8").splitlines())
    }
    samples = table.model["samples"]
    assert len(samples) == 10
    for sample in samples:
        row = re.search(r"row (\d+)", sample["label"])
        assert row is not None
        assert abs(table.answer(sample["raw"])["probabilities"][0] - predictions[row[1]]) < 1e-5


SENTENCES = [
    ("It's a good, GOOD film — really!", "good"),
    ("what a bad film... don't", "bad"),
    ("Très bon film d’été", "good"),
    ("un mauvais 2nd film", "bad"),
]


@pytest.mark.parametrize(
    ("tokenizer", "model"),
    [
        ("word", {"name": "gru", "hidden_size": 6, "pooling": "mean"}),
        ("char", {"name": "lstm", "hidden_size": 6, "bidirectional": True}),
        (
            "word",
            {
                "name": "cnn",
                "blocks": [
                    {"conv": {"out_channels": 5, "kernel_size": 3, "padding": "same", "batch_norm": True}},
                    {"pool": {"kind": "max", "kernel_size": 2, "stride": 2}},
                    {"conv": {"out_channels": 5, "kernel_size": 2}},
                    {"global_pool": "avg"},
                ],
            },
        ),
        ("word", {"name": "cnn", "blocks": [{"conv": {"out_channels": 5, "kernel_size": 3}}], "head": [4]}),
    ],
)
def test_texts_get_the_probabilities_of_predict(
    tokenizer: str, model: dict[str, Any], page_of: Callable[..., Page], tmp_path: Path
) -> None:
    file = tmp_path / "texts.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *(SENTENCES * 8)])
    data = {"name": "text", "path": str(file), "target": "label", "tokenizer": tokenizer, "lowercase": True}
    page = page_of({"data": data, "model": model, "train": {"epochs": 2}})
    texts = [text for text, _ in SENTENCES] + ["", "unknown 😀 words", "a", "film " * 60, "BAD\u00a0film\u0301 x_1"]
    expected = page.run.model.predict_proba(texts)
    assert np.abs(page.probabilities(texts) - expected).max() < 1e-5


def test_tokens_that_are_not_known_are_marked(page_of: Callable[..., Page], tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("text,label\n" + "good film,a\nbad film,b\n" * 10)
    data = {"name": "text", "path": str(file), "target": "label", "max_length": 3}
    page = page_of({"data": data, "model": {"name": "rnn", "hidden_size": 4}, "train": {"epochs": 1}})
    found = [(each["symbol"], each["known"], each["read"]) for each in page.answer("good new film, bad")["tokens"]]
    assert found == [
        ("good", True, True),
        ("new", False, True),
        ("film", True, True),
        (",", False, False),
        ("bad", True, False),
    ]


def test_a_language_model_gives_the_next_symbol(page_of: Callable[..., Page], tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat. the rat sat on the cat.\n" * 40)
    data = {"name": "language", "path": str(file), "sequence_length": 16}
    page = page_of({"data": data, "model": {"name": "gru", "hidden_size": 12}, "train": {"epochs": 2}})
    text = "the cat sat on the ma"
    steps = page.answer(text)["steps"]
    tokens = np.array([[page.model["input"]["symbols"].index(symbol) + 2 for symbol in text[:16]]])
    expected = page.run.model.predict_proba(tokens)[0]
    assert len(steps) == len(text)
    assert np.abs(np.array([step["probabilities"] for step in steps[:16]]) - expected).max() < 1e-5


@pytest.mark.parametrize("model", ["mlp", {"name": "gru", "hidden_size": 5}])
def test_a_series_is_forecast_from_its_window(model: object, page_of: Callable[..., Page], tmp_path: Path) -> None:
    file = tmp_path / "series.csv"
    rows = [f"{i},{100 + 3 * i % 40 + i},{'ab'[i % 2]}" for i in range(120)]
    file.write_text("\n".join(["day,sales,kind", *rows]))
    data = {"name": "series", "path": str(file), "time": "day", "target": "sales", "categorical": "kind", "window": 6}
    page = page_of({"data": {**data, "horizon": 3}, "model": model, "train": {"epochs": 2}})
    for level in (0.0, 1e6):
        window = [[str(level + 100 + i * i), "ab"[i % 2]] for i in range(6)]
        window[3][0] = ""
        sales, kinds = ([row[column] for row in window] for column in range(2))
        expected = page.run.model.predict({"day": list(map(str, range(6))), "sales": sales, "kind": kinds})
        assert np.abs(page.values([window])[0] - expected).max() < 1e-5 * 40  # the spread of the target


def test_sequences_of_different_lengths_and_an_answer_at_every_step(page_of: Callable[..., Page]) -> None:
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(60, 7, 2)), rng.integers(2, 8, 60)
    y = (x.cumsum(1)[:, :, 0] > 0).astype(int)
    model = {"name": "lstm", "hidden_size": 5, "bidirectional": True, "pooling": "none"}
    page = page_of({"model": model, "train": {"epochs": 1}}, data={"x": x, "y": y, "lengths": lengths})
    for row in range(5):
        steps = [[repr(float(value)) for value in step] for step in x[row, : lengths[row]]]
        expected = page.run.model.predict_proba(x[row : row + 1], lengths[row : row + 1])[0, : lengths[row]]
        found = np.array([step["probabilities"] for step in page.answer(steps)["steps"]])
        assert np.abs(found - expected).max() < 1e-5


def test_a_custom_sequence_of_layers_is_computed(page_of: Callable[..., Page]) -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10)
    )
    page = page_of({"data": "digits", "train": {"epochs": 1}}, model=module)
    images = np.random.default_rng(0).integers(0, 17, (10, 1, 8, 8)).astype(np.float32)
    expected = page.run.model.predict_proba(images)
    assert np.abs(page.probabilities([each.flatten().tolist() for each in images]) - expected).max() < 1e-5


class Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.layer(inputs.flatten(1).square())
        return outputs


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"name": "mlp", "hidden": [3400]}, "it has 1.0 MB of weights and preprocessing (at most 1 MB)"),
        (None, "the page can&#x27;t compute Custom (the network)"),
    ],
)
def test_other_networks_are_named_with_the_reason(model: object, reason: str, tmp_path: Path) -> None:
    config = {"data": "digits", "train": {"epochs": 1}} | ({"model": model} if model else {})
    run = nnzoo.train(config, model=None if model else Custom(), runs_dir=tmp_path, quiet=True)
    html = (run.run_dir / "report.html").read_text(encoding="utf-8")
    assert f"The network can&#x27;t be tried in this page: {reason}." in html
    assert "application/json" not in html


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (31, 20), (40, 64)])
def test_image_files_become_the_pixels_of_predict(channels: Channels, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (29, 37, 4)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    file.seek(0)
    expected = decode(file, size, channels)
    context = MiniRacer()
    context.eval(f"var convert = {script(['network', 'answer', 'image'], 'return pixelsOfFile;')}")
    given = json.dumps({"shape": [channels, *size], "bytes": True, "low": 0, "high": 255})
    found = context.eval(f"JSON.stringify(convert({given}, {pixels.flatten().tolist()}, 37, 29, false))")
    difference = np.array(json.loads(str(found))).reshape(expected.shape) - expected
    assert np.abs(difference).max() <= 1  # by how transparent pixels are rounded
    assert (difference != 0).mean() < 0.02
