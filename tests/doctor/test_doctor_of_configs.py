"""`nnzoo doctor CONFIG`: faults are found, and good data has no findings."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nnzoo import doctor
from nnzoo.cli.app import run as nnzoo
from nnzoo.config import load_config
from nnzoo.data import Split
from nnzoo.doctor import Examination
from nnzoo.doctor.network import probe
from nnzoo.errors import DataError

examine_config = partial(doctor.examine_config, try_training=False)
RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RANDOM.bit_generator.state = np.random.default_rng(0).bit_generator.state


def examined(x: Any, y: Any, **settings: Any) -> Examination:
    np.savez("data.npz", x=x, y=y)
    return examine_config(load_config({"data": {"name": "arrays", "path": "data.npz"}, "model": "mlp"} | settings))


def divided(**split: Any) -> dict[str, Any]:
    return {"name": "arrays", "path": "data.npz", "split": split}


def found(examination: Examination) -> set[tuple[str, str]]:
    return {(finding.severity, finding.topic) for finding in examination.findings}


def noisy_classes(num_samples: int = 400, num_columns: int = 5) -> tuple[Any, Any]:
    x = RANDOM.standard_normal((num_samples, num_columns))
    return x, (x[:, 0] + x[:, 1] + RANDOM.standard_normal(num_samples) > 0).astype(int)


def test_good_data_has_no_spoiling_findings() -> None:
    examination = examined(*noisy_classes())
    assert {severity for severity, _ in found(examination)} <= {"note"}
    assert examination.baseline["accuracy"] < 0.65 < examination.linear["accuracy"]
    assert sum(examination.data["splits"].values()) == 400
    assert set(examination.data["classes"]["0"]) == {"train", "val", "test"}


def test_duplicates_across_splits_are_named_by_row() -> None:
    x, y = noisy_classes(200)
    examination = examined(np.concatenate([x, x]), np.concatenate([y, y]))
    assert ("spoils", "duplicates") in found(examination)
    across = next(finding for finding in examination.findings if finding.topic == "duplicates")
    for named in across.samples:
        rows = [int(name.split()[-1]) for name in named.split(" = ")]
        assert len({row % 200 for row in rows}) == 1
        assert len({name.split()[0] for name in named.split(" = ")}) == 2


def leaking_files(source: str) -> dict[str, Any]:
    """60 training samples, 12 of which are also among the 20 of the given test split, some of them twice."""
    x, y = noisy_classes(70)
    train, test = [*range(60), *range(5)], [*range(12), *range(60, 68)]
    if source == "arrays":
        np.savez("data.npz", x=x[train], y=y[train], x_test=x[test], y_test=y[test])
        return {"name": "arrays", "path": "data.npz"}
    if source == "image_folder":
        pixels = RANDOM.integers(0, 255, (70, 6, 6, 3)).astype(np.uint8)
        for part, rows in {"train": train, "test": test}.items():
            for index, row in enumerate(rows):
                path = Path(f"photos/{part}/{y[row]}/{index}.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels[row]).save(path)
        return {"name": "image_folder", "path": "photos"}
    for part, rows in {"train": train, "test": test}.items():
        cells = [(f"w{row} of v{row}" if source == "text" else f"{x[row, 0]},{x[row, 1]}", y[row]) for row in rows]
        head = "text,y\n" if source == "text" else "a,b,y\n"
        Path(f"{part}.csv").write_text(head + "".join(f"{cell},{label}\n" for cell, label in cells))
    return {"name": source, "path": "train.csv", "test_path": "test.csv", "target": "y"}


@pytest.mark.parametrize("source", ["arrays", "csv", "text", "image_folder"])
def test_deduplicate_removes_samples_of_a_given_test_split(source: str) -> None:
    data = leaking_files(source)
    config = {"data": data, "model": "gru" if source == "text" else "mlp"}
    leaking = examine_config(load_config({**config, "data": {**data, "split": {"val": 0}}}))
    assert ("spoils", "duplicates") in found(leaking)
    assert leaking.data["splits"] == {"train": 65, "test": 20}
    sound = examine_config(load_config({**config, "data": {**data, "split": {"val": 0, "deduplicate": True}}}))
    assert "duplicates" not in {topic for _, topic in found(sound)}
    assert sound.data["splits"] == {"train": 48, "test": 20}


def test_an_empty_train_split_after_deduplicate_is_an_error() -> None:
    x, y = noisy_classes(20)
    np.savez("data.npz", x=x, y=y, x_test=x, y_test=y)
    data = {"name": "arrays", "path": "data.npz", "split": {"val": 0, "deduplicate": True}}
    with pytest.raises(DataError, match=r"data\.split\.deduplicate: every train sample is also in val or test"):
        examine_config(load_config({"data": data, "model": "mlp"}))
    ones = y == 1
    np.savez("data.npz", x=x, y=y, x_test=x[ones], y_test=y[ones])
    with pytest.raises(DataError, match="every train sample of '1' is also in val or test"):
        examine_config(load_config({"data": data, "model": "mlp"}))


def test_a_few_duplicates_are_a_warning() -> None:
    x, y = noisy_classes(400)
    x[1] = x[0]
    y[1] = y[0]
    examination = examined(
        x, y, data={"name": "arrays", "path": "data.npz", "split": {"val": 0, "test": 0.1, "seed": 3}}
    )
    kinds = found(examination)
    assert ("note", "duplicates") in kinds or ("warning", "duplicates") in kinds
    assert not examination.spoiling


def csv(text: str, **settings: Any) -> Examination:
    Path("t.csv").write_text(text)
    return examine_config(load_config({"data": {"name": "csv", "path": "t.csv", **settings}, "model": "mlp"}))


def test_missing_values_are_counted_by_column(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        f"{row},{'' if row % 4 == 0 else row * row % 17},{'red' if row % 10 else ''},{row % 2}" for row in range(40)
    ]
    whole = {"val": 0, "test": 0}
    examination = csv("\n".join(["a,b,c,y", *rows]), target="y", split=whole)
    assert examination.data["missing"] == {"b": {"count": 10, "share": 0.25}, "c": {"count": 4, "share": 0.1}}
    settings = "{name: csv, path: t.csv, target: y, split: {val: 0, test: 0}}"
    Path("c.yaml").write_text(f"data: {settings}\nmodel: mlp\n")
    assert nnzoo(["doctor", "c.yaml"]) == 0
    assert "missing in train: b 10 (25.0%), c 4 (10.0%)" in capsys.readouterr().out


def test_missing_values_of_a_series() -> None:
    rows = [f"{row},{'' if row in (5, 6) else row % 7}" for row in range(60)]
    Path("s.csv").write_text("\n".join(["t,v", *rows]))
    data = {"name": "series", "path": "s.csv", "time": "t", "target": "v", "window": 4, "split": {"val": 0.2}}
    examination = examine_config(load_config({"data": data, "model": "mlp"}))
    assert examination.data["missing"]["v"]["count"] == 2


def texts(lines: list[str], test: list[str], **settings: Any) -> Examination:
    Path("train.csv").write_text("\n".join(["what,kind", *lines]))
    Path("test.csv").write_text("\n".join(["what,kind", *test]))
    data = {"name": "text", "path": "train.csv", "test_path": "test.csv", "target": "kind", "split": {"val": 0}}
    return examine_config(load_config({"data": data | settings, "model": "gru"}))


def test_texts_that_differ_in_a_rare_word_are_not_equal() -> None:
    lines = [f"who is person{row},{'ab'[row % 2]}" for row in range(20)]
    test = [f"who is other{row},{'ab'[row % 2]}" for row in range(10)]
    assert not {"duplicates", "label noise"} & {topic for _, topic in found(texts(lines, test, min_count=2))}


def test_equal_texts_are_named_by_file_and_line() -> None:
    lines = [f"word{row} word{row + 1},{'ab'[row % 2]}" for row in range(20)]
    # The second one has another class, so knowing it does not help.
    examination = texts(lines, [lines[3], "word4 word5,b", "word0 word9,a"])
    across = next(finding for finding in examination.findings if finding.topic == "duplicates")
    here = Path.cwd()
    assert across.samples == (f"train {here}/train.csv: line 5 = test {here}/test.csv: line 2",)
    assert "1 of 3 test samples" in across.message


def test_equal_trees_are_found_despite_other_padding() -> None:
    small = [f"(3 (2 w{row}) (2 w{row + 1}))" for row in range(8)]
    Path("train.txt").write_text("\n".join([*small, "(1 (3 (2 w0) (2 w1)) (3 (2 w2) (2 w3)))"]))
    Path("test.txt").write_text("\n".join(small[:2]))
    data = {"name": "trees", "path": "train.txt", "test_path": "test.txt", "split": {"val": 0}}
    examination = examine_config(load_config({"data": data, "model": "recursive"}))
    assert [finding.topic for finding in examination.spoiling] == ["duplicates"]
    assert examination.data["classes"]["positive"] == {"train": 8, "test": 2}  # classes of the roots


def test_the_advised_fix_works() -> None:
    x, y = noisy_classes(100)
    np.savez("twice.npz", x=x, y=y, x_test=x[:50], y_test=y[:50])
    data: dict[str, Any] = {"name": "arrays", "path": "twice.npz"}
    (finding,) = examine_config(load_config({"data": data, "model": "mlp"})).spoiling
    assert "43 of 50 test samples" in finding.message  # the other 7 are in val
    assert "{split: {deduplicate: true}}" in finding.message
    assert not examine_config(load_config({"data": data | {"split": {"deduplicate": True}}, "model": "mlp"})).spoiling


def test_equal_inputs_with_different_classes() -> None:
    x = np.repeat(RANDOM.standard_normal((20, 3)), 10, axis=0)
    assert ("warning", "label noise") in found(examined(x, np.tile([0, 1], 100)))


def test_a_wrong_label_is_named() -> None:
    x = np.concatenate([RANDOM.standard_normal((200, 2)) - 4, RANDOM.standard_normal((200, 2)) + 4])
    y = np.repeat([0, 1], 200)
    y[7] = 1
    examination = examined(
        x, y, data={"name": "arrays", "path": "data.npz", "split": {"val": 0.1, "test": 0, "seed": 1}}
    )
    hint = next(finding for finding in examination.findings if finding.topic == "label noise")
    assert hint.samples == ("train row 7: 1, or 0?",)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_column_that_is_the_target(task: str) -> None:
    x, y = noisy_classes()
    leaking = np.column_stack([x, 3 * y + 1])
    if task == "regression":
        y = x @ RANDOM.standard_normal(5) + RANDOM.standard_normal(400)
        leaking = np.column_stack([x, 2 * y - 1])
    examination = examined(leaking, y)
    assert [finding.topic for finding in examination.spoiling] == ["leak"]
    assert "the column 5 alone" in examination.spoiling[0].message


def test_unscaled_and_constant_columns() -> None:
    x, y = noisy_classes()
    x[:, 2] *= 1e4
    x[:, 3] = 7.0
    raw = found(examined(x, y, preprocess={"normalize": "none"}))
    assert {("warning", "unscaled columns"), ("warning", "constant columns")} <= raw
    assert ("warning", "unscaled columns") not in found(examined(x, y))


def test_rare_classes() -> None:
    x, _ = noisy_classes(1000)
    y = (np.arange(1000) % 50 == 0).astype(int)
    assert ("warning", "class balance") in found(examined(x, y))
    loss = {"name": "cross_entropy", "class_weights": "balanced"}
    weighted = examined(x, y, loss=loss)
    (message,) = (finding.message for finding in weighted.findings if finding.topic == "class balance")
    assert "class_weights" not in message
    assert ("warning", "class balance") not in found(examined(x, y, loss=loss, train={"metrics": ["f1"]}))


@pytest.mark.parametrize("gate", ["and", "or", "nand"])
def test_the_linear_score_of_separable_data(gate: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"data: {gate}\nmodel: perceptron\n")
    assert nnzoo(["doctor", str(tmp_path / "c.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["linear"]["accuracy"] == 1


def test_a_class_too_rare_for_the_linear_model() -> None:
    x = RANDOM.standard_normal((12_000, 2))
    y = np.zeros(12_000, dtype=int)
    y[[11_000, 11_001]] = 1
    settings = {"data": divided(val=0, test=0, stratify=False)}
    assert examined(x, y, **settings).linear.keys() <= {"accuracy"}


def test_an_overconfident_linear_model_is_ignored() -> None:
    x = RANDOM.standard_normal((300, 2))
    y = ((x[:, 0] * x[:, 1] > 0) ^ (RANDOM.random(300) < 0.02)).astype(int)
    wide = np.concatenate([x, x[:, :1] * x[:, 1:] * 9, 30 * RANDOM.standard_normal((300, 600))], axis=1)
    settings = {"data": divided(val=0, test=0), "preprocess": {"normalize": "none"}}
    assert ("note", "label noise") not in found(examined(wide, y, **settings))


def deep(activation: str, init: Any, units: int = 20, depth: int = 20) -> dict[str, Any]:
    return {"model": {"name": "mlp", "hidden": [units] * depth, "activation": activation}, "init": init}


@pytest.mark.parametrize(
    ("settings", "topic"),
    [
        (deep("sigmoid", {"name": "normal", "std": 0.01}), "vanishing gradients"),
        (deep("tanh", {"name": "normal", "std": 0.5}, units=50, depth=50), "exploding gradients"),
        (deep("relu", {"name": "normal", "std": 1.0}), "initial weights too large"),
        (deep("relu", "zeros", depth=2), "symmetry"),
        (deep("relu", {"name": "kaiming_normal", "bias": -50.0}, depth=2), "dead units"),
        (deep("tanh", {"name": "normal", "std": 50.0}, depth=1), "saturation"),
        (deep("tanh", "xavier_normal"), None),
        (deep("relu", "auto", depth=6), None),
    ],
)
def test_networks_that_cannot_learn(settings: dict[str, Any], topic: str | None) -> None:
    topics = {finding.topic for finding in examined(*noisy_classes(), **settings).findings}
    faults = {
        "vanishing gradients",
        "exploding gradients",
        "initial weights too large",
        "symmetry",
        "dead units",
        "saturation",
    }
    assert (topic in topics) if topic else not topics & faults


@pytest.mark.parametrize(
    "data",
    [
        "xor",
        {"name": "sine", "samples": 100},
        {"name": "random", "shape": [5, 3], "samples": 60, "targets": 2},
        {"name": "random", "shape": [2, 9, 9], "samples": 60, "classes": 3},
    ],
)
def test_every_kind_of_data(data: Any, capsys: pytest.CaptureFixture[str]) -> None:
    Path("c.yaml").write_text(f"data: {json.dumps(data)}\nmodel: mlp\n")
    assert nnzoo(["doctor", "c.yaml"]) == 0
    assert "baseline" in capsys.readouterr().out
    assert list(Path().iterdir()) == [Path("c.yaml")]


def test_several_labels_and_tokens() -> None:
    x = RANDOM.integers(0, 9, (100, 6))
    y = RANDOM.integers(0, 2, (100, 3))
    settings = {"data": {"name": "arrays", "path": "data.npz", "task": "multilabel"}, "model": "lstm"}
    assert examined(x, y, **settings).linear.keys() == {"accuracy"}
    assert examined(x, y[:, 0], model="lstm").linear.keys() == {"accuracy"}


def test_exit_codes_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = noisy_classes()
    np.savez("good.npz", x=x, y=y)
    np.savez("bad.npz", x=np.column_stack([x, y]), y=y)
    for name, code in (("good", 0), ("bad", 5)):
        Path("c.yaml").write_text(f"data: {{name: arrays, path: {name}.npz}}\nmodel: mlp\n")
        assert nnzoo(["doctor", "c.yaml", "--json"]) == code
        value = json.loads(capsys.readouterr().out)
        assert value["ok"] == (code == 0)
        assert nnzoo(["doctor", "c.yaml"]) == code
        assert ("leak" in capsys.readouterr().err) == (code == 5)
    assert nnzoo(["doctor", "nothing.yaml"]) == 2
    assert nnzoo(["doctor", "c.yaml", "data.path=none.npz"]) == 3


@pytest.mark.parametrize("num_classes", [2, 3])
def test_a_category_column_that_is_the_target(num_classes: int) -> None:
    y = RANDOM.integers(0, num_classes, 200)
    other = RANDOM.integers(0, 3, 200)
    rows = [f"{RANDOM.normal()},{'rgb'[other[i]]},{'pqr'[y[i]]},{y[i]}" for i in range(200)]
    Path("t.csv").write_text("\n".join(["size,colour,answer,y", *rows]))
    settings = {"data": {"name": "csv", "path": "t.csv", "target": "y", "task": "classification"}, "model": "mlp"}
    spoiling = examine_config(load_config(settings)).spoiling
    assert [finding.message.split(" alone")[0] for finding in spoiling] == ["the column answer"]


def test_generated_data_has_no_leak() -> None:
    config = load_config({"data": {"name": "blobs", "classes": 2, "noise": 0.1}, "model": "mlp"})
    assert not examine_config(config).spoiling


def test_a_summed_loss_is_reported_per_sample() -> None:
    examination = examined(*noisy_classes(), loss={"name": "cross_entropy", "reduction": "sum"})
    assert examination.network["loss"] < 3
    assert ("warning", "initial weights too large") not in found(examination)


@pytest.mark.parametrize("unit", [1e30, 1e-30, 1.0])
def test_a_linear_model_does_not_depend_on_units(unit: float) -> None:
    x = RANDOM.standard_normal((60, 3)) * unit
    linear = examined(x, x[:, 0] + x[:, 1] / 9, preprocess={"normalize": "none"}).linear
    assert linear["r2"] > 0.99
    assert linear["rmse"] < 0.1 * unit


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_equal_rows_by_chance_in_a_coarse_table(seed: int) -> None:
    """Three columns of two to four values, and an age that many rows share."""
    drawn = np.random.default_rng(seed)
    x = np.stack([drawn.integers(0, 2, 600), drawn.integers(0, 3, 600), drawn.integers(0, 4, 600)], axis=1)
    ages = np.where(drawn.random(600) < 0.3, 30, drawn.integers(1, 80, 600))
    for columns in (x, np.column_stack([x, ages])):
        examination = examined(columns.astype(float), drawn.integers(0, 2, 600))
        notes = [finding for finding in examination.findings if "samples are also in train" in finding.message]
        assert {finding.severity for finding in notes} == {"note"}
        assert "by chance" in notes[0].message


def test_copies_in_a_table_of_rounded_numbers_are_not_by_chance() -> None:
    drawn = np.random.default_rng(3)
    x, y = drawn.standard_normal((400, 6)).round(1), drawn.integers(0, 2, 400)
    examination = examined(np.concatenate([x, x[:200]]), np.concatenate([y, y[:200]]))
    assert {finding.topic for finding in examination.spoiling} == {"duplicates"}


def test_equal_numbers_are_equal_in_every_type_and_zero_sign() -> None:
    x, y = noisy_classes(60)
    x = x.astype(np.float32).astype(float)
    x[0] = 0.0
    np.savez("data.npz", x=x, y=y, x_test=(-x[:20]).astype(np.float32) * -1, y_test=y[:20])
    data = {"name": "arrays", "path": "data.npz", "split": {"val": 0}}
    (finding,) = examine_config(load_config({"data": data, "model": "mlp"})).spoiling
    assert "20 of 20 test samples" in finding.message


@pytest.mark.parametrize("offset", [1.7e9, 1e9, -1e12, 1e15])
def test_large_numbers_with_a_small_difference_are_not_equal(offset: float) -> None:
    x = offset + np.arange(400.0)[RANDOM.permutation(400), None] * 3
    topics = {topic for _, topic in found(examined(x, (x[:, 0] > offset + 600).astype(int)))}
    assert not topics & {"duplicates", "constant columns", "label noise"}


def test_only_columns_of_equal_values_are_constant() -> None:
    x, y = noisy_classes(100, 4)
    x[:, 0] = 1e9
    x[:, 1] = 1e9 + 1e-6 * np.arange(100)
    x[:, 2] = np.where(np.arange(100) % 2, 1e-310, 0.0)
    (finding,) = [each for each in examined(x, y).findings if each.topic == "constant columns"]
    assert "1 columns are constant in train: 0." in finding.message


def test_a_last_layer_of_zeros_is_not_a_vanished_gradient() -> None:
    settings = {"model": {"name": "mlp", "hidden": [8], "output": {"init": "zeros"}}}
    assert ("spoils", "vanishing gradients") not in found(examined(*noisy_classes(), **settings))


def test_probed_samples_are_spread_over_the_split_and_few_if_large() -> None:
    recorded = []

    class Spy(torch.nn.Flatten):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            recorded.append(inputs)
            return super().forward(inputs)

    net = torch.nn.Sequential(Spy(), torch.nn.Linear(200_000, 2))
    inputs = torch.arange(20.0).view(20, 1).expand(20, 200_000)
    probe(net, torch.nn.CrossEntropyLoss(), Split(inputs, torch.zeros(20, dtype=torch.long)))
    assert recorded[0][:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_trees_are_counted_by_roots_and_their_head_is_the_last_layer() -> None:
    lines = [f"({label} (2 It) (2 (2 's) (2 fun)))\n" for label in range(5)]
    Path("trees.txt").write_text("".join(lines) * 20)
    settings = {"data": {"name": "trees", "path": "trees.txt"}, "model": {"name": "tree_lstm", "hidden_size": 4}}
    examination = examine_config(load_config(settings))
    assert "class balance" not in {topic for _, topic in found(examination)}
    assert list(examination.network["gradients"])[-1] == "output.linear.weight"


def test_spaces_and_line_ends_are_visible_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.txt").write_text("a b\n" * 200)
    Path("c.yaml").write_text("data: {name: language, path: text.txt, sequence_length: 8}\nmodel: rnn\n")
    nnzoo(["doctor", "c.yaml"])
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert {line.split("  ")[0] for line in table} == {"class per step", "<unknown>", "a", "b", "' '", "'\\n'"}


@pytest.mark.parametrize(("gate", "accuracy"), [("and", 1.0), ("or", 1.0), ("nand", 1.0), ("xor", 0.5)])
def test_the_linear_model_learns_separable_gates(gate: str, accuracy: float) -> None:
    assert examine_config(load_config({"data": gate, "model": "mlp"})).linear == {"accuracy": accuracy}


def test_warnings_of_the_data_are_findings(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{row},id{row},{row % 7},{row % 2}" for row in range(80)]
    Path("t.csv").write_text("\n".join(["a,name,b,y", *rows]))
    Path("c.yaml").write_text("data: {name: csv, path: t.csv, target: y}\nmodel: mlp\n")
    assert nnzoo(["doctor", "c.yaml", "--json"]) in (0, 5)
    output = json.loads(capsys.readouterr().out)
    assert output["warnings"]
    found = [finding for finding in output["findings"] if finding["topic"] == "data"]
    assert [finding["message"].rstrip(".") for finding in found] == [each.rstrip(".") for each in output["warnings"]]
    assert {finding["severity"] for finding in found} == {"warning"}
    assert output["ok"] == (not any(finding["severity"] == "spoils" for finding in output["findings"]))
    nnzoo(["doctor", "c.yaml", "-q"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning data: ")]
    assert len(lines) == len(output["warnings"])
